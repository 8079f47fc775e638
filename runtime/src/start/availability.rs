//! Whether this program can have a forkserver: not if it has other threads before its guard.
//!
//! Some threads are older than `main`: an allocator, a numeric library or any function of `.init_array` starts them
//! when the program is loaded. A forkserver is this program, started anew, and so has the same threads, which no
//! preload and no order of statements in `main` can prevent.
//!
//! | the program learns | from |
//! | --- | --- |
//! | that there are such threads | its own guard, which counts them; or the refusal of its first forkserver |
//! | that there are none | the first forkserver that is ready |
//!
//! A test harness has no guard of its own, and learns at the first start.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::error::{Error, ErrorKind};
use crate::sys::fork::SingleThreaded;

const UNKNOWN: u8 = 0;
const AVAILABLE: u8 = 1;
const UNAVAILABLE: u8 = 2;

/// A property of the program, so each copy of this process has it too. The first to learn it decides.
static KNOWN: AtomicU8 = AtomicU8::new(UNKNOWN);

fn learn(known: u8) {
    let _ = KNOWN.compare_exchange(UNKNOWN, known, Ordering::Relaxed, Ordering::Relaxed);
}

/// Counts the threads of the program, at its guard. One system call in a program with one thread.
pub(crate) fn note_threads_at_guard() {
    // A second guard comes when `main` may have threads of its own.
    if !is_known() && SingleThreaded::check_soon().is_err() {
        learn(UNAVAILABLE);
    }
}

/// Notes the start of a forkserver, or the reason for which there is none.
pub(in crate::start) fn note_start<T>(started: &Result<T, Error>) {
    match started {
        Ok(_) => learn(AVAILABLE),
        Err(error) if error.kind() == ErrorKind::MultiThreadedFork => learn(UNAVAILABLE),
        Err(_) => {}
    }
}

/// Returns whether a forkserver has started, or was found to be impossible.
pub(in crate::start) fn is_known() -> bool {
    KNOWN.load(Ordering::Relaxed) != UNKNOWN
}

/// Returns whether this program can have a forkserver, as far as known.
pub(crate) fn is_available() -> bool {
    KNOWN.load(Ordering::Relaxed) != UNAVAILABLE
}
