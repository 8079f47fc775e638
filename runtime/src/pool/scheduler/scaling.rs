//! The number of workers: starting, retiring and replacing them.
//!
//! A worker that could not be started, or ended before it served, is replaced after a pause (see `backoff`). While
//! another worker serves, no job fails for it. Without a serving worker, and after several failed attempts in a row,
//! the queued jobs fail with the cause. The pool goes on trying all the same, since a scarce resource may come back.

use std::time::Instant;

use super::worker::{RetireReason, Stage, Worker};
use super::{Phase, Scheduler, TICK};
use crate::error::{Error, ErrorKind, JoinErrorKind};
use crate::pool::model::{Failure, Seat, WorkerId};
use crate::pool::transport::{Death, StartFailure, WorkerLink};
use crate::sys::poll::Deadline;

impl<L: WorkerLink> Scheduler<L> {
    /// How many workers the pool needs now: one for each job, within its bounds. A pinned job has its worker.
    fn target(&self) -> usize {
        let (most, jobs) = (self.config.max_workers, self.unfinished - self.pinned);
        match self.phase {
            Phase::Open => jobs.clamp(self.config.least_workers(), most),
            Phase::Closed => jobs.min(most),
            Phase::Terminated => 0,
        }
    }

    fn vacancies(&self) -> usize {
        if self.hopeless().is_some() {
            return 0;
        }
        let vacant = self.target().saturating_sub(self.staying().count() + self.starting.len());
        // Workers that are told to exit take processes, memory and descriptors until they have. If that takes long, the
        // pool waits for them, rather than for the limits of the system.
        let most = self.config.max_workers.saturating_mul(2);
        vacant.min(most.saturating_sub(self.workers.len() + self.starting.len()))
    }

    /// The workers that have a place in the pool.
    fn staying(&self) -> impl Iterator<Item = &Worker<L>> {
        self.workers.iter().map(|(_, worker)| worker).filter(|worker| !worker.is_exiting())
    }

    /// Whether a worker is to be started now.
    pub(in crate::pool) fn must_start(&self, clock: impl Fn() -> Instant) -> bool {
        self.vacancies() > 0 && self.backoff.next().is_none_or(|next| clock() >= next)
    }

    /// Notes the start of a worker that the driver makes now.
    pub(in crate::pool) fn begin_start(&mut self) -> Seat {
        let is_taken =
            |place: &usize| self.starting.contains(place) || self.staying().any(|other| other.place == *place);
        let place = (0..).find(|place| !is_taken(place)).unwrap_or_default();
        self.starting.push(place);
        self.started += 1;
        Seat { name: format!("{}-{}", self.config.name, self.started), place }
    }

    /// Takes in a worker that was started for a place, or why it was not.
    pub(in crate::pool) fn finish_start(&mut self, place: usize, started: Result<L, StartFailure>, now: Instant) {
        self.starting.retain(|known| *known != place);
        match started {
            Ok(link) => {
                let key = self.workers.insert(Worker::new(link, place, &self.config, now));
                // The other workers have been told to exit already.
                let is_late = self.is_over();
                let worker = &mut self.workers[key];
                if is_late && (self.phase == Phase::Terminated || !worker.retire(RetireReason::Surplus, now)) {
                    worker.kill(None);
                }
                // The pool may have become smaller meanwhile.
                self.retire_surplus(now);
            }
            Err(failure) => self.note_failed_start(failure, now),
        }
    }

    /// Whether there is nothing left to do for a worker, now and later.
    fn is_over(&self) -> bool {
        match self.phase {
            Phase::Open => false,
            Phase::Closed => self.unfinished == 0,
            Phase::Terminated => true,
        }
    }

    /// When there may be something to do about the workers, if no other event comes before.
    pub(in crate::pool) fn scaling_due(&self) -> Deadline {
        let start = self.backoff.next().filter(|_| self.vacancies() > 0);
        let retirement = self.longest_idle().and_then(|(_, due)| due);
        let deadlines = self.workers.iter().flat_map(|(_, worker)| [worker.start_deadline(), worker.exit_deadline()]);
        [start, retirement, self.shutdown_due()].into_iter().chain(deadlines).flatten().min()
    }

    /// The same for a supervisor that sees deaths, but no other events. If idle workers retire, it looks now and then
    /// whether one has become idle.
    pub(in crate::pool) fn supervision_due(&self, clock: impl Fn() -> Instant) -> Deadline {
        let has_jobs = || self.workers.iter().any(|(_, worker)| !worker.in_flight.is_empty());
        let limit = self.config.idle_timeout;
        let limit = limit.filter(|_| self.workers.len() > self.config.least_workers() && has_jobs());
        let look = limit.and_then(|limit| clock().checked_add(limit.max(TICK)));
        [self.scaling_due(), look].into_iter().flatten().min()
    }

