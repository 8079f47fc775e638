//! A lock in shared memory that the kernel takes from a dead holder (a *robust futex*).
//!
//! The C library has robust mutexes too, but chains the held ones by pointers that lie in the mutexes. Any process that
//! can write that memory could make the holder write anywhere. This lock is one word. While a thread asks for a lock or
//! holds one, the word's address is the *pending operation* of the thread's robust list. The list is in the thread's
//! own memory, and the kernel looks there when the thread ends. There is room for one address, so [`hold`] runs no code
//! but this crate's.
//!
//! ```text
//!   0 ── free        id of a thread ── held        | WAITERS ── a thread sleeps
//!   OWNER_DIED, no id ── the holder is gone; the next thread takes the lock over and mends what it finds
//! ```
//!
//! Sources: get_robust_list(2), futex(2), Documentation/locking/robust-futex-ABI.rst.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering, compiler_fence};
use std::time::Duration;

use super::robust_list::{self, RobustList};
use super::{fork, futex, poll, robust};

const WAITERS: u32 = 0x8000_0000;
const ID: u32 = 0x3fff_ffff;

const SPINS: u32 = 100;

/// The longest sleep before a second look. A holder that dies between release and wake may wake no sleeper.
const RECHECK: Duration = Duration::from_millis(20);

/// The addresses that a thread needs for a lock. They stay the same in a copy of the process.
#[derive(Clone, Copy)]
struct Thread {
    list: Option<NonNull<RobustList>>,
    /// The place where the C library keeps the thread's id, if known. The id is another in a copy of the process.
    id: Option<NonNull<c_int>>,
}

thread_local! {
    static THREAD: Cell<Option<Thread>> = const { Cell::new(None) };
}

impl Thread {
    fn current() -> Self {
        THREAD.with(|known| {
            known.get().unwrap_or_else(|| {
                robust_list::renew_in_copies();
                let thread = Self { list: robust_list().ok(), id: id_address() };
                known.set(Some(thread));
                thread
            })
        })
    }

    fn id(self) -> u32 {
        match self.id {
            // SAFETY: the address is this thread's own, in which the C library keeps its id.
            Some(address) => unsafe { address.read_volatile() as u32 },
            // SAFETY: gettid has no preconditions.
            None => unsafe { libc::gettid() as u32 },
        }
    }
}

fn id_address() -> Option<NonNull<c_int>> {
    fork::thread_id_address().and_then(NonNull::new)
}

/// Returns the robust list that the C library has registered for this thread. musl registers a list at first need.
fn robust_list() -> io::Result<NonNull<RobustList>> {
    if let Some(list) = robust_list::registered()? {
        return Ok(list);
    }
    let _ = robust::lock_once();
    robust_list::registered()?.ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::Unsupported,
            "this thread has no robust list, which locks need; elements of up to 8 bytes need none",
        )
    })
}

/// Checks that the kernel releases the locks of this process's threads when they die.
///
/// # Errors
/// A sandbox refuses the question, or the C library registers no list for its threads.
pub(crate) fn check_support() -> io::Result<()> {
    robust_list().map(drop)
}

/// The lock's word as the pending operation of this thread. A drop puts the operation back that was pending before.
struct PendingOperation {
    list: Option<NonNull<RobustList>>,
    before: *mut c_void,
}

impl PendingOperation {
    fn new(thread: Thread, word: &AtomicU32) -> Self {
        let Some(list) = thread.list else {
            return Self { list: None, before: std::ptr::null_mut() };
        };
        // SAFETY: the list is this thread's and lives as long as it.
        let offset = unsafe { &raw const (*list.as_ptr()).offset };
        // SAFETY: as above.
        let offset = unsafe { offset.read_volatile() };
        // The kernel adds the offset to find the word.
        let entry = word.as_ptr().cast::<c_void>().wrapping_byte_offset(-(offset as isize));
        let pending = Self { list: Some(list), before: Self::exchange(list, entry) };
        compiler_fence(Ordering::SeqCst);
        pending
    }

    fn exchange(list: NonNull<RobustList>, entry: *mut c_void) -> *mut c_void {
        // SAFETY: as above.
        let place = unsafe { &raw mut (*list.as_ptr()).pending };
        // SAFETY: as above; the kernel reads it when the thread has ended, and others never.
        let before = unsafe { place.read_volatile() };
        // SAFETY: as above.
        unsafe { place.write_volatile(entry) };
        before
    }
}

