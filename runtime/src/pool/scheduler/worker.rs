//! One worker in the scheduler: the link, the stage, and the jobs in flight.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::error::JoinErrorKind;
use crate::pool::model::{JobId, PoolConfig};
use crate::pool::transport::{Broken, Death, Oldest, WorkerLink};
use crate::sys::poll::Deadline;

pub(super) struct Worker<L> {
    pub(super) link: L,
    /// The place in the pool, which an exiting worker has given up.
    pub(super) place: usize,
    pub(super) stage: Stage,
    health: Health,
    /// Jobs that were sent and have no outcome, oldest first.
    pub(super) in_flight: VecDeque<JobId>,
    /// Queued jobs that are pinned to this worker, in the order in which they are sent.
    pub(super) pinned: VecDeque<JobId>,
    /// Unfinished jobs that are pinned to this worker, queued or in flight.
    pub(super) pins: usize,
    /// Jobs with an outcome.
    pub(super) completed: u32,
    /// The pool killed the worker before it was to exit.
    is_killed_at_work: bool,
    /// Why the pool killed the worker, if for the running job.
    kill_reason: Option<JoinErrorKind>,
    idle_since: Instant,
    exit_grace: Duration,
    /// When a worker that was told to exit, and has no job, is killed.
    exit_deadline: Deadline,
    /// Whether the initializer has succeeded.
    is_ready: bool,
    /// Whether the finalizer has returned or failed.
    is_finalized: bool,
    /// The deadline of the initializer.
    start_deadline: Deadline,
    /// The oldest job in flight, if not begun, and the time of the first look that found so.
    not_begun: Option<(JobId, Instant)>,
    /// The worker was woken for a job and did not begin it.
    stalled: bool,
}

/// The stage of a worker's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The initializer runs.
    Starting,
    Serving,
    /// The worker gets no more jobs, and exits after the jobs in flight.
    Retiring(RetireReason),
}

/// Why a worker exits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RetireReason {
    /// The worker has done as many jobs as a worker may do.
    Recycled,
    /// The worker has grown too large, and exits by itself. It begins no other job.
    Outgrown,
    /// The pool has one worker more than it needs.
    Surplus,
}

/// The trust in a worker's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Ok,
    /// The pool has killed the worker. Outcomes on the link count.
    Killed,
    /// The link is [`Broken`], and the worker killed. Nothing more is taken from the link.
    Corrupt,
}

impl<L: WorkerLink> Worker<L> {
    pub(super) fn new(link: L, place: usize, config: &PoolConfig, now: Instant) -> Self {
        Self {
            link,
            place,
            stage: Stage::Starting,
            health: Health::Ok,
            in_flight: VecDeque::new(),
            pinned: VecDeque::new(),
            pins: 0,
            completed: 0,
            is_killed_at_work: false,
            kill_reason: None,
            idle_since: now,
            exit_grace: config.exit_grace,
            exit_deadline: None,
            is_ready: false,
            is_finalized: false,
            start_deadline: config.start_timeout.and_then(|limit| now.checked_add(limit)),
            not_begun: None,
            stalled: false,
        }
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.health == Health::Ok
    }

    /// Returns whether the worker has nothing left to do but to exit. Another worker may have the place.
    pub(super) fn is_exiting(&self) -> bool {
        self.is_retiring() && self.in_flight.is_empty()
    }

    /// Returns whether the worker is to exit, and another worker is to have the place.
    pub(super) fn is_recycled(&self) -> bool {
        self.is_exiting() && self.stage != Stage::Retiring(RetireReason::Surplus)
    }

    /// Notes the time from which a worker has nothing left to do but to exit.
    pub(super) fn note_exiting(&mut self, now: Instant) {
        if self.is_exiting() && self.exit_deadline.is_none() {
            self.exit_deadline = now.checked_add(self.exit_grace);
        }
    }

    /// Returns the end of the grace for a worker that is to exit. A killed worker has none.
    pub(super) fn exit_deadline(&self) -> Deadline {
        self.exit_deadline.filter(|_| self.is_healthy())
    }

    pub(super) fn is_retiring(&self) -> bool {
        matches!(self.stage, Stage::Retiring(_))
    }

    /// Returns whether the worker takes jobs.
    pub(super) fn is_serving(&self) -> bool {
        self.stage == Stage::Serving && self.is_healthy()
    }

    pub(super) fn has_event(&self) -> bool {
        self.health != Health::Corrupt && self.link.has_event()
    }

    /// Arms the link. Returns whether it has so many events already.
    pub(super) fn arm(&self, events: usize) -> bool {
        self.health != Health::Corrupt && self.link.arm(events)
    }

    /// Returns whether the worker could begin a job at once.
    pub(super) fn is_idle(&self) -> bool {
        self.is_serving() && self.in_flight.is_empty() && self.pins == 0
    }

