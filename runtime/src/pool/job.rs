//! A job: one call that a pool runs, as the pool keeps it and as its user holds it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Polling, Poll};
use std::time::Duration;

use super::driver::PoolCore;
use super::model::{JobId, Outcome, Returned};
use crate::error::{JoinError, JoinErrorKind};
use crate::sys::poll::{self, Deadline};
use crate::task::Decode;

/// Turns what a worker has sent into the task's value.
pub(super) fn value<T>(
    core: &PoolCore,
    outcome: Outcome,
    task: &'static str,
    decode: Decode<T>,
) -> Result<T, JoinError> {
    let Returned { payload, pid } = outcome.map_err(|failure| failure.into_error(task))?;
    decode(payload).map_err(|detail| {
        core.note_undecodable();
        JoinError::with_detail(JoinErrorKind::Undecodable, task, Some(pid), detail)
    })
}

/// One call that a [`Pool`](super::Pool) runs, whose result is a `T`.
///
/// Also a [`Future`] for any executor. Dropped, it runs all the same, and its result is thrown away.
#[must_use = "the result of a job that is dropped is thrown away"]
pub struct Job<T> {
    core: Arc<PoolCore>,
    id: Option<JobId>,
    task: &'static str,
    decode: Decode<T>,
}

impl<T> Job<T> {
    pub(super) fn new(core: Arc<PoolCore>, id: JobId, task: &'static str, decode: Decode<T>) -> Self {
        Self { core, id: Some(id), task, decode }
    }

    /// Waits for the job and returns what its task returned.
    ///
    /// # Errors
    /// See [`JoinErrorKind`]: the task panicked, its worker died under it, it ran out of time, was cancelled, could not begin.
    pub fn wait(mut self) -> Result<T, JoinError> {
        match self.by(None)? {
            Some(value) => Ok(value),
            // Without a deadline the wait ends with an outcome.
            None => Err(self.error(JoinErrorKind::Unknown)),
        }
    }

    /// Waits for at most `limit`; `None` if the job is not done by then. It goes on.
    ///
    /// # Errors
    /// As [`wait`](Self::wait), and [`AlreadyTaken`](JoinErrorKind::AlreadyTaken) after the value was returned.
    pub fn wait_timeout(&mut self, limit: Duration) -> Result<Option<T>, JoinError> {
        self.by(poll::deadline_in(limit))
    }

    fn by(&mut self, deadline: Deadline) -> Result<Option<T>, JoinError> {
        let id = self.id.ok_or_else(|| self.error(JoinErrorKind::AlreadyTaken))?;
        let Some(outcome) = self.core.wait(id, deadline) else { return Ok(None) };
        self.id = None;
        value(&self.core, outcome, self.task, self.decode).map(Some)
    }

    /// Takes the job back if it has not begun; whether it was so. Its result is then [`Cancelled`](JoinErrorKind::Cancelled).
    ///
    /// A job that runs is only told: [`is_cancelled`](crate::is_cancelled) is true in its task from now on. See [`kill`](Self::kill).
    pub fn cancel(&self) -> bool {
        self.id.is_some_and(|id| self.core.cancel(id))
    }

    /// Ends the job wherever it is: if it runs, its worker is killed and replaced. Its result is then
    /// [`Cancelled`](JoinErrorKind::Cancelled), unless it was done before.
    pub fn kill(&self) {
        if let Some(id) = self.id {
            self.core.kill(id);
        }
    }

    /// The name of its task.
    pub fn task(&self) -> &'static str {
        self.task
    }

    fn error(&self, kind: JoinErrorKind) -> JoinError {
        JoinError::new(kind, self.task, None)
    }
}

impl<T> Drop for Job<T> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.core.release_job(id);
        }
    }
}

/// Ready when the job is done.
impl<T> Future for Job<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, polling: &mut Polling<'_>) -> Poll<Self::Output> {
        let Some(id) = self.id else {
            return Poll::Ready(Err(self.error(JoinErrorKind::AlreadyTaken)));
        };
        match self.core.poll(id, polling.waker()) {
            Some(outcome) => {
                self.id = None;
                Poll::Ready(value(&self.core, outcome, self.task, self.decode))
            }
            None => Poll::Pending,
        }
    }
}

/// No part of it is ever pinned.
impl<T> Unpin for Job<T> {}

impl<T> fmt::Debug for Job<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Job of {}", self.task)
    }
}
