//! Process start methods for Rust: run a function in a child process, by spawn, fork or forkserver.
//!
//! ```
//! use offspring::{child_task, process_main};
//!
//! #[child_task]
//! fn square(n: u64) -> u64 {
//!     n * n
//! }
//!
//! #[process_main]
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let child = square::start(12)?;
//!     assert_eq!(child.join()?, 144);
//!     Ok(())
//! }
//! ```
//!
//! The guide has a page for each topic, with programs that run: see [`_guide`].
//!
//! # The life of a child
//!
//! ```text
//!  context        launcher                        child                               handle
//!  ───────        ────────                        ─────                               ──────
//!  Call ─encode─▶ ChildSpec ─spawn / fork / ask───▶ read spec, apply settings
//!                   │  link: one socket pair        find the task by name, decode
//!                   │  lifeline: kills the child    run the task, catch a panic
//!                   ▼  when this process is gone
//!                 pid + pidfd ◀────────────────── send outcome, flush, exit ──────▶ join: outcome + status
//! ```
//!
//! 1. `#[child_task]` leaves a function unchanged and registers the function by name. `square::call(12)` encodes its
//!    arguments into a [`Call`], an inert value.
//! 2. A [`Context`] gives the call to the launcher of its [`StartMethod`]. The launcher makes a child: starts this
//!    program anew, copies this process, or asks a small server for a copy of the server.
//! 3. The child applies its options before any code of the user runs. A spawned child does so in `#[process_main]`.
//!    Then the child finds the task by name, runs the task, and sends the value or the failure.
//! 4. The [`Process`] handle waits for the child's end and returns the value. After a panic, a signal, an exit or a
//!    timeout, the handle returns a [`JoinError`].
//!
//! # Main types
//!
//! | type | purpose |
//! | --- | --- |
//! | [`Context`], [`ProcessBuilder`], [`Process`] | one child, its options and its handle |
//! | [`Pool`], [`Job`] | workers that run many calls |
//! | [`channel`], [`duplex`], [`Fd`] | messages and open files between processes |
//! | [`sync`] | locks that survive the death of a holder |
//! | [`Bytes`], [`SharedSlice`], [`SharedArray`] | large data, and data that several processes write |
//! | [`Error`], [`JoinError`], [`Report`] | a start that failed, a child that ended badly, an error of a task |
//!
//! Ends of channels, handles of locks and shared memory go wherever serde goes: into arguments, results and messages.
//!
//! # Guarantees
//!
//! - A child ends when the process that started the child ends, by whatever cause, unless the child was
//!   [detached](Process::detach).
//! - No leaked descriptors, no named kernel objects. No zombie outlives the next start or the end of `main`.
//! - The `fork` method is refused in a process with several threads.
//! - A dead child, forkserver or parent is an error at once, never a hang. A process that was stopped by `SIGSTOP` is
//!   waited for until it goes on.
//! - A child has descriptors 0 to 2, its link, its lifeline, and the descriptors in its arguments. Under `fork` a child
//!   also has the descriptors that its parent has opened, but no end of a piped stream of another child.
//!
//! # Tests
//!
//! A test binary is started anew for a child too. A library, and each file of `tests/`, invokes [`test_guard!`] once. A
//! binary crate with `#[process_main]` needs nothing more. libtest has two threads, so the `fork` method is refused
//! there.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(unsafe_code)]

#[cfg(not(target_os = "linux"))]
compile_error!("offspring runs on Linux (5.4 or later) only so far; `Platform` says what is meant for other systems");

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
mod child;
mod error;
mod guard;
mod ipc;
mod platform;
mod pool;
mod process;
mod report;
mod start;
mod sys;
mod task;
mod this_process;

/// The version of bytemuck whose [`Pod`](bytemuck::Pod) bounds the elements of [`shm`] and the values of [`sync`].
#[doc(no_inline)]
pub use bytemuck;
pub use offspring_macros::{after_fork, child_task, preload, process_main};

pub use crate::error::{Error, ErrorKind, JoinError, JoinErrorKind, Panic};
pub use crate::guard::guard;
#[cfg(feature = "stream")]
#[cfg_attr(docsrs, doc(cfg(feature = "stream")))]
pub use crate::ipc::channel::RecvStream;
pub use crate::ipc::channel::{
    Duplex, Iter, Receiver, RecvError, RecvErrorKind, RecvFuture, RequestError, SendError, SendErrorKind, SendFuture,
    Sender, Waitable, channel, duplex, wait,
};
pub use crate::ipc::fd::Fd;
pub use crate::ipc::shm::{Bytes, SharedArray, SharedSlice};
pub use crate::ipc::{shm, sync};
pub use crate::platform::{Platform, StartMethod};
#[cfg(feature = "stream")]
#[cfg_attr(docsrs, doc(cfg(feature = "stream")))]
pub use crate::pool::MapStream;
pub use crate::pool::{
    AsCompleted, InitializerOutput, Job, Map, MapUnordered, Pool, PoolBuilder, PoolStats, TrySubmitError, Unfinished,
    WorkerStats, as_completed, is_cancelled,
};
pub use crate::process::{
    Context, Process, ProcessBuilder, Resource, Stdio, force_start_method, fork, get_all_start_methods, get_context,
    get_start_method, set_spares, set_start_method,
};
pub use crate::report::Report;
pub use crate::task::{Call, Priority, Task};
pub use crate::this_process::ancestry::{ParentProcess, ProcessInfo, active_children, current_process, parent_process};
pub use crate::this_process::children::ExitStatus;

