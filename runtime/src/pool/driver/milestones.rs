//! The beginning and the end of a pool, for threads that wait and for futures.

use std::task::{Poll, Waker};

use super::{Link, PoolCore};
use crate::error::Error;
use crate::pool::scheduler::{Milestone, Scheduler};
use crate::pool::stats::Unfinished;
use crate::sys::poll::Deadline;

impl PoolCore {
    /// Waits until the first workers serve.
    ///
    /// # Errors
    /// Why they cannot be had.
    pub(in crate::pool) fn wait_until_ready(&self) -> Result<(), Error> {
        let inner = self.wait_until(None, |scheduler| scheduler.is_ready().is_some());
        let ready = inner.scheduler.is_ready();
        self.release(inner);
        ready.unwrap_or(Ok(()))
    }

    /// Closes the pool, and lets its workers exit after the last job. Cuts off what is unfinished at the deadline.
    pub(in crate::pool) fn begin_shutdown(&self, deadline: Deadline) {
        let mut inner = self.lock();
        inner.scheduler.begin_shutdown(deadline);
        self.wake_all(&inner);
        self.release(inner);
    }

    /// Waits for the end of a shutdown.
    pub(in crate::pool) fn wait_until_ended(&self) {
        let inner = self.wait_until(None, Scheduler::has_ended);
        self.release(inner);
    }

    /// Why jobs failed for want of workers, if any did, or why a worker did not exit in order.
    pub(in crate::pool) fn end_error(&self) -> Option<Error> {
        let inner = self.lock();
        inner.scheduler.abandoned().or(inner.scheduler.exit_error()).map(Error::again)
    }

    pub(in crate::pool) fn cut_off(&self) -> Unfinished {
        self.lock().scheduler.cut_off()
    }

    /// The same as [`wait_until_ready`](Self::wait_until_ready) for a future.
    pub(in crate::pool) fn poll_ready(&self, waker: &Waker) -> Poll<Result<(), Error>> {
        self.poll_milestone(Milestone::Ready, waker, Scheduler::is_ready)
    }

    /// The same as [`wait_until_ended`](Self::wait_until_ended) for a future.
    pub(in crate::pool) fn poll_ended(&self, waker: &Waker) -> Poll<()> {
        self.poll_milestone(Milestone::Ended, waker, |scheduler| scheduler.has_ended().then_some(()))
    }

    fn poll_milestone<T>(
        &self,
        milestone: Milestone,
        waker: &Waker,
        reached: impl Fn(&Scheduler<Link>) -> Option<T>,
    ) -> Poll<T> {
        let waker = waker.clone();
        let mut inner = self.lock();
        self.collect(&mut inner);
        let value = reached(&inner.scheduler);
        let unused = if value.is_none() { inner.scheduler.watch(milestone, waker) } else { Some(waker) };
        self.wake_if_needed(&mut inner);
        self.release(inner);
        drop(unused);
        value.map_or(Poll::Pending, Poll::Ready)
    }
}
