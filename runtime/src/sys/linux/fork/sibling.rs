//! Copies of this process as children of its *parent* (`CLONE_PARENT`). The parent can wait for such a copy as for any
//! child.
//!
//! The system call alone makes no process that a C library could work in: the library would know the original's thread
//! as its own. There are two ways to correct the library:
//!
//! | C library | way | stack of the copy |
//! | --- | --- | --- |
//! | glibc | the system call, with the address of the thread's id (`PR_GET_TID_ADDRESS`) | the original's |
//! | musl 1.2.5 | its `clone` function, which treats the copy as fork does | its own, see `sys::stack` |
//!
//! musl has a lock where glibc keeps the id. The first way would hang a copy in its first `pthread_create`, and have
//! the copy signal the original instead of itself. glibc's `clone` function does not correct anything. Where neither
//! way works (an older musl, a kernel without checkpoint support) there are no siblings.
//!
//! `pthread_atfork` handlers do not run. `this_process::after_fork` and [`Start::begin`] do their work.
//!
//! Sources: clone(2), PR_GET_TID_ADDRESS(2const), set_robust_list(2).

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;

use super::{FreshCopy, SingleThreaded};
use crate::sys::check;
use crate::sys::fd;
use crate::sys::robust_list::{self, RobustList};

/// A copy, as its original knows the copy.
#[derive(Debug)]
pub(crate) struct Sibling {
    pub(crate) pid: u32,
    pub(crate) pidfd: OwnedFd,
}

/// Copies this process. The copy goes on with `run` and `given`. The original gets `given` back. Each of the two has
/// its own now.
///
/// # Errors
/// `EAGAIN` at the limit of processes, `ENOMEM`, `Unsupported` where [`can_clone_sibling`] is false.
pub(crate) fn clone_sibling<T>(
    _threads: &SingleThreaded,
    given: T,
    run: fn(T, FreshCopy) -> !,
) -> (T, io::Result<Sibling>) {
    let list = match robust_list::registered() {
        Ok(list) => list,
        Err(error) => return (given, Err(error)),
    };
    let mut pidfd: RawFd = -1;
    let (start, made) = library::clone(Start { given, run, list }, &mut pidfd);
    let sibling = made.map(|pid| {
        // SAFETY: a new descriptor that nobody else owns; the kernel writes it in the original only.
        let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
        Sibling { pid, pidfd: fd::above_stdio_or_as_it_is(pidfd) }
    });
    (start.given, sibling)
}

/// The beginning of a copy.
struct Start<T> {
    given: T,
    run: fn(T, FreshCopy) -> !,
    list: Option<NonNull<RobustList>>,
}

impl<T> Start<T> {
    fn begin(self) -> ! {
        if let Some(list) = self.list {
            // SAFETY: it is that of the original's thread, of which this one is the copy.
            unsafe { robust_list::register(list) };
        }
        (self.run)(self.given, FreshCopy::begin())
    }
}

/// Returns whether [`clone_sibling`] works on this kernel with this C library.
pub(crate) fn can_clone_sibling() -> bool {
    library::can_clone()
}

/// Returns the address at which the C library keeps this thread's id, if known.
pub(in crate::sys) fn thread_id_address() -> Option<*mut libc::c_int> {
    library::thread_id_address()
}

/// The flags of both ways.
#[cfg(any(target_env = "gnu", target_env = "musl"))]
const FLAGS: libc::c_int = libc::CLONE_PARENT | libc::CLONE_PIDFD | libc::SIGCHLD;

/// glibc.
#[cfg(target_env = "gnu")]
mod library {
    use super::*;

    pub(super) fn clone<T>(start: Start<T>, pidfd: &mut RawFd) -> (Start<T>, io::Result<u32>) {
        let Some(tid_address) = thread_id_address() else { return (start, Err(io::ErrorKind::Unsupported.into())) };
        let flags = FLAGS | libc::CLONE_CHILD_SETTID | libc::CLONE_CHILD_CLEARTID;
        // SAFETY: one thread exists (the caller has the proof), the copy has a stack of its own like after fork and
        // never returns into these frames, and the addresses are this thread's own.
        match check(unsafe { raw_clone(flags, pidfd, tid_address) }) {
            Ok(0) => start.begin(),
            Ok(pid) => (start, Ok(pid as u32)),
            Err(error) => (start, Err(error)),
        }
    }

    /// `clone`, never `clone3`: the seccomp profiles of containers refuse the latter. The order of arguments is the
    /// architecture's.
    ///
    /// # Safety
    /// As for fork; the addresses are those of the calling thread.
    unsafe fn raw_clone(flags: libc::c_int, pidfd: &mut RawFd, tid_address: *mut libc::c_int) -> libc::c_long {
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

    pub(super) fn can_clone() -> bool {
        thread_id_address().is_some()
    }

    /// PR_GET_TID_ADDRESS, if the kernel tells and it is so.
    ///
    /// The kernel tells only if built with `CONFIG_CHECKPOINT_RESTORE`.
    pub(super) fn thread_id_address() -> Option<*mut libc::c_int> {
        let mut address: *mut libc::c_int = std::ptr::null_mut();
        // SAFETY: the kernel writes one pointer to the address given.
        let is_known = unsafe { libc::prctl(libc::PR_GET_TID_ADDRESS, &mut address) } == 0;
        if !is_known || address.is_null() {
            return None;
        }
        // SAFETY: the address is one that the C library registered for this thread, so it can be read.
        let kept = unsafe { *address };
        // SAFETY: gettid has no preconditions.
        (kept == unsafe { libc::gettid() }).then_some(address)
    }
}

/// musl.
#[cfg(target_env = "musl")]
mod library {
    use std::ffi::{c_int, c_void};
    use std::ptr::null_mut;
    use std::sync::OnceLock;

