//! This process's side of a start: a spare that waits already, or a child that the server is asked for.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::habit;
use super::live::{Answer, Live, Ordered, Server};
use crate::bootstrap::Settings;
use crate::children::spares::{self, Spare};
use crate::children::{self, Launched};
use crate::error::{Error, ErrorKind};
use crate::launch::{Launcher, Request};
use crate::sys::lifeline::Lifeline;
use crate::sys::{pidfd, socket};
use crate::wire::frame::{self, Incoming};

pub(crate) struct ForkServer;

/// How often a child is asked for anew after a server has died over it.
const ATTEMPTS: usize = 3;

impl Launcher for ForkServer {
    fn launch(&self, mut request: Request<'_>) -> Result<Launched, Error> {
        let wished = std::mem::take(&mut request.order.settings);
        let wanted = habit::note_start();
        // No more than were there: each asks for its successor, and what ends them all is told by a child without one.
        for _ in 0..spares::count() {
            let server = Server::lock_live()?;
            let Some(spare) = spares::take() else { break };
            if let Some(launched) = hire(server, spare, &wished, &mut request, wanted)? {
                return Ok(Launched { streams: request.streams, ..launched });
            }
        }
        for _ in 0..ATTEMPTS {
            if let Some(launched) = ask(Server::lock_live()?, &wished, &mut request, wanted)? {
                return Ok(Launched { streams: request.streams, ..launched });
            }
        }
        let text = format!(
            "cannot get a child for `{}`: the forkserver has died or grown stale {ATTEMPTS} times while it was asked",
            request.order.task
        );
        Err(Error::new(ErrorKind::ForkServer, text))
    }
}

/// Gives the order to a spare. `None` if it has died before it has taken it, or was stale.
fn hire(
    mut server: Live,
    spare: Spare,
    wished: &Settings,
    request: &mut Request<'_>,
    wanted: habit::Wanted,
) -> Result<Option<Launched>, Error> {
    let ordered = server.order(wished, request, &spare.link, None);
    if matches!(ordered, Ok(Ordered::Given)) {
        // While the spare begins.
        wanted.refill(&server);
        drop(server);
        return Ok(spare.hired());
    }
    spares::retire(spare);
    if matches!(ordered?, Ordered::Stale) {
        server.replace();
    }
    Ok(None)
}

/// Asks for a child, and gives it the order. `None` if the server has died over it, or was stale.
fn ask(
    mut server: Live,
    wished: &Settings,
    request: &mut Request<'_>,
    wanted: habit::Wanted,
) -> Result<Option<Launched>, Error> {
    let task = request.order.task.clone();
    let failed = |error| failed(&task, error);
    let (link, theirs) = socket::pair().map_err(failed)?;
    socket::identify_senders(link.as_fd()).map_err(failed)?;
    server.request(&theirs).map_err(failed)?;
    // The end of the link is the end of the child only when no copy of the child's end is left here.
    drop(theirs);
    // While the server clones: the order is there before the child looks for it.
    let lifeline = Lifeline::new().map_err(failed);
    let ordered = lifeline.and_then(|lifeline| Ok((server.order(wished, request, &link, Some(&lifeline))?, lifeline)));
    // A child that has died already is no error: its exit status will say how.
    let is_given = matches!(ordered, Ok((Ordered::Given | Ordered::Gone, _)));
    let made = match server.answer() {
        Ok(Answer::Forked { pid, pidfd }) => Some((pid, pidfd, None)),
        Ok(Answer::Refused(error)) => return Err(failed(error)),
        // It is gone, or what it has answered cannot be read: then the child itself tells, if there is one.
        Ok(Answer::Gone) | Err(_) => {
            // It may be some moments from its own end, and look alive until then.
            server.replace();
            if !is_given {
                // A child that waits for its order learns that none will come.
                let _ = socket::end_sending(link.as_fd());
            }
            orphan(&link).map_err(failed)?
        }
    };
    let Some((pid, pidfd, heard)) = made else { return Ok(None) };
    if is_given {
        wanted.refill(&server);
        let (_, lifeline) = ordered?;
        return Ok(Some(Launched { pid, pidfd, link, lifeline, streams: [const { None }; 3], heard }));
    }
    // It has not begun anything. The end of its link ends it, also where a signal may not: a stale server's child may
    // belong to a user that this process is no longer.
    drop(link);
    pidfd::kill_and_reap(pidfd.as_fd());
    ordered?;
    server.replace();
    Ok(None)
}

pub(super) fn failed(task: &str, error: io::Error) -> Error {
    Error::os(format!("cannot get a child for `{task}` from the forkserver"), error)
}

/// The child that a server has left behind when it died before it could answer.
///
/// Its hello tells its pid, by the kernel's word. The end of the link without one tells that there is none, or that it
/// has ended before it could say anything: then nobody else will reap it.
fn orphan(link: &OwnedFd) -> io::Result<Option<(u32, OwnedFd, Option<Incoming>)>> {
    let hello = frame::receive(link.as_fd(), None)?;
    let Some(sender) = hello.as_ref().and_then(|hello| hello.sender) else {
        children::reap_unknown();
        return Ok(None);
    };
    Ok(Some((sender.pid, pidfd::open_or_kill(sender.pid)?, hello)))
}
