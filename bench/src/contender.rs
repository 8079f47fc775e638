//! A contender's process: sets itself up, and then does as many operations as the measurement asks for, round by round.
//!
//! ```text
//! measure                       contender
//! ── starts ──────────────────▶ set up, touch 1 GiB where the row says so
//! ◀───────────────── "ready" ──  (or why not, as "joblib is not installed")
//! ── "8" ─────────────────────▶ do it 8 times, check each answer
//! ◀──────────── "0.000312" ──── seconds for one (or a share, bytes, a number)
//! ── end of file ─────────────▶ exit
//! ```
//!
//! Each contender has a process of its own. Some contenders start threads, which would forbid a fork to the next
//! contender, and all contenders are to be equally small.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::rows::{self, Contender, Way};
use crate::{Result, python};

/// Repeats an operation the given number of times, and returns the cost of one repetition.
pub(crate) type Round = Box<dyn FnMut(u64) -> Result<f64>>;

/// The first argument of a contender's process.
pub(crate) const MODE: &str = "contender";

const READY: &str = "ready";

/// The longest time of a round, in milliseconds. A longer round counts as a hang.
const LIMIT_MS: i32 = 180_000;

const LARGE_BYTES: usize = 1 << 30;

/// Returns a round that repeats one operation.
pub(crate) fn timed(mut operation: impl FnMut() -> Result<()> + 'static) -> Round {
    timed_batch(move |times| (0..times).try_for_each(|_| operation()))
}

/// Returns a round of an operation that takes the number of repetitions itself.
pub(crate) fn timed_batch(mut operation: impl FnMut(u64) -> Result<()> + 'static) -> Round {
    Box::new(move |times| {
        let begin = Instant::now();
        operation(times)?;
        Ok(begin.elapsed().as_secs_f64() / times as f64)
    })
}

/// Returns a round of an operation on `parts` parts at once, with the cost of one part.
pub(crate) fn timed_parts(parts: usize, operation: impl FnMut() -> Result<()> + 'static) -> Round {
    let mut round = timed(operation);
    Box::new(move |times| Ok(round(times)? / parts as f64))
}

/// A contender's process, seen by the measurement.
pub(crate) struct Running {
    process: Child,
    requests: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
    times: u64,
}

impl Running {
    /// Starts a contender, without a wait for its setup.
    pub(crate) fn start(row: &str, contender: &Contender) -> Result<Self> {
        let mut command = match &contender.way {
            Way::Rust(_) => this_program(row, contender.name),
            Way::Python(arguments) => python_program(arguments, contender.is_large),
            Way::LeftOut(why) => return Err((*why).into()),
        };
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let requests = process.stdin.take();
        let replies = BufReader::new(process.stdout.take().ok_or("a contender without a standard output")?);
        Ok(Self { process, requests, replies, times: contender.times })
    }

    /// Waits for the end of the setup. The error is the contender's own reason for not being ready.
    pub(crate) fn wait_until_ready(&mut self) -> Result<()> {
        let reply = self.reply()?;
        if reply == READY { Ok(()) } else { Err(reply.into()) }
    }

    /// Runs one round, and returns the cost of one operation.
    pub(crate) fn round(&mut self) -> Result<f64> {
        let requests = self.requests.as_mut().ok_or("a contender without a standard input")?;
        writeln!(requests, "{}", self.times)?;
        Ok(self.reply()?.parse()?)
    }

    fn reply(&mut self) -> Result<String> {
        let mut waiting = [PollFd::new(self.replies.get_ref().as_fd(), PollFlags::POLLIN)];
        if poll(&mut waiting, PollTimeout::try_from(LIMIT_MS)?)? == 0 {
            return Err("it has not answered in time".into());
        }
        let mut line = String::new();
        if self.replies.read_line(&mut line)? == 0 {
            return Err("it has ended".into());
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.requests.take());
        // Not killed, as some children of a contender would outlive the kill.
        drop(self.process.wait());
    }
}

fn this_program(row: &str, name: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args([MODE, row, name]);
    command
}

fn python_program(arguments: &str, is_large: bool) -> Command {
    let mut command = Command::new(python::PROGRAM);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python/contender.py"));
    command.args(is_large.then_some("--large")).args(arguments.split(' '));
    command
}

/// Runs a contender's process from setup to end.
pub(crate) fn serve(row: &str, name: &str) -> Result<()> {
    let rows = rows::all();
    let row = rows.iter().find(|candidate| candidate.id == row).ok_or("no such row")?;
    let contender = row.contenders.iter().find(|candidate| candidate.name == name).ok_or("no such contender")?;
    let Way::Rust(make) = &contender.way else { return Err("it is not of this program".into()) };
    let mut round = make()?;
    let large = if contender.is_large { touched(LARGE_BYTES) } else { Vec::new() };
    println!("{READY}");
    for line in std::io::stdin().lines() {
        println!("{}", round(line?.parse()?)?);
    }
    drop(large);
    Ok(())
}

/// Returns memory with every page touched.
fn touched(bytes: usize) -> Vec<u8> {
    std::hint::black_box(vec![1; bytes])
}
