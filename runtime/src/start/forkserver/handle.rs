//! The server that this process has running: started at first need and when it has died or grown stale.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard};

use super::diff;
use super::request::{self, Ordered};
use crate::child::Settings;
use crate::error::{Error, ErrorKind, Refusal};
use crate::ipc::wire::frame;
use crate::ipc::wire::kind;
use crate::platform::StartMethod;
use crate::start::{Entrance, Request, entrance, is_absent, spawn};
use crate::sys::environ::Environment;
use crate::sys::identity::{self, Identity};
use crate::sys::inherited::InheritedState;
use crate::sys::lifeline::Lifeline;
use crate::sys::procfs::ProcStatus;
use crate::sys::{pidfd, poll, socket};
use crate::this_process::children::{self, Child, Description, Launched, SERVER_NAME};
use crate::this_process::spares;

/// A running server.
pub(super) struct Server {
    child: Arc<Child>,
    /// Who this process was when it started the server.
    identity: Identity,
    /// What the server is, and a child of it would be unless its order says otherwise.
    present: InheritedState,
}

static SERVER: Mutex<Option<Server>> = Mutex::new(None);

/// The lock on a server that was alive a moment ago: requests queue for it, as the server takes one at a time.
pub(super) struct Live(MutexGuard<'static, Option<Server>>);

impl Server {
    /// Makes sure of a server that runs.
    pub(super) fn lock_live() -> Result<Live, Error> {
        if let Some(live) = Self::lock_if_live() {
            return Ok(live);
        }
        let mut slot = crate::sys::lock(&SERVER);
        // Another thread may have started one in between.
        if slot.is_none() {
            let entrance = entrance()?;
            let unreadable = |error| unreadable("start the forkserver", error);
            let status = ProcStatus::read().map_err(unreadable)?;
            *slot = Some(Self::start(entrance, Identity::read(&status).map_err(unreadable)?)?);
        }
        Ok(Live(slot))
    }

    /// How many servers there are among the children that have not been reaped.
    pub(super) fn count() -> usize {
        usize::from(crate::sys::lock(&SERVER).is_some())
    }

    /// The server, if there is one. One that has died takes its spares along.
    pub(super) fn lock_if_live() -> Option<Live> {
        let mut slot = crate::sys::lock(&SERVER);
        let server = slot.take()?;
        if !matches!(server.child.try_status(), Ok(None)) {
            spares::retire_beyond(0);
            return None;
        }
        *slot = Some(server);
        Some(Live(slot))
    }

    fn start(entrance: Entrance, identity: Identity) -> Result<Self, Error> {
        let failed = |error| Error::os("cannot start the forkserver", error);
        if identity::has_children_elsewhere() {
            return Err(elsewhere());
        }
        let lifeline = Lifeline::new().map_err(failed)?;
        let (link, theirs) = socket::pair().map_err(failed)?;
        let pid = spawn::execute(entrance, Environment::current(), theirs).map_err(failed)?;
        let pidfd = pidfd::open_or_kill(pid).map_err(failed)?;
        let descriptors = [lifeline.read_side.as_fd()];
        // A server that has died already is found out by its answer, or rather by the lack of one.
        match frame::send_value(link.as_fd(), kind::SERVE, &identity.privileges, &descriptors) {
            Err(error) if !frame::is_gone(&error) => {
                pidfd::kill_and_reap(pidfd.as_fd());
                return Err(failed(error));
            }
            _ => {}
        }
        let mut launched = Launched { pid, pidfd, link, lifeline, streams: [const { None }; 3], received: None };
        let present = wait_until_ready(&mut launched).inspect_err(|_| pidfd::kill_and_reap(launched.pidfd.as_fd()))?;
        let about = Description::of_helper(SERVER_NAME, StartMethod::Spawn);
        Ok(Self { child: children::register_server(launched, about), identity, present })
    }
}

/// Waits for a new server's first word, however long its preloads take; its death is an answer too.
fn wait_until_ready(server: &mut Launched) -> Result<InheritedState, Error> {
    let failed = |error| Error::os("cannot start the forkserver", error);
    loop {
        let Some(frame) = frame::receive(server.link.as_fd(), None).map_err(failed)? else { return Err(died(server)) };
        match frame.kind {
            kind::READY => return frame.head().map_err(failed),
            // Under a test harness the server goes on in a copy of itself that has one thread (see `server`).
            kind::FORKED => {
                let (pid, pidfd) = request::forked(frame).map_err(failed)?;
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

/// As the first process of a namespace a server could make no children, which are its siblings (clone(2), `CLONE_PARENT`), and
/// with it the namespace would be lost. As another it would keep the first from ending: that waits until this process has
/// reaped all others, server and spares too, while this process waits for it (pid_namespaces(7)).
fn elsewhere() -> Error {
    let text = "cannot start the forkserver, since the children of this process are in another pid namespace than itself (unshare(2), setns(2)), \
                whose first process could not end before the forkserver; use the start method `spawn` or `fork`, or `forkserver` in a child \
                of that namespace";
    Error::new(ErrorKind::ForkServer, text)
}

/// The forkserver needs `/proc` on each side.
fn unreadable(doing: &str, error: io::Error) -> Error {
    if !is_absent(&error) {
        return Error::os(format!("cannot {doing}, since what this process is cannot be read"), error);
    }
    let text = format!(
        "cannot {doing}, since what this process is, which a child of the forkserver is to become, cannot be read from /proc/thread-self \
         (is /proc mounted?); the start method `fork` works without it"
    );
    Error::with_source(ErrorKind::NoExecutable, text, error)
}

impl Live {
    fn server(&self) -> io::Result<&Server> {
        self.0.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// The server, as one who is asked for children.
    pub(super) fn child(&self) -> Result<Arc<Child>, Error> {
        let server = self.server().map_err(|error| Error::os("cannot ask the forkserver", error))?;
        Ok(Arc::clone(&server.child))
    }

    /// What this process is now; `None` if the server's children would be somebody else than its own.
    fn compare(&self, task: &str) -> Result<Option<InheritedState>, Error> {
        let unreadable = |error| unreadable(&format!("get a child for `{task}` from the {SERVER_NAME}"), error);
        let status = ProcStatus::read().map_err(unreadable)?;
        let identity = Identity::read(&status).map_err(unreadable)?;
        let present = InheritedState::read(&status).map_err(unreadable)?;
        let server = self.0.as_ref();
        let is_fresh = server.is_some_and(|server| server.identity == identity && !present.is_beyond(&server.present));
        Ok(is_fresh.then_some(present))
    }

    /// Lets the server go, and its spares; they are reaped like children whose handles were dropped.
    pub(super) fn replace(&mut self) {
        spares::retire_beyond(0);
        if let Some(server) = self.0.take() {
            server.child.dismiss();
        }
    }

    /// Gives a child its order, and its lifeline to one that has none.
    pub(super) fn order(
        &self,
        wished: &Settings,
        request: &mut Request<'_>,
        link: &OwnedFd,
        lifeline: Option<&Lifeline>,
    ) -> Result<Ordered, Error> {
        let Some(present) = self.compare(&request.order.task)? else { return Ok(Ordered::Stale) };
        request.order.settings = wished.clone();
        let server = self.server();
        let given = server.and_then(|server| diff::take_over(present, &server.present, request));
        let sent = given.and_then(|()| request.send(link, lifeline));
        Ordered::of(sent).map_err(|error| request::failed(SERVER_NAME, &request.order.task, error))
    }

    /// Asks for one more spare, which tells by itself that it is there. A server that is gone leaves its link to end.
    pub(super) fn request_spare(&self, patience: Option<std::time::Duration>) -> io::Result<()> {
        let (link, theirs) = socket::pair()?;
        socket::identify_senders(link.as_fd())?;
        frame::send_value(request::link(&self.server()?.child)?, kind::SPARE, &patience, &[theirs.as_fd()])?;
        spares::insert(link);
        Ok(())
    }
}
