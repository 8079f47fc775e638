//! Locks that several processes share, and that survive whoever holds them.
//!
//! The types have the names, the guards and the shapes of [`std::sync`]. A value of one is a *handle*: clone it, give it
//! to children as an argument, get it back as a result or inside of a message, in any serde structure. All
//! handles are of the same object, under every start method, between parents, children, siblings and threads.
//!
//! ```
//! use offspring::sync::Mutex;
//! use offspring::{child_task, process_main};
//!
//! #[child_task]
//! fn add(total: Mutex<u64>, n: u64) {
//!     *total.lock().unwrap() += n;
//! }
//!
//! #[process_main]
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let total = Mutex::new(0_u64)?;
//!     let children: Vec<_> = (1..=4).map(|n| add::start(total.clone(), n)).collect::<Result<_, _>>()?;
//!     children.into_iter().try_for_each(|child| child.join())?;
//!     assert_eq!(*total.lock().unwrap(), 10);
//!     Ok(())
//! }
//! ```
//!
//! | type | for | when a holder or a waiter dies |
//! | --- | --- | --- |
//! | [`Mutex`] | one at a time | the next one gets the data and the news at once: [`PoisonError`] |
//! | [`RwLock`] | many who read or one who writes | a writer poisons it; a reader leaves nothing behind |
//! | [`Condvar`] | waiting for a state that a mutex guards | the others go on |
//! | [`Semaphore`] | at most so many at a time | its permits come back at once |
//! | [`Barrier`] | a rendezvous | one that dies while it waits breaks it for all: [`BarrierError`] |
//! | [`Event`] | a signal that stays | the others go on |
//! | [`Once`] | done once for all processes | a run that was cut short poisons it |
//!
//! # What is shared
//!
//! The object lies in anonymous memory that has no name: 4 KiB for most (8 KiB for a semaphore or a barrier), or as much as
//! its value needs. It is freed with its last handle in any process, however that process ends. Each process
//! has one descriptor and one mapping for each handle that it was given or has made, and none more for clones.
//!
//! The value of a lock is *plain old data* ([`bytemuck::Pod`]: numbers, arrays, structs of those): a pointer or a descriptor would mean nothing to
//! another process. Derive it with [bytemuck](https://docs.rs/bytemuck).
//!
//! # Trust
//!
//! Processes that share an object **trust each other**. Each can write into its memory, so that a hostile one could keep others
//! waiting, change the value behind a guard, or make a lock panic. To talk to a process that is not trusted, use a task's
//! arguments and result.
//!
//! # Threads and forks
//!
//! A lock is held by a *thread*: its guard cannot be sent to another one, and a thread that ends without having dropped its guard
//! counts as a holder that has died. A forked child has a copy of each guard that its parent held at that moment; such a copy unlocks nothing when it
//! is dropped, and panics when it is used. A process that is in another pid namespace must not share a lock, as the kernel
//! knows holders by their ids.
//!
//! # Platform
//!
//! Linux. A semaphore and a barrier notice a release or a death at once from Linux 5.16 on (futex_waitv), before within 5 ms.
//!
//! Source: pthread_mutexattr_setrobust(3), futex(2).

mod barrier;
mod condvar;
mod event;
mod mutex;
mod once;
mod rwlock;
mod semaphore;

use std::sync::{Arc, LockResult, PoisonError, TryLockError, TryLockResult};

use bytemuck::Pod;
use serde::{Deserializer, Serializer};

pub use barrier::{Barrier, BarrierError, BarrierWaitResult};
pub use condvar::{Condvar, WaitTimeoutResult};
pub use event::Event;
pub use mutex::{Mutex, MutexGuard};
pub use once::{Once, OnceState};
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::{Semaphore, SemaphorePermit};

use crate::error::Error;
use crate::ipc::wire::fds;
use crate::sys::robust::LockFailure;
use crate::sys::shared_object::SharedObject;

