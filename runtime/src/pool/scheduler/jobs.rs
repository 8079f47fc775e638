//! The jobs, from submission to the taking of the outcome.

use std::collections::VecDeque;
use std::mem;
use std::task::Waker;
use std::time::Instant;

use super::{Phase, Scheduler};
use crate::error::JoinErrorKind;
use crate::ipc::wire::payload::Payload;
use crate::pool::model::{Failure, GroupId, Holder, JobEntry, JobId, JobState, Outcome, WorkerId};
use crate::pool::transport::WorkerLink;

impl<L: WorkerLink> Scheduler<L> {
    /// Queues a job. A job that is done already, or comes after the close, only keeps an outcome.
    pub(in crate::pool) fn submit(&mut self, mut job: JobEntry) -> JobId {
        let outcome = match (mem::replace(&mut job.state, JobState::Queued), self.phase) {
            (JobState::Done(outcome), _) => Some(outcome),
            (_, Phase::Open) => None,
            _ => Some(Err(Failure::new(JoinErrorKind::PoolClosed, None))),
        };
        job.time_limit = [job.time_limit, self.config.task_timeout].into_iter().flatten().min();
        self.limited += usize::from(job.has_limit());
        self.queued_bytes += job.arguments.len();
        let (priority, deadline, pin) = (job.priority, job.deadline, job.pin);
        let id = JobId(self.jobs.insert(job));
        self.unfinished += 1;
        self.of_priority[priority as usize] += 1;
        pin.into_iter().for_each(|worker| self.note_pinned(worker));
        if let Some(outcome) = outcome {
            self.finish(id, outcome);
            return id;
        }
        self.deadlines.extend(deadline.map(|deadline| (deadline, id)));
        if let Some(worker) = pin {
            self.queue_pinned(id, worker);
            return id;
        }
        self.queue.push_back(id, priority);
        if self.of_priority[..priority as usize].iter().any(|jobs| *jobs > 0) {
            self.make_way(priority);
        }
        id
    }

    /// Sets the outcome of a job.
    pub(super) fn finish(&mut self, id: JobId, outcome: Outcome) {
        match &outcome {
            Ok(_) => self.done += 1,
            Err(_) => self.failed += 1,
        }
        self.unfinished -= 1;
        let job = &mut self.jobs[id.0];
        self.limited -= usize::from(job.has_limit());
        self.of_priority[job.priority as usize] -= 1;
        if let Some(deadline) = job.deadline {
            self.deadlines.remove(&(deadline, id));
        }
        self.spent.extend(job.retry.take().map(|retry| *retry));
        if job.rests {
            self.resting.retain(|(_, resting)| *resting != id);
        }
        self.queued_bytes -= job.arguments.len();
        job.arguments = Payload::EMPTY;
        job.state = JobState::Done(outcome);
        let pin = job.pin.take();
        match &mut job.holder {
            Holder::Dropped => drop(self.jobs.remove(id.0)),
            Holder::Job(waker) => {
                self.futures -= usize::from(waker.is_some());
                self.woken.extend(waker.take());
            }
            Holder::Group(group) => self.groups[group.0].push_back(id),
        }
        pin.into_iter().for_each(|worker| self.note_unpinned(worker));
    }

    pub(in crate::pool) fn is_done(&self, id: JobId) -> bool {
        self.jobs.get(id.0).is_none_or(|job| matches!(job.state, JobState::Done(_)))
    }

    /// Returns the process that runs a job, or has run a job that is done.
    pub(in crate::pool) fn pid_of(&mut self, id: JobId, now: Instant) -> Option<u32> {
        match &self.jobs.get(id.0)?.state {
            JobState::Queued | JobState::Undecided => None,
            JobState::InFlight(worker) => {
                let (running, pid) = self.workers[worker.0].running(now)?;
                (running == id).then_some(pid)
            }
            JobState::Done(Ok(returned)) => Some(returned.pid),
            JobState::Done(Err(failure)) => failure.pid,
        }
    }

    /// Takes the outcome of a done job, and drops the job.
    pub(in crate::pool) fn take(&mut self, id: JobId) -> Option<Outcome> {
        if !self.is_done(id) {
            return None;
        }
        match self.jobs.try_remove(id.0).map(|job| job.state) {
            Some(JobState::Done(outcome)) => Some(outcome),
            _ => Some(Err(Failure::new(JoinErrorKind::PoolClosed, None))),
        }
    }