    /// Returns whether the worker has done as many jobs as a worker may do, and has none of its own left.
    pub(super) fn is_worn(&self, config: &PoolConfig) -> bool {
        self.pins == 0 && config.max_tasks.is_some_and(|max| self.completed >= max)
    }

    /// Returns the beginning of the idle time, if the worker is idle.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.is_idle().then_some(self.idle_since)
    }

    pub(super) fn note_idle(&mut self, now: Instant) {
        self.idle_since = now;
    }

    /// Returns the deadline of the initializer, as long as the initializer runs.
    pub(super) fn start_deadline(&self) -> Deadline {
        self.start_deadline.filter(|_| self.stage == Stage::Starting && self.is_healthy())
    }

    /// Notes that a job was sent.
    pub(super) fn note_sent(&mut self, id: JobId) {
        self.in_flight.push_back(id);
        self.stalled = false;
    }

    /// Notes the outcome of the oldest job; `false` if `id` is another job.
    pub(super) fn note_done(&mut self, id: JobId) -> bool {
        if self.in_flight.front() != Some(&id) {
            return false;
        }
        self.in_flight.pop_front();
        self.completed = self.completed.saturating_add(1);
        // Another job may have this id by now.
        self.not_begun = None;
        true
    }

    pub(super) fn note_stalled(&mut self) {
        self.stalled = true;
    }

    /// Returns whether the worker was woken in vain, and has not waited for jobs since.
    pub(super) fn is_stalled(&self) -> bool {
        self.stalled && !self.link.is_waiting()
    }

    /// Returns the running job, and the worker's pid.
    pub(super) fn running(&mut self, now: Instant) -> Option<(JobId, u32)> {
        let (id, _) = self.running_since(now).ok().flatten()?;
        Some((id, self.link.pid()))
    }

    /// Returns the running job, and the start time.
    pub(super) fn running_since(&mut self, now: Instant) -> Result<Option<(JobId, Instant)>, Broken> {
        let Oldest::Running { since } = self.link.oldest(now)? else { return Ok(None) };
        Ok(self.in_flight.front().map(|id| (*id, since)))
    }

    /// Returns the first look that found the oldest job not begun.
    pub(super) fn not_begun_since(&mut self, now: Instant) -> Result<Option<Instant>, Broken> {
        let waiting = match self.link.oldest(now)? {
            Oldest::NotBegun => self.in_flight.front().copied(),
            Oldest::None | Oldest::Running { .. } => None,
        };
        self.not_begun = waiting.map(|id| match self.not_begun {
            Some((known, since)) if known == id => (known, since),
            _ => (id, now),
        });
        Ok(self.not_begun.map(|(_, since)| since))
    }

    /// Revokes the oldest job that has not begun. A broken link kills the worker.
    pub(super) fn revoke(&mut self) -> Option<JobId> {
        match self.link.revoke() {
            Ok(revoked) => {
                let place = revoked.and_then(|id| self.in_flight.iter().position(|known| *known == id))?;
                self.not_begun = None;
                self.in_flight.remove(place)
            }
            Err(Broken) => {
                self.kill(None);
                None
            }
        }
    }

    /// Tells the worker to exit after the jobs in flight; `false` if the window has no room.
    pub(super) fn retire(&mut self, reason: RetireReason, now: Instant) -> bool {
        if self.is_retiring() {
            return true;
        }
        let is_told = self.link.shut_down();
        if is_told {
            self.stage = Stage::Retiring(reason);
            self.note_exiting(now);
        }
        is_told
    }

    /// Notes that the initializer has succeeded.
    pub(super) fn note_ready(&mut self) {
        self.is_ready = true;
    }

    /// Notes that the finalizer has returned or failed; `false` if the worker cannot have come to the finalizer.
    pub(super) fn note_finalized(&mut self) -> bool {
        let may_be = self.is_to_finalize();
        self.is_finalized = true;
        may_be
    }

    /// Returns whether the worker is to exit in order, and the end of the finalizer is not known.
    pub(super) fn is_to_finalize(&self) -> bool {
        self.is_exiting() && self.is_ready && !self.is_finalized && !self.is_killed_at_work
    }

    /// Kills the worker. The running job fails with `reason`, if given, or else with the worker's death.
    pub(super) fn kill(&mut self, reason: Option<JoinErrorKind>) {
        self.kill_reason = self.kill_reason.take().or(reason);
        if self.health == Health::Ok {
            self.health = Health::Killed;
            self.is_killed_at_work = !self.is_exiting();
        }
        self.link.kill();
    }

    /// Kills a worker that broke the protocol.
    pub(super) fn condemn(&mut self) {
        self.kill(None);
        self.health = Health::Corrupt;
    }

    /// Returns the end of the worker. The failure has the reason of the pool's kill, if any.
    pub(super) fn death(&mut self) -> Death {
        let mut death = self.link.death();
        if let Some(reason) = self.kill_reason.take() {
            death.failure.kind = reason;
        }
        if self.health == Health::Corrupt {
            L::BROKEN.clone_into(&mut death.failure.detail);
        }
        death
    }
}