/// Tells one kind of object from the others, in its memory.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
enum Kind {
    Mutex = 0x6f66_6601,
    RwLock,
    Condvar,
    Semaphore,
    Barrier,
    Event,
    Once,
}

impl Kind {
    fn name(self) -> String {
        let article = if matches!(self, Self::Event) { "an" } else { "a" };
        format!("{article} `{self:?}`")
    }
}

fn create<T: Pod, const SLOTS: usize, const WORDS: usize>(
    kind: Kind,
    value: T,
) -> Result<Arc<SharedObject<T, SLOTS, WORDS>>, Error> {
    let shared = SharedObject::create(kind as u32, value);
    shared.map(Arc::new).map_err(|error| Error::os(format!("cannot make the shared memory of {}", kind.name()), error))
}

fn serialize<T, S: Serializer, const SLOTS: usize, const WORDS: usize>(
    shared: &SharedObject<T, SLOTS, WORDS>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    fds::attach(shared.descriptor(), serializer)
}

fn deserialize<'de, T: Pod, D: Deserializer<'de>, const SLOTS: usize, const WORDS: usize>(
    kind: Kind,
    deserializer: D,
) -> Result<Arc<SharedObject<T, SLOTS, WORDS>>, D::Error> {
    let shared = SharedObject::accept(kind as u32, fds::share_plain(deserializer)?);
    let refused = |error| serde::de::Error::custom(format_args!("{} cannot be taken over: {error}", kind.name()));
    shared.map(Arc::new).map_err(refused)
}

/// What every handle can do: be cloned, be sent, be received.
macro_rules! handle {
    ($name:ident $(<$value:ident>)?) => {
        impl $(<$value: bytemuck::Pod>)? Clone for $name $(<$value>)? {
            /// Another handle of the same object.
            fn clone(&self) -> Self {
                Self { shared: std::sync::Arc::clone(&self.shared) }
            }
        }

        impl $(<$value: bytemuck::Pod>)? serde::Serialize for $name $(<$value>)? {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::ipc::sync::serialize(&self.shared, serializer)
            }
        }

        impl<'de $(, $value: bytemuck::Pod)?> serde::Deserialize<'de> for $name $(<$value>)? {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let shared = $crate::ipc::sync::deserialize($crate::ipc::sync::Kind::$name, deserializer)?;
                Ok(Self { shared })
            }
        }
    };
}
use handle;

/// What was locked; `None` if somebody else has it.
///
/// # Panics
/// If this thread has it already, or if the memory is broken: neither gets better by waiting.
#[track_caller]
fn settle<G>(locked: Result<G, LockFailure>) -> Option<G> {
    match locked {
        Ok(guard) => Some(guard),
        Err(LockFailure::Busy) => None,
        Err(LockFailure::Deadlock) => panic!("this thread holds the lock already, and would wait for itself"),
        Err(LockFailure::Os(error)) => panic!("the memory of a lock was overwritten: {error}"),
    }
}

/// The same for a wait without a limit.
#[track_caller]
fn settle_for_good<G>(locked: Result<G, LockFailure>) -> G {
    settle(locked).unwrap_or_else(|| unreachable!("a wait without a limit has not reached one"))
}

/// An attempt never waits for itself.
#[track_caller]
fn settle_attempt<G>(locked: Result<G, LockFailure>) -> Option<G> {
    if let Err(LockFailure::Deadlock) = locked { None } else { settle(locked) }
}

/// Gives a guard out with the news.
fn tell<G>(guard: G, is_poisoned: bool) -> LockResult<G> {
    if is_poisoned { Err(PoisonError::new(guard)) } else { Ok(guard) }
}

fn tell_attempt<G>(guard: Option<G>, is_poisoned: bool) -> TryLockResult<G> {
    let guard = guard.ok_or(TryLockError::WouldBlock)?;
    tell(guard, is_poisoned).map_err(TryLockError::Poisoned)
}