    /// Counts a done job as failed: the result could not be decoded.
    pub(in crate::pool) fn note_undecodable(&mut self) {
        self.done -= 1;
        self.failed += 1;
    }

    /// Sets the waker of a job's future. Returns the waker before.
    pub(in crate::pool) fn set_waker(&mut self, id: JobId, waker: Waker) -> Option<Waker> {
        let Holder::Job(slot) = &mut self.jobs.get_mut(id.0)?.holder else { return None };
        let before = slot.replace(waker);
        self.futures += usize::from(before.is_none());
        before
    }

    /// Takes the waker of a job's future out, if it is the same as `waker`.
    pub(in crate::pool) fn clear_waker(&mut self, id: JobId, waker: &Waker) -> Option<Waker> {
        let Holder::Job(slot) = &mut self.jobs.get_mut(id.0)?.holder else { return None };
        let taken = slot.take_if(|known| known.will_wake(waker));
        self.futures -= usize::from(taken.is_some());
        taken
    }

    /// Lets go of a job without an owner. The caller drops the returned parts without the lock.
    pub(in crate::pool) fn release(&mut self, id: JobId) -> (Option<JobEntry>, Holder) {
        if self.is_done(id) {
            return (self.jobs.try_remove(id.0), Holder::Dropped);
        }
        let holder = mem::replace(&mut self.jobs[id.0].holder, Holder::Dropped);
        self.futures -= usize::from(matches!(holder, Holder::Job(Some(_))));
        (None, holder)
    }

    /// Cancels a job that has not begun. Returns `false` for a running job, which is told of the cancel, and for a done
    /// job.
    pub(in crate::pool) fn cancel(&mut self, id: JobId, clock: impl Fn() -> Instant) -> bool {
        // Its outcome may have come, and its worker be busy with the next job.
        self.collect(clock);
        let Some(job) = self.jobs.get_mut(id.0) else { return false };
        match job.state {
            JobState::Done(_) => return false,
            JobState::Undecided => {
                job.refuse_retries();
                return false;
            }
            JobState::Queued => match job.pin {
                Some(WorkerId(key)) => self.workers[key].pinned.retain(|known| *known != id),
                None => self.queue.retain(|known| known != id),
            },
            JobState::InFlight(worker) => {
                // A cancelled job is not run again, should its worker die.
                job.refuse_retries();
                if !self.revoke_until(worker, Some(id)) {
                    self.workers[worker.0].link.cancel(id);
                    return false;
                }
            }
        }
        self.finish(id, Err(Failure::new(JoinErrorKind::Cancelled, None)));
        true
    }

    /// Cancels a job, or kills the worker of a running job.
    pub(in crate::pool) fn kill(&mut self, id: JobId, clock: impl Fn() -> Instant) {
        if !self.cancel(id, &clock) {
            self.kill_running(id, JoinErrorKind::Cancelled, &clock);
        }
    }

    /// Kills the worker of a running job, unless the job is done by now.
    pub(super) fn kill_running(&mut self, id: JobId, reason: JoinErrorKind, clock: &impl Fn() -> Instant) {
        let Some(JobEntry { state: JobState::InFlight(worker), .. }) = self.jobs.get(id.0) else { return };
        let WorkerId(key) = *worker;
        // The worker must not begin its next job before the signal arrives.
        self.revoke_all(WorkerId(key));
        self.collect_from(WorkerId(key), clock);
        let worker = &mut self.workers[key];
        if worker.in_flight.front() == Some(&id) {
            worker.kill(Some(reason));
        } else if worker.in_flight.contains(&id) {
            // It claims to run two jobs at once.
            worker.condemn();
            worker.in_flight.retain(|known| *known != id);
            self.finish(id, Err(Failure::new(reason, None)));
        }
    }

    pub(in crate::pool) fn new_group(&mut self) -> GroupId {
        GroupId(self.groups.insert(VecDeque::new()))
    }

    /// Takes the next done job of a group.
    pub(in crate::pool) fn next_of_group(&mut self, group: GroupId) -> Option<JobId> {
        self.groups.get_mut(group.0)?.pop_front()
    }

    pub(in crate::pool) fn has_next_of_group(&self, group: GroupId) -> bool {
        self.groups.get(group.0).is_none_or(|done| !done.is_empty())
    }

    pub(in crate::pool) fn release_group(&mut self, group: GroupId) {
        self.groups.try_remove(group.0);
    }
}
