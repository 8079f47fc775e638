//! The pool's decisions: which worker runs which job, how many workers there are, and when a job or a worker is ended.
//!
//! The scheduler does no I/O, reads no clock, holds no lock and starts no process. The driver calls it with the pool's
//! lock held. Its events are the calls below; its commands are the calls that it makes to a [`WorkerLink`]:
//!
//! | event | call | commands that may follow |
//! | --- | --- | --- |
//! | a job is submitted | [`submit`](Scheduler::submit), [`dispatch`](Scheduler::dispatch) | send, flush |
//! | links have events | [`collect`](Scheduler::collect) | flush, revoke, shut down, kill |
//! | a worker was started, or could not be | [`finish_start`](Scheduler::finish_start) | kill, shut down |
//! | a worker ended | [`reap`](Scheduler::reap) | – |
//! | time passed | [`tick`](Scheduler::tick) | cancel, revoke, kill, shut down, send |
//! | a job is cancelled or killed | [`cancel`](Scheduler::cancel), [`kill`](Scheduler::kill) | revoke, cancel, kill |
//! | the pool ends | [`begin_shutdown`](Scheduler::begin_shutdown), [`terminate`](Scheduler::terminate) | kill |
//!
//! `jobs` keeps jobs and outcomes, `queue` orders them by priority, `admission` bounds the queue, `dispatch` gives jobs
//! to workers, `timeouts` ends jobs, `scaling` adds, retires and replaces workers, `backoff` spaces the attempts to
//! start one, `broadcast` gives jobs to workers of their own, `ending` shuts the pool down, `retries` runs jobs again.

mod admission;
mod backoff;
mod broadcast;
mod dispatch;
mod ending;
mod jobs;
mod queue;
mod retries;
mod scaling;
#[cfg(test)]
mod tests;
mod timeouts;
mod worker;

use std::collections::{BTreeSet, VecDeque};
use std::task::Waker;
use std::time::{Duration, Instant};

use slab::Slab;

use super::model::{Failure, JobEntry, JobId, PoolConfig, Undecided};
use super::stats::{PoolStats, Unfinished, WorkerStats};
use super::transport::WorkerLink;
use crate::error::{Error, JoinErrorKind};
use crate::sys::poll::Deadline;
use crate::task::{Priority, Retry};
use admission::Line;
pub(super) use admission::{NoEntry, Ticket};
use backoff::Backoff;
pub(super) use ending::Milestone;
use ending::Shutdown;
use queue::Queue;
use worker::Worker;

/// Whether a pool takes jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// It takes no jobs, and runs those that it has.
    Closed,
    /// Its jobs and workers are ended.
    Terminated,
}

/// How long a job may wait in the window of a worker that does not begin the job, before the job goes to another
/// worker.
pub(super) const TICK: Duration = Duration::from_millis(5);

/// The jobs, the workers, and which worker has which job.
pub(super) struct Scheduler<L> {
    config: PoolConfig,
    phase: Phase,
    shutdown: Option<Shutdown>,
    /// Jobs that were unfinished when the pool was terminated.
    cut_off: Unfinished,
    jobs: Slab<JobEntry>,
    groups: Slab<VecDeque<JobId>>,
    /// Jobs that are at no worker, in the order in which they are dispatched.
    queue: Queue,
    /// The deadlines of unfinished jobs that were not seen to run at the deadline.
    deadlines: BTreeSet<(Instant, JobId)>,
    /// Unfinished jobs of each priority.
    of_priority: [usize; Priority::LEVELS],
    /// Jobs that rest before a further run, by the end of the pause. No worker and no queue has them.
    resting: BTreeSet<(Instant, JobId)>,
    /// Jobs after a run, whose predicates the driver has to ask.
    undecided: Vec<Undecided>,
    /// Predicates of jobs that are done. The driver drops them without the lock: one may hold a handle of the pool.
    spent: Vec<Retry>,
    /// Callers that wait for room.
    line: Line,
    /// The encoded arguments of all unfinished jobs, in bytes.
    queued_bytes: usize,
    workers: Slab<Worker<L>>,
    /// The places of the workers whose start the driver is busy with.
    starting: Vec<usize>,
    /// Workers that were ever started, or whose start was tried.
    started: usize,
    backoff: Backoff,
    /// The cause for which queued jobs were failed, as no worker could be had.
    abandoned: Option<Error>,
    /// Why the first of the workers that did not exit in order did not.
    exit_error: Option<Error>,
    /// The duration of a job in nanoseconds, an exponential moving average.
    mean_duration: f64,
    /// Wakers of futures whose jobs are done. The driver calls them without the lock.
    woken: Vec<Waker>,
    /// Wakers of futures that wait for the pool.
    watchers: Vec<(Milestone, Waker)>,
    /// Jobs with a waker.
    futures: usize,
    /// Unfinished jobs with a time limit or a deadline.
    limited: usize,
    unfinished: usize,
    /// Unfinished jobs that are pinned to a worker.
    pinned: usize,
    done: u64,
    failed: u64,
    retried: u64,
    replaced: u64,
    retired: u64,
}

impl<L> Scheduler<L> {
    pub(super) fn new(config: PoolConfig) -> Self {
        Self {
            config,
            phase: Phase::Open,
            shutdown: None,
            cut_off: Unfinished::default(),
            jobs: Slab::new(),
            groups: Slab::new(),
            queue: Queue::default(),
            deadlines: BTreeSet::new(),
            of_priority: [0; Priority::LEVELS],
            resting: BTreeSet::new(),
            undecided: Vec::new(),
            spent: Vec::new(),
            line: Line::default(),
            queued_bytes: 0,
            workers: Slab::new(),
            starting: Vec::new(),
            started: 0,
            backoff: Backoff::default(),
            abandoned: None,
            exit_error: None,
            mean_duration: dispatch::AHEAD,
            woken: Vec::new(),
            watchers: Vec::new(),
            futures: 0,
            limited: 0,
            unfinished: 0,
            pinned: 0,
            done: 0,
            failed: 0,
            retried: 0,
            replaced: 0,
            retired: 0,
        }
    }

