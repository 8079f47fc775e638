//! A copy of this process as it was when a pool was made, from which the pool's workers are forked.

use std::sync::{Arc, Mutex};

use super::request::{self, Ordered};
use super::server_loop::Server;
use crate::child::{self, NoWayBack};
use crate::error::{Error, ErrorKind};
use crate::ipc::wire::frame;
use crate::ipc::wire::kind;
use crate::platform::StartMethod;
use crate::start::fork::{self, Divided, Newborn};
use crate::start::{Launcher, Request};
use crate::sys::identity::Identity;
use crate::sys::procfs::ProcStatus;
use crate::sys::signal::SignalSet;
use crate::sys::{self, poll};
use crate::this_process::children::{self, Child, Description, Launched, TEMPLATE_NAME};
use crate::this_process::{after_fork, reaper};

/// A template that runs; it is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Template {
    child: Arc<Child>,
    /// Who this process was when it made the copy; without `/proc`, the user at least is compared by the template.
    identity: Option<Identity>,
    /// What was blocked in this process then, as in the children.
    blocked: SignalSet,
    /// One request at a time.
    turn: Mutex<()>,
}

impl Template {
    /// Copies this process, which must have one thread.
    pub(crate) fn new() -> Result<Self, Error> {
        child::refuse_in_server(TEMPLATE_NAME)?;
        if !sys::fork::can_clone_sibling() {
            let text = "a pool of the start method `fork` needs clone(2) with CLONE_PARENT, which does not work with this C library or kernel; \
                        use `spawn`";
            return Err(Error::new(ErrorKind::UnsupportedStartMethod, text));
        }
        reaper::sweep();
        let (identity, blocked) = (identity(), sys::signal::mask());
        match fork::divide(TEMPLATE_NAME, None)? {
            Divided::Copy(newborn) => serve(newborn),
            Divided::Original(launched) => {
                let about = Description::of_helper(TEMPLATE_NAME, StartMethod::Fork);
                let template =
                    Self { child: children::register_server(launched, about), identity, blocked, turn: Mutex::new(()) };
                template.wait_until_ready()?;
                Ok(template)
            }
        }
    }

    fn wait_until_ready(&self) -> Result<(), Error> {
        let failed = |error| Error::os("cannot fork a template for a pool", error);
        match frame::receive(request::link(&self.child).map_err(failed)?, None).map_err(failed)? {
            Some(frame) if frame.kind == kind::READY => Ok(()),
            _ => Err(self.gone()),
        }
    }

    fn gone(&self) -> Error {
        let text = format!(
            "the template (pid {}) from which the pool's workers are forked has ended, and another cannot be made now; make a new pool",
            self.child.pid
        );
        Error::new(ErrorKind::ForkServer, text)
    }

    fn stale(&self) -> Error {
        let text = "this process has changed who it is (its user, groups, capabilities or namespaces) since the pool was made, and the pool's template \
                    has not; make a new pool";
        Error::new(ErrorKind::ForkServer, text)
    }
}

impl Launcher for Template {
    fn launch(&self, mut request: Request<'_>) -> Result<Launched, Error> {
        let _turn = sys::lock(&self.turn);
        if identity() != self.identity {
            return Err(self.stale());
        }
        request.order.settings.blocked_signals.get_or_insert(self.blocked);
        let task = &request.order.task;
        let asked = request::ask(&self.child, task, |link, lifeline| {
            let sent = Ordered::of(request.send(link, Some(lifeline)));
            sent.map_err(|error| request::failed(TEMPLATE_NAME, task, error))
        })?;
        let launched = asked.launched.ok_or_else(|| self.gone())?;
        Ok(Launched { streams: request.streams, ..launched })
    }
}

impl Template {
    /// Whether it will make no more children.
    pub(crate) fn has_ended(&self) -> bool {
        !matches!(self.child.try_status(), Ok(None))
    }

    /// Ends it at once, also while somebody waits for its answer.
    pub(crate) fn kill(&self) {
        let _ = self.child.signal(sys::signal::KILL);
    }
}

impl Drop for Template {
    fn drop(&mut self) {
        // It has nothing to put in order. In a forked copy of this process it is not its child, and is left alone.
        if self.child.signal(sys::signal::KILL).is_ok() {
            let _ = self.child.wait(poll::deadline_in(children::KILL_GRACE));
        }
        self.child.dismiss();
    }
}

fn identity() -> Option<Identity> {
    ProcStatus::read().and_then(|status| Identity::read(&status)).ok()
}

/// Serves until the parent is gone. No code of the user runs here: signals stay blocked, and hooks run in the children.
fn serve(newborn: Newborn) -> ! {
    let _guard = NoWayBack;
    let Newborn { copy, link, lifeline, blocked } = newborn;
    std::mem::forget(blocked);
    // Whoever waits for the end of a channel must not wait for a process that knows of none.
    after_fork::give_ends(&copy, |_| ());
    let server = Server { name: TEMPLATE_NAME, link, lifeline };
    server.bind_to_parent();
    server.identify_senders();
    sys::set_name(TEMPLATE_NAME);
    server.say(kind::READY, &(), None);
    server.run()
}
