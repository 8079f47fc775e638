//! Locks that several processes share, and that survive the death of a holder.
//!
// To add a lock:
//
// 1. `sync/<name>.rs`: a struct with the one field `shared: Arc<SharedObject<VALUE, SLOTS, WORDS>>`, and
//    `handle!(<Name>)` for `Clone` and serde. `event.rs` is the shortest to copy. `sys/shared_object.rs` has the gate,
//    the slots and the words, and decides which thread may see the value. A new lock needs no `unsafe`.
// 2. `sync/handle.rs`: a variant at the end of `ObjectKind`.
// 3. This file: `mod`, `pub use`, and a row of the table below.
// 4. `sync/README.md`: the protocol, and the state that a death leaves after each step.
// 5. `task/crossing.rs`: the name that the compiler offers in place of std's type, if std has one.
// 6. `tests/behaviour/sync/`: a file with cases. `tests/chaos/locks.rs`: a case with kills at any moment.
//
//! The types have the names, the guards and the shapes of [`std::sync`]. A value is a *handle*: clone the handle, give
//! it to children as an argument, get it back as a result or in a message, inside any serde structure. All handles
//! stand for the same object, under every start method, between parents, children, siblings and threads.
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
//! | type | for | after the death of a holder or waiter | cost |
//! | --- | --- | --- | --- |
//! | [`Mutex`] | one holder at a time | the next holder gets the data and a [`PoisonError`] at once | 50 ns |
//! | [`RwLock`] | many readers or one writer | a writer poisons; a reader leaves nothing | 65 ns, 85 ns |
//! | [`Condvar`] | waiting for a state guarded by a mutex | other waiters go on | 450 ns to notify |
//! | [`Semaphore`] | a number of holders at a time | the permits come back at once | 60 ns |
//! | [`Barrier`] | a rendezvous | a waiter breaks the barrier for all: [`BarrierError`] | 140 µs a round of four |
//! | [`Event`] | a flag to wait for | other waiters go on | 3 ns, when set |
//! | [`Once`] | a run once for all processes | an unfinished run poisons | 3 ns, when done |
//!
//! Costs are for locking and unlocking without contention, on the machine of decision record 14; std's mutex takes 4 to
//! 8 ns there.
//!
//! # Memory
//!
//! The object lies in anonymous memory without a name: 4 KiB for most types, 8 KiB for a semaphore or a barrier, more
//! for a value that needs more. The kernel frees the memory with the last handle in any process, however the process
//! ends. Each process has one descriptor and one mapping for each handle that was made or received, and none for
//! clones.
//!
//! The value of a lock is *plain old data*, [`Pod`](crate::bytemuck::Pod): numbers, arrays, structs of those. A pointer
//! or a descriptor would mean nothing to another process. See [`shm`](crate::shm#structs) for a struct of your own.
//!
//! # Trust
//!
//! Processes that share an object **trust each other**. Each process can write into the object's memory. A hostile
//! process could keep other processes waiting, change the value behind a guard, or make a lock panic. Talk to an
//! untrusted process through the arguments and the result of a task.
//!
//! # Threads and forks
//!
//! A lock is held by a *thread*. A guard cannot be sent to another thread. A thread that ends without dropping a guard
//! counts as a dead holder.
//!
//! A forked child has a copy of each guard of the parent. A copy unlocks nothing when dropped, and panics when used.
//!
//! Processes in different pid namespaces must not share a lock, as the kernel knows holders by thread id.
//!
//! # Platform
//!
//! Linux. A semaphore and a barrier notice a release or a death at once from Linux 5.16 on (`futex_waitv`), and within
//! 5 ms on older kernels.
//!
//! [`PoisonError`]: std::sync::PoisonError
//!
//! Source: [pthread_mutexattr_setrobust(3)](https://man7.org/linux/man-pages/man3/pthread_mutexattr_setrobust.3.html),
//! [futex(2)](https://man7.org/linux/man-pages/man2/futex.2.html).

mod barrier;
mod condvar;
mod event;
mod handle;
mod mutex;
mod once;
mod outcome;
mod rwlock;
mod semaphore;

pub use barrier::{Barrier, BarrierError, BarrierWaitResult};
pub use condvar::{Condvar, WaitTimeoutResult};
pub use event::Event;
pub use mutex::{Mutex, MutexGuard};
pub use once::{Once, OnceState};
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::{Semaphore, SemaphorePermit};
