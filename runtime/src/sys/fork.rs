//! Copies of this process that go on running ordinary Rust: fork(2), and clone(2) for the forkserver.
//!
//! Ordinary Rust in a copy is sound only if no other thread of the original held a lock (of the allocator, of a stream)
//! when the copy was made, which nobody can know: so the process must have one thread. The caller gets a [`FreshCopy`]
//! in the copy and must never return into the frames above; `bootstrap` ends every copy.

use std::io;
use std::time::{Duration, Instant};

use super::check;

/// Which of the two processes this is.
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

/// Copies this process, whose threads the caller has counted and whose output it has flushed.
///
/// # Errors
/// `EAGAIN` at the limit of processes, `ENOMEM`.
pub(crate) fn fork(_threads: &SingleThreaded) -> io::Result<Side> {
    // SAFETY: there is one thread, or the user has vouched for the others (SingleThreaded); the copy ends in bootstrap.
    match check(unsafe { libc::fork() }.into())? {
        0 => Ok(Side::Child(FreshCopy(()))),
        pid => Ok(Side::Parent(pid as u32)),
    }
}

/// Proof that a copy of this process may run ordinary Rust.
#[derive(Debug)]
pub(crate) struct SingleThreaded(());

impl SingleThreaded {
    /// Counts the threads; waits a little for those that have been joined but that the kernel still counts.
    ///
    /// # Errors
    /// The names of the other threads.
    pub(crate) fn check() -> Result<Self, OtherThreads> {
        const LINGERING: Duration = Duration::from_millis(20);
        let end = Instant::now() + LINGERING;
        loop {
            match other_threads() {
                Ok(names) if names.is_empty() => return Ok(Self(())),
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

/// Waits until the main thread of a test harness sleeps, for the server that the harness has started beside it.
///
/// libtest's main thread waits in a channel for the result of this one, but it may still be on its way there, and hold a
/// lock of the allocator or of a stream. Once it is seen asleep while this thread holds no lock, it can only be in the
/// channel, where it holds none: a copy of this thread finds none held.
///
/// # Errors
/// `TimedOut`, if it never sleeps; without `/proc` it cannot be seen.
pub(crate) fn waiting_main_thread() -> io::Result<SingleThreaded> {
    const LIMIT: Duration = Duration::from_secs(10);
    let path = format!("/proc/self/task/{}/stat", super::pid());
    let end = Instant::now() + LIMIT;
    while Instant::now() < end {
        let stat = super::present::read_small(&path)?;
        // The state follows the name, which is in parentheses and may contain some.
        if stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S')) {
            return Ok(SingleThreaded(()));
        }
        std::thread::yield_now();
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// Why a fork was refused.
#[derive(Debug)]
pub(crate) struct OtherThreads {
    /// What the other threads are called; empty if they could not be read.
    pub(crate) names: Vec<String>,
}

/// Whether this thread is known to be the only one.
pub(crate) fn is_alone() -> bool {
    other_threads().is_ok_and(|names| names.is_empty())
}

/// The names of the other threads of this process.
///
/// `unshare(CLONE_VM)` changes nothing and fails unless there is one thread; where it is forbidden (container seccomp
/// profiles), and to name the threads, `/proc` is read.
fn other_threads() -> io::Result<Vec<String>> {
    // SAFETY: CLONE_VM in unshare(2) only checks that nobody shares the memory.
    if unsafe { libc::unshare(libc::CLONE_VM) } == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: gettid has no preconditions.
    let own = unsafe { libc::gettid() }.to_string();
    let mut names = Vec::new();
    for entry in std::fs::read_dir("/proc/self/task")? {
        let entry = entry?;
        if entry.file_name().to_str() != Some(&own) {
            // A thread that has ended since has no name any more, and does not count.
            if let Ok(name) = std::fs::read_to_string(entry.path().join("comm")) {
                names.push(name.trim_end().to_owned());
            }
        }
    }
    Ok(names)
}

/// A copy made by [`clone_sibling`].
#[derive(Debug)]
pub(crate) enum Sibling {
    /// The original, with the copy's pid and a descriptor of it.
    Original(u32, std::os::fd::OwnedFd),
    /// The copy.
    Copy(FreshCopy),
}

/// Copies this process as a child of its *parent* (`CLONE_PARENT`), so that the parent can wait for it as for any child of its own.
///
/// What a raw clone skips is made good here, as glibc's fork does it: the thread's id is stored where the C library
/// keeps it, and the robust list is registered again. `pthread_atfork` handlers do not run; hooks of ours take their place.
///
/// # Errors
/// `EAGAIN` at the limit of processes, `ENOMEM`, `ENOSYS` where [`can_clone_sibling`] is false.
#[cfg(target_env = "gnu")]
pub(crate) fn clone_sibling(_threads: &SingleThreaded) -> io::Result<Sibling> {
    use std::os::fd::{FromRawFd, OwnedFd, RawFd};

    let tid_address = thread_id_address().ok_or(io::ErrorKind::Unsupported)?;
    let robust_list = RobustList::get()?;
    let flags =
        libc::CLONE_PARENT | libc::CLONE_PIDFD | libc::CLONE_CHILD_SETTID | libc::CLONE_CHILD_CLEARTID | libc::SIGCHLD;
    let mut pidfd: RawFd = -1;
    // SAFETY: one thread exists (the argument), the copy has a stack of its own like after fork, and the addresses are
    // this thread's own. The kernel writes the pidfd in the original only.
    match check(unsafe { raw_clone(flags, &mut pidfd, tid_address) })? {
        0 => {
            robust_list.set();
            Ok(Sibling::Copy(FreshCopy(())))
        }
        // SAFETY: a new descriptor that nobody else owns.
        pid => Ok(Sibling::Original(pid as u32, unsafe { OwnedFd::from_raw_fd(pidfd) })),
    }
}

/// `clone`, never `clone3`: the seccomp profiles of containers refuse the latter. The order of arguments is the architecture's.
///
/// # Safety
/// As for fork; the addresses are those of the calling thread.
#[cfg(target_env = "gnu")]
unsafe fn raw_clone(flags: libc::c_int, pidfd: &mut libc::c_int, tid_address: *mut libc::c_int) -> libc::c_long {
    let no_stack = std::ptr::null_mut::<libc::c_void>();
    let flags = libc::c_long::from(flags);
    #[cfg(any(target_arch = "x86_64", target_arch = "loongarch64"))]
    // SAFETY: the caller's promise; without CLONE_SETTLS the thread pointer is ignored.
    return unsafe { libc::syscall(libc::SYS_clone, flags, no_stack, pidfd, tid_address, 0) };
    #[cfg(any(
        target_arch = "aarch64",
        target_arch = "arm",
        target_arch = "riscv64",
        target_arch = "x86",
        target_arch = "powerpc64"
    ))]
    // SAFETY: as above.
    return unsafe { libc::syscall(libc::SYS_clone, flags, no_stack, pidfd, 0, tid_address) };
    #[cfg(target_arch = "s390x")]
    // SAFETY: as above.
    return unsafe { libc::syscall(libc::SYS_clone, no_stack, flags, pidfd, tid_address, 0) };
}

/// Where the C library keeps this thread's id (PR_GET_TID_ADDRESS), if the kernel tells and it is so.
///
/// The kernel tells only if built with `CONFIG_CHECKPOINT_RESTORE`.
#[cfg(target_env = "gnu")]
pub(super) fn thread_id_address() -> Option<*mut libc::c_int> {
    let mut address: *mut libc::c_int = std::ptr::null_mut();
    // SAFETY: the kernel writes one pointer to the address given.
    let told = unsafe { libc::prctl(libc::PR_GET_TID_ADDRESS, &mut address) } == 0;
    if !told || address.is_null() {
        return None;
    }
    // SAFETY: the address is one that the C library registered for this thread, so it can be read.
    let kept = unsafe { *address };
    // SAFETY: gettid has no preconditions.
    (kept == unsafe { libc::gettid() }).then_some(address)
}

/// The list by which the kernel finds robust mutexes that a dead thread held.
#[cfg(target_env = "gnu")]
struct RobustList {
    head: *mut libc::c_void,
    length: usize,
}

#[cfg(target_env = "gnu")]
impl RobustList {
    fn get() -> io::Result<Self> {
        robust_list().map(|(head, length)| Self { head, length })
    }

    fn set(&self) {
        // SAFETY: the head is the C library's own, at the same address in the copy.
        unsafe { libc::syscall(libc::SYS_set_robust_list, self.head, self.length) };
    }
}

/// The head of the robust list that the C library has registered for this thread, and its length.
pub(super) fn robust_list() -> io::Result<(*mut libc::c_void, usize)> {
    let (mut head, mut length) = (std::ptr::null_mut(), 0);
    // SAFETY: the kernel writes a pointer and a length to the addresses given.
    check(unsafe { libc::syscall(libc::SYS_get_robust_list, 0, &mut head, &mut length) })?;
    Ok((head, length))
}

/// Whether this thread holds a robust lock: then the list of a clone of it would lead into the original's.
///
/// The first word of the list's head points to the first lock held, or to the head itself (get_robust_list(2)).
#[cfg(target_env = "gnu")]
pub(crate) fn holds_robust_lock() -> bool {
    RobustList::get().is_ok_and(|list| {
        let first = list.head.cast::<*mut libc::c_void>();
        // SAFETY: the head is the C library's own, registered for this thread.
        !first.is_null() && unsafe { *first } != list.head
    })
}

/// There is nobody to ask, as there are no clones.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn holds_robust_lock() -> bool {
    false
}

/// musl keeps a lock where glibc keeps the thread's id: a raw clone there would hang its copy in the first
/// `pthread_create`. Its own `clone` function would serve, on a stack of the copy's own, but has not been tried here.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn clone_sibling(_threads: &SingleThreaded) -> io::Result<Sibling> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether [`clone_sibling`] works on this kernel with this C library.
pub(crate) fn can_clone_sibling() -> bool {
    #[cfg(target_env = "gnu")]
    return thread_id_address().is_some();
    #[cfg(not(target_env = "gnu"))]
    return false;
}
