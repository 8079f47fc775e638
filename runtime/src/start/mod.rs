//! Launchers: each turns an order into a live child, by one start method.
//!
//! A launcher gets a [`Request`] and makes a child that has its end of a new link, and that runs `bootstrap` with the
//! order. It does not know what a task is, nor who waits for the child. What it returns is the same for all: pid, pidfd,
//! and the parent's end of the link, in which the child's last word will wait.
//!
//! To add a start method, implement [`Launcher`] in a file of its own and add its line to [`launcher`].

mod fork;
pub(crate) mod forkserver;
mod spawn;

use std::io;
use std::os::fd::{AsFd, OwnedFd};

pub(crate) use fork::{POOL_THREAD, copy};
pub(crate) use forkserver::Template;

use crate::child::{self, ChildFds, ChildSpec, TestGuard};
use crate::error::{Error, ErrorKind};
use crate::ipc::wire::frame;
use crate::ipc::wire::payload::Payload;
use crate::platform::StartMethod;
use crate::sys::executable::{self, UnusableExecutable};
use crate::sys::fork::SingleThreaded;
use crate::sys::lifeline::Lifeline;
use crate::this_process::children::Launched;

/// A child to be made.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) order: ChildSpec,
    pub(crate) arguments: &'a Payload,
    /// The child's descriptors.
    pub(crate) kit: ChildFds,
    /// The parent's ends of piped standard streams, which come back in [`Launched`].
    pub(crate) streams: [Option<OwnedFd>; 3],
    /// The user's word that the other threads do not matter to a fork.
    pub(crate) threads: Option<SingleThreaded>,
}

impl Request<'_> {
    /// Gives the order to a child that waits at the other end of the link, and its lifeline to one that has none yet.
    ///
    /// `false` if nobody is there any more.
    fn send(&self, link: impl AsFd, lifeline: Option<&Lifeline>) -> io::Result<bool> {
        let lifeline = lifeline.map(|lifeline| lifeline.read_side.as_fd());
        match self.order.send(link.as_fd(), lifeline, &self.kit, self.arguments) {
            Err(error) if frame::is_gone(&error) => Ok(false),
            other => other.map(|()| true),
        }
    }
}

/// A way to make children.
pub(crate) trait Launcher: Sync {
    /// Makes one. On an error there is none: what was begun is undone.
    fn launch(&self, request: Request<'_>) -> Result<Launched, Error>;
}

/// The launcher of a start method.
pub(crate) fn launcher(method: StartMethod) -> &'static dyn Launcher {
    match method {
        StartMethod::Spawn => &spawn::Spawn,
        StartMethod::Fork => &fork::Fork,
        StartMethod::ForkServer => &forkserver::ForkServer,
    }
}

/// How a re-executed program reaches the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entrance {
    /// `main` is guarded.
    Main,
    /// A test binary, whose harness runs this hidden test.
    Test(&'static str),
}

/// Checks that this program can be started again, and says how the new process finds its guard.
fn entrance() -> Result<Entrance, Error> {
    executable::check().map_err(explain)?;
    if child::is_guarded() {
        return Ok(Entrance::Main);
    }
    let guard = inventory::iter::<TestGuard>().min_by_key(|guard| guard.module);
    guard.map(|guard| Entrance::Test(guard.module)).ok_or_else(|| {
        let text = "cannot start a child by re-executing this program, since its `main` is not guarded: put #[offspring::process_main] on it, or call \
                    offspring::guard() first in it; in a library and in each file of tests/, write offspring::test_guard!(); once";
        Error::new(ErrorKind::MissingGuard, text)
    })
}

/// Whether `/proc` itself is the trouble, rather than, say, the limit on descriptors.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
}

fn explain(unusable: UnusableExecutable) -> Error {
    match unusable {
        UnusableExecutable::NoProc(error) if !is_absent(&error) => Error::os("cannot start this program again", error),
        UnusableExecutable::NoProc(error) => {
            let text = "cannot start this program again, since its image cannot be read from /proc/self (is /proc mounted?); the start method `fork` works without it";
            Error::with_source(ErrorKind::NoExecutable, text, error)
        }
        UnusableExecutable::OtherProgram => {
            let text = "cannot start this program again, since /proc/self/exe is not this program but a loader or an emulator that runs it; start the program directly";
            Error::new(ErrorKind::NoExecutable, text)
        }
        UnusableExecutable::Privileged => {
            let text = "children are not started from a program that runs, or whose file would run, with more privilege than its caller has \
                        (set-user-id, set-group-id or file capabilities)";
            Error::new(ErrorKind::PrivilegedBinary, text)
        }
        UnusableExecutable::MixedIds => {
            let text = "cannot start this program again while its effective user or group is not its real one, since the kernel takes a program that \
                        is executed so for a privileged one; the start method `fork` works";
            Error::new(ErrorKind::PrivilegedBinary, text)
        }
    }
}
