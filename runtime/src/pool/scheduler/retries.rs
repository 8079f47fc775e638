//! Further runs of a job: after the death of a worker, or because the call's own predicate asks for one.
//!
//! The predicate is code of the user, which must not run under the pool's lock. So the job is *undecided* after such a
//! run, until the driver has asked the predicate.

use std::time::Instant;

use super::backoff::pause;
use super::{Phase, Scheduler};
use crate::error::JoinErrorKind;
use crate::pool::model::{Failure, JobId, JobState, Outcome, Undecided};
use crate::pool::transport::WorkerLink;
use crate::sys::poll::Deadline;
use crate::task::Retry;

impl<L: WorkerLink> Scheduler<L> {
    /// Takes in the outcome of a run. The job is run again if allowed; otherwise, the outcome is that of the job.
    #[inline]
    pub(super) fn finish_run(&mut self, id: JobId, outcome: Outcome, clock: &impl Fn() -> Instant) {
        let job = &mut self.jobs[id.0];
        if outcome.is_ok() && job.retry.is_none() {
            // Most jobs, at some cost for each move of an outcome.
            return self.finish(id, outcome);
        }
        let is_death = matches!(&outcome, Err(failure) if failure.is_death());
        job.deaths += u32::from(is_death);
        if is_death && job.entry.idempotent && job.retries > 0 {
            job.retries -= 1;
            return self.run_again(id, clock());
        }
        let is_open = !matches!(&outcome, Err(failure) if matches!(failure.kind, JoinErrorKind::Cancelled));
        match job.retry.clone().filter(|retry| is_open && retry.times > 0) {
            Some(retry) => {
                job.state = JobState::Undecided;
                self.undecided.push(Undecided { id, task: job.entry.name, retry: *retry, outcome });
            }
            None => self.finish(id, self.named(id, outcome)),
        }
    }

    /// Takes in the answer of a job's predicate.
    pub(in crate::pool) fn decide(&mut self, id: JobId, outcome: Outcome, again: bool, now: Instant) {
        // The pool may have been terminated meanwhile, and the outcome been taken.
        let Some(job) = self.jobs.get_mut(id.0).filter(|job| matches!(job.state, JobState::Undecided)) else { return };
        match &mut job.retry {
            // A job that was cancelled meanwhile has none left.
            Some(retry) if again && retry.times > 0 => {
                retry.times -= 1;
                self.run_again(id, now);
            }
            _ => self.finish(id, self.named(id, outcome)),
        }
    }

    /// Takes the jobs whose predicates are to be asked, with the lock released.
    pub(in crate::pool) fn take_undecided(&mut self) -> Vec<Undecided> {
        std::mem::take(&mut self.undecided)
    }

    /// Takes the predicates that are to be dropped, with the lock released.
    pub(in crate::pool) fn take_spent(&mut self) -> Vec<Retry> {
        std::mem::take(&mut self.spent)
    }

    /// Names a job that has killed several workers.
    fn named(&self, id: JobId, outcome: Outcome) -> Outcome {
        let workers = self.jobs[id.0].deaths;
        outcome.map_err(|failure| match failure.is_death() && workers > 1 {
            true => Failure { kind: JoinErrorKind::Poisoned { workers, last: Box::new(failure.kind) }, ..failure },
            false => failure,
        })
    }

    /// Queues a job for a further run: at once before all other jobs of its priority, or after a pause behind them.
    fn run_again(&mut self, id: JobId, now: Instant) {
        self.retried += 1;
        let job = &mut self.jobs[id.0];
        job.runs = job.runs.saturating_add(1);
        let pause = pause(self.config.retry_backoff, job.runs);
        if pause.is_zero() || self.phase == Phase::Terminated {
            return self.queue_first(id);
        }
        job.state = JobState::Queued;
        job.rests = true;
        self.deadlines.extend(job.deadline.map(|deadline| (deadline, id)));
        // A pause beyond the range of the clock has no end.
        self.resting.extend(now.checked_add(pause).map(|until| (until, id)));
    }

    /// Queues the jobs whose pause is over. Returns the end of the next pause.
    pub(super) fn end_pauses(&mut self, now: Instant) -> Deadline {
        let mut is_queued = false;
        while let Some((until, id)) = self.resting.first().copied()
            && until <= now
        {
            self.resting.pop_first();
            let job = &mut self.jobs[id.0];
            job.rests = false;
            self.queue.push_back(id, job.priority);
            is_queued = true;
        }
        if is_queued {
            self.dispatch();
        }
        self.resting.first().map(|(until, _)| *until)
    }
}
