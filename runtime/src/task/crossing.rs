//! Types that cannot cross to another process, or that cross as a copy where a reader expects to share: the compiler names
//! the replacement.
//!
//! Generated code asks `Crossing::<T>::reason()` about each type in a signature. Of a type that is known here an inherent
//! function tells the reason for which it is refused, and the compiler prefers that; for every other type there is the function of
//! [`Unknown`], and serde's traits decide. A [`Question`] with a reason needs what the type does not have, and the compiler shows the
//! reason's text. The verdict is a parameter of `TaskArg` and `TaskOutput`: after a refusal serde is not asked, hence there is one error.
//!
//! The tokens cannot tell: `Mutex` may be the one of [`crate::ipc::sync`], and `File` a struct of the user's.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::rc::Rc;
use std::sync::atomic::{
    AtomicBool, AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicU8, AtomicU16, AtomicU32, AtomicU64,
    AtomicUsize,
};
use std::sync::mpsc::{Receiver, Sender, SyncSender};
use std::sync::{Arc, Barrier, Condvar, Mutex, MutexGuard, Once, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant, SystemTime};

use bytemuck::Pod;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ipc::fd::Fd;
use crate::ipc::shm::SharedArray;
use crate::ipc::{channel, sync};
use crate::report::Report;

/// Serde decides.
#[derive(Clone, Copy, Debug)]
pub struct Fine;

/// The compiler has shown why not.
#[derive(Clone, Copy, Debug)]
pub struct Refused;

/// No verdict is this. It is a second one that every type could have, without which the compiler would infer a refusal for each
/// type that serde does not know.
#[derive(Clone, Copy, Debug)]
pub struct Undecided;

impl Fine {
    /// Both verdicts in one.
    pub fn and<V>(self, other: V) -> V {
        other
    }
}

impl Refused {
    /// Both verdicts in one.
    pub fn and<V>(self, _: V) -> Self {
        self
    }
}

/// [`Fine`] or a reason.
pub trait Reason {
    /// [`Fine`] or [`Refused`].
    type Verdict;
    /// What follows.
    fn verdict(self) -> Self::Verdict;
}

impl Reason for Fine {
    type Verdict = Self;

    fn verdict(self) -> Self {
        self
    }
}

impl Reason for Undecided {
    type Verdict = Self;

    fn verdict(self) -> Self {
        self
    }
}

/// A question, by the reason that was found for it. That of a refusal needs what no type has, where the compiler shows why.
pub trait Question<R: Reason> {
    /// The verdict.
    fn judged(reason: R) -> R::Verdict {
        reason.verdict()
    }
}

impl<Q> Question<Fine> for Q {}
impl<Q> Question<Undecided> for Q {}

/// Asks about a type.
#[derive(Debug)]
pub struct Crossing<T: ?Sized>(PhantomData<T>);

/// Answers for types that are not known here.
pub trait Unknown<T: ?Sized> {
    /// It is open.
    fn reason() -> Open<T> {
        Open(PhantomData)
    }
}

impl<T: ?Sized> Unknown<T> for Crossing<T> {}

