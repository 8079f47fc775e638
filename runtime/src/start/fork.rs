//! Fork: the child is a copy of this process at the moment of the start, memory included.
//!
//! 1. The parent makes sure to be the only thread: a copy would find the locks of other threads held for ever.
//! 2. The parent forks.
//! 3. The child closes the descriptors of the parent's other children.
//! 4. The child runs the task at once: the spec, the arguments and a closure's captures are in the copied memory.
//! 5. The child exits in `child::run`, and never returns into the parent's frames higher on the copied stack.

use std::io::{self, Read};
use std::os::fd::OwnedFd;

use super::{Launcher, Request, availability};
use crate::child::{self, ProcessOrigin};
use crate::error::{Error, ErrorKind};
use crate::sys::fork::{FreshCopy, OtherThreads, Side, SingleThreaded};
use crate::sys::lifeline::Lifeline;
use crate::sys::signal::{self, Blocked};
use crate::sys::{pidfd, socket};
use crate::task::{self, EncodedOutput};
use crate::this_process::after_fork;
use crate::this_process::children::Launched;

pub(super) struct Fork;

impl Launcher for Fork {
    fn launch(&self, request: Request<'_>) -> Result<Launched, Error> {
        let arguments = request.arguments;
        // In the parent, since each page read by the child costs a fault. The child reports a missing task.
        let entry = task::lookup(&request.spec.task, request.spec.id);
        fork_child(request, move |copy| {
            let descriptors = child::inherited_fds(arguments, copy);
            move || child::run_task(entry?, arguments, descriptors)
        })
    }
}

/// Forks a child that runs the work returned by `begin`. The work may borrow, since the child has a copy.
///
/// `begin` runs in the child before any code of the user. The work runs after the `#[after_fork]` hooks.
pub(crate) fn fork_child<W: FnOnce() -> Result<EncodedOutput, Error>>(
    mut request: Request<'_>,
    begin: impl FnOnce(&FreshCopy) -> W,
) -> Result<Launched, Error> {
    let forked = match fork(&request.spec.task, request.threads.take())? {
        ForkSide::Parent(launched) => return Ok(Launched { streams: request.streams, ..launched }),
        ForkSide::Child(forked) => forked,
    };
    let ForkedChild { copy, link, lifeline, blocked } = forked;
    let Request { mut spec, mut fds, streams, .. } = request;
    drop(streams);
    spec.settings.blocked_signals = Some(blocked.before());
    fds.lifeline = Some(lifeline);
    let work = begin(&copy);
    child::run(spec, fds, link, ProcessOrigin::Copied(copy), work)
}

/// The two sides of a fork.
#[expect(clippy::large_enum_variant, reason = "taken apart at once")]
pub(super) enum ForkSide {
    Parent(Launched),
    Child(ForkedChild),
}

/// A fresh copy of this process, without its parent's descriptors.
pub(super) struct ForkedChild {
    pub(super) copy: FreshCopy,
    pub(super) link: OwnedFd,
    /// Not armed yet.
    pub(super) lifeline: OwnedFd,
    /// All signals, until the child has its settings.
    pub(super) blocked: Blocked,
}

/// Forks this process.
pub(super) fn fork(task: &str, threads: Option<SingleThreaded>) -> Result<ForkSide, Error> {
    let failed = |error| Error::os(format!("cannot fork a child for `{task}`"), error);
    if std::thread::panicking() {
        return Err(Error::new(
            ErrorKind::MultiThreadedFork,
            format!("cannot fork a child for `{task}` while this thread is panicking"),
        ));
    }
    let threads = match threads {
        Some(threads) => threads,
        None => SingleThreaded::check().map_err(|threads| refused(task, &threads))?,
    };
    // Or the copy would print the same output again. With one thread the locks of the streams are free.
    crate::sys::flush_output();
    let (link, childs_end) = socket::pair().map_err(failed)?;
    let lifeline = Lifeline::new().map_err(failed)?;
    // Where ended children leave no zombie, the child must not end before the parent has opened the pidfd.
    let gate = if signal::ended_children_vanish() { Some(io::pipe().map_err(failed)?) } else { None };
    // Until the pidfd is open, no signal handler of the user may reap the child.
    let blocked = Blocked::all();
    match crate::sys::fork::fork(&threads).map_err(failed)? {
        Side::Parent(pid) => {
            let pidfd = pidfd::open_or_kill(pid).map_err(failed)?;
            drop(blocked);
            drop(gate);
            Ok(ForkSide::Parent(Launched { pid, pidfd, link, lifeline, streams: [const { None }; 3], received: None }))
        }
        Side::Child(copy) => {
            if let Some((opened, opener)) = gate {
                drop(opener);
                // Returns when the parent has opened the pidfd, or is gone.
                let _ = (&opened).read(&mut [0]);
            }
            after_fork::run(&copy);
            drop(link);
            let Lifeline { read_side, own_write_end } = lifeline;
            // A child that held the parent's write end would outlive the parent.
            drop(own_write_end);
            Ok(ForkSide::Child(ForkedChild { copy, link: childs_end, lifeline: read_side, blocked }))
        }
    }
}

/// The name of a pool's own thread.
pub(crate) const POOL_THREAD: &str = "offspring-pool";

fn refused(task: &str, threads: &OtherThreads) -> Error {
    let has_pool = threads.names.iter().any(|name| name == POOL_THREAD);
    let pool = if has_pool { "; one is that of a pool: join the pool first" } else { "" };
    let way_out = if availability::is_available() {
        "fork before they start, or use the start method `spawn` or `forkserver`"
    } else {
        "they are older than the guard in `main`, so use the start method `spawn`"
    };
    let text = format!(
        "cannot fork a child for `{task}`, since this process has other threads ({threads}), whose locks the copy \
         would find held for ever; {way_out}{pool}"
    );
    Error::new(ErrorKind::MultiThreadedFork, text)
}
