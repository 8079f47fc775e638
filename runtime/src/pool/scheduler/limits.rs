//! Time limits of jobs: first a job is told that its time is over, and when the grace is over too, its worker is killed.

use std::time::{Duration, Instant};

use super::{Key, State};
use crate::error::JoinErrorKind;
use crate::pool::local::handle::{Hand, Standing};
use crate::sys::poll::Deadline;

/// A job that runs and may not run for ever.
struct Timed {
    key: Key,
    /// When it is told to end.
    due: Instant,
    /// When its worker is killed.
    end: Deadline,
}

impl State {
    /// Tells, and then ends, what has run for too long; when to look next.
    pub(in crate::pool) fn enforce_limits(&mut self, now: Instant) -> Deadline {
        if !self.has_limits() {
            return None;
        }
        let (mut next, mut late) = (None::<Instant>, Vec::new());
        for worker in self.hands.iter().map(|(worker, _)| worker).collect::<Vec<_>>() {
            let look = match self.timed(worker, now) {
                Some(timed) if now < timed.due => Some(timed.due),
                Some(timed) if timed.end.is_some_and(|end| now >= end) => {
                    late.push(timed.key);
                    None
                }
                Some(timed) => {
                    self.hands[worker].tell_to_end(timed.key);
                    timed.end
                }
                None => self.begins_unseen(worker, now),
            };
            next = next.into_iter().chain(look).min();
        }
        if !late.is_empty() {
            late.into_iter().for_each(|key| self.kill_running(key, JoinErrorKind::TimedOut));
            // What was in line behind them.
            self.dispatch();
        }
        next
    }

    /// What a worker runs, if its time is limited.
    fn timed(&mut self, worker: usize, now: Instant) -> Option<Timed> {
        let hand = self.hands.get_mut(worker).filter(|hand| hand.standing == Standing::Good)?;
        let Ok(running) = hand.running(now) else {
            hand.kill(None);
            return None;
        };
        let (key, since) = running?;
        let due = since.checked_add(self.jobs[key].limit?)?;
        Some(Timed { key, due, end: due.checked_add(self.plan.grace) })
    }

    /// When to look again at a worker that may begin its next job at any moment.
    fn begins_unseen(&self, worker: usize, now: Instant) -> Deadline {
        let next = |hand: &Hand| hand.given.front().and_then(|(_, key)| self.jobs[*key].limit);
        let limit = self.hands.get(worker).filter(|hand| hand.standing == Standing::Good).and_then(next)?;
        now.checked_add(limit.max(Duration::from_millis(1)))
    }
}
