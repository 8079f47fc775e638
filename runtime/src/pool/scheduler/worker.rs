//! One worker, as the scheduler sees it: its link, its stage, and its jobs in flight.

use std::collections::VecDeque;
use std::time::Instant;

use crate::error::JoinErrorKind;
use crate::pool::model::JobId;
use crate::pool::transport::{Broken, Death, Oldest, WorkerLink};
use crate::sys::poll::Deadline;

pub(super) struct Worker<L> {
    pub(super) link: L,
    pub(super) stage: Stage,
    health: Health,
    /// Jobs that were sent and have no outcome, oldest first.
    pub(super) in_flight: VecDeque<JobId>,
    /// Jobs with an outcome.
    pub(super) completed: u32,
    /// Why the pool killed it, if for the job that ran.
    kill_reason: Option<JoinErrorKind>,
    idle_since: Instant,
    /// When its initializer has to have returned.
    start_deadline: Deadline,
    /// The oldest job in flight, and since when it is seen not to have begun.
    not_begun: Option<(JobId, Instant)>,
    /// The worker was woken for a job and did not begin it.
    stalled: bool,
}

/// How far a worker is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its initializer runs.
    Starting,
    Serving,
    /// It gets no more jobs, and exits after those in flight.
    Retiring(RetireReason),
}

/// Why a worker exits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RetireReason {
    /// It has done as many jobs as a worker may do.
    Recycled,
    /// It has grown too large, and exits of its own accord. The jobs behind its last one it will not begin.
    Outgrown,
    /// The pool has one worker more than it needs.
    Surplus,
}

/// What a worker's link is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Ok,
    /// The pool has killed the worker. Outcomes that it has sent count.
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
            start_deadline,
            not_begun: None,
            stalled: false,
        }
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.health == Health::Ok
    }

    pub(super) fn is_retiring(&self) -> bool {
        matches!(self.stage, Stage::Retiring(_))
    }

    /// Whether it takes jobs.
    pub(super) fn is_serving(&self) -> bool {
        self.stage == Stage::Serving && self.is_healthy()
    }

    pub(super) fn has_event(&self) -> bool {
        self.health != Health::Corrupt && self.link.has_event()
    }

    /// Whether it could begin a job at once.
    pub(super) fn is_idle(&self) -> bool {
        self.is_serving() && self.in_flight.is_empty()
    }

    /// Since when it has been idle, if it is.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.is_idle().then_some(self.idle_since)
    }

    pub(super) fn note_idle(&mut self, now: Instant) {
        self.idle_since = now;
    }

    /// When its initializer has to have returned, as long as it runs.
    pub(super) fn start_deadline(&self) -> Deadline {
        self.start_deadline.filter(|_| self.stage == Stage::Starting && self.is_healthy())
    }

    /// Notes that a job was sent.
    pub(super) fn note_sent(&mut self, id: JobId) {
        self.in_flight.push_back(id);
        self.stalled = false;
    }

    /// Notes the outcome of a job; `false` if it is not that of the oldest.
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

    /// Whether it was woken in vain, and has not waited for jobs since.
    pub(super) fn is_stalled(&self) -> bool {
        self.stalled && !self.link.is_waiting()
    }

    /// The job that runs, and the worker's pid.
    pub(super) fn running(&mut self, now: Instant) -> Option<(JobId, u32)> {
        let (id, _) = self.running_since(now).ok().flatten()?;
        Some((id, self.link.pid()))
    }

    /// The job that runs, and since when.
    pub(super) fn running_since(&mut self, now: Instant) -> Result<Option<(JobId, Instant)>, Broken> {
        let Oldest::Running { since } = self.link.oldest(now)? else { return Ok(None) };
        Ok(self.in_flight.front().map(|id| (*id, since)))
    }

    /// Since when it is seen to have jobs and to begin none.
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

    /// Takes the oldest job back that has not begun. A broken link kills the worker.
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

    /// Tells it to exit after its jobs in flight; whether it could be told.
    pub(super) fn retire(&mut self, reason: RetireReason) -> bool {
        if self.is_retiring() {
            return true;
        }
        let is_told = self.link.shut_down();
        if is_told {
            self.stage = Stage::Retiring(reason);
        }
        is_told
    }

    /// Ends it. Its death is the failure of the job that runs, or `reason`, if given.
    pub(super) fn kill(&mut self, reason: Option<JoinErrorKind>) {
        self.kill_reason = self.kill_reason.take().or(reason);
        if self.health == Health::Ok {
            self.health = Health::Killed;
        }
        self.link.kill();
    }

    /// Ends a worker that broke the protocol.
    pub(super) fn condemn(&mut self) {
        self.kill(None);
        self.health = Health::Corrupt;
    }

    /// How it has ended. The failure is the pool's own reason, if the pool killed it for the job that ran.
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