    use super::*;
    use crate::sys::stack::Stack;

    pub(super) fn clone<T>(mut start: Start<T>, pidfd: &mut RawFd) -> (Start<T>, io::Result<u32>) {
        if !can_clone() {
            return (start, Err(io::ErrorKind::Unsupported.into()));
        }
        let top = match Stack::of_copies() {
            Ok(stack) => stack.top(),
            Err(error) => return (start, Err(error)),
        };
        let argument = (&raw mut start).cast::<c_void>();
        // SAFETY: one thread exists (the caller has the proof); nobody uses the stack, which is large enough; the copy
        // reads its argument in its own copy of this frame; the kernel writes one number.
        let result = check(unsafe { libc::clone(begin::<T>, top, FLAGS, argument, pidfd) }.into());
        (start, result.map(|pid| pid as u32))
    }

    /// The copy, from its first line to its last. A panic that gets here ends it (`extern "C"`).
    extern "C" fn begin<T>(start: *mut c_void) -> c_int {
        Stack::of_copies_is_in_use();
        // SAFETY: it points to what `clone` has left in this process's copy of its frame, which nobody returns to.
        unsafe { start.cast::<Start<T>>().read() }.begin()
    }

    /// Whether this musl is of version 1.2.5 or later.
    ///
    /// The change by which its `clone` began to treat the copy as fork does also has it refuse, with `EINVAL`, flags
    /// that no such copy could have. An older one hands them on to the kernel, which takes offence at nothing but the
    /// address for the pidfd (`EFAULT`) and makes no child. So the question costs no copy of this process, which may be
    /// large.
    ///
    /// But the kernel has numbered the child by then, and a pid namespace whose first process does not come to be takes
    /// no other. So where children are to be in a new one, a recent musl is supposed; the forkserver is refused there
    /// for another reason.
    pub(super) fn can_clone() -> bool {
        static ANSWER: OnceLock<bool> = OnceLock::new();
        if ANSWER.get().is_none() && crate::sys::identity::has_children_elsewhere() {
            return true;
        }
        *ANSWER.get_or_init(|| {
            let _signals = crate::sys::signal::Blocked::all();
            let is_invalid = |flag| attempt(flag).raw_os_error() == Some(libc::EINVAL);
            // Or is it the kernel that finds anything of this invalid?
            is_invalid(libc::CLONE_CHILD_CLEARTID) && !is_invalid(0)
        })
    }

    /// How `clone` fails with a flag, and nowhere to put the pidfd that it is asked for.
    fn attempt(flag: c_int) -> io::Error {
        extern "C" fn leave(_: *mut c_void) -> c_int {
            crate::sys::exit_now(0)
        }
        // A child with neither memory nor a signal of its own: even if there were one, nobody would see it.
        let flags = libc::CLONE_PIDFD | libc::CLONE_VM | libc::CLONE_VFORK | flag;
        let mut stack = [0_u128; 256];
        let top = stack.as_mut_ptr_range().end.cast::<c_void>();
        let (argument, pidfd, thread, thread_id) =
            (null_mut::<c_void>(), null_mut::<c_int>(), null_mut::<c_void>(), null_mut::<c_int>());
        // SAFETY: a child would have the stack alone, as this thread waits for its end (CLONE_VFORK), and makes one
        // system call.
        match check(unsafe { libc::clone(leave, top, flags, argument, pidfd, thread, thread_id) }.into()) {
            Err(error) => error,
            // A kernel before 5.2, which knows of no pidfds.
            Ok(child) => {
                // SAFETY: a child of this call, whose end is waited for; no status is asked for.
                unsafe { libc::waitpid(child as libc::pid_t, null_mut(), libc::__WALL) };
                io::Error::from_raw_os_error(libc::EINVAL)
            }
        }
    }

    /// musl has a lock at the address that the kernel knows.
    pub(super) fn thread_id_address() -> Option<*mut c_int> {
        None
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        /// Whether musl knows this thread by its id, as the owner of a mutex; nothing here needs another thread or a
        /// lock.
        extern "C" fn is_known_as_itself(_: *mut c_void) -> c_int {
            // The kernel's word: musl's function tells what musl believes.
            // SAFETY: gettid has no preconditions.
            let own = unsafe { libc::syscall(libc::SYS_gettid) } as u32;
            crate::sys::exit_now(i32::from(crate::sys::robust::lock_once() != Some(own)))
        }

        #[test]
        fn the_answer_is_what_a_copy_shows() {
            robust_list::renew_in_copies();
            let mut stack = vec![0_u128; 4096];
            let top = stack.as_mut_ptr_range().end.cast::<c_void>();
            // SAFETY: the copy has its own copy of the stack, and makes calls alone that may be made in a copy of a
            // process with threads.
            let copy = unsafe { libc::clone(is_known_as_itself, top, libc::SIGCHLD, null_mut()) };
            let mut status = -1;
            // SAFETY: a child of this test's; the kernel writes one number.
            assert_eq!(unsafe { libc::waitpid(copy, &mut status, 0) }, copy);
            assert_eq!(can_clone(), status == 0);
        }
    }
}

/// Others.
#[cfg(not(any(target_env = "gnu", target_env = "musl")))]
mod library {
    use super::*;

    pub(super) fn clone<T>(start: Start<T>, _: &mut RawFd) -> (Start<T>, io::Result<u32>) {
        (start, Err(io::ErrorKind::Unsupported.into()))
    }

    pub(super) fn can_clone() -> bool {
        false
    }

    pub(super) fn thread_id_address() -> Option<*mut libc::c_int> {
        None
    }
}
