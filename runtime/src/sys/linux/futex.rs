//! Waiting for a word in shared memory to change (futex(2), futex_waitv(2)), across processes.
//!
//! Every wait here may end early: for a signal, for no reason, or after [`RESCAN`]. Callers look again in a loop. The
//! rescan is for a process that is killed between a change and its wake-up: no process would ever wake the sleepers on
//! that word, and the kernel cannot know. No wait takes `FUTEX_PRIVATE_FLAG`, which would tell the processes apart.
//!
//! Sources: futex(2), futex_waitv in the kernel's Documentation/userspace-api/futex2.rst.

use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::poll::Deadline;

/// The longest sleep before a caller looks again. That long a caller sleeps if a process is killed in the one wrong
/// moment.
pub(crate) const RESCAN: Duration = Duration::from_secs(1);

/// The same where the kernel cannot wait for several words at once (before Linux 5.16, or forbidden by a filter).
const RESCAN_ONE_BY_ONE: Duration = Duration::from_millis(5);

/// A word to sleep on, and its value while there is nothing to see.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WordWatch<'a> {
    pub(crate) word: &'a AtomicU32,
    pub(crate) expected: u32,
}

/// The most words that one wait can watch (`FUTEX_WAITV_MAX`).
pub(crate) const WATCH_MAX: usize = 128;

/// Sleeps until the word is woken. Does not sleep if the word's value is not `expected`.
pub(crate) fn wait(word: &AtomicU32, expected: u32, deadline: Deadline) {
    wait_bounded(WordWatch { word, expected }, expiry(deadline, RESCAN));
}

fn wait_bounded(watch: WordWatch<'_>, until: libc::timespec) {
    // SAFETY: the word and the time outlive the call; an absolute time on the monotonic clock goes with this operation.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            watch.word.as_ptr(),
            libc::FUTEX_WAIT_BITSET,
            watch.expected,
            &until,
            ptr::null::<u32>(),
            libc::FUTEX_BITSET_MATCH_ANY,
        )
    };
}