    pub(super) fn has_serving_worker(&self) -> bool {
        self.workers.iter().any(|(_, worker)| worker.is_serving())
    }

    /// Whether the first workers serve; an error if they cannot be had, `None` as long as it is open.
    ///
    /// If a limit keeps the pool from having all of them at the moment, it begins with those that serve.
    pub(in crate::pool) fn is_ready(&self) -> Option<Result<(), Error>> {
        match self.backoff.has_begun_badly() {
            Some(error) if error.kind() == ErrorKind::LimitReached && self.has_serving_worker() => Some(Ok(())),
            Some(error) => Some(Err(error.again())),
            None => {
                let all_serve = self.workers.iter().all(|(_, worker)| worker.stage == Stage::Serving);
                (self.vacancies() == 0 && self.starting.is_empty() && all_serve).then_some(Ok(()))
            }
        }
    }

    /// Takes in the first event of a worker; `false` if the worker has sent it before.
    pub(super) fn note_ready(&mut self, id: WorkerId, ready: Result<(), Error>, clock: &impl Fn() -> Instant) -> bool {
        let worker = &mut self.workers[id.0];
        match (worker.stage, ready) {
            (Stage::Serving, _) => return false,
            // It was told to exit before it served.
            (Stage::Retiring(_), Ok(())) => worker.note_ready(),
            (Stage::Retiring(_), Err(_)) => {}
            (Stage::Starting, Ok(())) => {
                worker.stage = Stage::Serving;
                worker.note_ready();
                self.backoff.note_success();
            }
            (Stage::Starting, Err(cause)) => {
                worker.stage = Stage::Retiring(RetireReason::Recycled);
                worker.kill(None);
                self.note_failed_start(StartFailure { cause, is_final: false }, clock());
            }
        }
        true
    }

    /// Takes in that a worker has grown too large: it exits of its own accord.
    pub(super) fn note_outgrown(&mut self, id: WorkerId, clock: &impl Fn() -> Instant) {
        // It may have been told to exit, behind jobs that it will not begin.
        if !self.workers[id.0].is_retiring() {
            self.workers[id.0].stage = Stage::Retiring(RetireReason::Outgrown);
        }
        self.revoke_all(id);
        let worker = &mut self.workers[id.0];
        worker.note_exiting(clock());
        // The worker says so itself, which may be untrue.
        if !worker.link.shut_down() {
            worker.kill(None);
        }
    }

    /// Takes in the outcome of a worker's finalizer; `false` if no honest worker sends such an event.
    pub(super) fn note_finalized(&mut self, id: WorkerId, finalized: Result<(), Error>) -> bool {
        if let Err(error) = finalized {
            self.exit_error.get_or_insert(error);
        }
        self.workers[id.0].note_finalized()
    }

    fn note_failed_start(&mut self, failure: StartFailure, now: Instant) {
        if failure.is_final {
            return self.backoff.give_up(failure.cause);
        }
        // An exit that is under way may make room for another start.
        let is_alone = !self.workers.iter().any(|(_, worker)| worker.is_serving() || worker.exit_deadline().is_some());
        self.backoff.note_failure(failure.cause, now, is_alone);
        if let Some(cause) = self.backoff.exhausted().map(Error::again) {
            self.fail_queue(cause);
        }
    }

    /// Why the pool will never have another worker.
    pub(in crate::pool) fn hopeless(&self) -> Option<&Error> {
        self.backoff.hopeless()
    }

    /// Fails the queued jobs if there is no worker and never will be.
    pub(super) fn fail_queue_if_hopeless(&mut self) -> bool {
        let is_over = !self.queue.is_empty() && self.is_empty();
        match self.hopeless().filter(|_| is_over).map(Error::again) {
            Some(cause) => {
                self.fail_queue(cause);
                true
            }
            None => false,
        }
    }

    fn fail_queue(&mut self, cause: Error) {
        for id in self.queue.take() {
            self.finish(id, Err(Failure::new(JoinErrorKind::NotStarted(cause.again()), None)));
            self.abandoned.get_or_insert_with(|| cause.again());
        }
    }

    /// Takes out the workers that have ended, and hands each to `reaped`.
    ///
    /// The job that ran fails, or runs again if it may. The jobs that had not begun are queued again.
    pub(in crate::pool) fn reap(&mut self, clock: impl Fn() -> Instant, mut reaped: impl FnMut(&L)) {
        let ended = self.workers.iter().filter(|(_, worker)| worker.link.has_ended()).map(|(key, _)| WorkerId(key));
        for id in ended.collect::<Vec<_>>() {
            self.collect_from(id, &clock);
            let worker = self.workers.remove(id.0);
            reaped(&worker.link);
            self.note_death(worker, clock());
        }
    }

