//! The list by which the kernel finds the locks that an ended thread still held.
//!
//! Each thread may register one list. glibc does so for every thread at its start, musl for a thread that first takes a
//! robust or process-shared mutex. The list lies in the thread's own memory, at an address that stays the same as long
//! as the thread lives, in copies of the process too. The kernel drops the registration in every copy, at fork as at
//! clone.
//!
//! Sources: get_robust_list(2), Documentation/locking/robust-futex-ABI.rst.

use std::ffi::{c_long, c_void};
use std::io;
use std::ptr::NonNull;

use super::check;

/// The data that the kernel reads when a thread ends.
#[repr(C)]
pub(super) struct RobustList {
    /// The first held lock, or the list itself.
    pub(super) first: *mut c_void,
    /// The distance from an entry to the word of its lock.
    pub(super) offset: c_long,
    /// The lock that is being locked or unlocked just now.
    pub(super) pending: *mut c_void,
}

/// Returns the list of the calling thread, if one is registered.
///
/// # Errors
/// A sandbox refuses the question.
pub(super) fn registered() -> io::Result<Option<NonNull<RobustList>>> {
    let (mut list, mut length) = (std::ptr::null_mut(), 0_usize);
    // SAFETY: the kernel writes a pointer and a length to the addresses given; thread 0 is the calling one.
    check(unsafe { libc::syscall(libc::SYS_get_robust_list, 0, &mut list, &mut length) })?;
    Ok(NonNull::new(list))
}

/// Registers, in a copy of the process, the list that this thread had in the original.
///
/// # Safety
/// The list was the calling thread's.
pub(super) unsafe fn register(list: NonNull<RobustList>) {
    // SAFETY: the caller's promise; the kernel knows one length only.
    unsafe { libc::syscall(libc::SYS_set_robust_list, list.as_ptr(), size_of::<RobustList>()) };
}

/// Returns whether this thread holds a robust lock. Then the list of a clone of this thread would lead into the
/// original's.
pub(crate) fn holds_robust_lock() -> bool {
    registered().ok().flatten().is_some_and(|list| {
        let list = list.as_ptr();
        // SAFETY: the list is the calling thread's own, which alone writes it.
        let first = unsafe { (*list).first };
        first != list.cast()
    })
}

/// Has every fork renew the list in its copy. glibc does so by itself.
pub(super) fn renew_in_copies() {
    #[cfg(target_env = "musl")]
    of_forks::renew_in_copies();
}

/// The work that musl leaves undone for the copies that its fork makes.
///
/// A copy has to have a list at the address of the original's, because [`word_lock`](super::word_lock) remembers the
/// address, and the list must be empty. musl lets a copy register the list anew with the next lock, and leaves in the
/// list the locks that the original held. The copy would link its own locks with those, by pointers that lie in memory
/// which the original reads.
#[cfg(target_env = "musl")]
mod of_forks {
    use std::ptr::{NonNull, null_mut};
    use std::sync::Once;
    use std::sync::atomic::{AtomicPtr, Ordering};

    use super::RobustList;
    use crate::sys::atfork;

    /// The list of the thread that forks. musl holds a lock of its own from the first handler to the last.
    static FORKING: AtomicPtr<RobustList> = AtomicPtr::new(null_mut());

    pub(super) fn renew_in_copies() {
        static REGISTERED: Once = Once::new();
        // SAFETY: the handlers make one system call each, and touch an atomic and the calling thread's list.
        REGISTERED.call_once(|| unsafe { atfork::register(Some(note), renew) });
    }

    extern "C" fn note() {
        let list = super::registered().ok().flatten();
        FORKING.store(list.map_or(null_mut(), NonNull::as_ptr), Ordering::Relaxed);
    }

    extern "C" fn renew() {
        if let Some(list) = NonNull::new(FORKING.load(Ordering::Relaxed)) {
            // SAFETY: it was this thread's in the original, and the copy has no other thread.
            unsafe { (*list.as_ptr()).first = list.as_ptr().cast() };
            // SAFETY: as above.
            unsafe { super::register(list) };
        }
    }
}
