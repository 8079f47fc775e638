//! The end of a pool in order: jobs, then workers, within a grace. And the wakers of futures that wait for the pool as
//! a whole: until it is ready, and until it has ended.

use std::task::Waker;
use std::time::Instant;

use super::worker::RetireReason;
use super::{Phase, Scheduler};
use crate::pool::stats::Unfinished;
use crate::pool::transport::WorkerLink;
use crate::sys::poll::Deadline;

/// A shutdown in progress.
#[derive(Debug)]
pub(super) struct Shutdown {
    /// The end of the grace for unfinished jobs.
    deadline: Deadline,
}

/// A state of the pool that futures wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pool) enum Milestone {
    /// The first workers serve, or cannot be had.
    Ready,
    /// The pool is closed, and has neither jobs nor workers.
    Ended,
}

impl<L: WorkerLink> Scheduler<L> {
    /// Closes the pool. Its workers exit after the last job. Jobs that are unfinished at the deadline are cut off. Of
    /// several shutdowns, the earliest deadline holds.
    pub(in crate::pool) fn begin_shutdown(&mut self, deadline: Deadline) {
        self.close();
        let known = self.shutdown.as_ref().and_then(|shutdown| shutdown.deadline);
        self.shutdown = Some(Shutdown { deadline: [known, deadline].into_iter().flatten().min() });
    }

    /// Takes the next step of a shutdown, if one is due.
    pub(super) fn continue_shutdown(&mut self, now: Instant) {
        let Some(shutdown) = &self.shutdown else { return };
        if self.phase == Phase::Terminated {
            return;
        }
        if self.unfinished > 0 {
            if shutdown.deadline.is_some_and(|deadline| deadline <= now) {
                self.terminate(now);
            }
            return;
        }
        for (_, worker) in &mut self.workers {
            // Without a job in flight, a window that has no room is that of a worker that is stopped.
            if !worker.retire(RetireReason::Surplus, now) {
                worker.kill(None);
            }
        }
    }

    /// Returns the end of the grace, if there are jobs for which it counts.
    pub(super) fn shutdown_due(&self) -> Deadline {
        let counts = self.phase != Phase::Terminated && self.unfinished > 0;
        self.shutdown.as_ref().filter(|_| counts)?.deadline
    }

    /// Returns whether the pool is closed, and has neither jobs nor workers.
    pub(in crate::pool) fn has_ended(&self) -> bool {
        self.phase != Phase::Open && self.unfinished == 0 && self.is_empty()
    }

    /// Returns the jobs that the end of the pool has cut off.
    pub(in crate::pool) fn cut_off(&self) -> Unfinished {
        self.cut_off.clone()
    }

    /// Sets the waker of a future that waits for a milestone.
    ///
    /// Without a key of the future: the waker of a dropped future wakes in vain. Returns a waker that is not needed.
    pub(in crate::pool) fn watch(&mut self, milestone: Milestone, waker: Waker) -> Option<Waker> {
        let is_known = |(known, other): &(Milestone, Waker)| *known == milestone && other.will_wake(&waker);
        if self.watchers.iter().any(is_known) {
            return Some(waker);
        }
        self.watchers.push((milestone, waker));
        None
    }

    /// Returns whether a future waits for a milestone.
    pub(in crate::pool) fn has_watchers(&self) -> bool {
        !self.watchers.is_empty()
    }

    fn is_reached(&self, milestone: Milestone) -> bool {
        match milestone {
            Milestone::Ready => self.is_ready().is_some(),
            Milestone::Ended => self.has_ended(),
        }
    }

    /// Returns whether there are wakers to call, or predicates to ask or to drop, with the lock released.
    pub(in crate::pool) fn has_woken(&self) -> bool {
        !self.woken.is_empty()
            || !self.undecided.is_empty()
            || !self.spent.is_empty()
            || self.must_wake_line()
            || self.watchers.iter().any(|(milestone, _)| self.is_reached(*milestone))
    }

    pub(in crate::pool) fn take_woken(&mut self) -> Vec<Waker> {
        let mut woken = std::mem::take(&mut self.woken);
        woken.extend(self.take_woken_of_line());
        for (milestone, waker) in std::mem::take(&mut self.watchers) {
            if self.is_reached(milestone) {
                woken.push(waker);
            } else {
                self.watchers.push((milestone, waker));
            }
        }
        woken
    }
}