    fn note_death(&mut self, mut worker: Worker<L>, now: Instant) {
        let is_unfinalized = worker.is_to_finalize() && self.phase != Phase::Terminated;
        let Death { has_begun, failure } = worker.death();
        let running = if has_begun { worker.in_flight.pop_front() } else { None };
        for id in worker.in_flight.drain(..).rev() {
            match self.jobs[id.0].pin {
                Some(_) => worker.pinned.push_front(id),
                None => self.queue_first(id),
            }
        }
        worker.pinned.drain(..).for_each(|id| self.fail_pinned(id, worker.link.pid()));
        match worker.stage {
            Stage::Retiring(RetireReason::Surplus) => self.retired += 1,
            _ => self.replaced += 1,
        }
        match (running, worker.stage) {
            (Some(id), _) => self.finish_run(id, Err(failure), &|| now),
            (None, Stage::Starting) => {
                let cause = worker.link.startup_error(failure);
                self.note_failed_start(StartFailure { cause, is_final: false }, now);
            }
            (None, _) if is_unfinalized => {
                let error = worker.link.exit_error(failure);
                self.exit_error = self.exit_error.take().or(error);
            }
            (None, Stage::Serving) if worker.completed == 0 => self.backoff.note_setback(now),
            _ => {}
        }
    }

    /// Changes the number of workers.
    pub(in crate::pool) fn resize(&mut self, max_workers: usize, now: Instant) {
        self.config.max_workers = max_workers;
        self.retire_surplus(now);
    }

    /// Retires workers, idle ones first, until there are no more than there may be.
    fn retire_surplus(&mut self, now: Instant) {
        let staying = self.workers.iter().filter(|(_, worker)| !worker.is_retiring());
        let mut idle_first: Vec<(usize, usize)> = staying.map(|(key, worker)| (worker.in_flight.len(), key)).collect();
        idle_first.sort_unstable();
        let surplus = idle_first.len().saturating_sub(self.config.max_workers);
        for (_, key) in idle_first.into_iter().take(surplus) {
            if !self.workers[key].retire(RetireReason::Surplus, now) {
                // Its window is full. The jobs that it has not begun run elsewhere.
                self.revoke_all(WorkerId(key));
                self.workers[key].retire(RetireReason::Surplus, now);
            }
        }
    }

    /// Retires workers that have done their share, and whose pinned jobs were cancelled since: there was no event.
    pub(super) fn retire_worn(&mut self, now: Instant) {
        for (_, worker) in &mut self.workers {
            if worker.is_serving() && worker.is_worn(&self.config) {
                worker.retire(RetireReason::Recycled, now);
            }
        }
    }

    /// Retires workers that have been idle for too long, if there are more than there have to be.
    pub(super) fn retire_idle(&mut self, now: Instant) {
        while let Some((key, Some(due))) = self.longest_idle()
            && due <= now
        {
            let worker = &mut self.workers[key];
            if !worker.retire(RetireReason::Surplus, now) {
                worker.kill(None);
            }
        }
    }

    /// The worker that has been idle for longest, if one may retire, and when it has to.
    fn longest_idle(&self) -> Option<(usize, Deadline)> {
        let limit = self.config.idle_timeout?;
        let stays = |worker: &&Worker<L>| !worker.is_retiring() && worker.is_healthy();
        if self.workers.iter().map(|(_, worker)| worker).filter(stays).count() <= self.config.least_workers() {
            return None;
        }
        let idle = self.workers.iter().filter_map(|(key, worker)| Some((key, worker.idle_since()?)));
        idle.min_by_key(|(_, since)| *since).map(|(key, since)| (key, since.checked_add(limit)))
    }

    /// Kills workers that were told to exit, and take too long.
    pub(super) fn end_slow_exits(&mut self, now: Instant) {
        for (_, worker) in &mut self.workers {
            if worker.exit_deadline().is_some_and(|deadline| deadline <= now) {
                worker.kill(Some(JoinErrorKind::TimedOut));
            }
        }
    }

    /// Kills workers whose initializer runs for too long.
    pub(super) fn end_slow_starts(&mut self, now: Instant) {
        for (_, worker) in &mut self.workers {
            if worker.start_deadline().is_some_and(|deadline| deadline <= now) {
                worker.kill(Some(JoinErrorKind::TimedOut));
            }
        }
    }
}
