//! Submitting one job where the queue may have a limit: at once or not at all, by a thread that waits, or by a future.

use std::sync::Arc;
use std::task::{Poll, Waker};

use super::{PoolCore, PoolInner, is_past};
use crate::error::JoinErrorKind;
use crate::pool::model::{Failure, JobEntry, JobId, JobState};
use crate::pool::scheduler::{NoEntry, Ticket};

impl PoolCore {
    /// Submits and takes a job if there is room and no other caller waits for room.
    pub(in crate::pool) fn try_submit(&self, job: &mut Option<JobEntry>) -> Result<JobId, NoEntry> {
        let bytes = job.as_ref().map_or(0, |job| job.arguments.len());
        let mut inner = self.lock();
        self.collect(&mut inner);
        let entered = inner.scheduler.try_enter(bytes);
        let job = if entered.is_ok() { job.take() } else { None };
        let id = job.map(|job| self.submit_one(&mut inner, job));
        self.release(inner);
        entered.and(id.ok_or(NoEntry::Full))
    }

    /// Waits until there is room for a job, and submits the job.
    pub(in crate::pool) fn submit_with_room(&self, job: JobEntry) -> JobId {
        let ticket = self.lock().scheduler.line_up(job.arguments.len(), job.deadline);
        // A job that is late by then fails.
        let mut inner = self.wait_until(job.deadline, |scheduler| scheduler.may_enter(ticket));
        let id = self.enter(&mut inner, ticket, job);
        self.release(inner);
        id
    }

    /// The same for a future, which `waker` wakes. `place` is the future's ticket and job.
    fn poll_submit(&self, place: &mut InLine, waker: &Waker) -> Poll<JobId> {
        let Some(job) = place.job.take() else { return Poll::Pending };
        let mut waker = Some(waker.clone());
        let mut inner = self.lock();
        self.collect(&mut inner);
        let (bytes, job_deadline) = (job.arguments.len(), job.deadline);
        let may_enter = match place.ticket {
            Some(ticket) => inner.scheduler.may_enter(ticket),
            None => inner.scheduler.try_enter(bytes) != Err(NoEntry::Full),
        };
        let polled = if may_enter {
            Poll::Ready(match place.ticket.take() {
                Some(ticket) => self.enter(&mut inner, ticket, job),
                None => self.submit_one(&mut inner, job),
            })
        } else {
            place.job = Some(job);
            let ticket = *place.ticket.get_or_insert_with(|| inner.scheduler.line_up(bytes, job_deadline));
            waker = waker.and_then(|waker| inner.scheduler.set_waker_in_line(ticket, waker));
            self.wake_if_needed(&mut inner);
            Poll::Pending
        };
        self.release(inner);
        drop(waker);
        polled
    }

    /// Takes a caller out of the line who does not wait any longer.
    fn leave_line(&self, ticket: Ticket) {
        let mut inner = self.lock();
        let waker = inner.scheduler.leave_line(ticket);
        self.wake_line(&inner);
        self.release(inner);
        drop(waker);
    }

    fn enter(&self, inner: &mut PoolInner, ticket: Ticket, job: JobEntry) -> JobId {
        // Its waker was taken when it was woken, or is that of the future that is polled.
        drop(inner.scheduler.leave_line(ticket));
        let id = self.submit_one(inner, job);
        self.wake_line(inner);
        id
    }

    fn submit_one(&self, inner: &mut PoolInner, mut job: JobEntry) -> JobId {
        fail_if_late(&mut job);
        let id = inner.scheduler.submit(job);
        inner.scheduler.dispatch();
        self.wake_if_needed(inner);
        id
    }

    /// Wakes the threads in the line: another caller is the first.
    fn wake_line(&self, inner: &PoolInner) {
        if inner.scheduler.waiting() > 0 {
            self.wake_all(inner);
        }
    }
}

/// A job whose caller is a future that waits for room.
pub(in crate::pool) struct InLine {
    core: Arc<PoolCore>,
    /// Taken at the submission.
    job: Option<JobEntry>,
    /// Taken at the first poll without room.
    ticket: Option<Ticket>,
}

impl InLine {
    pub(in crate::pool) fn new(core: &Arc<PoolCore>, job: JobEntry) -> Self {
        Self { core: Arc::clone(core), job: Some(job), ticket: None }
    }

    pub(in crate::pool) fn poll(&mut self, waker: &Waker) -> Poll<JobId> {
        let core = Arc::clone(&self.core);
        core.poll_submit(self, waker)
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.core.leave_line(ticket);
        }
    }
}

/// Fails a job whose deadline has passed: the job must not begin.
pub(super) fn fail_if_late(job: &mut JobEntry) {
    if is_past(job.deadline) && matches!(job.state, JobState::Queued) {
        job.state = JobState::Done(Err(Failure::new(JoinErrorKind::Expired, None)));
    }
}
