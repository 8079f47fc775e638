//! Asking for one child: of the forkserver or of a template, which clones it for this process.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::error::Error;
use crate::ipc::wire::frame::{self, ReceivedFrame};
use crate::ipc::wire::kind;
use crate::sys::lifeline::Lifeline;
use crate::sys::{pidfd, socket};
use crate::this_process::children::{Child, Launched};
use crate::this_process::spares;

/// What became of an order.
pub(super) enum Ordered {
    /// It is on its way.
    Given,
    /// This process has changed so that the child is not to have it.
    Stale,
    /// Nobody is there to take it.
    Gone,
}

impl Ordered {
    /// Of what [`Request::send`](crate::start::Request::send) has said.
    pub(super) fn of(sent: io::Result<bool>) -> io::Result<Self> {
        sent.map(|is_sent| if is_sent { Self::Given } else { Self::Gone })
    }
}

/// What became of a request.
pub(super) struct Asked {
    /// The child; `None` if the maker has died over it, or `give` has found it stale.
    pub(super) launched: Option<Launched>,
    /// Whether the maker is of no more use.
    pub(super) is_over: bool,
}

/// What a maker says to a request.
enum Answer {
    Forked { pid: u32, pidfd: OwnedFd },
    Refused(io::Error),
    Gone,
}

/// Asks a maker for a child, and has `give` send it its order, while the maker clones.
///
/// One at a time: the next answer of a maker is that to the last request.
pub(super) fn ask(
    maker: &Child,
    task: &str,
    give: impl FnOnce(&OwnedFd, &Lifeline) -> Result<Ordered, Error>,
) -> Result<Asked, Error> {
    let failed = |error| failed(&maker.about.name, task, error);
    let (link, theirs) = socket::pair().map_err(failed)?;
    socket::identify_senders(link.as_fd()).map_err(failed)?;
    request(maker, &theirs).map_err(failed)?;
    // The end of the link is the end of the child only when no copy of the child's end is left here.
    drop(theirs);
    // While the maker clones: the order is there before the child looks for it.
    let lifeline = Lifeline::new().map_err(failed);
    let ordered = lifeline.and_then(|lifeline| Ok((give(&link, &lifeline)?, lifeline)));
    // A child that has died already is no error: its exit status will say how.
    let is_given = matches!(ordered, Ok((Ordered::Given | Ordered::Gone, _)));
    let (made, is_over) = match answer(maker) {
        Ok(Answer::Forked { pid, pidfd }) => (Some((pid, pidfd, None)), false),
        Ok(Answer::Refused(error)) => return Err(failed(error)),
        // It is gone, or what it has answered cannot be read: then the child itself tells, if there is one.
        Ok(Answer::Gone) | Err(_) => {
            // It may be some moments from its own end, and look alive until then.
            maker.dismiss();
            if !is_given {
                // A child that waits for its order learns that none will come.
                let _ = socket::end_sending(link.as_fd());
            }
            (orphan(&link).map_err(failed)?, true)
        }
    };
    let Some((pid, pidfd, received)) = made else { return Ok(Asked { launched: None, is_over }) };
    if is_given {
        let (_, lifeline) = ordered?;
        let launched = Launched { pid, pidfd, link, lifeline, streams: [const { None }; 3], received };
        return Ok(Asked { launched: Some(launched), is_over });
    }
    // It has not begun anything. The end of its link ends it, also where a signal may not: a stale maker's child may
    // belong to a user that this process is no longer.
    drop(link);
    pidfd::kill_and_reap(pidfd.as_fd());
    ordered?;
    Ok(Asked { launched: None, is_over: true })
}

/// Asks for a child at the other end of a link. A maker that is gone is found out by its answer.
fn request(maker: &Child, theirs: &OwnedFd) -> io::Result<()> {
    unless_gone(frame::send_value(link(maker)?, kind::FORK, &(), &[theirs.as_fd()])).map(drop)
}

fn answer(maker: &Child) -> io::Result<Answer> {
    let answer = unless_gone(frame::receive(link(maker)?, None))?;
    match answer.flatten() {
        None => Ok(Answer::Gone),
        Some(frame) if frame.kind == kind::FORKED => {
            let (pid, pidfd) = forked(frame)?;
            Ok(Answer::Forked { pid, pidfd })
        }
        Some(frame) => Ok(Answer::Refused(frame.head().map_or_else(|error| error, io::Error::from_raw_os_error))),
    }
}

/// Takes the answer apart that tells of a new process.
pub(super) fn forked(frame: ReceivedFrame) -> io::Result<(u32, OwnedFd)> {
    let pid = frame.head()?;
    let pidfd = frame.descriptors.into_iter().next().ok_or(io::ErrorKind::InvalidData)?;
    Ok((pid, pidfd))
}

/// This process's end of a maker's link.
pub(super) fn link(maker: &Child) -> io::Result<BorrowedFd<'_>> {
    maker.link().map_err(|_| io::ErrorKind::NotConnected.into())
}

pub(super) fn failed(maker: &str, task: &str, error: io::Error) -> Error {
    Error::os(format!("cannot get a child for `{task}` from the {maker}"), error)
}

fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if frame::is_gone(&error) => Ok(None),
        other => other.map(Some),
    }
}

/// The child that a maker has left behind when it died before it could answer.
///
/// Its hello tells its pid, by the kernel's word. The end of the link without one tells that there is none, or that it
/// has ended before it could say anything: then nobody else will reap it.
fn orphan(link: &OwnedFd) -> io::Result<Option<(u32, OwnedFd, Option<ReceivedFrame>)>> {
    let hello = frame::receive(link.as_fd(), None)?;
    let Some(sender) = hello.as_ref().and_then(|hello| hello.sender) else {
        spares::reap_unknown();
        return Ok(None);
    };
    Ok(Some((sender.pid, pidfd::open_or_kill(sender.pid)?, hello)))
}