/// Sleeps until one of the words is woken. Does not sleep if one of them has another value than expected.
pub(crate) fn wait_any(watched: &[WordWatch<'_>], deadline: Deadline) {
    static MISSING: AtomicBool = AtomicBool::new(false);
    if MISSING.load(Ordering::Relaxed) {
        return wait_one_by_one(watched, deadline);
    }
    let watched = &watched[..watched.len().min(WATCH_MAX)];
    let error = waitv(watched, expiry(deadline, RESCAN)).err().and_then(|error| error.raw_os_error());
    if matches!(error, Some(libc::ENOSYS | libc::EPERM)) {
        MISSING.store(true, Ordering::Relaxed);
    }
}

/// Sleeps on the first word, for a short time, without the newer call.
fn wait_one_by_one(watched: &[WordWatch<'_>], deadline: Deadline) {
    let changed = watched.iter().any(|watch| watch.word.load(Ordering::Acquire) != watch.expected);
    if let (false, Some(first)) = (changed, watched.first()) {
        wait_bounded(*first, expiry(deadline, RESCAN_ONE_BY_ONE));
    }
}

/// `struct futex_waitv`, which the libc crate does not have for Linux.
#[repr(C)]
struct Waiter {
    expected: u64,
    address: u64,
    flags: u32,
    reserved: u32,
}

/// `FUTEX2_SIZE_U32`: a word of 32 bits, shared.
const SHARED_U32: u32 = 2;

fn waitv(watched: &[WordWatch<'_>], until: libc::timespec) -> std::io::Result<()> {
    let waiter = |watch: &WordWatch<'_>| Waiter {
        expected: watch.expected.into(),
        address: watch.word.as_ptr().addr() as u64,
        flags: SHARED_U32,
        reserved: 0,
    };
    let waiters: Vec<Waiter> = watched.iter().map(waiter).collect();
    // The call takes 64 bits on every architecture.
    fn wide(number: impl Into<i64>) -> i64 {
        number.into()
    }
    let until = [wide(until.tv_sec), wide(until.tv_nsec)];
    let (first, count) = (waiters.as_ptr(), waiters.len());
    // SAFETY: `count` waiters and the time outlive the call, and so do the words, which are borrowed.
    super::check(unsafe { libc::syscall(libc::SYS_futex_waitv, first, count, 0, &until, libc::CLOCK_MONOTONIC) })?;
    Ok(())
}

/// Wakes all sleepers on the word, in any process.
pub(crate) fn wake_all(word: &AtomicU32) {
    wake(word, i32::MAX);
}

/// Wakes one sleeper on the word, in any process.
pub(crate) fn wake_one(word: &AtomicU32) {
    wake(word, 1);
}

fn wake(word: &AtomicU32, count: i32) {
    // SAFETY: the word is only an address to the kernel here.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, count) };
}

/// Returns the moment at which a sleep ends at the latest, on the monotonic clock.
fn expiry(deadline: Deadline, longest: Duration) -> libc::timespec {
    let left = deadline.map_or(longest, |end| end.saturating_duration_since(Instant::now()).min(longest));
    on_clock(libc::CLOCK_MONOTONIC, left)
}

/// Returns the moment `left` from now on a clock.
pub(super) fn on_clock(clock: libc::clockid_t, left: Duration) -> libc::timespec {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one time; the clocks asked for always exist.
    unsafe { libc::clock_gettime(clock, &mut time) };
    let nanoseconds = time.tv_nsec as u64 + u64::from(left.subsec_nanos());
    let seconds = left.as_secs().min(i32::MAX as u64) + nanoseconds / 1_000_000_000;
    time.tv_sec = time.tv_sec.saturating_add(seconds as _);
    time.tv_nsec = (nanoseconds % 1_000_000_000) as _;
    time
}

#[cfg(test)]
mod tests {
    use super::super::poll::deadline_in;
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    /// Sleeps until the word has changed, and says whether it has.
    fn changed(wait: impl Fn(WordWatch<'_>, Deadline), word: &AtomicU32) -> bool {
        let deadline = deadline_in(LONG);
        while word.load(Ordering::Acquire) == 0 && deadline.is_some_and(|end| Instant::now() < end) {
            wait(WordWatch { word, expected: 0 }, deadline);
        }
        word.load(Ordering::Acquire) != 0
    }

    fn is_woken(wait: impl Fn(WordWatch<'_>, Deadline) + Sync) -> bool {
        let word = AtomicU32::new(0);
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| changed(&wait, &word));
            word.store(1, Ordering::Release);
            wake_all(&word);
            waiter.join().unwrap()
        })
    }

    #[test]
    fn a_change_with_a_wake_up_ends_every_kind_of_wait() {
        let quiet = AtomicU32::new(7);
        assert!(is_woken(|watch, deadline| wait(watch.word, watch.expected, deadline)));
        let also_quiet = WordWatch { word: &quiet, expected: 7 };
        assert!(is_woken(|watch, deadline| wait_any(&[also_quiet, watch], deadline)));
        assert!(is_woken(|watch, deadline| wait_one_by_one(&[also_quiet, watch], deadline)));
    }

    #[test]
    fn a_word_that_has_changed_before_is_not_slept_on() {
        let (one, other) = (AtomicU32::new(1), AtomicU32::new(2));
        let begun = Instant::now();
        wait(&one, 0, None);
        wait_any(&[WordWatch { word: &one, expected: 1 }, WordWatch { word: &other, expected: 1 }], None);
        wait_one_by_one(&[WordWatch { word: &one, expected: 1 }, WordWatch { word: &other, expected: 1 }], None);
        assert!(begun.elapsed() < RESCAN);
    }

    #[test]
    fn a_wait_ends_at_its_deadline_and_at_the_latest_for_a_second_look() {
        let word = AtomicU32::new(0);
        let begun = Instant::now();
        wait(&word, 0, deadline_in(Duration::from_millis(20)));
        assert!((Duration::from_millis(20)..RESCAN).contains(&begun.elapsed()));
        wait_any(&[WordWatch { word: &word, expected: 0 }], deadline_in(LONG));
        assert!(begun.elapsed() < LONG / 2);
    }
}