/// For each reason its type, the trait that has its text, and the types that are refused for it.
macro_rules! refused {
    ($($(#[$text:meta])* $reason:ident, $possible:ident: $([$($parameter:tt)*] $known:ty;)*)+) => {$(
        /// A reason.
        #[derive(Clone, Copy, Debug)]
        pub struct $reason;

        $(#[$text])*
        pub trait $possible {}

        impl Reason for $reason {
            type Verdict = Refused;

            fn verdict(self) -> Refused {
                Refused
            }
        }

        /// It is settled, for whatever is asked.
        impl $reason {
            /// The reason.
            pub fn of_type(self) -> Self {
                self
            }

            /// The reason.
            pub fn of_result(self) -> Self {
                self
            }

            /// The reason.
            pub fn of_error(self) -> Self {
                self
            }

            /// The reason.
            pub fn of_inner_error(self) -> Self {
                self
            }
        }

        $(impl<$($parameter)*> Crossing<$known> {
            /// Refuses it.
            pub fn reason() -> $reason {
                $reason
            }
        })*
    )+};
}

refused! {
    /// What no type does.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` would be copied to the other process, not shared with it",
        label = "each process would have a lock of its own",
        note = "use `offspring::sync::Mutex`, which needs no `Arc`, for plain data that processes share; send anything else by `offspring::channel()`"
    )]
    CopiedMutex, SharesMutex:
    [T] Mutex<T>; [T] Arc<Mutex<T>>; [T] Rc<Mutex<T>>;

    /// What no type does.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` would be copied to the other process, not shared with it",
        label = "each process would have a lock of its own",
        note = "use `offspring::sync::RwLock`, which needs no `Arc`, for plain data that processes share; send anything else by `offspring::channel()`"
    )]
    CopiedRwLock, SharesRwLock:
    [T] RwLock<T>; [T] Arc<RwLock<T>>; [T] Rc<RwLock<T>>;

    /// What no type does.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` would be copied to the other process, not shared with it",
        label = "each process would have a value of its own",
        note = "use `offspring::SharedArray`, whose elements are atomics that all processes share, or `offspring::sync::Mutex`; to send a copy, send the number"
    )]
    CopiedAtomic, SharesAtomic:
    [] AtomicBool; [] AtomicI8; [] AtomicI16; [] AtomicI32; [] AtomicI64; [] AtomicIsize;
    [] AtomicU8; [] AtomicU16; [] AtomicU32; [] AtomicU64; [] AtomicUsize;
    [] Arc<AtomicBool>; [] Arc<AtomicI8>; [] Arc<AtomicI16>; [] Arc<AtomicI32>; [] Arc<AtomicI64>; [] Arc<AtomicIsize>;
    [] Arc<AtomicU8>; [] Arc<AtomicU16>; [] Arc<AtomicU32>; [] Arc<AtomicU64>; [] Arc<AtomicUsize>;

    /// What no type does.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` would be copied to the other process, not shared with it",
        label = "each process would have a value of its own",
        note = "use `offspring::sync::Mutex` or `offspring::SharedArray` for what processes share; to send a copy, send the value that is in the cell"
    )]
    CopiedCell, SharesCell:
    [T] Cell<T>; [T] Rc<Cell<T>>; [T] Arc<Cell<T>>; [T] RefCell<T>; [T] Rc<RefCell<T>>; [T] Arc<RefCell<T>>;

    /// What no type does.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` works between the threads of one process only",
        label = "no other process can wait for this",
        note = "use the type of this name in `offspring::sync`, which needs no `Arc`"
    )]
    ThreadsOnly, SharesWaiting:
    [] Barrier; [] Arc<Barrier>; [] Condvar; [] Arc<Condvar>; [] Once; [] Arc<Once>;

    /// What no type does.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` cannot be sent to another process: a lock is held by a thread",
        label = "a guard stays where its lock was taken",
        note = "send an `offspring::sync::Mutex` or an `offspring::sync::RwLock`, and lock it there"
    )]
    HeldLock, SendsGuard:
    ['a, T] MutexGuard<'a, T>; ['a, T] RwLockReadGuard<'a, T>; ['a, T] RwLockWriteGuard<'a, T>;

    /// What no type does.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` cannot be sent as it is: its descriptor means nothing in another process",
        label = "an open file is sent as an `offspring::Fd`",
        note = "use `offspring::Fd<{Self}>`, which `Fd::new` makes: the other process gets a descriptor of its own for the same open file"
    )]
    Descriptor, SendsDescriptor:
    [] File; [] OwnedFd; [] io::PipeReader; [] io::PipeWriter; [] ChildStdin; [] ChildStdout; [] ChildStderr;
    [] TcpStream; [] TcpListener; [] UdpSocket; [] UnixStream; [] UnixListener; [] UnixDatagram;

    /// What no type does.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` cannot be sent to another process: it is an end of a channel between threads",
        label = "a channel of this process only",
        note = "use `offspring::channel()`: its `offspring::Sender` and `offspring::Receiver` can be sent to other processes"
    )]
    ThreadChannel, SendsChannel:
    [T] Sender<T>; [T] SyncSender<T>; [T] Receiver<T>;

    /// What no type does.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` cannot be sent to another process: no number can be had from it",
        label = "a time of this process only",
        note = "use `std::time::SystemTime` for a point in time, or `std::time::Duration` for the time that is left"
    )]
    Clock, SendsInstant:
    [] Instant;

    /// What no type does.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` cannot be sent to another process",
        label = "serde cannot carry this",
        note = "derive `serde::Serialize` and `serde::Deserialize` for it, or send what it is made from; a type of another crate may have them by a feature of that crate, such as `serde`"
    )]
    Unsendable, Sends:

    /// What no type does.
    #[diagnostic::on_unimplemented(
        message = "the error `{Self}` cannot be sent to the caller of a child task",
        label = "serde cannot carry this, a report can",
        note = "write `#[child_task(report)]`, so that the caller gets an `offspring::Report` of it; or derive `serde::Serialize` and `serde::Deserialize` for it"
    )]
    UnsentError, SendsError:

    /// What no type does.
    #[diagnostic::on_unimplemented(
        message = "the error `{Self}` cannot be sent to another process",
        label = "serde cannot carry this, a report can",
        note = "use `Result<_, offspring::Report>` here, and `Report::new(&error)` in it: `#[child_task(report)]` changes only the `Result` that the task returns"
    )]
    InnerError, SendsInnerError:
}

