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
//! # The life of a child
//!
//! ```text
//!  context        launcher                      child                               handle
//!  ───────        ────────                      ─────                               ──────
//!  Call ─encode─▶ child spec ─spawn/fork/ask──▶ read the spec, apply the settings
//!                   │  link: one socket pair    look the task up by name, decode
//!                   │  lifeline: kills the      run the task, catch a panic
//!                   ▼  child with its parent
//!                 pid + pidfd ◀──────────────── send the outcome, flush, exit ────▶ join: outcome + status
//! ```
//!
//! 1. `#[child_task]` leaves a function as it is, and registers the function by name. `square::call(12)` encodes the
//!    arguments into a [`Call`], an inert value.
//! 2. A [`Context`] gives the call to the launcher of its [`StartMethod`]. The launcher makes a child: by starting this
//!    program anew, by copying this process, or by asking a small server to copy itself.
//! 3. The child applies the options, finds the task by name, runs the task, and sends the outcome. All this happens in
//!    `#[process_main]`, before the user's `main`.
//! 4. The [`Process`] handle waits for the child's end and returns the outcome. A panic, a signal, an exit and a
//!    timeout become a [`JoinError`].
//!
//! # Many calls
//!
//! A [`Pool`] keeps workers that run one call after the other. A worker's death costs the running call, and no other.
//!
//! # Children that talk
//!
//! [`channel`] carries values between any processes, [`duplex`] carries values both ways, [`Fd`] passes open files, and
//! the locks of [`sync`] survive the death of their holder. Handles go wherever serde goes: into arguments, results and
//! messages.
//!
//! # Large data
//!
//! Arguments and results are encoded and copied. Larger data, and data that several processes write at once, go into
//! shared memory: [`Bytes`], [`SharedSlice`] and [`SharedArray`] of the module [`shm`].
//!
//! # Guarantees
//!
//! - A child ends with the process that started it, unless the child was [detached](Process::detach).
//! - No zombies, no leaked descriptors, no named kernel objects.
//! - The start method `fork` is refused in a process with several threads.
//! - A dead child, forkserver or parent is an error at once, never a hang. A stopped process (`SIGSTOP`) is waited for.
//! - A child has descriptors 0 to 2, a link, a lifeline, and the descriptors in its arguments. Under `fork` a child also
//!   has the files that the parent has opened itself.
//!
//! # Tests
//!
//! A test binary is started anew for a child as well. A binary crate with `#[process_main]` needs nothing for this. A
//! library, and each file of `tests/`, has the line [`test_guard!`]`();` once. libtest always has two threads, so the
//! start method `fork` is refused in tests.
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
#[cfg(feature = "progress")]
#[cfg_attr(docsrs, doc(cfg(feature = "progress")))]
pub use crate::pool::MapProgress;
pub use crate::pool::{
    InitializerOutput, Job, Map, MapUnordered, Pool, PoolBuilder, PoolStats, WorkerStats, is_cancelled,
};
pub use crate::process::{
    Context, Process, ProcessBuilder, Resource, Stdio, force_start_method, fork, get_all_start_methods, get_context,
    get_start_method, set_spares, set_start_method,
};
pub use crate::report::Report;
pub use crate::task::{Call, Task};
pub use crate::this_process::ancestry::{ParentProcess, ProcessInfo, active_children, current_process, parent_process};
pub use crate::this_process::children::ExitStatus;

/// Lets the tests of this crate, or of this file of `tests/`, start children. Write it once, at the top level.
///
/// It adds one hidden test, `__offspring_child`, which does nothing in a test run; a child is this test binary again,
/// told to run that test alone.
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
    // The links of a page lead to files. Of two definitions the first counts, so `links.txt` makes them lead to
    // modules.
    macro_rules! pages {
        ($($name:ident $file:literal)*) => {
            $(
                #[doc = include_str!("../docs/guide/links.txt")]
                #[doc = include_str!($file)]
                pub mod $name {}
            )*
        };
    }

    /// Programs that use crates which this one is tested without; `tests/guide` runs them.
    macro_rules! untested_pages {
        ($($name:ident $file:literal)*) => {
            $(
                #[cfg_attr(not(doctest), doc = include_str!("../docs/guide/links.txt"))]
                #[cfg_attr(not(doctest), doc = include_str!($file))]
                #[cfg_attr(doctest, doc = "")]
                pub mod $name {}
            )*
        };
    }

    pages! {
        start_methods "../docs/guide/start-methods.md"
        errors "../docs/guide/errors.md"
        values "../docs/guide/values.md"
        options "../docs/guide/options.md"
        pools "../docs/guide/pools.md"
        channels "../docs/guide/channels.md"
        shared_memory "../docs/guide/shared-memory.md"
        locks "../docs/guide/locks.md"
        tests "../docs/guide/tests.md"
        python "../docs/guide/python.md"
        plugins "../docs/guide/plugins.md"
        containers "../docs/guide/containers.md"
        limits "../docs/guide/limits.md"
    }

    untested_pages! {
        threads "../docs/guide/threads.md"
        tokio "../docs/guide/tokio.md"
        logging "../docs/guide/logging.md"
    }
}
