//! Every system call of the crate and every `unsafe` block, each behind a safe, typed face.
//!
//! A file here holds one family of calls, and knows no tasks, children or start methods. Arguments and results are
//! std's types (`OwnedFd`, `io::Result`, `Duration`). Nothing of `nix` or `libc` leaves this folder. Two rules hold
//! everywhere below:
//!
//! - A descriptor is close-on-exec from birth and never numbered 0, 1 or 2 (see [`fd::above_stdio`]).
//! - A call that is sound only in a fresh copy of a process takes a [`fork::FreshCopy`], which exists nowhere else.
//!
//! # Another platform
//!
//! The files beside this one build on the modules below and fit every system. Those in `unix/` fit every Unix. A
//! platform must provide the rest, under the same names. Linux does so by these facilities:
//!
//! | module | provides | on Linux |
//! | --- | --- | --- |
//! | `close_range` | closing of many descriptors | close_range(2), `/proc/self/fd` |
//! | `cwd` | working directory, umask | fchdir(2), `O_PATH`, umask(2) |
//! | `eventfd` | wake-ups between processes, and waiting for many | eventfd(2), epoll(7) |
//! | `executable` | this program, to be started again | `/proc/self/exe`, auxiliary vector |
//! | `fork` | copies, also as siblings; proof of one thread | fork(2), clone(2) `CLONE_PARENT`, unshare(2) |
//! | `fork_generation` | whether this process is a copy | madvise(2) `MADV_WIPEONFORK` |
//! | `futex` | sleep on words in shared memory | futex(2), futex_waitv(2) |
//! | `headroom` | the stack that a thread has left | pthread_getattr_np(3) |
//! | `huge_pages` | vectors that are fast to fill | madvise(2) `MADV_HUGEPAGE` |
//! | `identity` | ids, capabilities, namespaces | capget(2), `/proc/self/ns` |
//! | `inherited` | the state that a child takes over | `procfs`, `rlimit`, `sched`, `cwd` |
//! | `lifeline` | the end of a child with its parent | fcntl(2) `F_SETOWN`, `F_SETSIG` |
//! | `mmap` | shared and sealed memory | memfd_create(2), mmap(2) |
//! | `pidfd` | names of children, signals, exit statuses | pidfd_open(2), waitid(2) `P_PIDFD` |
//! | `procfs` | text files about this process | `/proc/self`, `/proc/thread-self` |
//! | `resident` | memory in use | `/proc/self/statm` |
//! | `rlimit` | resource limits | getrlimit(2) |
//! | `robust` | locks that survive their holder | pthread_mutexattr_setrobust(3) |
//! | `robust_list` | the kernel's list of a thread's locks | get_robust_list(2) |
//! | `sched` | nice value, processors, out-of-memory score | setpriority(2), sched_setaffinity(2) |
//! | `signal` | masks, dispositions, timers | rt_sigprocmask(2), timer_create(2) |
//! | `socket` | messages that carry descriptors | unix(7) `SOCK_SEQPACKET`, `SCM_RIGHTS` |
//! | `stack` | stacks of copies, for musl | mmap(2) `MAP_STACK` |
//! | `word_lock` | a lock of one word that survives its holder | robust futexes |
#![allow(unsafe_code, reason = "the only folder that talks to the kernel and to the C library")]

// For every system, on what the modules below provide.
pub(crate) mod atomic_cells;
pub(crate) mod cast;
pub(crate) mod journal;
pub(crate) mod sealed_slice;
pub(crate) mod shared_object;

// Any Unix.
#[path = "unix/atfork.rs"]
mod atfork;
#[path = "unix/coverage.rs"]
mod coverage;
#[path = "unix/environ.rs"]
pub(crate) mod environ;
#[path = "unix/exec.rs"]
pub(crate) mod exec;
#[path = "unix/fd.rs"]
pub(crate) mod fd;
#[path = "unix/fd_bit_set.rs"]
mod fd_bit_set;
#[path = "unix/fork_private.rs"]
pub(crate) mod fork_private;
#[path = "unix/handed_out.rs"]
pub(crate) mod handed_out;
#[path = "unix/poll.rs"]
pub(crate) mod poll;
#[path = "unix/process_group.rs"]
pub(crate) mod process_group;

