//! The dispatch: sending jobs to workers, taking events in, and moving jobs to idle workers.

use std::time::Instant;

use super::worker::{RetireReason, Worker};
use super::{Scheduler, TICK};
use crate::error::JoinErrorKind;
use crate::pool::model::{Failure, JobId, JobState, PoolConfig, WorkerId};
use crate::pool::transport::{Broken, LinkEvent, Sent, WorkerLink};
use crate::sys::poll::Deadline;
use crate::task::Priority;

/// Nanoseconds of work in a worker's window, so that the worker is not idle while the parent is busy elsewhere.
pub(super) const AHEAD: f64 = 2_000_000.0;

/// The weight of one job in the moving average of durations.
const SMOOTHING: f64 = 1.0 / 16.0;

/// The links before a sleep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::pool) struct Armed {
    /// A link has the events for which it was armed.
    pub(in crate::pool) has_news: bool,
    /// A link reports after several events, so that some may wait there for long.
    pub(in crate::pool) gathers: bool,
}

impl<L: WorkerLink> Scheduler<L> {
    /// Returns the most jobs in flight for one worker: about [`AHEAD`] of work, and at least two.
    fn depth(&self) -> usize {
        let ahead = (AHEAD / self.mean_duration.max(1.0)) as usize;
        ahead.clamp(2, L::WINDOW)
    }

    /// Returns the most jobs in flight for all workers.
    pub(in crate::pool) fn capacity(&self) -> usize {
        // Without a worker, queued jobs fail together when none can be had: so many at once.
        let depth = if self.has_serving_worker() { self.depth() } else { L::WINDOW };
        self.config.max_workers * depth
    }

    /// Sends queued jobs, each to the worker with the fewest in flight. Returns whether a job was sent or failed.
    pub(in crate::pool) fn dispatch(&mut self) -> bool {
        if self.fail_queue_if_hopeless() {
            return true;
        }
        let depth = self.depth();
        let (mut sent, mut full) = (self.dispatch_pinned(), Vec::new());
        while let Some(id) = self.queue.front() {
            let config = &self.config;
            let may_have =
                |(key, worker): &(usize, &mut Worker<L>)| has_room(worker, config, depth) && !full.contains(key);
            let free = self.workers.iter_mut().filter(may_have);
            let Some((key, worker)) = free.min_by_key(|(_, worker)| (worker.is_stalled(), worker.in_flight.len()))
            else {
                break;
            };
            let job = &mut self.jobs[id.0];
            match worker.link.send(id, job) {
                Ok(Sent::Yes) => {
                    worker.note_sent(id);
                    job.state = JobState::InFlight(WorkerId(key));
                    self.queue.pop_front();
                    sent = true;
                }
                // The link of another worker may have room.
                Ok(Sent::NoRoom) => full.push(key),
                Ok(Sent::Never(error)) => {
                    self.queue.pop_front();
                    self.finish(id, Err(Failure::new(JoinErrorKind::NotStarted(error), None)));
                    sent = true;
                }
                Err(Broken) => worker.kill(None),
            }
        }
        if sent {
            self.workers.iter().for_each(|(_, worker)| worker.link.flush());
        } else {
            self.steal_for_idle();
        }
        sent
    }

    /// Moves one job that has not begun from the busiest worker to an idle worker, so that no job waits behind a long
    /// job.
    fn steal_for_idle(&mut self) {
        let Some(idle) = self.idle_worker() else { return };
        let busy = self
            .workers
            .iter_mut()
            .filter(|(key, worker)| *key != idle && worker.in_flight.len() > 1 && worker.pins == 0);
        let Some((_, busiest)) = busy.max_by_key(|(_, worker)| worker.in_flight.len()) else { return };
        if let Some(id) = busiest.revoke() {
            self.queue_first(id);
            self.dispatch();
        }
    }

    /// Returns a worker that could begin a job at once.
    fn idle_worker(&self) -> Option<usize> {
        let is_idle = |worker: &Worker<L>| has_room(worker, &self.config, 1) && !worker.is_stalled();
        self.workers.iter().find(|(_, worker)| is_idle(worker)).map(|(key, _)| key)
    }

    /// Moves jobs of a stalled worker to idle workers. Returns the time of the next look. A stopped worker is stalled.
    pub(super) fn redistribute_stalled(&mut self, now: Instant) -> Deadline {
        if self.idle_worker().is_none() {
            return self.may_recover().then(|| now + TICK);
        }
        // A job that was refused for want of room: there is no event when there is room again.
        let (mut next, mut stalled) = (self.has_backlog().then(|| now + TICK), Vec::new());
        for (key, worker) in self.workers.iter_mut().filter(|(_, worker)| worker.is_healthy() && worker.pins == 0) {
            match worker.not_begun_since(now) {
                Ok(Some(since)) if now >= since + TICK => stalled.push(WorkerId(key)),
                Ok(Some(since)) => next = next.into_iter().chain([since + TICK]).min(),
                Ok(None) => {}
                Err(Broken) => worker.kill(None),
            }
        }
        for id in &stalled {
            self.revoke_all(*id);
            self.workers[id.0].note_stalled();
        }
        if stalled.is_empty() {
            return next;
        }
        self.dispatch();
        // The workers that have the jobs now may be stalled too.
        Some(now + TICK)
    }

    /// Returns whether there are jobs for an idle worker that was stalled, and may go on at any moment without an
    /// event.
    fn may_recover(&self) -> bool {
        let is_idle = |worker: &Worker<L>| worker.is_stalled() && worker.in_flight.is_empty();
        (self.has_jobs_in_line() || self.has_backlog()) && self.workers.iter().any(|(_, worker)| is_idle(worker))
    }

