//! Pauses between attempts to get a worker: the more of them have failed in a row, the longer.

use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind};
use crate::sys::poll::Deadline;

/// After so many failures in a row a pool does not begin, and, if there was no worker at any of them, jobs do not wait
/// any longer.
const MOST_FAILURES: u32 = 3;

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How attempts to get a worker have gone lately.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    /// Attempts in a row that have failed.
    failures: u32,
    /// Those since there was a worker that served.
    alone: u32,
    /// When the next attempt may be made.
    next: Deadline,
    cause: Option<Error>,
    /// Whether any other attempt would fail too.
    is_hopeless: bool,
}

impl Backoff {
    /// A worker could not be started, or has ended before it served, while there was another or while there was none.
    pub(super) fn note_failure(&mut self, cause: Error, now: Instant, is_alone: bool) {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(10)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.alone = if is_alone { self.alone.saturating_add(1) } else { 0 };
        self.next = Some(now + pause);
        self.cause = Some(cause);
    }

    /// There will be no worker any more.
    pub(super) fn give_up(&mut self, cause: Error) {
        self.cause = Some(cause);
        self.is_hopeless = true;
    }

    /// Why there will be none.
    pub(super) fn hopeless(&self) -> Option<&Error> {
        self.cause.as_ref().filter(|_| self.is_hopeless)
    }

    /// A worker that served has ended before it did anything; it may have been a passing misfortune.
    pub(super) fn note_setback(&mut self, now: Instant) {
        self.next = self.next.max(Some(now + FIRST_PAUSE));
    }

    /// A worker serves.
    pub(super) fn note_success(&mut self) {
        *self = Self::default();
    }

    /// Why the last attempt has failed, if it is time to tell those who wait for a worker.
    pub(super) fn exhausted(&self) -> Option<&Error> {
        self.cause.as_ref().filter(|_| self.alone >= MOST_FAILURES)
    }

    /// Why the last attempt has failed, if a pool is not to wait for the rest of its first workers: several have
    /// failed, or one in its initializer or for an option, which is no better for being tried again.
    pub(super) fn has_begun_badly(&self) -> Option<&Error> {
        let is_over =
            |cause: &&Error| self.failures >= MOST_FAILURES || self.is_hopeless || cause.kind() == ErrorKind::Setting;
        self.cause.as_ref().filter(is_over)
    }

    /// When the next attempt may be made; `None` if at once.
    pub(super) fn next(&self) -> Deadline {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let mut backoff = Backoff::default();
        backoff.note_failure(Error::new(ErrorKind::Setting, "no such file"), Instant::now(), true);
        assert_eq!(backoff.has_begun_badly().map(Error::kind), Some(ErrorKind::Setting));
        assert!(backoff.exhausted().is_none());
    }
}
