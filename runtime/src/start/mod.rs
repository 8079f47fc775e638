//! Start methods: each launcher turns a [`Request`] into a running child.
//!
//! A launcher makes the child, gives the child one end of a new socket pair (the *link*), and sends the [`ChildSpec`]
//! through the link. Under `fork` the spec is in the copied memory already. The child then runs `child::run` or
//! `child::run_received`. A launcher runs no tasks and knows no handles. Every launcher returns the same [`Launched`]:
//! pid, pidfd, lifeline, and the parent's end of the link, in which the child's result will arrive.
//!
//! | file | the child is |
//! | --- | --- |
//! | `spawn.rs` | this program, started anew |
//! | `fork.rs` | a copy of this process |
//! | `forkserver/` | a copy of a small process kept for this purpose |
//!
//! `availability.rs` knows whether this program can have a forkserver.
//!
//! # To add a start method
//!
//! 1. Add a variant to [`StartMethod`] and a line to `Platform`, both in `platform.rs`.
//! 2. Implement [`Launcher`] in a new file of this folder. Send the spec with `Request::send`.
//! 3. Add a line to [`launcher`], and a column to the tables of README and guide.
//!
//! Every behaviour test then runs for the new method too.

pub(crate) mod availability;
mod fork;
pub(crate) mod forkserver;
mod spawn;

use std::io;
use std::os::fd::{AsFd, OwnedFd};

pub(crate) use fork::{POOL_THREAD, fork_child};
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

/// A child to be started.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) spec: ChildSpec,
    pub(crate) arguments: &'a Payload,
    /// The descriptors that the child receives with the spec.
    pub(crate) fds: ChildFds,
    /// The parent's ends of piped standard streams, handed back in [`Launched`].
    pub(crate) streams: [Option<OwnedFd>; 3],
    /// The user's promise that other threads do no harm to a fork.
    pub(crate) threads: Option<SingleThreaded>,
}

impl Request<'_> {
    /// Sends the spec to a child at the other end of the link, and the lifeline to a child without a lifeline.
    ///
    /// Returns `false` if the other end is closed.
    fn send(&self, link: impl AsFd, lifeline: Option<&Lifeline>) -> io::Result<bool> {
        let lifeline = lifeline.map(|lifeline| lifeline.read_side.as_fd());
        match self.spec.send(link.as_fd(), lifeline, &self.fds, self.arguments) {
            Err(error) if frame::is_gone(&error) => Ok(false),
            other => other.map(|()| true),
        }
    }
}

/// A way to start children.
pub(crate) trait Launcher: Sync {
    /// Starts one child. After an error there is no child: every step has been undone.
    fn launch(&self, request: Request<'_>) -> Result<Launched, Error>;
}

/// Returns the launcher of a start method.
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
    /// `main` calls the guard.
    Main,
    /// A test harness runs the hidden test of this module.
    Test(&'static str),
}

/// Checks that this program can be started again, and returns the new process's way to the guard.
fn entrance() -> Result<Entrance, Error> {
    executable::check().map_err(explain)?;
    if child::is_guarded() {
        return Ok(Entrance::Main);
    }
    let guard = inventory::iter::<TestGuard>().min_by_key(|guard| guard.module);
    guard.map(|guard| Entrance::Test(guard.module)).ok_or_else(|| {
        let text = "cannot start a child by re-executing this program, since its `main` is not guarded: put \
                    #[offspring::process_main] on it, or call offspring::guard() first in it; in a library and in each \
                    file of tests/, write offspring::test_guard!(); once";
        Error::new(ErrorKind::MissingGuard, text)
    })
}

/// Tells a missing `/proc` from other failures to read there, such as the limit on descriptors.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
}

fn explain(unusable: UnusableExecutable) -> Error {
    match unusable {
        UnusableExecutable::NoProc(error) if !is_absent(&error) => Error::os("cannot start this program again", error),
        UnusableExecutable::NoProc(error) => {
            let text = "cannot start this program again, since its image cannot be read from /proc/self (is /proc \
                        mounted?); the start method `fork` works without it";
            Error::with_source(ErrorKind::NoExecutable, text, error)
        }
        UnusableExecutable::OtherProgram => {
            let text = "cannot start this program again, since /proc/self/exe is not this program but a loader or an \
                        emulator that runs it; start the program directly";
            Error::new(ErrorKind::NoExecutable, text)
        }
        UnusableExecutable::Privileged => {
            let text = "children are not started from a program that runs, or whose file would run, with more \
                        privilege than its caller has (set-user-id, set-group-id or file capabilities)";
            Error::new(ErrorKind::PrivilegedBinary, text)
        }
        UnusableExecutable::MixedIds => {
            let text = "cannot start this program again while its effective user or group is not its real one, since \
                        the kernel takes a program that is executed so for a privileged one; the start method `fork` \
                        works";
            Error::new(ErrorKind::PrivilegedBinary, text)
        }
    }
}
