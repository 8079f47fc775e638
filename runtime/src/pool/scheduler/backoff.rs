//! Pauses between attempts, doubled with each: to start a worker, and to run a job.

use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind};
use crate::sys::poll::Deadline;

/// Failures in a row after which `build` fails, and, without a worker, the queued jobs fail.
const MOST_FAILURES: u32 = 3;

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The last attempts to start a worker.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    /// Attempts in a row that have failed.
    failures: u32,
    /// Failures in a row without a serving worker.
    alone: u32,
    /// The earliest time of the next attempt.
    next: Deadline,
    cause: Option<Error>,
    /// Whether every other attempt would fail too.
    is_hopeless: bool,
}

impl Backoff {
    /// Notes a failed start, or a worker's end before it served. `is_alone`: no other worker serves.
    pub(super) fn note_failure(&mut self, cause: Error, now: Instant, is_alone: bool) {
        self.failures = self.failures.saturating_add(1);
        let pause = pause((FIRST_PAUSE, LONGEST_PAUSE), self.failures);
        self.alone = if is_alone { self.alone.saturating_add(1) } else { 0 };
        self.next = Some(now + pause);
        self.cause = Some(cause);
    }

    /// Notes that no other start can succeed.
    pub(super) fn give_up(&mut self, cause: Error) {
        self.cause = Some(cause);
        self.is_hopeless = true;
    }

    /// Returns why no other start can succeed.
    pub(super) fn hopeless(&self) -> Option<&Error> {
        self.cause.as_ref().filter(|_| self.is_hopeless)
    }

    /// Notes that a serving worker has ended before its first job.
    pub(super) fn note_setback(&mut self, now: Instant) {
        self.next = self.next.max(Some(now + FIRST_PAUSE));
    }

    /// Notes that a worker serves.
    pub(super) fn note_success(&mut self) {
        *self = Self::default();
    }

    /// Returns why the last attempt has failed, once queued jobs are to fail.
    pub(super) fn exhausted(&self) -> Option<&Error> {
        self.cause.as_ref().filter(|_| self.alone >= MOST_FAILURES)
    }

    /// Returns why the last attempt has failed, once a new pool is not to wait for its other workers: after several
    /// failures, or one failure that another attempt would repeat: of the initializer, of an option, or of a program
    /// without a guard.
    pub(super) fn has_begun_badly(&self) -> Option<&Error> {
        let is_lasting = |cause: &Error| matches!(cause.kind(), ErrorKind::Setting | ErrorKind::MissingGuard);
        let is_over = |cause: &&Error| self.failures >= MOST_FAILURES || self.is_hopeless || is_lasting(cause);
        self.cause.as_ref().filter(is_over)
    }

    /// Returns the earliest time of the next attempt; `None`: at once.
    pub(super) fn next(&self) -> Deadline {
        self.next
    }
}

/// Returns the pause after an attempt, doubled with each. The first attempt is 1.
pub(super) fn pause((first, longest): (Duration, Duration), attempt: u32) -> Duration {
    let doublings = attempt.saturating_sub(1).min(31);
    first.saturating_mul(1 << doublings).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let backoff = (Duration::from_millis(100), Duration::from_secs(1));
        let pauses = [1, 2, 3, 4, 5, 6, 1000].map(|run| pause(backoff, run).as_millis());
        assert_eq!(pauses, [100, 200, 400, 800, 1000, 1000, 1000]);
        assert_eq!(pause((Duration::ZERO, Duration::ZERO), 7), Duration::ZERO);
        assert_eq!(pause((Duration::MAX, Duration::MAX), u32::MAX), Duration::MAX);
    }

    fn limit() -> Error {
        Error::new(ErrorKind::LimitReached, "no more of them")
    }

    #[test]
    fn pauses_double_up_to_a_second() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        assert_eq!(backoff.next(), None);
        for pause in [10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000, 1000, 1000, 1000] {
            backoff.note_failure(limit(), now, true);
            assert_eq!(backoff.next(), Some(now + Duration::from_millis(pause)));
        }
        backoff.note_success();
        assert_eq!(backoff.next(), None);
    }

    #[test]
    fn three_in_a_row_are_told() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        for told in [false, false, true, true] {
            backoff.note_failure(limit(), now, true);
            assert_eq!(backoff.exhausted().is_some(), told);
        }
        backoff.note_success();
        assert!(backoff.exhausted().is_none());
    }

    #[test]
    fn setbacks_are_only_paused_after() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        (0..9).for_each(|_| backoff.note_setback(now));
        assert_eq!(backoff.next(), Some(now + FIRST_PAUSE));
        assert!(backoff.exhausted().is_none());
    }

    #[test]
    fn nobody_is_told_as_long_as_another_serves() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        (0..9).for_each(|_| backoff.note_failure(limit(), now, false));
        assert!(backoff.exhausted().is_none());
        assert!(backoff.has_begun_badly().is_some());
        for told in [false, false, true] {
            backoff.note_failure(limit(), now, true);
            assert_eq!(backoff.exhausted().is_some(), told);
        }
    }

    #[test]
    fn what_does_not_pass_is_a_bad_beginning_at_once() {
        for kind in [ErrorKind::Setting, ErrorKind::MissingGuard] {
            let mut backoff = Backoff::default();
            backoff.note_failure(Error::new(kind, "no such file"), Instant::now(), true);
            assert_eq!(backoff.has_begun_badly().map(Error::kind), Some(kind));
            assert!(backoff.exhausted().is_none());
        }
    }
}
