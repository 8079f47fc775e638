//! Refuses types that cannot be sent to another process, and types that would arrive as a copy where a reader expects
//! sharing. The compiler names the replacement.
//!
//! 1. Generated code asks `Crossing::<T>::reason()` about each type in a signature.
//! 2. A type that this file knows has an inherent function `reason`, which returns the reason for the refusal. The
//!    compiler prefers inherent functions. Every other type has the function of [`Unknown`], and serde's traits decide.
//! 3. [`Question`] is implemented for a reason only where a type has a trait that no type has. The compiler reports the
//!    missing trait with the text of the reason.
//! 4. The verdict is a parameter of `TaskArg` and `TaskOutput`. After a refusal, the compiler does not ask serde, so
//!    there is one error and not two.
//!
//! The tokens of a signature are not enough for this decision: `Mutex` may be [`crate::ipc::sync::Mutex`], and `File`
//! may be a struct of the user's crate.

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

/// The verdict that serde's traits decide.
#[derive(Clone, Copy, Debug)]
pub struct Accepted;

/// The verdict after the compiler has reported a reason.
#[derive(Clone, Copy, Debug)]
pub struct Refused;

/// A verdict that never occurs.
///
/// Without a second verdict for every type, the compiler would infer a refusal for each type that serde does not know.
#[derive(Clone, Copy, Debug)]
pub struct Undecided;

impl Accepted {
    /// Combines two verdicts.
    pub fn and<V>(self, other: V) -> V {
        other
    }
}

impl Refused {
    /// Combines two verdicts.
    pub fn and<V>(self, _: V) -> Self {
        self
    }
}

/// [`Accepted`], or the reason for a refusal.
pub trait Reason {
    /// [`Accepted`] or [`Refused`].
    type Verdict;
    /// Returns the verdict.
    fn verdict(self) -> Self::Verdict;
}

impl Reason for Accepted {
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

/// A question about a type, by the reason that was found for the type.
///
/// The question of a refusal needs a trait that no type has. The compiler reports the refusal at this place.
pub trait Question<R: Reason> {
    /// Returns the verdict.
    fn judged(reason: R) -> R::Verdict {
        reason.verdict()
    }
}

impl<Q> Question<Accepted> for Q {}
impl<Q> Question<Undecided> for Q {}

/// Names the type of a question.
#[derive(Debug)]
pub struct Crossing<T: ?Sized>(PhantomData<T>);

/// Answers for types that this file does not know.
pub trait Unknown<T: ?Sized> {
    /// Leaves the decision to serde's traits.
    fn reason() -> SerdeDecides<T> {
        SerdeDecides(PhantomData)
    }
}

impl<T: ?Sized> Unknown<T> for Crossing<T> {}

/// Declares for each reason a type, the trait that has the text of the error, and the refused types.
macro_rules! refused {
    ($($(#[$text:meta])* $reason:ident, $possible:ident: $([$($parameter:tt)*] $known:ty;)*)+) => {$(
        /// A reason for a refusal.
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

        /// Gives the same reason to every question.
        impl $reason {
            /// Returns the reason.
            pub fn of_type(self) -> Self {
                self
            }

            /// Returns the reason.
            pub fn of_result(self) -> Self {
                self
            }

            /// Returns the reason.
            pub fn of_error(self) -> Self {
                self
            }

            /// Returns the reason.
            pub fn of_inner_error(self) -> Self {
                self
            }
        }

        $(impl<$($parameter)*> Crossing<$known> {
            /// Returns the reason for the refusal of this type.
            pub fn reason() -> $reason {
                $reason
            }
        })*
    )+};
}

refused! {
    /// Implemented by no refused type.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` would be copied to the other process, not shared with it",
        label = "each process would have a lock of its own",
        note = "use `offspring::sync::Mutex`, which needs no `Arc`, for plain data that processes share; send \
            anything else by `offspring::channel()`"
    )]
    CopiedMutex, SharesMutex:
    [T] Mutex<T>; [T] Arc<Mutex<T>>; [T] Rc<Mutex<T>>;

