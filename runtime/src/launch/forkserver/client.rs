//! This process's side: keeps a server alive and fresh, and asks it for children.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard};

use super::server;
use crate::bootstrap::{Settings, StreamSetting, kind};
use crate::children::{self, Child, Description, Launched};
use crate::error::{Error, ErrorKind, Refusal};
use crate::launch::{Entrance, Launcher, Request, entrance, is_absent, spawn};
use crate::platform::StartMethod;
use crate::sys::environ::Environment;
use crate::sys::fd::Stream;
use crate::sys::identity::Identity;
use crate::sys::lifeline::Lifeline;
use crate::sys::present::{Present, Status};
use crate::sys::{attributes, pidfd, poll, socket};
use crate::wire::frame::{self, Incoming};

pub(crate) struct ForkServer;

/// How often a child is asked for anew after a server has died over it.
const ATTEMPTS: usize = 3;

impl Launcher for ForkServer {
    fn launch(&self, mut request: Request<'_>) -> Result<Launched, Error> {
        let task = request.order.task.clone();
        let failed = |error| failed(&task, error);
        let wished = std::mem::take(&mut request.order.settings);
        for _ in 0..ATTEMPTS {
            let mut server = Server::lock_live()?;
            let (link, theirs) = socket::pair().map_err(failed)?;
            socket::identify_senders(link.as_fd()).map_err(failed)?;
            server.request(&theirs).map_err(failed)?;
            // The end of the link is the end of the child only when no copy of the child's end is left here.
            drop(theirs);
            // While the server clones: the order is there before the child looks for it.
            let ordered = server.order(&wished, &mut request, &link);
            let made = match server.answer() {
                Ok(Answer::Forked { pid, pidfd }) => Some((pid, pidfd, None)),
                Ok(Answer::Refused(error)) => return Err(failed(error)),
                // It is gone, or what it has answered cannot be read: then the child itself tells, if there is one.
                Ok(Answer::Gone) | Err(_) => {
                    // It may be some moments from its own end, and look alive until then.
                    server.replace();
                    if !matches!(ordered, Ok(Some(_))) {
                        // A child that waits for its order learns that none will come.
                        let _ = socket::end_sending(link.as_fd());
                    }
                    orphan(&link).map_err(failed)?
                }
            };
            let Some((pid, pidfd, heard)) = made else { continue };
            match ordered {
                Ok(Some(lifeline)) => {
                    return Ok(Launched { pid, pidfd, link, lifeline, streams: request.streams, heard });
                }
                not_ordered => {
                    // It has not begun anything. The end of its link ends it, also where a signal may not: a stale
                    // server's child may belong to a user that this process is no longer.
                    drop(link);
                    pidfd::kill_and_reap(pidfd.as_fd());
                    not_ordered?;
                    server.replace();
                }
            }
        }
        let text = format!(
            "cannot get a child for `{task}`: the forkserver has died or grown stale {ATTEMPTS} times while it was asked"
        );
        Err(Error::new(ErrorKind::ForkServer, text))
    }
}

/// The forkserver needs `/proc` on each side.
fn unreadable(error: io::Error) -> Error {
    if !is_absent(&error) {
        return Error::os("cannot read what this process is", error);
    }
    let text = "cannot read what this process is from /proc/thread-self, which a child of the forkserver is to become \
                (is /proc mounted?); the start method `fork` works without it";
    Error::with_source(ErrorKind::NoExecutable, text, error)
}

fn failed(task: &str, error: io::Error) -> Error {
    Error::os(format!("cannot get a child for `{task}` from the forkserver"), error)
}

/// The child that a server has left behind when it died before it could answer.
///
/// Its hello tells its pid, by the kernel's word. The end of the link without one tells that there is none, or that it
/// has ended before it could say anything: then nobody else will reap it.
fn orphan(link: &OwnedFd) -> io::Result<Option<(u32, OwnedFd, Option<Incoming>)>> {
    let hello = frame::receive(link.as_fd(), None)?;
    let Some(sender) = hello.as_ref().and_then(|hello| hello.sender) else {
        children::reap_unknown(server::NAME);
        return Ok(None);
    };
    Ok(Some((sender.pid, pidfd::open_or_kill(sender.pid)?, hello)))
}

