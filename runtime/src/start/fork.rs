//! Fork: the child is a copy of this process as it is, memory included.
//!
//! Sound only while the process has one thread (see `sys::fork`), so it is refused otherwise. The child closes what
//! belongs to its parent's other children, and goes straight to its work: it has its order, and what a closure has captured, in memory. It ends in
//! `bootstrap`, never in the frames of its parent that lie above it on the copied stack.

use std::io::{self, Read};
use std::os::fd::OwnedFd;

use super::{Launcher, Request};
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
        // Here, and not in the copy, which pays for each page that it looks at; a miss is the child's to tell, as everywhere.
        let entry = task::lookup(&request.order.task, request.order.mark);
        copy(request, move |fresh| {
            let descriptors = child::inherit(arguments, fresh);
            move || child::run_task(entry?, arguments, descriptors)
        })
    }
}

/// Forks a child that does the work which `begin` gives, and which may borrow from this process: the child has its own copy.
///
/// `begin` comes before any code of the user runs in the copy, the work after its hooks.
pub(crate) fn copy<W: FnOnce() -> Result<EncodedOutput, Error>>(
    mut request: Request<'_>,
    begin: impl FnOnce(&FreshCopy) -> W,
) -> Result<Launched, Error> {
    let newborn = match divide(&request.order.task, request.threads.take())? {
        Divided::Original(launched) => return Ok(Launched { streams: request.streams, ..launched }),
        Divided::Copy(newborn) => newborn,
    };
    let Newborn { copy, link, lifeline, blocked } = newborn;
    let Request { mut order, mut kit, streams, .. } = request;
    drop(streams);
    order.settings.blocked_signals = Some(blocked.before());
    kit.lifeline = Some(lifeline);
    let work = begin(&copy);
    child::run(order, kit, link, ProcessOrigin::Copied(copy), work)
}

/// The two sides of a fork.
#[expect(clippy::large_enum_variant, reason = "taken apart where it is made")]
pub(super) enum Divided {
    Original(Launched),
    Copy(Newborn),
}

/// A copy that has let go of what belongs to its original, and what is its own.
pub(super) struct Newborn {
    pub(super) copy: FreshCopy,
    pub(super) link: OwnedFd,
    /// To be armed.
    pub(super) lifeline: OwnedFd,
    /// All signals, until the copy knows what it is to be.
    pub(super) blocked: Blocked,
}

/// Forks this process.
pub(super) fn divide(task: &str, threads: Option<SingleThreaded>) -> Result<Divided, Error> {
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
    // Or the copy would print it again. With one thread, nobody holds a stream's lock.
    crate::sys::flush_output();
    let (link, theirs) = socket::pair().map_err(failed)?;
    let lifeline = Lifeline::new().map_err(failed)?;
    // Where ended children leave no zombie, the child must not end before this process has its pidfd.
    let gate = if signal::ended_children_vanish() { Some(io::pipe().map_err(failed)?) } else { None };
    // Until the pidfd is there, no handler of the user may reap the child.
    let blocked = Blocked::all();
    match crate::sys::fork::fork(&threads).map_err(failed)? {
        Side::Parent(pid) => {
            let pidfd = pidfd::open_or_kill(pid).map_err(failed)?;
            drop(blocked);
            drop(gate);
            Ok(Divided::Original(Launched { pid, pidfd, link, lifeline, streams: [const { None }; 3], received: None }))
        }
        Side::Child(copy) => {
            if let Some((opened, opener)) = gate {
                drop(opener);
                // Ends when the parent has opened the pidfd, or is gone.
                let _ = (&opened).read(&mut [0]);
            }
            after_fork::run(&copy);
            drop(link);
            let Lifeline { read_side, own_write_end } = lifeline;
            // The parent's alone: a child that held it would outlive its parent.
            drop(own_write_end);
            Ok(Divided::Copy(Newborn { copy, link: theirs, lifeline: read_side, blocked }))
        }
    }
}

/// The name of a pool's own thread.
pub(crate) const POOL_THREAD: &str = "offspring-pool";

fn refused(task: &str, threads: &OtherThreads) -> Error {
    let names = match &threads.names[..] {
        [] => "threads that cannot be named, as /proc is not there".to_owned(),
        names => names.join(", "),
    };
    let has_pool = threads.names.iter().any(|name| name == POOL_THREAD);
    let pool = if has_pool { "; one is that of a pool: join the pool first" } else { "" };
    let text = format!(
        "cannot fork a child for `{task}`, since this process has other threads ({names}), whose locks the copy would find held for ever; \
         fork before they start, or use the start method `spawn` or `forkserver`{pool}"
    );
    Error::new(ErrorKind::MultiThreadedFork, text)
}
