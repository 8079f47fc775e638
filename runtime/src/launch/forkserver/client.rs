//! This process's side: keeps a server alive and fresh, and asks it for children.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::bootstrap::{Settings, StreamSetting, kind};
use crate::children::{self, Child, Description, Launched, Ours};
use crate::error::{Error, ErrorKind, Refusal};
use crate::launch::{Launcher, Request, entrance, spawn};
use crate::platform::StartMethod;
use crate::sys::environ::Environment;
use crate::sys::fd::Stream;
use crate::sys::identity::Identity;
use crate::sys::lifeline::Lifeline;
use crate::sys::{attributes, pidfd, poll, signal, socket};
use crate::wire::frame::{self, Incoming, Outgoing};
use crate::wire::payload::{Payload, decode};

pub(crate) struct ForkServer;

/// How often a child is asked for anew after a server has died over it.
const ATTEMPTS: usize = 3;

impl Launcher for ForkServer {
    fn launch(&self, mut request: Request<'_>) -> Result<Launched, Error> {
        let task = request.order.task.clone();
        let failed = |error| Error::os(format!("cannot get a child for `{task}` from the forkserver"), error);
        take_over_present(&mut request).map_err(failed)?;
        for _ in 0..ATTEMPTS {
            let (link, theirs) = socket::pair().map_err(failed)?;
            socket::identify_senders(link.as_fd()).map_err(failed)?;
            request.send(&link).map_err(failed)?;
            let answer = Server::lock_live()?.ask(&theirs);
            drop(theirs);
            match answer {
                Ok(Answer::Forked { pid, pidfd }) => {
                    return Ok(Launched {
                        pid,
                        pidfd,
                        link,
                        ours: request.ours,
                    });
                }
                Ok(Answer::Refused(error)) => return Err(failed(error)),
                Ok(Answer::Gone) => {
                    if let Some((pid, pidfd)) = orphan(&link).map_err(failed)? {
                        return Ok(Launched {
                            pid,
                            pidfd,
                            link,
                            ours: request.ours,
                        });
                    }
                }
                Err(error) => return Err(failed(error)),
            }
        }
        Err(Error::new(
            ErrorKind::ForkServer,
            format!("cannot get a child for `{task}`: the forkserver has died {ATTEMPTS} times while it was asked"),
        ))
    }
}

/// The child that a server has left behind when it died before it could answer.
///
/// Its hello tells its pid, by the kernel's word; without one there is no child, or none that will ever begin.
fn orphan(link: &OwnedFd) -> io::Result<Option<(u32, OwnedFd)>> {
    let hello = frame::receive(link.as_fd(), None)?;
    let Some(pid) = hello.and_then(|hello| hello.sender) else {
        return Ok(None);
    };
    Ok(Some((pid, pidfd::open(pid)?)))
}

/// Puts into the order what a child of the server would otherwise have from the server, which was started earlier.
fn take_over_present(request: &mut Request<'_>) -> io::Result<()> {
    let Settings {
        environment,
        streams,
        umask,
        nice,
        limits,
        affinity,
        process_group,
        oom_score,
        ignored_signals,
        blocked_signals,
    } = &mut request.order.settings;
    environment.get_or_insert_with(Environment::present);
    for stream in Stream::ALL {
        let (setting, slot) = (&mut streams[stream as usize], &mut request.kit.streams[stream as usize]);
        if *setting == StreamSetting::Keep {
            *slot = stream.duplicate()?;
            *setting = if slot.is_some() {
                StreamSetting::Given
            } else {
                StreamSetting::Null
            };
        }
    }
    if request.kit.directory.is_none() {
        request.kit.directory = Some(attributes::open_directory(".".as_ref())?);
    }
    umask.get_or_insert(attributes::umask()?);
    nice.get_or_insert(attributes::nice()?);
    affinity.get_or_insert(attributes::affinity()?);
    process_group.get_or_insert(attributes::process_group());
    oom_score.get_or_insert(attributes::oom_score()?);
    ignored_signals.get_or_insert(signal::ignored());
    blocked_signals.get_or_insert(signal::mask());
    for (resource, limit) in attributes::limits()? {
        if !limits.iter().any(|(set, _)| *set == resource) {
            limits.push((resource, limit));
        }
    }
    Ok(())
}

/// A running server, and who this process was when it started it.
struct Server {
    child: Arc<Child>,
    identity: Identity,
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
    /// Makes sure of a server that runs, and that its children will be no one else than children of this process would.
    fn lock_live() -> Result<Live, Error> {
        let mut slot = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
        let identity = Identity::present().map_err(|error| Error::os("cannot read this process's identity", error))?;
        let fresh = slot.take().filter(|server| server.is_fresh(&identity));
        *slot = Some(match fresh {
            Some(server) => server,
            None => Self::start(identity)?,
        });
        Ok(Live(slot))
    }

