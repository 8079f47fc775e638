//! A child that was made ahead: what it does until it has an order, and the waiting for one.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use super::{ChildFds, FAILED, NoWayBack, ProcessOrigin, ResultSender, Settings, fail, open, panic, run_spec};
use crate::ipc::wire::frame::{self, ReceivedFrame};
use crate::ipc::wire::kind;
use crate::sys::fork::FreshCopy;
use crate::sys::{self, pidfd, poll, socket};
use crate::this_process::spares;

/// Waits for an order, and carries it out.
///
/// It ends with its link or its lifeline, and, if it is not wanted for `patience`, by itself.
pub(crate) fn wait_for_order(link: OwnedFd, lifeline: OwnedFd, patience: Option<Duration>, copy: FreshCopy) -> ! {
    let _guard = NoWayBack;
    sys::set_name(spares::NAME);
    let parents_part = lifeline.try_clone();
    let voice = ResultSender::bound(link, Some(lifeline));
    let Some(link) = voice.link() else { sys::exit_now(FAILED) };
    if let Err(error) = parents_part.and_then(|lifeline| say_who_waits(link, lifeline)) {
        fail(&format!("a spare cannot say who it is: {error}"));
    }
    rehearse();
    let frame = match order(link, patience) {
        Ok(Some(frame)) => frame,
        // Nobody wants it.
        Ok(None) => sys::exit_now(0),
        Err(error) => fail(&format!("a spare cannot receive an order: {error}")),
    };
    let (order, kit, arguments) = open(link, frame);
    // Whoever kills it from here on has killed a child; until now it was a spare, for which another could be taken.
    // And who cannot say so has not taken it: another gets the order.
    if frame::send_value(link, kind::TAKEN, &(), &[]).is_err() {
        sys::exit_now(FAILED);
    }
    run_spec(order, kit, &voice, &ProcessOrigin::Copied(copy), arguments)
}

/// Goes through what every child does, with nothing to do, so that its code and the pages that it writes to are there
/// when they are needed: a fresh copy of a process pays for each.
fn rehearse() {
    let _ = panic::catch(|| Settings::default().apply(ChildFds::default()));
    sys::flush_output();
}

/// By a descriptor of itself, which names it for ever, also if it has ended when its parent hears it.
fn say_who_waits(link: BorrowedFd<'_>, lifeline: OwnedFd) -> io::Result<()> {
    let own = pidfd::open(sys::pid())?;
    match frame::send_value(link, kind::WAITING, &(), &[own.as_fd(), lifeline.as_fd()]) {
        // The link's end will say so.
        Err(error) if frame::is_gone(&error) => Ok(()),
        other => other,
    }
}

/// The order; `None` if none will come.
fn order(link: BorrowedFd<'_>, patience: Option<Duration>) -> io::Result<Option<ReceivedFrame>> {
    match frame::receive(link, patience.and_then(poll::deadline_in)) {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => last_order(link),
        other => other,
    }
}

/// An order that came at the last moment: from here on the parent is told that nobody receives any.
fn last_order(link: BorrowedFd<'_>) -> io::Result<Option<ReceivedFrame>> {
    socket::end_receiving(link)?;
    frame::try_receive(link)
}
