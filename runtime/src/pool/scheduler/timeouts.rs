//! Time limits and deadlines of jobs. An overdue job is cancelled, and the worker is killed after the grace. A job
//! whose deadline has passed before the task began fails without a worker's death.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::Scheduler;
use super::worker::Worker;
use crate::error::JoinErrorKind;
use crate::pool::model::{Failure, JobId, JobState, WorkerId};
use crate::pool::transport::WorkerLink;
use crate::sys::poll::Deadline;

/// A running job with a time limit.
struct Timed {
    id: JobId,
    /// The time of the cancel.
    limit: Instant,
    /// The time of the kill.
    end: Deadline,
}

/// The shortest pause before the next look at a worker, which begins jobs without an event.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

impl<L: WorkerLink> Scheduler<L> {
    /// Cancels and kills overdue jobs. Returns the time of the next look.
    pub(super) fn enforce_timeouts(&mut self, now: Instant) -> Deadline {
        if !self.has_limits() {
            return None;
        }
        let rest = self.end_pauses(now);
        self.expire(now);
        let in_line = self.expire_in_line(now);
        let deadline = self.deadlines.first().map(|(deadline, _)| *deadline);
        let (mut next, mut late) = ([rest, in_line, deadline].into_iter().flatten().min(), Vec::new());
        for key in self.workers.iter().map(|(key, _)| key).collect::<Vec<_>>() {
            let look = match self.timed(WorkerId(key), now) {
                Some(timed) if now < timed.limit => Some(timed.limit),
                Some(timed) if timed.end.is_some_and(|end| now >= end) => {
                    late.push(timed.id);
                    None
                }
                Some(timed) => {
                    self.workers[key].link.cancel(timed.id);
                    timed.end
                }
                None => self.begins_unseen(WorkerId(key), now),
            };
            next = next.into_iter().chain(look).min();
        }
        if !late.is_empty() {
            late.into_iter().for_each(|id| self.kill_running(id, JoinErrorKind::TimedOut, &|| now));
            // Jobs that were in line behind them.
            self.dispatch();
        }
        next
    }

    /// Fails the jobs whose deadline has passed before they began. A job that has begun is overdue from now on.
    fn expire(&mut self, now: Instant) {
        let mut expired = HashSet::new();
        while let Some((deadline, id)) = self.deadlines.first().copied()
            && deadline <= now
        {
            self.deadlines.pop_first();
            let has_not_begun = match self.jobs[id.0].state {
                JobState::Queued => true,
                JobState::InFlight(worker) => self.revoke_waiting(worker, id, now),
                JobState::Undecided | JobState::Done(_) => false,
            };
            if has_not_begun {
                expired.insert(id);
            }
        }
        if expired.is_empty() {
            return;
        }
        self.queue.retain(|id| !expired.contains(&id));
        for id in expired {
            let mut failure = Failure::new(JoinErrorKind::Expired, None);
            if self.jobs[id.0].runs > 0 {
                failure.detail = format!("runs before: {}", self.jobs[id.0].runs);
            }
            self.finish(id, Err(failure));
        }
        // Jobs that were revoked with them.
        self.dispatch();
    }

    /// Revokes a job of a worker; `false` if the job has begun.
    fn revoke_waiting(&mut self, worker: WorkerId, id: JobId, now: Instant) -> bool {
        let runs = self.workers[worker.0].running(now).is_some_and(|(running, _)| running == id);
        !runs && self.revoke_until(worker, Some(id))
    }

    /// Returns the running job of a worker, if the job has a time limit.
    fn timed(&mut self, worker: WorkerId, now: Instant) -> Option<Timed> {
        let worker = self.workers.get_mut(worker.0).filter(|worker| worker.is_healthy())?;
        let Ok(running) = worker.running_since(now) else {
            worker.kill(None);
            return None;
        };
        let (id, since) = running?;
        let job = &self.jobs[id.0];
        let by_limit = job.time_limit.and_then(|limit| since.checked_add(limit));
        let limit = [by_limit, job.deadline].into_iter().flatten().min()?;
        Some(Timed { id, limit, end: limit.checked_add(self.config.grace) })
    }

    /// Returns the time of the next look at a worker between two jobs.
    fn begins_unseen(&self, worker: WorkerId, now: Instant) -> Deadline {
        let next = |worker: &Worker<L>| worker.in_flight.front().and_then(|id| self.jobs[id.0].time_limit);
        let limit = self.workers.get(worker.0).filter(|worker| worker.is_healthy()).and_then(next)?;
        now.checked_add(limit.max(SHORTEST_PAUSE))
    }
}