/// Lets the tests of this crate, or of this file of `tests/`, start children. Write it once, at the top level.
///
/// Adds one hidden test, `__offspring_child`, which does nothing in a test run. A child is this test binary, started
/// anew to run the hidden test alone.
///
/// ```
/// offspring::test_guard!();
/// # offspring::guard();
/// ```
#[macro_export]
macro_rules! test_guard {
    () => {
        #[cfg(test)]
        #[test]
        fn __offspring_child() {
            $crate::__private::test_child();
        }

        #[cfg(test)]
        $crate::__private::inventory::submit! { $crate::__private::TestGuard { module: ::core::module_path!() } }
    };
}

/// The README's programs are tested like the rest of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

/// The guide: one page for each topic, as a module without items.
///
/// # Files
/// The source of the pages is in `docs/guide` of the package. Beside the guide, `docs` has the format of values
/// (`format.md`), the measured times (`benchmarks.md`) and the reasons behind the design (`decisions`).
#[cfg(any(doc, doctest))]
pub mod _guide {
    // The links of a page lead to files. Of two definitions the first counts, so `links.txt` makes the links lead to
    // modules.
    macro_rules! pages {
        ($($name:ident $file:literal $items:literal)*) => {
            $(
                #[doc = include_str!("../docs/guide/links.txt")]
                #[doc = include_str!($file)]
                #[doc = concat!("\n\n# Items\n\n", $items)]
                pub mod $name {}
            )*
        };
    }

    /// Programs that use crates which this one is tested without; `tests/guide` runs them.
    macro_rules! untested_pages {
        ($($name:ident $file:literal $items:literal)*) => {
            $(
                #[cfg_attr(not(doctest), doc = include_str!("../docs/guide/links.txt"))]
                #[cfg_attr(not(doctest), doc = include_str!($file))]
                #[cfg_attr(not(doctest), doc = concat!("\n\n# Items\n\n", $items))]
                #[cfg_attr(doctest, doc = "")]
                pub mod $name {}
            )*
        };
    }

    pages! {
        start_methods "../docs/guide/start-methods.md"
            "[`StartMethod`](crate::StartMethod), [`Context`](crate::Context), [`get_context`](crate::get_context), \
             [`set_start_method`](crate::set_start_method), [`fork`](crate::fork()), \
             [`preload`](macro@crate::preload), [`after_fork`](macro@crate::after_fork), \
             [`set_spares`](crate::set_spares)"
        errors "../docs/guide/errors.md"
            "[`Error`](crate::Error), [`ErrorKind`](crate::ErrorKind), [`JoinError`](crate::JoinError), \
             [`JoinErrorKind`](crate::JoinErrorKind), [`Panic`](crate::Panic), [`Report`](crate::Report)"
        values "../docs/guide/values.md"
            "[`child_task`](macro@crate::child_task), [`Call`](crate::Call), [`Fd`](crate::Fd)"
        options "../docs/guide/options.md"
            "[`ProcessBuilder`](crate::ProcessBuilder), [`Stdio`](crate::Stdio), [`Resource`](crate::Resource), \
             [`Process`](crate::Process)"
        pools "../docs/guide/pools.md"
            "[`Pool`](crate::Pool), [`PoolBuilder`](crate::PoolBuilder), [`Job`](crate::Job), [`Map`](crate::Map), \
             [`PoolStats`](crate::PoolStats), [`TrySubmitError`](crate::TrySubmitError), \
             [`as_completed`](crate::as_completed()), [`Priority`](crate::Priority), \
             [`Unfinished`](crate::Unfinished), [`is_cancelled`](crate::is_cancelled)"
        channels "../docs/guide/channels.md"
            "[`channel`](crate::channel()), [`Sender`](crate::Sender), [`Receiver`](crate::Receiver), \
             [`duplex`](crate::duplex()), [`Duplex`](crate::Duplex), [`wait`](crate::wait()), [`Fd`](crate::Fd)"
        shared_memory "../docs/guide/shared-memory.md"
            "[`shm`](crate::shm), [`SharedSlice`](crate::SharedSlice), [`Bytes`](crate::Bytes), \
             [`SharedArray`](crate::SharedArray)"
        locks "../docs/guide/locks.md"
            "[`sync`](crate::sync)"
        tests "../docs/guide/tests.md"
            "[`test_guard!`](crate::test_guard!)"
        python "../docs/guide/python.md"
            "[`Process`](crate::Process), [`Pool`](crate::Pool), [`channel`](crate::channel())"
        plugins "../docs/guide/plugins.md"
            "[`guard`](crate::guard()), [`process_main`](macro@crate::process_main), [`fork`](crate::fork()), \
             [`test_guard!`](crate::test_guard!)"
        containers "../docs/guide/containers.md"
            "[`ErrorKind`](crate::ErrorKind), [`JoinErrorKind`](crate::JoinErrorKind), \
             [`PoolBuilder`](crate::PoolBuilder)"
        limits "../docs/guide/limits.md"
            "[`Platform`](crate::Platform), [`ErrorKind`](crate::ErrorKind)"
    }

    untested_pages! {
        threads "../docs/guide/threads.md"
            "[`PoolBuilder`](crate::PoolBuilder), [`Pool`](crate::Pool)"
        tokio "../docs/guide/tokio.md"
            "[`Process`](crate::Process), [`Job`](crate::Job), [`RecvFuture`](crate::RecvFuture), \
             [`SendFuture`](crate::SendFuture)"
        logging "../docs/guide/logging.md"
            "[`PoolBuilder`](crate::PoolBuilder), [`preload`](macro@crate::preload), [`Stdio`](crate::Stdio)"
    }
}
