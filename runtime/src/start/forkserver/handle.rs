//! This process's forkserver: started at first need, and started again after the server has died or was replaced.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard};

use super::drift::{Drift, ProcessState};
use super::request::{self, Delivery};
use super::settings_diff;
use crate::child::Settings;
use crate::error::{Error, ErrorKind, Refusal};
use crate::ipc::wire::frame;
use crate::ipc::wire::kind;
use crate::platform::StartMethod;
use crate::start::{Entrance, Request, availability, entrance, is_absent, spawn};
use crate::sys::environ::Environment;
use crate::sys::identity::{self, Identity};
use crate::sys::inherited::InheritedState;
use crate::sys::lifeline::Lifeline;
use crate::sys::procfs::ProcStatus;
use crate::sys::{pidfd, poll, socket};
use crate::this_process::children::{self, Child, Description, ExitStatus, Launched, SERVER_NAME};
use crate::this_process::spares;

/// A running server.
struct ServerHandle {
    child: Arc<Child>,
    /// The identity of this process when the server was started, and the inherited state of the server.
    served: ProcessState,
}

static SERVER: Mutex<Option<ServerHandle>> = Mutex::new(None);

/// The lock on a server that ran a moment ago. Requests queue for the lock, since a server takes one at a time.
pub(super) struct LockedServer(MutexGuard<'static, Option<ServerHandle>>);

impl LockedServer {
    /// Returns the running server, and starts one if there is none.
    pub(super) fn running() -> Result<Self, Error> {
        if let Some(server) = Self::if_running() {
            return Ok(server);
        }
        let mut slot = crate::sys::lock(&SERVER);
        // Another thread may have started one in between.
        if slot.is_none() {
            let entrance = entrance()?;
            let unreadable = |error| unreadable("start the forkserver", error);
            let status = ProcStatus::read().map_err(unreadable)?;
            let started = ServerHandle::start(entrance, Identity::read(&status).map_err(unreadable)?);
            availability::note_start(&started);
            *slot = Some(started?);
        }
        Ok(Self(slot))
    }

    /// Returns the server if one is running. Retires the spares of a dead server.
    pub(super) fn if_running() -> Option<Self> {
        let mut slot = crate::sys::lock(&SERVER);
        let server = slot.take()?;
        if !matches!(server.child.try_status(), Ok(None)) {
            spares::retire_beyond(0);
            return None;
        }
        *slot = Some(server);
        Some(Self(slot))
    }

    fn handle(&self) -> io::Result<&ServerHandle> {
        self.0.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Returns the server as a zygote, for requests.
    pub(super) fn child(&self) -> Result<Arc<Child>, Error> {
        let server = self.handle().map_err(|error| Error::os("cannot ask the forkserver", error))?;
        Ok(Arc::clone(&server.child))
    }

    /// Dismisses the server and its spares, which are reaped like children without a handle. The next start starts a
    /// new server.
    pub(super) fn replace(mut self) {
        spares::retire_beyond(0);
        if let Some(server) = self.0.take() {
            server.child.dismiss();
        }
    }

    /// Sends the spec to a child of this server, and the lifeline to a child without a lifeline. Withholds the spec if
    /// this process has drifted from its server.
    pub(super) fn send_spec(
        &self,
        requested: &Settings,
        request: &mut Request<'_>,
        link: &OwnedFd,
        lifeline: Option<&Lifeline>,
    ) -> Result<Delivery, Error> {
        let now = ProcessState::current().map_err(|error| {
            unreadable(&format!("get a child for `{}` from the {SERVER_NAME}", request.spec.task), error)
        })?;
        let Ok(server) = self.handle() else { return Ok(Delivery::Withheld(Drift::ServerGone)) };
        if let Some(drift) = now.drift_from(&server.served) {
            return Ok(Delivery::Withheld(drift));
        }
        request.spec.settings = requested.clone();
        let sent = settings_diff::add_to(request, now.inherited, &server.served.inherited)
            .and_then(|()| request.send(link, lifeline));
        Delivery::of(sent).map_err(|error| request::failed(SERVER_NAME, &request.spec.task, error))
    }

    /// Requests one more spare. The spare reports to this process directly; if there is none, its link ends.
    pub(super) fn request_spare(&self) -> io::Result<()> {
        let (link, spares_end) = socket::pair()?;
        socket::identify_senders(link.as_fd())?;
        frame::send_value(request::link(&self.handle()?.child)?, kind::SPARE, &(), &[spares_end.as_fd()])?;
        spares::insert(link);
        Ok(())
    }
}

impl ServerHandle {
    fn start(entrance: Entrance, identity: Identity) -> Result<Self, Error> {
        let failed = |error| Error::os("cannot start the forkserver", error);
        if identity::has_children_elsewhere() {
            return Err(children_elsewhere());
        }
        let lifeline = Lifeline::new().map_err(failed)?;
        let (link, servers_end) = socket::pair().map_err(failed)?;
        let pid = spawn::execute(entrance, Environment::current(), servers_end).map_err(failed)?;
        let pidfd = pidfd::open_or_kill(pid).map_err(failed)?;
        let descriptors = [lifeline.read_side.as_fd()];
        match frame::send_value(link.as_fd(), kind::SERVE, &identity.privileges, &descriptors) {
            Err(error) if !frame::is_gone(&error) => {
                pidfd::kill_and_reap(pidfd.as_fd());
                return Err(failed(error));
            }
            // A dead server is found by the missing answer.
            _ => {}
        }
        let mut launched = Launched { pid, pidfd, link, lifeline, streams: [const { None }; 3], received: None };
        let inherited =
            wait_until_ready(&mut launched).inspect_err(|_| pidfd::kill_and_reap(launched.pidfd.as_fd()))?;
        let about = Description::of_helper(SERVER_NAME, StartMethod::Spawn);
        let child = children::register_server(launched, about);
        Ok(Self { child, served: ProcessState { identity, inherited } })
    }
}

/// Waits for the first message of a new server, without limit: preloads may take long. The server's death ends the
/// wait.
fn wait_until_ready(server: &mut Launched) -> Result<InheritedState, Error> {
    let failed = |error| Error::os("cannot start the forkserver", error);
    loop {
        let Some(frame) = frame::receive(server.link.as_fd(), None).map_err(failed)? else { return Err(died(server)) };
        match frame.kind {
            kind::READY => return frame.head().map_err(failed),
            // In a test harness the server goes on in a single-threaded copy (`EventLoop::leave_test_harness`).
            kind::FORKED => {
                let (pid, pidfd) = request::decode_forked(frame).map_err(failed)?;
                pidfd::kill_and_reap(server.pidfd.as_fd());
                (server.pid, server.pidfd) = (pid, pidfd);
            }
            _ => {
                let refusal = frame.head::<Refusal>().map(Error::from);
                return Err(refusal.unwrap_or_else(|error| {
                    Error::with_source(ErrorKind::ForkServer, "the forkserver does not understand its requests", error)
                }));
            }
        }
    }
}

/// A server without a message: the exit status is the only fact to tell.
fn died(server: &Launched) -> Error {
    let _ = poll::readable([server.pidfd.as_fd()], None);
    let status = pidfd::try_reap(server.pidfd.as_fd()).ok().flatten().map(ExitStatus::from);
    let how = status.unwrap_or(ExitStatus::Unknown);
    let way_out = match how {
        ExitStatus::Exited(_) => {
            "; the forkserver is this program, started anew, so nothing may end the program before \
                                  the guard (#[offspring::process_main] on `main`, or offspring::guard() first in it), \
                                  and no #[preload] function may exit"
        }
        _ => "",
    };
    let text = format!("the forkserver (pid {}) has died before it could serve: {how}{way_out}", server.pid);
    Error::new(ErrorKind::ForkServer, text)
}

/// The refusal of a process whose children are born in another pid namespace.
///
/// A server that is the first process of a namespace can make no siblings (clone(2), `CLONE_PARENT`), and the namespace
/// ends with the server. Any other server keeps the first process from ending: the kernel lets the first process end
/// only after all others have been reaped, server and spares too, while this process waits for the first
/// (pid_namespaces(7)).
fn children_elsewhere() -> Error {
    let text = "cannot start the forkserver, since the children of this process are in another pid namespace than \
                itself (unshare(2), setns(2)), whose first process could not end before the forkserver; use the start \
                method `spawn` or `fork`, or `forkserver` in a child of that namespace";
    Error::new(ErrorKind::ForkServer, text)
}

/// The forkserver needs `/proc` in this process and in the server.
fn unreadable(doing: &str, error: io::Error) -> Error {
    if !is_absent(&error) {
        return Error::os(format!("cannot {doing}, since what this process is cannot be read"), error);
    }
    let text = format!(
        "cannot {doing}, since what this process is, which a child of the forkserver is to become, cannot be read from \
         /proc/thread-self (is /proc mounted?); the start method `fork` works without it"
    );
    Error::with_source(ErrorKind::NoExecutable, text, error)
}