    /// Arms all links. If `may_gather`, a worker with many jobs in flight reports after half of them: a wake-up costs
    /// as much as a short job, and the other half keeps the worker busy until the pool has sent more.
    ///
    /// (As network cards gather interrupts: Mogul and Ramakrishnan, *Eliminating receive livelock*, 1997.)
    pub(in crate::pool) fn arm(&self, may_gather: bool) -> Armed {
        let mut armed = Armed::default();
        for (_, worker) in &self.workers {
            let events = if may_gather { (worker.in_flight.len() / 2).max(1) } else { 1 };
            armed.gathers |= events > 1;
            armed.has_news |= worker.arm(events);
        }
        armed
    }

    /// Returns the number of workers with jobs.
    pub(in crate::pool) fn busy_workers(&self) -> usize {
        self.workers.iter().filter(|(_, worker)| !worker.in_flight.is_empty()).count()
    }

    /// Returns whether a link has an event.
    pub(in crate::pool) fn has_event(&self) -> bool {
        self.workers.iter().any(|(_, worker)| worker.has_event())
    }

    /// Takes the events of all links in. Returns whether there was an event. Reads `clock` only for idle times.
    pub(in crate::pool) fn collect(&mut self, clock: impl Fn() -> Instant) -> bool {
        let with_events = self.workers.iter().filter(|(_, worker)| worker.has_event());
        let ready: Vec<WorkerId> = with_events.map(|(key, _)| WorkerId(key)).collect();
        for id in &ready {
            self.collect_from(*id, &clock);
        }
        !ready.is_empty()
    }

    pub(super) fn collect_from(&mut self, id: WorkerId, clock: &impl Fn() -> Instant) {
        let key = id.0;
        while self.workers[key].has_event() {
            let is_true = match self.workers[key].link.next_event() {
                Ok(Some(event)) => self.take_event(id, event, clock),
                Ok(None) => break,
                Err(Broken) => false,
            };
            if !is_true {
                return self.workers[key].condemn();
            }
        }
        let worker = &mut self.workers[key];
        // It may wait for room for its next event.
        worker.link.flush();
        if self.config.idle_timeout.is_some() && worker.in_flight.is_empty() {
            worker.note_idle(clock());
        }
        if worker.is_worn(&self.config) {
            worker.retire(RetireReason::Recycled, clock());
        }
        if worker.is_exiting() {
            worker.note_exiting(clock());
        }
    }

    /// Takes an event in; `false` if no honest worker sends such an event.
    fn take_event(&mut self, id: WorkerId, event: LinkEvent, clock: &impl Fn() -> Instant) -> bool {
        match event {
            LinkEvent::Ready(ready) => self.note_ready(id, ready, clock),
            LinkEvent::Done { id: job, outcome, duration, is_last } => {
                if !self.workers[id.0].note_done(job) {
                    return false;
                }
                self.mean_duration += (duration.as_nanos() as f64 - self.mean_duration) * SMOOTHING;
                self.finish_run(job, outcome, clock);
                if is_last {
                    self.note_outgrown(id, clock);
                }
                true
            }
            LinkEvent::Finalized(finalized) => self.note_finalized(id, finalized),
        }
    }

    /// Queues a worker's job before all other jobs of its priority.
    pub(super) fn queue_first(&mut self, id: JobId) {
        let job = &mut self.jobs[id.0];
        job.state = JobState::Queued;
        // The job may have been passed over as a job that runs.
        self.deadlines.extend(job.deadline.map(|deadline| (deadline, id)));
        match job.pin {
            Some(worker) => self.queue_pinned_first(id, worker),
            None => self.queue.push_front(id, job.priority),
        }
    }

    /// Revokes the jobs of workers that have a job of a lower priority than `priority` in line, so that the dispatch
    /// begins with the queue's first.
    pub(super) fn make_way(&mut self, priority: Priority) {
        let is_lower = |id: &JobId| self.jobs[id.0].priority < priority;
        let in_line = |worker: &Worker<L>| worker.in_flight.iter().skip(1).any(is_lower);
        let with_lower = self.workers.iter().filter(|(_, worker)| in_line(worker)).map(|(key, _)| WorkerId(key));
        for id in with_lower.collect::<Vec<_>>() {
            self.revoke_all(id);
        }
    }

    /// Revokes every job that a worker has not begun.
    pub(super) fn revoke_all(&mut self, id: WorkerId) {
        self.revoke_until(id, None);
    }

    /// Revokes jobs of a worker, oldest first, up to `wanted`. Returns whether `wanted` was revoked. Other jobs are
    /// queued again.
    pub(super) fn revoke_until(&mut self, id: WorkerId, wanted: Option<JobId>) -> bool {
        let (mut others, mut is_found) = (Vec::new(), false);
        while !is_found && let Some(revoked) = self.workers[id.0].revoke() {
            is_found = Some(revoked) == wanted;
            if !is_found {
                others.push(revoked);
            }
        }
        for other in others.into_iter().rev() {
            self.queue_first(other);
        }
        is_found
    }
}

/// Returns whether a worker may have one more job in flight.
fn has_room<L: WorkerLink>(worker: &Worker<L>, config: &PoolConfig, depth: usize) -> bool {
    let left = config.max_tasks.map_or(usize::MAX, |max| max.saturating_sub(worker.completed) as usize);
    worker.is_serving() && worker.pins == 0 && worker.in_flight.len() < depth.min(left)
}