    /// A terminated scheduler, for a copy of the process that could not read its original's.
    pub(super) fn lost() -> Self {
        Self { phase: Phase::Terminated, ..Self::new(PoolConfig::new(1)) }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// Takes no more jobs.
    pub(super) fn close(&mut self) {
        if self.phase == Phase::Open {
            self.phase = Phase::Closed;
        }
    }

    /// Whether no worker lives or is being started.
    pub(super) fn is_empty(&self) -> bool {
        self.workers.is_empty() && self.starting.is_empty()
    }

    pub(super) fn has_workers(&self) -> bool {
        !self.workers.is_empty()
    }

    /// The links of all workers.
    pub(super) fn links(&self) -> impl Iterator<Item = &L> {
        self.workers.iter().map(|(_, worker)| &worker.link)
    }

    /// How many jobs are queued or in flight.
    pub(super) fn unfinished(&self) -> usize {
        self.unfinished
    }

    /// Changes with each event that a waiting thread may wait for: a job's end, the end of a wait for
    /// room at the deadline, a worker's start or end.
    pub(super) fn version(&self) -> (u64, u64, usize) {
        let workers = self.workers.len() + self.starting.len();
        (self.done + self.failed + self.line.expired, self.replaced + self.retired, workers)
    }

    /// Whether a worker has a job behind another, which may have to be revoked for an idle worker.
    pub(super) fn has_jobs_in_line(&self) -> bool {
        self.workers.iter().any(|(_, worker)| worker.in_flight.len() > 1)
    }

    /// Whether an unfinished job has a time limit or a deadline, or rests.
    pub(super) fn has_limits(&self) -> bool {
        self.limited > 0 || !self.resting.is_empty()
    }

    /// Why queued jobs were failed for want of workers, if any were.
    pub(super) fn abandoned(&self) -> Option<&Error> {
        self.abandoned.as_ref()
    }

    /// Why a worker did not exit in order, if any did not.
    pub(super) fn exit_error(&self) -> Option<&Error> {
        self.exit_error.as_ref()
    }
}

impl<L: WorkerLink> Scheduler<L> {
    /// Whether jobs are queued.
    pub(super) fn has_backlog(&self) -> bool {
        !self.queue.is_empty() || self.has_pinned_backlog()
    }

    /// Whether a future waits for a job, or for room.
    pub(super) fn has_futures(&self) -> bool {
        self.futures > 0 || self.waiting() > 0
    }

    /// Does what is due, and returns the time of the next call if no other event comes before.
    pub(super) fn tick(&mut self, now: Instant) -> Deadline {
        self.scale(now);
        let stalled = self.redistribute_stalled(now);
        let timeout = self.enforce_timeouts(now);
        // A start that is due now is the supervisor's.
        [timeout, self.scaling_due(), stalled].into_iter().flatten().filter(|due| *due > now).min()
    }

    /// The part of [`tick`](Self::tick) that is about the number of workers.
    pub(super) fn scale(&mut self, now: Instant) {
        self.retire_worn(now);
        self.retire_idle(now);
        self.end_slow_starts(now);
        self.continue_shutdown(now);
        self.end_slow_exits(now);
    }

    /// Fails every job and kills every worker.
    pub(super) fn terminate(&mut self, now: Instant) {
        self.phase = Phase::Terminated;
        drop(self.queue.take());
        self.kill_all();
        let running: Vec<(JobId, u32)> =
            self.workers.iter_mut().filter_map(|(_, worker)| worker.running(now)).collect();
        self.cut_off.running.extend(running.iter().map(|(id, _)| self.jobs[id.0].entry.name));
        for (id, pid) in running {
            self.finish(id, Err(Failure::new(JoinErrorKind::PoolClosed, Some(pid))));
        }
        for (_, worker) in &mut self.workers {
            worker.in_flight.clear();
            worker.pinned.clear();
        }
        let unfinished: Vec<JobId> =
            self.jobs.iter().map(|(key, _)| JobId(key)).filter(|id| !self.is_done(*id)).collect();
        self.cut_off.queued += unfinished.len();
        for id in unfinished {
            self.finish(id, Err(Failure::new(JoinErrorKind::PoolClosed, None)));
        }
    }

    pub(super) fn kill_all(&mut self) {
        self.workers.iter_mut().for_each(|(_, worker)| worker.kill(None));
    }

    /// Forgets the workers in a forked copy of the process, and fails every job. What the workers share with the
    /// original is not touched.
    pub(super) fn disown(&mut self, now: Instant) {
        self.workers.clear();
        self.starting.clear();
        self.terminate(now);
    }

    pub(super) fn stats(&self) -> PoolStats {
        let worker = |worker: &Worker<L>| WorkerStats {
            name: worker.link.name().to_owned(),
            pid: worker.link.pid(),
            assigned: worker.in_flight.len(),
            done: worker.completed,
        };
        let running = self.busy_workers();
        PoolStats {
            queued: self.unfinished - running,
            running,
            queued_bytes: self.queued_bytes,
            waiting: self.waiting(),
            done: self.done,
            failed: self.failed,
            retried: self.retried,
            // A recycled worker need not have ended for another one to have the place.
            replaced: self.replaced + self.workers.iter().filter(|(_, worker)| worker.is_recycled()).count() as u64,
            retired: self.retired,
            max_workers: self.config.max_workers,
            workers: self.workers.iter().map(|(_, entry)| worker(entry)).collect(),
        }
    }
}
