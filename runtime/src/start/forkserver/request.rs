//! One request to a zygote for one child. A zygote clones itself on request: the forkserver, or the template of a pool.
//!
//! 1. This process sends the child's end of a new link to the zygote.
//! 2. While the zygote clones, this process sends the spec into the link.
//! 3. The zygote answers with the child's pid and pidfd.
//! 4. The zygote may die at any moment. Then the link tells whether there is a child: either the child's handshake
//!    arrives, with the pid added by the kernel, or the link ends.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::drift::Drift;
use crate::error::Error;
use crate::ipc::wire::frame::{self, ReceivedFrame};
use crate::ipc::wire::kind;
use crate::sys::lifeline::Lifeline;
use crate::sys::{pidfd, socket};
use crate::this_process::children::{Child, Launched};
use crate::this_process::spares;

/// The fate of a spec.
pub(super) enum Delivery {
    Sent,
    /// Not sent, since a child of this zygote would be unlike this process.
    Withheld(Drift),
    /// The other end of the link is closed.
    LinkClosed,
}

impl Delivery {
    /// From the result of [`Request::send`](crate::start::Request::send).
    pub(super) fn of(sent: io::Result<bool>) -> io::Result<Self> {
        sent.map(|is_sent| if is_sent { Self::Sent } else { Self::LinkClosed })
    }
}

/// The result of one request.
pub(super) enum ForkOutcome {
    Child(Launched),
    /// The zygote died after the clone. The child has the spec.
    Orphan(Launched),
    /// The spec was withheld, and the new child ended.
    Withheld(Drift),
    /// The zygote died before the clone.
    Gone,
}

/// The zygote's answer to a request.
enum Answer {
    Forked { pid: u32, pidfd: OwnedFd },
    Refused(io::Error),
    Gone,
}

/// Requests a child from a zygote, and calls `send_spec` while the zygote clones.
///
/// The caller must have locked the zygote: its next answer is the answer to the last request.
pub(super) fn fork(
    zygote: &Child,
    task: &str,
    send_spec: impl FnOnce(&OwnedFd, &Lifeline) -> Result<Delivery, Error>,
) -> Result<ForkOutcome, Error> {
    let failed = |error| failed(&zygote.about.name, task, error);
    let (link, childs_end) = socket::pair().map_err(failed)?;
    socket::identify_senders(link.as_fd()).map_err(failed)?;
    send_request(zygote, &childs_end).map_err(failed)?;
    // The link ends with the child only if no copy of the child's end is left in this process.
    drop(childs_end);
    // While the zygote clones: the spec arrives before the child looks for it.
    let lifeline = Lifeline::new().map_err(failed);
    let delivery = lifeline.and_then(|lifeline| Ok((send_spec(&link, &lifeline)?, lifeline)));
    let (process, is_orphan) = match receive_answer(zygote) {
        Ok(Answer::Forked { pid, pidfd }) => (Some((pid, pidfd, None)), false),
        Ok(Answer::Refused(error)) => return Err(failed(error)),
        Ok(Answer::Gone) | Err(_) => {
            // A dying zygote looks alive for some moments.
            zygote.dismiss();
            if !matches!(delivery, Ok((Delivery::Sent | Delivery::LinkClosed, _))) {
                // Ends the wait of a child for the spec.
                let _ = socket::end_sending(link.as_fd());
            }
            (find_orphan(&link).map_err(failed)?, true)
        }
    };
    let Some((pid, pidfd, received)) = process else {
        return Ok(match delivery {
            Ok((Delivery::Withheld(drift), _)) => ForkOutcome::Withheld(drift),
            _ => ForkOutcome::Gone,
        });
    };
    match delivery {
        // A child that has died already is no error here: the exit status will tell.
        Ok((Delivery::Sent | Delivery::LinkClosed, lifeline)) => {
            let launched = Launched { pid, pidfd, link, lifeline, streams: [const { None }; 3], received };
            Ok(if is_orphan { ForkOutcome::Orphan(launched) } else { ForkOutcome::Child(launched) })
        }
        Ok((Delivery::Withheld(drift), _)) => {
            end_unused(link, &pidfd);
            Ok(ForkOutcome::Withheld(drift))
        }
        Err(error) => {
            end_unused(link, &pidfd);
            Err(error)
        }
    }
}

/// Ends a child without a spec. The end of the link ends the child also where this process may not signal the child: a
/// child of an outdated zygote may belong to another user.
fn end_unused(link: OwnedFd, pidfd: &OwnedFd) {
    drop(link);
    pidfd::kill_and_reap(pidfd.as_fd());
}

/// A dead zygote is no error here: [`receive_answer`] will tell.
fn send_request(zygote: &Child, childs_end: &OwnedFd) -> io::Result<()> {
    unless_gone(frame::send_value(link(zygote)?, kind::FORK, &(), &[childs_end.as_fd()])).map(drop)
}

fn receive_answer(zygote: &Child) -> io::Result<Answer> {
    let answer = unless_gone(frame::receive(link(zygote)?, None))?;
    match answer.flatten() {
        None => Ok(Answer::Gone),
        Some(frame) if frame.kind == kind::FORKED => {
            let (pid, pidfd) = decode_forked(frame)?;
            Ok(Answer::Forked { pid, pidfd })
        }
        Some(frame) => Ok(Answer::Refused(frame.head().map_or_else(|error| error, io::Error::from_raw_os_error))),
    }
}

/// Decodes a `FORKED` frame: pid and pidfd of a new process.
pub(super) fn decode_forked(frame: ReceivedFrame) -> io::Result<(u32, OwnedFd)> {
    let pid = frame.head()?;
    let pidfd = frame.descriptors.into_iter().next().ok_or(io::ErrorKind::InvalidData)?;
    Ok((pid, pidfd))
}

/// Returns this process's end of a zygote's link.
pub(super) fn link(zygote: &Child) -> io::Result<BorrowedFd<'_>> {
    zygote.link().map_err(|_| io::ErrorKind::NotConnected.into())
}

pub(super) fn failed(zygote: &str, task: &str, error: io::Error) -> Error {
    Error::os(format!("cannot get a child for `{task}` from the {zygote}"), error)
}

fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if frame::is_gone(&error) => Ok(None),
        other => other.map(Some),
    }
}

/// Finds the child of a zygote that died before the answer.
///
/// The kernel has added the pid to the child's handshake. If the link ends without a handshake, there is no child, or
/// the child has ended early and is reaped here.
fn find_orphan(link: &OwnedFd) -> io::Result<Option<(u32, OwnedFd, Option<ReceivedFrame>)>> {
    let handshake = frame::receive(link.as_fd(), None)?;
    let Some(sender) = handshake.as_ref().and_then(|handshake| handshake.sender) else {
        spares::reap_unknown();
        return Ok(None);
    };
    Ok(Some((sender.pid, pidfd::open_or_kill(sender.pid)?, handshake)))
}
