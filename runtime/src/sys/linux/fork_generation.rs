//! The check whether this process is a copy of the process that made something.
//!
//! Each process has a number, its *generation*, that none of its ancestors has had before the process was copied from
//! them. The number lies in a page that the kernel fills with zeroes in every copy (`MADV_WIPEONFORK`). So a copy is
//! recognised whoever made the copy, and by which call: fork(2), clone(2), the clones of the forkserver, or foreign
//! code. The question costs two loads and no system call. A comparison of process ids would cost a call each time, and
//! would be wrong where the ids come from another pid namespace.
//!
//! | question | answer |
//! | --- | --- |
//! | Has this process made X? | Yes if the generation that X remembers [`is_current`](ForkGeneration::is_current). |
//! | Has this crate made the copy? | Then `this_process::after_fork` has run, and X has been given up. |
//! | Has foreign code made the copy? | Then X is not current, and still there. The copy must not use X. |
//!
//! Sources: madvise(2) `MADV_WIPEONFORK` (Linux 4.14), pthread_atfork(3) where a sandbox does not have the former.

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use super::atfork;

/// The generation of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ForkGeneration(u32);

/// The word of a process that has not asked for its generation yet. Nothing writes to the word.
static UNKNOWN: AtomicU32 = AtomicU32::new(0);

/// The word that holds this process's generation. The kernel, or a handler, makes the word zero in each copy.
static WORD: AtomicPtr<AtomicU32> = AtomicPtr::new((&raw const UNKNOWN).cast_mut());

/// The last generation that this process, or an ancestor before it was copied, has used.
static LAST: AtomicU32 = AtomicU32::new(0);

impl ForkGeneration {
    /// Returns the generation of this process.
    #[inline]
    pub(crate) fn current() -> Self {
        match word().load(Ordering::Relaxed) {
            0 => Self(begin(&WORD, &LAST, wiped_word)),
            known => Self(known),
        }
    }

    /// Returns whether this process is the one whose generation this is.
    #[inline]
    pub(crate) fn is_current(self) -> bool {
        // No generation is zero: a copy that has not begun its own yet is told apart without a write.
        word().load(Ordering::Relaxed) == self.0
    }
}

#[cfg(test)]
impl ForkGeneration {
    /// The generation of a process that is not this one.
    pub(crate) const fn of_other() -> Self {
        Self(u32::MAX)
    }
}

#[inline]
fn word() -> &'static AtomicU32 {
    // SAFETY: the pointer is to a static, or to a page that is mapped for good.
    unsafe { &*WORD.load(Ordering::Acquire) }
}

/// Begins the generation of this process. Takes no lock, which a thread of the original might hold for ever in a copy.
#[cold]
fn begin(place: &AtomicPtr<AtomicU32>, last: &AtomicU32, make: fn() -> *mut AtomicU32) -> u32 {
    let mut word = place.load(Ordering::Acquire);
    if ptr::eq(word, &raw const UNKNOWN) {
        let made = make();
        // The page of a thread that comes too late stays mapped, unused.
        word = match place.compare_exchange(word, made, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => made,
            Err(earlier) => earlier,
        };
    }
    let next = last.fetch_add(1, Ordering::Relaxed) + 1;
    // SAFETY: as in `word`.
    match unsafe { &*word }.compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => next,
        Err(of_other_thread) => of_other_thread,
    }
}

/// Maps a word that is zero in this process and in each copy.
fn wiped_word() -> *mut AtomicU32 {
    // The kernel rounds up to a page.
    let length = size_of::<AtomicU32>();
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping at an address that the kernel chooses overlaps nothing.
    let page = unsafe { libc::mmap(ptr::null_mut(), length, protection, flags, -1, 0) };
    if page == libc::MAP_FAILED {
        return counted_word();
    }
    // SAFETY: the page was mapped above, and nothing is in it.
    if unsafe { libc::madvise(page, length, libc::MADV_WIPEONFORK) } == 0 { page.cast() } else { counted_word() }
}

/// Returns a word that the C library's fork makes zero in the copy, for a kernel or sandbox that cannot wipe a page.
fn counted_word() -> *mut AtomicU32 {
    static COUNTED: AtomicU32 = AtomicU32::new(0);
    extern "C" fn wipe() {
        COUNTED.store(0, Ordering::Relaxed);
    }
    // SAFETY: the handler stores to an atomic.
    unsafe { atfork::register(None, wipe) };
    (&raw const COUNTED).cast_mut()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `check` in a copy, and returns whether it was so. The copy makes calls alone that are sound beside threads.
    fn holds_in_copy(fork: fn() -> libc::c_long, check: impl FnOnce() -> bool) -> bool {
        match fork() {
            0 => crate::sys::exit_now(i32::from(!check())),
            pid => {
                let mut status = -1;
                // SAFETY: a child of this test; the kernel writes one number.
                let reaped = unsafe { libc::waitpid(pid as libc::pid_t, &mut status, 0) };
                assert_eq!(libc::c_long::from(reaped), pid);
                status == 0
            }
        }
    }

    fn by_library() -> libc::c_long {
        // SAFETY: the copy ends in `holds_in_copy`.
        unsafe { libc::fork() }.into()
    }

    /// A clone that the C library knows nothing of.
    fn by_system_call() -> libc::c_long {
        let flags = [libc::c_long::from(libc::SIGCHLD), 0];
        let [first, second] = if cfg!(target_arch = "s390x") { [flags[1], flags[0]] } else { flags };
        // SAFETY: as above; no stack means that of the original.
        unsafe { libc::syscall(libc::SYS_clone, first, second, 0, 0, 0) }
    }

    #[test]
    fn a_process_keeps_its_generation_in_all_its_threads() {
        let own = ForkGeneration::current();
        assert!(own.is_current() && own == ForkGeneration::current());
        assert_eq!(std::thread::spawn(ForkGeneration::current).join().unwrap(), own);
    }

    #[test]
    fn each_copy_and_each_copy_of_a_copy_is_of_another_generation() {
        let own = ForkGeneration::current();
        for fork in [by_library, by_system_call] {
            let is_another = move || {
                let was_original = own.is_current();
                let of_copy = ForkGeneration::current();
                !was_original && of_copy != own && of_copy.is_current() && {
                    holds_in_copy(fork, || !own.is_current() && !of_copy.is_current())
                }
            };
            assert!(holds_in_copy(fork, is_another));
        }
        assert!(own.is_current());
    }

    #[test]
    fn without_a_wiped_page_the_librarys_forks_are_counted() {
        let place = AtomicPtr::new((&raw const UNKNOWN).cast_mut());
        let last = AtomicU32::new(7);
        let own = begin(&place, &last, counted_word);
        let generation = || begin(&place, &last, counted_word);
        assert_eq!((own, generation()), (8, 8));
        assert!(holds_in_copy(by_library, || generation() != own));
        assert_eq!(generation(), own);
    }
}
