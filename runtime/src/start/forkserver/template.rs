//! The template of a `fork` pool: a copy of this process from when the pool was made, from which the workers are
//! forked.

use std::sync::{Arc, Mutex};

use super::request::{self, Delivery, ForkOutcome};
use super::server_loop::EventLoop;
use crate::child::{self, NoWayBack};
use crate::error::{Error, ErrorKind};
use crate::ipc::wire::frame;
use crate::ipc::wire::kind;
use crate::platform::StartMethod;
use crate::start::fork::{self, ForkSide, ForkedChild};
use crate::start::{Launcher, Request};
use crate::sys::fork::SingleThreaded;
use crate::sys::identity::Identity;
use crate::sys::procfs::ProcStatus;
use crate::sys::signal::SignalSet;
use crate::sys::{self, poll};
use crate::this_process::children::{self, Child, Description, Launched, TEMPLATE_NAME};
use crate::this_process::{after_fork, reaper};

/// A running template, which is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Template {
    child: Arc<Child>,
    /// The identity of this process at the copy. `None` without `/proc`; the template then checks the user only.
    identity: Option<Identity>,
    /// The blocked signals of this process at the copy, and of each worker.
    blocked: SignalSet,
    /// Held during a request: a template takes one at a time.
    turn: Mutex<()>,
}

impl Template {
    /// Forks this process, which must have one thread unless the user has promised that other threads do no harm.
    pub(crate) fn new(threads: Option<SingleThreaded>) -> Result<Self, Error> {
        child::refuse_in_server(TEMPLATE_NAME)?;
        if !sys::fork::can_clone_sibling() {
            let text = "a pool of the start method `fork` needs clone(2) with CLONE_PARENT, which does not work with \
                        this C library or kernel; use `spawn`";
            return Err(Error::new(ErrorKind::UnsupportedStartMethod, text));
        }
        reaper::sweep();
        let (identity, blocked) = (current_identity(), sys::signal::mask());
        match fork::fork(TEMPLATE_NAME, threads)? {
            ForkSide::Child(forked) => serve(forked),
            ForkSide::Parent(launched) => {
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
            "the template (pid {}) from which the pool's workers are forked has ended, and another cannot be made now; \
             make a new pool",
            self.child.pid
        );
        Error::new(ErrorKind::ForkServer, text)
    }

    fn drifted(&self) -> Error {
        let text = "this process has changed who it is (its user, groups, capabilities or namespaces) since the pool \
                    was made, and the pool's template has not; make a new pool";
        Error::new(ErrorKind::ForkServer, text)
    }
}

impl Launcher for Template {
    fn launch(&self, mut request: Request<'_>) -> Result<Launched, Error> {
        let _turn = sys::lock(&self.turn);
        if current_identity() != self.identity {
            return Err(self.drifted());
        }
        request.spec.settings.blocked_signals.get_or_insert(self.blocked);
        let task = &request.spec.task;
        let outcome = request::fork(&self.child, task, |link, lifeline| {
            let sent = Delivery::of(request.send(link, Some(lifeline)));
            sent.map_err(|error| request::failed(TEMPLATE_NAME, task, error))
        })?;
        match outcome {
            ForkOutcome::Child(launched) | ForkOutcome::Orphan(launched) => {
                Ok(Launched { streams: request.streams, ..launched })
            }
            ForkOutcome::Withheld(_) | ForkOutcome::Gone => Err(self.gone()),
        }
    }
}

impl Template {
    /// Returns whether the template has ended.
    pub(crate) fn has_ended(&self) -> bool {
        !matches!(self.child.try_status(), Ok(None))
    }

    /// Ends the template at once, also during a request of another thread.
    pub(crate) fn kill(&self) {
        let _ = self.child.signal(sys::signal::KILL);
    }
}

impl Drop for Template {
    fn drop(&mut self) {
        // A template has nothing to put in order. In a forked copy of this process, `signal` fails and the template
        // lives on.
        if self.child.signal(sys::signal::KILL).is_ok() {
            let _ = self.child.wait(poll::deadline_in(children::KILL_GRACE));
        }
        self.child.dismiss();
    }
}

fn current_identity() -> Option<Identity> {
    ProcStatus::read().and_then(|status| Identity::read(&status)).ok()
}

/// In the template: serves until the parent is gone. No code of the user runs in the template: signals stay blocked,
/// and hooks run in the workers.
fn serve(forked: ForkedChild) -> ! {
    let _guard = NoWayBack;
    let ForkedChild { copy, link, lifeline, blocked } = forked;
    std::mem::forget(blocked);
    // A channel must not stay open for a process that never uses its ends.
    after_fork::give_ends(&copy, |_| ());
    let template = EventLoop { name: TEMPLATE_NAME, link, lifeline };
    template.bind_to_parent();
    template.identify_senders();
    sys::set_name(TEMPLATE_NAME);
    template.send(kind::READY, &(), None);
    template.run()
}
