//! Copies of this process that go on running ordinary Rust: fork(2), and clone(2) for the forkserver (`sibling`).
//!
//! Ordinary Rust in a copy is sound only if no other thread of the original held a lock (of the allocator, of a stream)
//! at the moment of the copy. There is no way to know that, so the process must have one thread. The caller gets a
//! [`FreshCopy`] in the copy and must never return into the frames above. `child` ends every copy.

mod sibling;

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

pub(super) use sibling::thread_id_address;
pub(crate) use sibling::{can_clone_sibling, clone_sibling};

use super::{check, coverage};

/// The two processes after a fork.
#[derive(Debug)]
pub(crate) enum Side {
    /// The original, with the pid of the copy.
    Parent(u32),
    /// The copy.
    Child(FreshCopy),
}

/// Proof that this process is a copy that has just been made and has one thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FreshCopy(());

impl FreshCopy {
    /// In a new copy.
    fn begin() -> Self {
        coverage::begin_copy();
        Self(())
    }
}

#[cfg(test)]
impl FreshCopy {
    /// Returns a proof for tests of code that asks for one and forks nothing.
    pub(in crate::sys) fn pretended() -> Self {
        Self(())
    }
}

/// Copies this process, whose threads the caller has counted and whose output it has flushed.
///
/// # Errors
/// `EAGAIN` at the limit of processes, `ENOMEM`.
pub(crate) fn fork(_threads: &SingleThreaded) -> io::Result<Side> {
    // SAFETY: there is one thread, or the user has vouched for the others (SingleThreaded); the copy ends in
    // `child::run`.
    match check(unsafe { libc::fork() }.into())? {
        0 => Ok(Side::Child(FreshCopy::begin())),
        pid => Ok(Side::Parent(pid as u32)),
    }
}

/// Proof that a copy of this process may run ordinary Rust.
#[derive(Debug)]
pub(crate) struct SingleThreaded(());

impl SingleThreaded {
    /// Counts the threads. Waits up to 20 ms for joined threads that the kernel still counts.
    ///
    /// # Errors
    /// The names of the other threads.
    pub(crate) fn check() -> Result<Self, OtherThreads> {
        Self::check_within(Duration::from_millis(20), 0)
    }

    /// As [`check`](Self::check), for a process that may have other threads for good. Waits up to 1 ms.
    pub(crate) fn check_soon() -> Result<Self, OtherThreads> {
        Self::check_within(Duration::from_millis(1), 0)
    }

    fn check_within(lingering: Duration, allowed: usize) -> Result<Self, OtherThreads> {
        let end = Instant::now() + lingering;
        loop {
            match other_threads() {
                Ok(names) if names.len() <= allowed => return Ok(Self(())),
                Ok(names) if Instant::now() >= end => return Err(OtherThreads { names }),
                Err(_) if Instant::now() >= end => return Err(OtherThreads { names: Vec::new() }),
                _ => std::thread::yield_now(),
            }
        }
    }

    /// # Safety
    /// No other thread holds a lock that the copy takes, at the moment of the fork.
    pub(crate) unsafe fn assume() -> Self {
        Self(())
    }
}

/// Waits until the main thread of a test harness sleeps. The harness has started a server on the calling thread.
///
/// libtest's main thread waits in a channel for the result of the calling thread. The main thread may still be on its
/// way there, and hold a lock of the allocator or of a stream. Once the main thread is asleep while the calling thread
/// holds no lock, the main thread is in the channel and holds none. So a copy of the calling thread finds none held.
///
/// # Errors
/// There are further threads. `TimedOut` after 10 s. `NotFound` without `/proc`.
pub(crate) fn waiting_main_thread() -> Result<SingleThreaded, WaitForHarness> {
    const LIMIT: Duration = Duration::from_secs(10);
    let end = Instant::now() + LIMIT;
    while Instant::now() < end {
        // By `self`, as `/proc` may be that of another pid namespace, with other numbers.
        let stat = super::procfs::read_small("/proc/self/stat").map_err(WaitForHarness::Os)?;
        // The state follows the name, which is in parentheses and may contain some.
        if stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S')) {
            return SingleThreaded::check_within(Duration::from_millis(20), 1).map_err(WaitForHarness::OtherThreads);
        }
        std::thread::yield_now();
    }
    Err(WaitForHarness::Os(io::ErrorKind::TimedOut.into()))
}

/// The reason why a server cannot leave its test harness.
#[derive(Debug)]
pub(crate) enum WaitForHarness {
    /// The main thread is among them.
    OtherThreads(OtherThreads),
    Os(io::Error),
}

/// The reason why a fork was refused.
#[derive(Debug)]
pub(crate) struct OtherThreads {
    /// The names of the other threads; empty if they could not be read.
    pub(crate) names: Vec<String>,
}

impl fmt::Display for OtherThreads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.names[..] {
            [] => f.write_str("threads that cannot be named, as /proc is not there"),
            names => f.write_str(&names.join(", ")),
        }
    }
}

/// Returns whether this thread is known to be the only one.
pub(crate) fn is_alone() -> bool {
    other_threads().is_ok_and(|names| names.is_empty())
}

/// Returns the names of the other threads of this process.
///
/// `unshare(CLONE_VM)` changes nothing, and fails unless there is one thread. Some container seccomp profiles forbid
/// the call. Then, and for the names, `/proc` is read.
fn other_threads() -> io::Result<Vec<String>> {
    // SAFETY: CLONE_VM in unshare(2) only checks that nobody shares the memory.
    if unsafe { libc::unshare(libc::CLONE_VM) } == 0 {
        return Ok(Vec::new());
    }
    // Ends with this thread's number in the pid namespace of `/proc`, which may be another than this process's.
    let own = std::fs::read_link("/proc/thread-self")?;
    let mut names = Vec::new();
    for entry in std::fs::read_dir("/proc/self/task")? {
        let entry = entry?;
        if own.file_name() != Some(&entry.file_name()) {
            // A thread that has ended since has no name any more, and does not count.
            if let Ok(name) = std::fs::read_to_string(entry.path().join("comm")) {
                names.push(name.trim_end().to_owned());
            }
        }
    }
    Ok(names)
}
