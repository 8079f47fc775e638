//! Spawn: the child is this very program, started anew from `/proc/self/exe`.
//!
//! The parent's memory is never copied (posix_spawn(3)), so its size does not matter. The new process finds one
//! descriptor beside the standard streams, its link, and one variable that says so; its guard takes both away and obeys
//! the order in the link.

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
        let failed = |error| Error::os(format!("cannot spawn a child for `{}`", request.order.task), error);
        let entrance = entrance()?;
        let environment = request.order.settings.environment.take().unwrap_or_else(Environment::current);
        request.order.privileges = Some(Privileges::current().map_err(failed)?);
        if !signal::ignores_broken_pipes() {
            // An exec keeps what is ignored, but then Rust's runtime ignores SIGPIPE in the new program.
            request.order.settings.ignored_signals = Some(signal::ignored());
        }
        if entrance != Entrance::Main {
            hand_over_output(&mut request.order.settings, &mut request.kit).map_err(failed)?;
        }
        let (link, theirs) = socket::pair().map_err(failed)?;
        let pid = execute(entrance, environment, theirs).map_err(failed)?;
        let pidfd = pidfd::open_or_kill(pid).map_err(failed)?;
        // The rest while the program starts.
        let given = |lifeline| request.send(&link, Some(&lifeline)).map(|_| lifeline);
        // A child that has died already is no error: its exit status will say how.
        let lifeline = Lifeline::new().and_then(given);
        let lifeline = lifeline.map_err(|error| {
            pidfd::kill_and_reap(pidfd.as_fd());
            failed(error)
        })?;
        Ok(Launched { pid, pidfd, link, lifeline, streams: request.streams, received: None })
    }
}

/// Starts this program with `link` as its only descriptor beside the standard streams.
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

/// The program's own arguments; for a test binary those by which its harness runs the guard, and nothing else.
fn arguments(entrance: Entrance) -> Vec<CString> {
    let own = executable::arguments();
    let Entrance::Test(module) = entrance else { return own };
    // libtest names a test by its path without the crate.
    let path = module.split_once("::").map_or(String::new(), |(_, path)| format!("{path}::"));
    let test = CString::new(format!("{path}__offspring_child")).unwrap_or_default();
    let rest = [c"--exact", c"--nocapture", c"--test-threads=1"].map(CString::from);
    own.into_iter().take(1).chain([test]).chain(rest).collect()
}

/// A test harness prints before it reaches the guard: it gets `/dev/null`, and the child the real output with its order.
fn hand_over_output(settings: &mut Settings, kit: &mut ChildFds) -> io::Result<()> {
    let output = Stream::Out as usize;
    if settings.streams[output] == StreamSetting::Keep {
        settings.streams[output] = StreamSetting::Given;
        kit.streams[output] = Stream::Out.duplicate()?;
    }
    Ok(())
}
