//! Time limits of jobs. An overdue job is cancelled, and the worker is killed after the grace.

use std::time::{Duration, Instant};

use super::Scheduler;
use super::worker::Worker;
use crate::error::JoinErrorKind;
use crate::pool::model::{JobId, WorkerId};
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
        let (mut next, mut late) = (None::<Instant>, Vec::new());
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

    /// Returns the running job of a worker, if the job has a time limit.
    fn timed(&mut self, worker: WorkerId, now: Instant) -> Option<Timed> {
        let worker = self.workers.get_mut(worker.0).filter(|worker| worker.is_healthy())?;
        let Ok(running) = worker.running_since(now) else {
            worker.kill(None);
            return None;
        };
        let (id, since) = running?;
        let limit = since.checked_add(self.jobs[id.0].time_limit?)?;
        Some(Timed { id, limit, end: limit.checked_add(self.config.grace) })
    }

    /// Returns the time of the next look at a worker between two jobs.
    fn begins_unseen(&self, worker: WorkerId, now: Instant) -> Deadline {
        let next = |worker: &Worker<L>| worker.in_flight.front().and_then(|id| self.jobs[id.0].time_limit);
        let limit = self.workers.get(worker.0).filter(|worker| worker.is_healthy()).and_then(next)?;
        now.checked_add(limit.max(SHORTEST_PAUSE))
    }
}