impl Drop for PendingOperation {
    fn drop(&mut self) {
        compiler_fence(Ordering::SeqCst);
        if let Some(list) = self.list {
            Self::exchange(list, self.before);
        }
    }
}

struct WordGuard<'a>(&'a AtomicU32);

impl Drop for WordGuard<'_> {
    fn drop(&mut self) {
        if self.0.swap(0, Ordering::Release) & WAITERS != 0 {
            futex::wake_one(self.0);
        }
    }
}

/// Does `work` while no other thread of any process holds the lock. A dead holder's work may be half done.
///
/// The work must be short and must not take another lock of this kind.
pub(crate) fn hold<T>(word: &AtomicU32, work: impl FnOnce() -> T) -> T {
    let thread = Thread::current();
    let _pending = PendingOperation::new(thread, word);
    let id = thread.id();
    if word.compare_exchange(0, id, Ordering::Acquire, Ordering::Relaxed).is_err() {
        acquire_slowly(word, id);
    }
    let _held = WordGuard(word);
    work()
}

#[cold]
fn acquire_slowly(word: &AtomicU32, id: u32) {
    let mut waiters = 0;
    // Work under such a lock takes less time than a sleep.
    for _ in 0..SPINS {
        if word.load(Ordering::Relaxed) & (ID | WAITERS) == 0 {
            break;
        }
        std::hint::spin_loop();
    }
    loop {
        let seen = word.load(Ordering::Relaxed);
        if seen & ID == 0 {
            let mine = id | waiters | seen & WAITERS;
            if word.compare_exchange(seen, mine, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                return;
            }
            continue;
        }
        let marked = seen | WAITERS;
        if seen == marked || word.compare_exchange(seen, marked, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            futex::wait(word, marked, poll::deadline_in(RECHECK));
            // Other threads may sleep as well. A thread that has slept wakes the next one.
            waiters = WAITERS;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let (word, count) = (AtomicU32::new(0), AtomicU32::new(0));
        let add = || hold(&word, || count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..20_000).for_each(|_| add()));
            }
        });
        assert_eq!((count.into_inner(), word.into_inner()), (80_000, 0));
    }

    #[test]
    fn what_was_pending_before_is_pending_again() {
        check_support().unwrap();
        let list = Thread::current().list.unwrap();
        let pending = || {
            let before = PendingOperation::exchange(list, std::ptr::null_mut());
            PendingOperation::exchange(list, before)
        };
        let word = AtomicU32::new(0);
        hold(&word, || assert_eq!(word.load(Ordering::Relaxed), Thread::current().id()));
        assert!(pending().is_null());
    }

    #[test]
    fn a_thread_that_ends_inside_leaves_the_lock_to_the_next_one() {
        static WORD: AtomicU32 = AtomicU32::new(0);
        // SAFETY: the thread ends by a bare system call and runs nothing any more; it owns nothing that others wait
        // for.
        let ends = || hold(&WORD, || unsafe { libc::syscall(libc::SYS_exit, 0) });
        drop(std::thread::spawn(ends));
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        let left = || matches!(WORD.load(Ordering::Relaxed), word if word != 0 && word & ID == 0);
        while !left() {
            assert!(
                std::time::Instant::now() < deadline,
                "the kernel has not released {:#x}",
                WORD.load(Ordering::Relaxed)
            );
            std::thread::yield_now();
        }
        assert_eq!(hold(&WORD, || 7), 7);
        assert_eq!(WORD.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_copy_that_ends_inside_leaves_the_lock_to_its_original() {
        let region = super::super::mmap::Region::create(4096).unwrap();
        // SAFETY: the region is that large and aligned, lives as long as this test, and everyone uses the word
        // atomically.
        let word = unsafe { region.start().cast::<AtomicU32>().as_ref() };
        assert_eq!(hold(word, || 6), 6);
        // SAFETY: the copy takes a lock that nobody holds, and ends by a system call.
        let copy = unsafe { libc::fork() };
        if copy == 0 {
            hold(word, || super::super::exit_now(0));
        }
        // SAFETY: a child of this test's; no status is asked for.
        assert_eq!(unsafe { libc::waitpid(copy, std::ptr::null_mut(), 0) }, copy);
        let left = word.load(Ordering::Relaxed);
        assert!(left != 0 && left & ID == 0, "{left:#x}");
        assert_eq!(hold(word, || 7), 7);
    }
}
