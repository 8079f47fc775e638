//! One worker in the scheduler: the link, the stage, and the jobs in flight.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::error::JoinErrorKind;
use crate::pool::model::JobId;
use crate::pool::transport::{Broken, Death, Oldest, WorkerLink};
use crate::sys::poll::Deadline;

/// How long a worker without jobs may take to exit. An exit handler may hang, and a stopped worker never exits.
pub(super) const EXIT_GRACE: Duration = Duration::from_secs(2);

pub(super) struct Worker<L> {
    pub(super) link: L,
    pub(super) stage: Stage,
    health: Health,
    /// Jobs that were sent and have no outcome, oldest first.
    pub(super) in_flight: VecDeque<JobId>,
    /// Jobs with an outcome.
    pub(super) completed: u32,
    /// Why the pool killed the worker, if for the running job.
    kill_reason: Option<JoinErrorKind>,
    idle_since: Instant,
    /// When a worker that was told to exit, and has no job, is killed.
    exit_deadline: Deadline,
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
    pub(super) fn new(link: L, now: Instant, start_deadline: Deadline) -> Self {
        Self {
            link,
            stage: Stage::Starting,
            health: Health::Ok,
            in_flight: VecDeque::new(),
            completed: 0,
            kill_reason: None,
            idle_since: now,
            exit_deadline: None,
            start_deadline,
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
            self.exit_deadline = now.checked_add(EXIT_GRACE);
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

    /// Returns whether the worker could begin a job at once.
    pub(super) fn is_idle(&self) -> bool {
        self.is_serving() && self.in_flight.is_empty()
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

    /// Kills the worker. The running job fails with `reason`, if given, or else with the worker's death.
    pub(super) fn kill(&mut self, reason: Option<JoinErrorKind>) {
        self.kill_reason = self.kill_reason.take().or(reason);
        if self.health == Health::Ok {
            self.health = Health::Killed;
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