/// A running server.
struct Server {
    child: Arc<Child>,
    /// Who this process was when it started the server.
    identity: Identity,
    /// What the server is, and a child of it would be unless its order says otherwise.
    present: Present,
}

static SERVER: Mutex<Option<Server>> = Mutex::new(None);

/// What the server says to a request.
enum Answer {
    Forked { pid: u32, pidfd: OwnedFd },
    Refused(io::Error),
    Gone,
}

/// The lock on a server that was alive a moment ago: requests queue for it, as the server takes one at a time.
struct Live(MutexGuard<'static, Option<Server>>);

impl Server {
    /// Makes sure of a server that runs.
    fn lock_live() -> Result<Live, Error> {
        let mut slot = crate::sys::lock(&SERVER);
        let living = slot.take().filter(|server| matches!(server.child.try_status(), Ok(None)));
        *slot = Some(match living {
            Some(server) => server,
            None => {
                let entrance = entrance()?;
                let status = Status::read().map_err(unreadable)?;
                Self::start(entrance, Identity::read(&status).map_err(unreadable)?)?
            }
        });
        Ok(Live(slot))
    }

    fn start(entrance: Entrance, identity: Identity) -> Result<Self, Error> {
        let failed = |error| Error::os("cannot start the forkserver", error);
        let lifeline = Lifeline::new().map_err(failed)?;
        let (link, theirs) = socket::pair().map_err(failed)?;
        let pid = spawn::execute(entrance, Environment::present(), theirs).map_err(failed)?;
        let pidfd = pidfd::open_or_kill(pid).map_err(failed)?;
        let descriptors = [lifeline.read_side.as_fd()];
        // A server that has died already is found out by its answer, or rather by the lack of one.
        let _ = frame::send_value(link.as_fd(), kind::SERVE, &identity.privileges, &descriptors);
        let mut launched = Launched { pid, pidfd, link, lifeline, streams: [const { None }; 3], heard: None };
        let present = wait_until_ready(&mut launched).inspect_err(|_| pidfd::kill_and_reap(launched.pidfd.as_fd()))?;
        Ok(Self { child: children::register_server(launched, description()), identity, present })
    }
}

fn description() -> Description {
    Description {
        name: "ForkServer".to_owned(),
        task: "forkserver".to_owned(),
        method: StartMethod::Spawn,
        daemon: true,
        kill_on_drop: false,
        deadline: None,
        overdue_from: None,
    }
}

/// Waits for a new server's first word, however long its preloads take; its death is an answer too.
fn wait_until_ready(server: &mut Launched) -> Result<Present, Error> {
    let failed = |error| Error::os("cannot start the forkserver", error);
    loop {
        let Some(frame) = frame::receive(server.link.as_fd(), None).map_err(failed)? else { return Err(died(server)) };
        match frame.kind {
            kind::READY => return frame.head().map_err(failed),
            // Under a test harness the server goes on in a copy of itself that has one thread (see `server`).
            kind::FORKED => {
                let (pid, pidfd) = forked(frame).map_err(failed)?;
                pidfd::kill_and_reap(server.pidfd.as_fd());
                (server.pid, server.pidfd) = (pid, pidfd);
            }
            _ => {
                let refusal = frame.head::<Refusal>().map(Error::from);
                return Err(refusal.unwrap_or_else(|error| {
                    Error::with_source(ErrorKind::ForkServer, "the forkserver does not understand its orders", error)
                }));
            }
        }
    }
}

/// It said nothing: its exit status is all there is to tell.
fn died(server: &Launched) -> Error {
    let _ = poll::readable([server.pidfd.as_fd()], None);
    let status = pidfd::try_reap(server.pidfd.as_fd()).ok().flatten().map(children::ExitStatus::from);
    let how = status.unwrap_or(children::ExitStatus::Unknown);
    Error::new(
        ErrorKind::ForkServer,
        format!("the forkserver (pid {}) has died before it could serve: {how}", server.pid),
    )
}

fn forked(frame: Incoming) -> io::Result<(u32, OwnedFd)> {
    let pid = frame.head()?;
    let pidfd = frame.descriptors.into_iter().next().ok_or(io::ErrorKind::InvalidData)?;
    Ok((pid, pidfd))
}

impl Live {
    fn server(&self) -> io::Result<&Server> {
        self.0.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn link(&self) -> io::Result<BorrowedFd<'_>> {
        self.server()?.child.link().map_err(|_| io::ErrorKind::NotConnected.into())
    }

    /// What this process is now; `None` if the server's children would be somebody else than its own.
    fn compare(&self) -> Result<Option<Present>, Error> {
        let status = Status::read().map_err(unreadable)?;
        let identity = Identity::read(&status).map_err(unreadable)?;
        let present = Present::read(&status).map_err(unreadable)?;
        let server = self.0.as_ref();
        let is_fresh = server.is_some_and(|server| server.identity == identity && !present.is_beyond(&server.present));
        Ok(is_fresh.then_some(present))
    }

    /// Lets the server go; it is reaped like a child whose handle was dropped.
    fn replace(&mut self) {
        if let Some(server) = self.0.take() {
            server.child.dismiss();
        }
    }

    /// Gives the child-to-be its order; `None` if this process has changed so that the child is not to have it.
    fn order(&self, wished: &Settings, request: &mut Request<'_>, link: &OwnedFd) -> Result<Option<Lifeline>, Error> {
        let Some(present) = self.compare()? else {
            return Ok(None);
        };
        request.order.settings = wished.clone();
        let given = Lifeline::new().and_then(|lifeline| {
            self.take_over(present, request)?;
            request.send(link, &lifeline).map(|()| lifeline)
        });
        given.map_err(|error| failed(&request.order.task, error)).map(Some)
    }

    /// Puts into the order what this process is and the server is not, unless the order says it already.
    fn take_over(&self, present: Present, request: &mut Request<'_>) -> io::Result<()> {
        let base = &self.server()?.present;
        let settings = &mut request.order.settings;
        take(&mut settings.environment, present.environment, &base.environment);
        take(&mut settings.umask, present.umask, &base.umask);
        take(&mut settings.nice, present.nice, &base.nice);
        take(&mut settings.affinity, present.affinity, &base.affinity);
        take(&mut settings.process_group, present.process_group, &base.process_group);
        take(&mut settings.oom_score, present.oom_score, &base.oom_score);
        take(&mut settings.ignored_signals, present.ignored_signals, &base.ignored_signals);
        take(&mut settings.blocked_signals, present.blocked_signals, &base.blocked_signals);
        for (limit, served) in present.limits.into_iter().zip(&base.limits) {
            if limit != *served && !settings.limits.iter().any(|(resource, _)| *resource == limit.0) {
                settings.limits.push(limit);
            }
        }
        if request.kit.directory.is_none() && (present.directory.is_none() || present.directory != base.directory) {
            request.kit.directory = Some(attributes::open_directory("/proc/self/cwd".as_ref())?);
        }
        for stream in Stream::ALL {
            let (setting, slot) = (&mut settings.streams[stream as usize], &mut request.kit.streams[stream as usize]);
            if *setting == StreamSetting::Keep {
                *slot = stream.duplicate()?;
                *setting = if slot.is_some() { StreamSetting::Given } else { StreamSetting::Null };
            }
        }
        Ok(())
    }

    /// Asks for a child at the other end of a link. A server that is gone is found out by its answer.
    fn request(&self, theirs: &OwnedFd) -> io::Result<()> {
        unless_gone(frame::send_value(self.link()?, kind::FORK, &(), &[theirs.as_fd()])).map(drop)
    }

    fn answer(&self) -> io::Result<Answer> {
        let answer = unless_gone(frame::receive(self.link()?, None))?;
        match answer.flatten() {
            None => Ok(Answer::Gone),
            Some(frame) if frame.kind == kind::FORKED => {
                let (pid, pidfd) = forked(frame)?;
                Ok(Answer::Forked { pid, pidfd })
            }
            Some(frame) => Ok(Answer::Refused(frame.head().map_or_else(|error| error, io::Error::from_raw_os_error))),
        }
    }
}

fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if frame::is_gone(&error) => Ok(None),
        other => other.map(Some),
    }
}

fn take<T: PartialEq>(wished: &mut Option<T>, present: T, served: &T) {
    if wished.is_none() && present != *served {
        *wished = Some(present);
    }
}