    /// Implemented by no refused type.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` would be copied to the other process, not shared with it",
        label = "each process would have a lock of its own",
        note = "use `offspring::sync::RwLock`, which needs no `Arc`, for plain data that processes share; send \
            anything else by `offspring::channel()`"
    )]
    CopiedRwLock, SharesRwLock:
    [T] RwLock<T>; [T] Arc<RwLock<T>>; [T] Rc<RwLock<T>>;

    /// Implemented by no refused type.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` would be copied to the other process, not shared with it",
        label = "each process would have a value of its own",
        note = "use `offspring::SharedArray`, whose elements are atomics that all processes share, or \
            `offspring::sync::Mutex`; to send a copy, send the number"
    )]
    CopiedAtomic, SharesAtomic:
    [] AtomicBool; [] AtomicI8; [] AtomicI16; [] AtomicI32; [] AtomicI64; [] AtomicIsize;
    [] AtomicU8; [] AtomicU16; [] AtomicU32; [] AtomicU64; [] AtomicUsize;
    [] Arc<AtomicBool>; [] Arc<AtomicI8>; [] Arc<AtomicI16>; [] Arc<AtomicI32>; [] Arc<AtomicI64>; [] Arc<AtomicIsize>;
    [] Arc<AtomicU8>; [] Arc<AtomicU16>; [] Arc<AtomicU32>; [] Arc<AtomicU64>; [] Arc<AtomicUsize>;

    /// Implemented by no refused type.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` would be copied to the other process, not shared with it",
        label = "each process would have a value of its own",
        note = "use `offspring::sync::Mutex` or `offspring::SharedArray` for what processes share; to send a copy, \
            send the value that is in the cell"
    )]
    CopiedCell, SharesCell:
    [T] Cell<T>; [T] Rc<Cell<T>>; [T] Arc<Cell<T>>; [T] RefCell<T>; [T] Rc<RefCell<T>>; [T] Arc<RefCell<T>>;

    /// Implemented by no refused type.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` works between the threads of one process only",
        label = "no other process can wait for this",
        note = "use the type of this name in `offspring::sync`, which needs no `Arc`"
    )]
    ThreadsOnly, SharesWaiting:
    [] Barrier; [] Arc<Barrier>; [] Condvar; [] Arc<Condvar>; [] Once; [] Arc<Once>;

    /// Implemented by no refused type.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` cannot be sent to another process: a lock is held by a thread",
        label = "a guard stays where its lock was taken",
        note = "send an `offspring::sync::Mutex` or an `offspring::sync::RwLock`, and lock it there"
    )]
    HeldLock, SendsGuard:
    ['a, T] MutexGuard<'a, T>; ['a, T] RwLockReadGuard<'a, T>; ['a, T] RwLockWriteGuard<'a, T>;

    /// Implemented by no refused type.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` cannot be sent as it is: its descriptor means nothing in another process",
        label = "an open file is sent as an `offspring::Fd`",
        note = "use `offspring::Fd<{Self}>`, which `Fd::new` makes: the other process gets a descriptor of its own \
            for the same open file"
    )]
    Descriptor, SendsDescriptor:
    [] File; [] OwnedFd; [] io::PipeReader; [] io::PipeWriter; [] ChildStdin; [] ChildStdout; [] ChildStderr;
    [] TcpStream; [] TcpListener; [] UdpSocket; [] UnixStream; [] UnixListener; [] UnixDatagram;

    /// Implemented by no refused type.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` cannot be sent to another process: it is an end of a channel between threads",
        label = "a channel of this process only",
        note = "use `offspring::channel()`: its `offspring::Sender` and `offspring::Receiver` can be sent to other \
            processes"
    )]
    ThreadChannel, SendsChannel:
    [T] Sender<T>; [T] SyncSender<T>; [T] Receiver<T>;

    /// Implemented by no refused type.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` cannot be sent to another process: no number can be had from it",
        label = "a time of this process only",
        note = "use `std::time::SystemTime` for a point in time, or `std::time::Duration` for the time that is left"
    )]
    Clock, SendsInstant:
    [] Instant;

    /// Implemented by no refused type.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` cannot be sent to another process",
        label = "serde cannot carry this",
        note = "derive `serde::Serialize` and `serde::Deserialize` for it, or send what it is made from; a type of \
            another crate may have them by a feature of that crate, such as `serde`"
    )]
    Unsendable, Sends:

    /// Implemented by no refused type.
    #[diagnostic::on_unimplemented(
        message = "the error `{Self}` cannot be sent to the caller of a child task",
        label = "serde cannot carry this, a report can",
        note = "write `#[child_task(report)]`, so that the caller gets an `offspring::Report` of it; or derive \
            `serde::Serialize` and `serde::Deserialize` for it"
    )]
    UnsentError, SendsError:

    /// Implemented by no refused type.
    #[diagnostic::on_unimplemented(
        message = "the error `{Self}` cannot be sent to another process",
        label = "serde cannot carry this, a report can",
        note = "use `Result<_, offspring::Report>` here, and `Report::new(&error)` in it: `#[child_task(report)]` \
            changes only the `Result` that the task returns"
    )]
    InnerError, SendsInnerError:
}

// The replacements: the compiler lists the types that have the missing trait.
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

/// A name for the compiler's list of the types that have a trait. Without this type, the compiler would list the types
/// of all questions.
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

/// The answer for a type without a reason: serde's traits decide.
///
/// The generated `(&&Crossing::<T>::reason()).of_type()` finds [`Carried`] before [`Failing`] before [`Uncarried`], by
/// the number of dereferences that each trait needs. All three traits have the same four functions:
///
/// - `of_type` refuses every type that serde does not know.
/// - `of_result` does the same for the return type of the task.
/// - `of_inner_error` and `of_error` refuse only the error of a `Result`. Used for a type with parameters, about which
///   the compiler's own error says more, and for a type behind a pointer, which may be unsized.
pub struct SerdeDecides<T: ?Sized>(PhantomData<T>);

impl<T: ?Sized> Clone for SerdeDecides<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for SerdeDecides<T> {}

macro_rules! answers {
    ($($(#[$about:meta])* $trait:ident for [$($parameter:tt)*] $open:ty:
        $of_type:ident, $of_result:ident, $of_error:ident, $of_inner_error:ident;)+) => {$(
        $(#[$about])*
        pub trait $trait: Sized {
            /// Returns the answer.
            fn of_type(self) -> $of_type {
                $of_type
            }

            /// Returns the answer.
            fn of_result(self) -> $of_result {
                $of_result
            }

            /// Returns the answer.
            fn of_error(self) -> $of_error {
                $of_error
            }

            /// Returns the answer.
            fn of_inner_error(self) -> $of_inner_error {
                $of_inner_error
            }
        }

        impl<$($parameter)*> $trait for $open {}
    )+};
}

answers! {
    /// For types that serde knows.
    Carried for [T: Serialize + DeserializeOwned] &&SerdeDecides<T>: Accepted, Accepted, Accepted, Accepted;

    /// For a `Result` whose value serde knows and whose error serde does not know, also behind an alias.
    Failing for [T: Serialize + DeserializeOwned, E] &SerdeDecides<Result<T, E>>:
        InnerError, UnsentError, UnsentError, InnerError;

    /// For all other types.
    Uncarried for [T: ?Sized] SerdeDecides<T>: Unsendable, Unsendable, Accepted, Accepted;
}
