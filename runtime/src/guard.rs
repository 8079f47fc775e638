//! What `#[process_main]` wraps: here a process finds out whether it is the program, a child, or a forkserver.

use std::os::fd::OwnedFd;
use std::process::{ExitCode, Termination};

use crate::child::{self, ProcessOrigin};
use crate::ipc::wire::kind;
use crate::platform::StartMethod;
use crate::this_process::children;
use crate::{process, start};

/// Does what `#[process_main]` does at the beginning of `main`, for programs whose `main` is generated or written by
/// others.
///
/// In the program itself it notes that it was called, and returns. In a child it runs the child's task and does not
/// return. Call it first in `main`, before anything else is done, and before there is a second thread.
///
/// Unlike the attribute it cannot join the children at the end of `main`: those that still run then end with it.
pub fn guard() {
    child::note_guard();
    if let Some(link) = child::inherited_link() {
        begin(link)
    }
}

/// What the hidden test of a test binary runs: nothing in the test run itself.
pub fn test_child() {
    if let Some(link) = child::inherited_link() {
        begin(link)
    }
}

fn begin(link: OwnedFd) -> ! {
    let frame = child::first_message(&link);
    match frame.kind {
        kind::SERVE => start::forkserver::serve(link, frame),
        _ => child::run_received(link, frame, ProcessOrigin::Executed),
    }
}

/// Runs the user's `main` in the program itself; its result is printed before the children are joined.
pub fn main<R: Termination>(start_method: Option<StartMethod>, main: impl FnOnce() -> R) -> ExitCode {
    guard();
    process::set_program_default(start_method);
    // Also when `main` panics.
    let _at_end = JoinChildren;
    main().report()
}

struct JoinChildren;

impl Drop for JoinChildren {
    fn drop(&mut self) {
        children::finish();
    }
}