// Linux; another system has modules of the same names.
#[path = "linux/close_range.rs"]
mod close_range;
#[path = "linux/cwd.rs"]
pub(crate) mod cwd;
#[path = "linux/eventfd.rs"]
pub(crate) mod eventfd;
#[path = "linux/executable.rs"]
pub(crate) mod executable;
#[path = "linux/fork/mod.rs"]
pub(crate) mod fork;
#[path = "linux/fork_generation.rs"]
pub(crate) mod fork_generation;
#[path = "linux/futex.rs"]
pub(crate) mod futex;
#[path = "linux/headroom.rs"]
pub(crate) mod headroom;
#[path = "linux/huge_pages.rs"]
pub(crate) mod huge_pages;
#[path = "linux/identity.rs"]
pub(crate) mod identity;
#[path = "linux/inherited.rs"]
pub(crate) mod inherited;
#[path = "linux/lifeline.rs"]
pub(crate) mod lifeline;
#[path = "linux/mmap.rs"]
pub(crate) mod mmap;
#[path = "linux/pidfd.rs"]
pub(crate) mod pidfd;
#[path = "linux/procfs.rs"]
pub(crate) mod procfs;
#[path = "linux/resident.rs"]
pub(crate) mod resident;
#[path = "linux/rlimit.rs"]
pub(crate) mod rlimit;
#[path = "linux/robust.rs"]
pub(crate) mod robust;
#[path = "linux/robust_list.rs"]
pub(crate) mod robust_list;
#[path = "linux/sched.rs"]
pub(crate) mod sched;
#[path = "linux/signal.rs"]
pub(crate) mod signal;
#[path = "linux/socket.rs"]
pub(crate) mod socket;
#[cfg(target_env = "musl")]
#[path = "linux/stack.rs"]
mod stack;
#[path = "linux/word_lock.rs"]
mod word_lock;

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Turns the C convention of `-1` and `errno` into a `Result`.
fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Repeats a call that a signal handler interrupted.
fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Locks a mutex of this crate, also after a panic. No code of the user runs under such a lock, so the content is
/// sound.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns whether an error says that a limit on processes, descriptors, memory or file sizes is reached.
pub(crate) fn is_limit(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, OutOfMemory, QuotaExceeded, WouldBlock};
    matches!(error.kind(), WouldBlock | OutOfMemory | QuotaExceeded | FileTooLarge)
        || is_out_of_descriptors(error)
        || error.raw_os_error() == Some(libc::E2BIG)
}

/// Returns whether this process, or the system, may have no more descriptors.
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Returns the name of the limit behind an error, and the place where the limit is set.
pub(crate) fn limit_behind(error: &io::Error) -> Option<&'static str> {
    Some(match error.raw_os_error()? {
        libc::EMFILE => "this process has as many files open as it may (RLIMIT_NOFILE, `ulimit -n`)",
        libc::ENFILE => "the system has as many files open as it may (/proc/sys/fs/file-max)",
        libc::EAGAIN => {
            "this user or this cgroup has as many processes as it may (RLIMIT_NPROC, `ulimit -u`; pids.max)"
        }
        libc::ENOMEM => {
            "there is no more memory, or this process may have no more (RLIMIT_AS, `ulimit -v`; memory.max)"
        }
        // execve(2), "Limits on size of arguments and environment".
        libc::E2BIG => {
            "the environment and the arguments of a new program are too large (128 KiB for each variable, a quarter of \
             RLIMIT_STACK, `ulimit -s`, for all)"
        }
        libc::EFBIG => "no larger file may be made (RLIMIT_FSIZE, `ulimit -f`)",
        _ => return None,
    })
}

/// Reads the monotonic clock, which is the same for all processes of a machine, in nanoseconds.
pub(crate) fn monotonic_nanoseconds() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one time; this clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Returns the id of this process.
///
/// std's function lies in a page of code that a fresh copy of a process would have to fault in.
pub(crate) fn pid() -> u32 {
    // SAFETY: getpid has no preconditions.
    unsafe { libc::getpid() as u32 }
}

/// Returns the id of the current parent of this process.
pub(crate) fn parent_pid() -> u32 {
    std::os::unix::process::parent_id()
}

/// Returns whether this code runs on another thread than the process's main thread.
pub(crate) fn has_main_thread_elsewhere() -> bool {
    // SAFETY: gettid has no preconditions.
    pid() != unsafe { libc::gettid() } as u32
}

/// Returns whether a thread of this process has this id (tgkill(2) with no signal).
fn is_own_thread(tid: u32) -> bool {
    // SAFETY: three numbers; signal 0 is none.
    unsafe { libc::syscall(libc::SYS_tgkill, pid(), tid, 0) == 0 }
}

/// Returns whether the kernel runs this program with more privilege than its caller had (getauxval(3), `AT_SECURE`).
pub(crate) fn is_privileged_execution() -> bool {
    // SAFETY: getauxval has no preconditions.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Ends this process at once: no exit handlers, no destructors, no flushing (_exit(2)). Writes coverage data alone.
pub(crate) fn exit_now(code: i32) -> ! {
    coverage::write();
    // SAFETY: _exit has no preconditions and does not return.
    unsafe { libc::_exit(code) }
}

/// Flushes the output streams of Rust and C.
///
/// Before a fork, a flush keeps the copy from writing the same bytes again. Before `_exit`, a flush keeps them from
/// being lost.
pub(crate) fn flush_output() {
    use std::io::Write;
    let _ = io::stdout().flush();
    let _ = io::stderr().flush();
    flush_c_output();
}

/// Flushes the output streams of C.
pub(crate) fn flush_c_output() {
    // SAFETY: a null stream means all of them; fflush takes the streams' own locks.
    unsafe { libc::fflush(std::ptr::null_mut()) };
}

/// Names this thread and, on the main thread, the process as `ps` and `top` show the name (PR_SET_NAME, at most 15
/// bytes).
pub(crate) fn set_name(name: &str) {
    let mut bytes: Vec<u8> = name.bytes().filter(|byte| *byte != 0).take(15).collect();
    bytes.push(0);
    // SAFETY: the pointer is to a terminated string of at most 16 bytes that outlives the call.
    unsafe { libc::prctl(libc::PR_SET_NAME, bytes.as_ptr()) };
}
