//! Spawn: the child is this program, started anew from `/proc/self/exe`.
//!
//! 1. The parent starts the program by posix_spawn(3), which copies no memory: the parent's size does not matter.
//! 2. While the program starts, the parent sends the spec and the lifeline through the link.
//! 3. The new process finds the link and one variable that names the link. The child's guard removes the variable,
//!    takes the link, receives the spec and runs the task.

use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::{Entrance, Launcher, Request, entrance};
use crate::child::{self, ChildFds, Settings, StreamSetting};
use crate::error::Error;
use crate::sys::environ::Environment;
use crate::sys::exec::Program;
use crate::sys::fd::Stream;
use crate::sys::identity::Privileges;
use crate::sys::lifeline::Lifeline;
use crate::sys::{executable, pidfd, signal, socket};
use crate::this_process::children::Launched;

pub(super) struct Spawn;

impl Launcher for Spawn {
    fn launch(&self, mut request: Request<'_>) -> Result<Launched, Error> {
        let failed = |error| Error::os(format!("cannot spawn a child for `{}`", request.spec.task), error);
        let entrance = entrance()?;
        let environment = request.spec.settings.environment.take().unwrap_or_else(Environment::current);
        request.spec.privileges = Some(Privileges::current().map_err(failed)?);
        if !signal::ignores_broken_pipes() {
            // An exec keeps ignored signals, but Rust's runtime then ignores SIGPIPE in the new program.
            request.spec.settings.ignored_signals = Some(signal::ignored());
        }
        if entrance != Entrance::Main {
            hand_over_output(&mut request.spec.settings, &mut request.fds).map_err(failed)?;
        }
        let (link, childs_end) = socket::pair().map_err(failed)?;
        let pid = execute(entrance, environment, childs_end).map_err(failed)?;
        let pidfd = pidfd::open_or_kill(pid).map_err(failed)?;
        // The rest while the program starts. A child that has died already is no error: the exit status will tell.
        let send_spec = |lifeline| request.send(&link, Some(&lifeline)).map(|_is_sent| lifeline);
        let lifeline = Lifeline::new().and_then(send_spec).map_err(|error| {
            pidfd::kill_and_reap(pidfd.as_fd());
            failed(error)
        })?;
        Ok(Launched { pid, pidfd, link, lifeline, streams: request.streams, received: None })
    }
}

/// Starts this program with `link` as the only descriptor beside the standard streams.
pub(super) fn execute(entrance: Entrance, mut environment: Environment, link: OwnedFd) -> io::Result<u32> {
    environment.set(OsString::from(child::VARIABLE), OsString::from(child::token()));
    Program {
        path: executable::PATH,
        arguments: &arguments(entrance),
        environment: &environment.to_c(),
        link: link.as_fd(),
        mute: entrance != Entrance::Main,
    }
    .start()
}

/// Returns the arguments of the new process: this program's own, or for a test binary those that select the hidden
/// test.
fn arguments(entrance: Entrance) -> Vec<CString> {
    let own = executable::arguments();
    let Entrance::Test(module) = entrance else { return own };
    // libtest names a test by its path without the crate.
    let path = module.split_once("::").map_or(String::new(), |(_, path)| format!("{path}::"));
    let test = CString::new(format!("{path}__offspring_child")).unwrap_or_default();
    let rest = [c"--exact", c"--nocapture", c"--test-threads=1"].map(CString::from);
    own.into_iter().take(1).chain([test]).chain(rest).collect()
}

/// Sends the real output with the spec. The new process begins with `/dev/null`, since a test harness prints before the
/// guard.
fn hand_over_output(settings: &mut Settings, fds: &mut ChildFds) -> io::Result<()> {
    let output = Stream::Out as usize;
    if settings.streams[output] == StreamSetting::Keep {
        settings.streams[output] = StreamSetting::Given;
        fds.streams[output] = Stream::Out.duplicate()?;
    }
    Ok(())
}