// What to use instead, which the compiler shows too.
impl<T: Pod> SharesMutex for sync::Mutex<T> {}
impl<T: Pod> SharesRwLock for sync::RwLock<T> {}
impl<T: Pod> SharesAtomic for SharedArray<T> {}
impl<T: Pod> SharesCell for sync::Mutex<T> {}
impl SharesWaiting for sync::Barrier {}
impl SharesWaiting for sync::Condvar {}
impl SharesWaiting for sync::Once {}
impl<T: Pod> SendsGuard for sync::Mutex<T> {}
impl<T> SendsDescriptor for Fd<T> {}
impl<T> SendsChannel for channel::Sender<T> {}
impl<T> SendsChannel for channel::Receiver<T> {}
impl SendsInstant for SystemTime {}
impl SendsInstant for Duration {}
impl Sends for SerializeAndDeserialize {}
impl SendsError for Report {}
impl SendsInnerError for Report {}

/// Not a type to use but one to read: the compiler lists what has a trait, and it would list the types of all questions if
/// nothing had this one.
#[derive(Debug)]
pub struct SerializeAndDeserialize;

impl<T: SharesMutex> Question<CopiedMutex> for Crossing<T> {}
impl<T: SharesRwLock> Question<CopiedRwLock> for Crossing<T> {}
impl<T: SharesAtomic> Question<CopiedAtomic> for Crossing<T> {}
impl<T: SharesCell> Question<CopiedCell> for Crossing<T> {}
impl<T: SharesWaiting> Question<ThreadsOnly> for Crossing<T> {}
impl<T: SendsGuard> Question<HeldLock> for Crossing<T> {}
impl<T: SendsDescriptor> Question<Descriptor> for Crossing<T> {}
impl<T: SendsChannel> Question<ThreadChannel> for Crossing<T> {}
impl<T: SendsInstant> Question<Clock> for Crossing<T> {}
impl<T: Sends> Question<Unsendable> for Crossing<T> {}
impl<T, E: SendsError> Question<UnsentError> for Crossing<Result<T, E>> {}
impl<T, E: SendsInnerError> Question<InnerError> for Crossing<Result<T, E>> {}

/// No reason yet: serde's traits decide.
///
/// The generated `(&&Crossing::<T>::reason()).of_type()` finds, by the number of dereferences that each needs, [`Carried`] before
/// [`Failing`] before [`Uncarried`]. All have the same functions. `of_type` and, for what the task returns, `of_result` refuse whatever serde does
/// not know. `of_inner_error` and `of_error` refuse the error of a `Result` alone: for a type with parameters, of which the compiler
/// tells more, or for one behind a pointer, where it may be unsized.
pub struct Open<T: ?Sized>(PhantomData<T>);

impl<T: ?Sized> Clone for Open<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Open<T> {}

macro_rules! answers {
    ($($(#[$about:meta])* $trait:ident for [$($parameter:tt)*] $open:ty:
        $of_type:ident, $of_result:ident, $of_error:ident, $of_inner_error:ident;)+) => {$(
        $(#[$about])*
        pub trait $trait: Sized {
            /// The answer.
            fn of_type(self) -> $of_type {
                $of_type
            }

            /// The answer.
            fn of_result(self) -> $of_result {
                $of_result
            }

            /// The answer.
            fn of_error(self) -> $of_error {
                $of_error
            }

            /// The answer.
            fn of_inner_error(self) -> $of_inner_error {
                $of_inner_error
            }
        }

        impl<$($parameter)*> $trait for $open {}
    )+};
}

answers! {
    /// For types that serde knows.
    Carried for [T: Serialize + DeserializeOwned] &&Open<T>: Fine, Fine, Fine, Fine;

    /// For a `Result` of which serde knows the value only; seen through any alias.
    Failing for [T: Serialize + DeserializeOwned, E] &Open<Result<T, E>>: InnerError, UnsentError, UnsentError, InnerError;

    /// For all other types.
    Uncarried for [T: ?Sized] Open<T>: Unsendable, Unsendable, Fine, Fine;
}