    /// Whether it can go on; if not, it is told to leave.
    fn is_fresh(&self, identity: &Identity) -> bool {
        let alive = matches!(self.child.try_status(), Ok(None));
        if alive && self.identity != *identity {
            self.child.dismiss();
        }
        alive && self.identity == *identity
    }

    fn start(identity: Identity) -> Result<Self, Error> {
        let failed = |error| Error::os("cannot start the forkserver", error);
        let entrance = entrance()?;
        let lifeline = Lifeline::new().map_err(failed)?;
        let (link, theirs) = socket::pair().map_err(failed)?;
        let pid = spawn::execute(entrance, Environment::present(), theirs).map_err(failed)?;
        let pidfd = pidfd::open_or_kill(pid).map_err(failed)?;
        let serve = Outgoing {
            kind: kind::SERVE,
            head: &[],
            payload: &Payload::EMPTY,
            descriptors: vec![lifeline.read_side.as_fd()],
        };
        // A server that has died already is found out by its answer, or rather by the lack of one.
        let _ = serve.send(link.as_fd(), None);
        let ours = Ours {
            lifeline: Some(lifeline),
            ..Ours::default()
        };
        let launched = wait_until_ready(Launched { pid, pidfd, link, ours })?;
        Ok(Self {
            child: children::register_server(launched, description()),
            identity,
        })
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
    }
}

/// Waits for a new server's first word, however long its preloads take; its death is an answer too.
fn wait_until_ready(mut server: Launched) -> Result<Launched, Error> {
    let failed = |error| Error::os("cannot start the forkserver", error);
    loop {
        let Some(frame) = frame::receive(server.link.as_fd(), None).map_err(failed)? else {
            return Err(died(server));
        };
        match frame.kind {
            kind::READY => return Ok(server),
            // Under a test harness the server goes on in a copy of itself that has one thread (see `server`).
            kind::FORKED => {
                let (pid, pidfd) = forked(frame).map_err(failed)?;
                pidfd::kill_and_reap(server.pidfd.as_fd());
                server = Launched { pid, pidfd, ..server };
            }
            _ => {
                let refusal = frame.head.bytes().ok().and_then(|head| decode::<Refusal>(&head).ok());
                pidfd::kill_and_reap(server.pidfd.as_fd());
                return Err(refusal.map_or_else(
                    || Error::new(ErrorKind::ForkServer, "the forkserver does not understand its orders"),
                    Error::from,
                ));
            }
        }
    }
}

/// It said nothing: its exit status is all there is to tell.
fn died(server: Launched) -> Error {
    let _ = poll::readable([server.pidfd.as_fd()], None);
    let status = pidfd::try_reap(server.pidfd.as_fd());
    let how = status.ok().flatten().map_or_else(
        || "unknown exit status".to_owned(),
        |status| children::ExitStatus::from(status).to_string(),
    );
    Error::new(
        ErrorKind::ForkServer,
        format!(
            "the forkserver (pid {}) has died before it could serve: {how}",
            server.pid
        ),
    )
}

fn forked(frame: Incoming) -> io::Result<(u32, OwnedFd)> {
    let head = frame.head.bytes()?;
    let pid = decode::<u32>(&head).map_err(io::Error::other)?;
    let pidfd = frame.descriptors.into_iter().next().ok_or(io::ErrorKind::InvalidData)?;
    Ok((pid, pidfd))
}

impl Live {
    /// Asks for a child at the other end of a link. The caller then drops its own copy of that end.
    fn ask(&self, theirs: &OwnedFd) -> io::Result<Answer> {
        let Some(link) = self.0.as_ref().and_then(|server| server.child.link().ok()) else {
            return Ok(Answer::Gone);
        };
        let request = Outgoing {
            kind: kind::FORK,
            head: &[],
            payload: &Payload::EMPTY,
            descriptors: vec![theirs.as_fd()],
        };
        match request.send(link, None).and_then(|()| frame::receive(link, None)) {
            Ok(None) => Ok(Answer::Gone),
            Ok(Some(frame)) if frame.kind == kind::FORKED => {
                let (pid, pidfd) = forked(frame)?;
                Ok(Answer::Forked { pid, pidfd })
            }
            Ok(Some(frame)) => {
                let number = frame.head.bytes().ok().and_then(|head| decode::<i32>(&head).ok());
                Ok(Answer::Refused(number.map_or_else(
                    || io::ErrorKind::InvalidData.into(),
                    io::Error::from_raw_os_error,
                )))
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {
                Ok(Answer::Gone)
            }
            Err(error) => Err(error),
        }
    }
}
