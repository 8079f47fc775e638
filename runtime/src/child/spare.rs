//! A spare: a child made ahead, from the clone until the spec arrives.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::{
    ChildFds, EXIT_NOT_STARTED, NoWayBack, ProcessOrigin, ResultSender, Settings, decode_spec, fail, panic, run_spec,
};
use crate::ipc::wire::frame;
use crate::ipc::wire::kind;
use crate::sys::fork::FreshCopy;
use crate::sys::{self, pidfd};
use crate::this_process::spares;

/// Waits for a spec without limit, and runs the spec. Exits when the link or the lifeline ends.
pub(crate) fn wait_for_spec(link: OwnedFd, lifeline: OwnedFd, copy: FreshCopy) -> ! {
    let _guard = NoWayBack;
    sys::set_name(spares::NAME);
    let parents_copy = lifeline.try_clone();
    let sender = ResultSender::bound(link, Some(lifeline));
    let Some(link) = sender.link() else { sys::exit_now(EXIT_NOT_STARTED) };
    if let Err(error) = parents_copy.and_then(|lifeline| send_waiting(link, lifeline)) {
        fail(&format!("a spare cannot report to its parent: {error}"));
    }
    rehearse();
    let frame = match frame::receive(link, None) {
        Ok(Some(frame)) => frame,
        // The spare was retired.
        Ok(None) => sys::exit_now(0),
        Err(error) => fail(&format!("a spare cannot receive a spec: {error}")),
    };
    let (spec, fds, arguments) = decode_spec(link, frame);
    // A kill before this message is the death of a spare, and the parent takes another. A kill after this message is
    // the death of a child. So a spare that cannot send the message must not run the spec: another child will.
    if frame::send_value(link, kind::TAKEN, &(), &[]).is_err() {
        sys::exit_now(EXIT_NOT_STARTED);
    }
    run_spec(spec, fds, &sender, &ProcessOrigin::Copied(copy), arguments)
}

/// Runs the code of every child with nothing to do. In a fresh copy of a process each newly touched page costs a fault,
/// and the spare takes these faults before a start waits.
fn rehearse() {
    let _ = panic::catch(|| Settings::default().apply(ChildFds::default()));
    sys::flush_output();
}

/// Sends the spare's own pidfd, which names the spare also if the spare has ended before the parent reads the message.
fn send_waiting(link: BorrowedFd<'_>, lifeline: OwnedFd) -> io::Result<()> {
    let own = pidfd::open(sys::pid())?;
    match frame::send_value(link, kind::WAITING, &(), &[own.as_fd(), lifeline.as_fd()]) {
        // The wait for the spec will find the end of the link.
        Err(error) if frame::is_gone(&error) => Ok(()),
        other => other,
    }
}
