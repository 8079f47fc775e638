//! The end of children: reaps the children without a handle, and joins all at the end of the program.
//!
//! A zombie stays until its parent reaps it. A handle reaps its child when the handle looks. The rest (children whose
//! handles were dropped, servers, spares) is reaped here: by each start, by `active_children`, and at the end of the
//! program.

use std::sync::Arc;
use std::time::Duration;

use super::children::{self, Child, ChildOwner};
use super::spares;
use crate::sys::fd::Stream;
use crate::sys::poll;
use crate::sys::signal::{KILL, TERMINATE};

/// How long a daemon has to end after `SIGTERM`.
const DAEMON_GRACE: Duration = Duration::from_secs(2);

/// Reaps the children and spares that have ended and that no handle answers for. One system call for each kind while
/// none has.
pub(crate) fn sweep() {
    spares::sweep();
    for child in children::ended_orphans() {
        let _ = child.try_status();
    }
}

/// Returns the running children by pid. Reaps ended ones.
pub(super) fn active() -> Vec<Arc<Child>> {
    spares::sweep();
    let mut children = children::registered();
    children.retain(|child| matches!(child.try_status(), Ok(None)) && !child.owner().is_of_server());
    children
}

/// Ends this process's part in its children. Daemons are terminated, the others joined, but for detached ones. Spares
/// and servers leave last.
pub(crate) fn finish() {
    if children::count() == 0 && spares::count() == 0 {
        // Most children have none of their own, and end without a page fault for the code below.
        return;
    }
    let attached = active().into_iter().filter(|child| child.owner() != ChildOwner::Detached);
    let (daemons, others): (Vec<_>, Vec<_>) = attached.partition(|child| child.about.daemon);
    // One that cannot be signalled, being another user's by now, ends by its lifeline when this process does.
    let last_signal = |daemon: &Child| if daemon.about.is_graceful { KILL } else { TERMINATE };
    let daemons: Vec<_> = daemons.into_iter().filter(|daemon| daemon.signal(last_signal(daemon)).is_ok()).collect();
    let end = if daemons.is_empty() { None } else { poll::deadline_in(DAEMON_GRACE) };
    for daemon in &daemons {
        if matches!(daemon.wait(end), Ok(None)) {
            let _ = daemon.signal(KILL);
            let _ = daemon.wait(poll::deadline_in(DAEMON_GRACE));
        }
    }
    for child in &others {
        // A handle that is still there was leaked.
        drop(child.take_stream(Stream::In as usize));
        let _ = child.wait(None);
    }
    spares::finish(DAEMON_GRACE);
    let servers = children::registered().into_iter().filter(|child| child.owner().is_of_server());
    for server in servers {
        server.dismiss();
        // A stopped one ends by its lifeline.
        let _ = server.wait(poll::deadline_in(DAEMON_GRACE));
    }
}
