//! This program started anew, by `std::process::Command` and by `posix_spawn`, with a child that only answers.

use std::ffi::CString;
use std::io::{PipeReader, PipeWriter, Read, pipe};
use std::process::{Child, Command, ExitCode, Stdio};

use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, posix_spawn};
use nix::sys::wait::{WaitStatus, waitpid};

use crate::Result;
use crate::children::{gated, many};
use crate::contender::{Round, timed};
use crate::idle::{self, Footprint, footprint};
use crate::tasks::{ANSWER, QUESTION, square};

/// The first argument of such a child. The second argument names the work.
const MODE: &str = "bare";
const ANSWERS: &str = "answer";
const WAITS: &str = "wait";
const IDLES: &str = "idle";

const PROGRAM: &str = "/proc/self/exe";

/// Runs such a child's work, and returns its exit code. `None` in any other process. Must be called first in `main`.
pub(crate) fn child() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != MODE {
        return None;
    }
    let what = arguments.next()?;
    if what == IDLES {
        idle::stay();
    }
    if what == WAITS {
        drop(std::io::stdin().read(&mut [0]));
    }
    Some(ExitCode::from(u8::try_from(square(QUESTION)).unwrap_or_default()))
}

fn bare(what: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args([MODE, what]);
    command
}

pub(crate) fn start() -> Result<Round> {
    Ok(timed(|| expect_answer(bare(ANSWERS).spawn()?)))
}

pub(crate) fn start_many() -> Result<Round> {
    Ok(many(|| Ok(bare(ANSWERS).spawn()?), expect_answer))
}

pub(crate) fn live_children() -> Result<Round> {
    let start = |(gate, _): &(PipeReader, PipeWriter)| Ok(bare(WAITS).stdin(gate.try_clone()?).spawn()?);
    Ok(gated(|| Ok(pipe()?), start, drop, expect_answer))
}

fn expect_answer(mut child: Child) -> Result<()> {
    assert_eq!(child.wait()?.code(), i32::try_from(ANSWER).ok());
    Ok(())
}

pub(crate) fn idle_child(what: Footprint) -> Result<Round> {
    footprint(what, || {
        let child = bare(IDLES).stdin(Stdio::null()).spawn()?;
        Ok((child.id(), Killed(child)))
    })
}

/// Kills the child when dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

pub(crate) fn start_by_posix_spawn() -> Result<Round> {
    let program = CString::new(PROGRAM)?;
    let arguments =
        [PROGRAM, MODE, ANSWERS].map(CString::new).into_iter().collect::<std::result::Result<Vec<_>, _>>()?;
    Ok(timed(move || {
        let (actions, attributes) = (PosixSpawnFileActions::init()?, PosixSpawnAttr::init()?);
        let pid = posix_spawn(program.as_c_str(), &actions, &attributes, &arguments, &[] as &[CString])?;
        assert_eq!(waitpid(pid, None)?, WaitStatus::Exited(pid, i32::try_from(ANSWER)?));
        Ok(())
    }))
}
