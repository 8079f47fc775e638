//! Waiting with a deadline.

use std::io::{PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use offspring::{Job, JoinError};

use crate::procs;

/// The longest time of any step before the step counts as a hang, on a machine that is busy with other work too.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Panics with the awaited event and the states of the processes below this process.
#[track_caller]
pub fn expired(what: &str) -> ! {
    panic!("{what} within {LIMIT:?}\n{}", procs::tree(std::process::id()))
}

/// Waits until a descriptor is readable or at its end. `false` when the deadline passes.
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

/// Tells whether a descriptor is readable or at its end at this moment.
pub fn is_readable(fd: BorrowedFd<'_>) -> bool {
    poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::ZERO).expect("poll") > 0
}

/// Waits for a condition without a descriptor, such as a process's state in `/proc`.
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

/// Leaves the processor to the awaited processes, between two looks at a state without an event.
pub fn a_moment() {
    let _ = poll(&mut [], PollTimeout::from(1_u8));
}

/// Returns the outcome of a pool's job, within the usual deadline.
///
/// # Errors
/// The error of the job.
#[track_caller]
pub fn outcome<T>(mut job: Job<T>) -> Result<T, JoinError> {
    match job.wait_timeout(LIMIT) {
        Ok(Some(value)) => Ok(value),
        Ok(None) => expired("a job is not done"),
        Err(error) => Err(error),
    }
}

/// Reads one line, and nothing behind the line. `None` at the end of the stream.
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
