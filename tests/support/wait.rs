//! Waiting with a deadline.

use std::io::{PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use offspring::{Job, JoinError};

use crate::procs;

/// How long anything may take before it counts as a hang, on a machine that is busy with other things too.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Gives up: says what was waited for, and what the processes below this one are doing.
#[track_caller]
pub fn expired(what: &str) -> ! {
    panic!("{what} within {LIMIT:?}\n{}", procs::tree(std::process::id()))
}

/// Waits until a descriptor is readable or at its end; `false` when the deadline passes.
pub fn readable(fd: BorrowedFd<'_>, deadline: Instant) -> bool {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left.as_millis().min(60_000) + 1).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], timeout) {
            Ok(0) if Instant::now() >= deadline => return false,
            Ok(0) | Err(nix::Error::EINTR) => {}
            Ok(_) => return true,
            Err(error) => panic!("poll: {error}"),
        }
    }
}

/// Whether a descriptor is readable or at its end at this moment.
pub fn is_readable(fd: BorrowedFd<'_>) -> bool {
    poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::ZERO).expect("poll") > 0
}

/// Waits for a condition that no descriptor tells, such as a process's state in `/proc`.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !holds() {
        if Instant::now() >= deadline {
            expired(&format!("not so: {what}"));
        }
        a_moment();
    }
}

/// Between two looks at a state for which there is no event, leaves the processor to those that are waited for.
pub fn a_moment() {
    let _ = poll(&mut [], PollTimeout::from(1_u8));
}

/// What has become of a pool's job.
///
/// # Errors
/// The job's own.
#[track_caller]
pub fn outcome<T>(mut job: Job<T>) -> Result<T, JoinError> {
    match job.wait_timeout(LIMIT) {
        Ok(Some(value)) => Ok(value),
        Ok(None) => expired("a job is not done"),
        Err(error) => Err(error),
    }
}

/// Reads one line, without what comes behind it; `None` at the end of the stream.
#[track_caller]
pub fn line(pipe: &mut PipeReader) -> Option<String> {
    let deadline = Instant::now() + LIMIT;
    let mut line = Vec::new();
    loop {
        if !readable(pipe.as_fd(), deadline) {
            expired(&format!("no line has come (so far: {:?})", String::from_utf8_lossy(&line)));
        }
        let mut byte = [0];
        match pipe.read(&mut byte).expect("a pipe can be read") {
            0 if line.is_empty() => return None,
            0 => break,
            _ if byte == *b"\n" => break,
            _ => line.push(byte[0]),
        }
    }
    Some(String::from_utf8_lossy(&line).into_owned())
}

/// Reads to the end of the stream.
#[track_caller]
pub fn rest(pipe: &mut PipeReader) -> String {
    let deadline = Instant::now() + LIMIT;
    let mut text = Vec::new();
    loop {
        if !readable(pipe.as_fd(), deadline) {
            expired(&format!("a stream has not ended (so far: {:?})", String::from_utf8_lossy(&text)));
        }
        let mut buffer = [0; 4096];
        match pipe.read(&mut buffer).expect("a pipe can be read") {
            0 => return String::from_utf8_lossy(&text).into_owned(),
            length => text.extend_from_slice(&buffer[..length]),
        }
    }
}
