//! The guard at the beginning of `main`: decides whether this process is the program, a child, or a forkserver.
//!
//! 1. `#[process_main]`, `guard()` or a hidden test enters here.
//! 2. Without the variable of a child the process is the program: the guard returns, and the user's `main` runs.
//! 3. Otherwise the first message of the link decides: `SERVE` makes this process a forkserver, a spec makes it a
//!    child. Neither returns.

use std::os::fd::OwnedFd;
use std::process::{ExitCode, Termination};

use crate::child::{self, ProcessOrigin};
use crate::ipc::wire::kind;
use crate::platform::StartMethod;
use crate::this_process::reaper;
use crate::{process, start};

/// Marks the beginning of `main` in a program without `#[process_main]`, such as a program whose `main` is generated.
///
/// In the program itself, notes the call and returns. In a child, runs the child's task and does not return. Call this
/// function first in `main`, before any other work and before a second thread is started.
///
/// Unlike the attribute, this function cannot join the children at the end of `main`: children that still run then are
/// killed.
///
/// # Panics
/// Never. A process that was started as a child but has no usable link exits with code 125.
///
/// # Examples
/// ```
/// use offspring::child_task;
///
/// #[child_task]
/// fn double(n: u64) -> u64 {
///     2 * n
/// }
///
/// fn main() -> Result<(), offspring::JoinError> {
///     offspring::guard();
///     let child = double::start(21).expect("a child");
///     assert_eq!(child.join()?, 42);
///     Ok(())
/// }
/// ```
pub fn guard() {
    child::note_guard();
    if let Some(link) = child::inherited_link() {
        begin(link)
    }
    start::availability::note_threads_at_guard();
}

/// Runs in the hidden test of a test binary. Does nothing in the test run itself.
pub fn test_child() {
    if let Some(link) = child::inherited_link() {
        begin(link)
    }
}

/// Becomes a forkserver or a child.
fn begin(link: OwnedFd) -> ! {
    let frame = child::first_message(&link);
    match frame.kind {
        kind::SERVE => start::forkserver::serve(link, frame),
        _ => child::run_received(link, frame, ProcessOrigin::Executed),
    }
}

/// Runs the user's `main` in the program itself. Prints the error of `main` before the children are joined.
pub fn main<R: Termination>(start_method: Option<StartMethod>, main: impl FnOnce() -> R) -> ExitCode {
    guard();
    process::set_program_default(start_method);
    // A drop guard, since `main` may panic.
    let _at_end = JoinChildren;
    main().report()
}

struct JoinChildren;

impl Drop for JoinChildren {
    fn drop(&mut self) {
        reaper::finish();
    }
}
