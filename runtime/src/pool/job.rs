//! A job: one call that a pool runs, as the pool keeps it and as its user holds it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Polling, Poll, Waker};
use std::time::Duration;

use super::driver::Shared;
use super::scheduler::Key;
use crate::error::{JoinError, JoinErrorKind};
use crate::ipc::wire::payload::Payload;
use crate::sys::poll::{self, Deadline};
use crate::task::{Decode, Entry};

/// What the pool keeps of a job.
pub(super) struct Record {
    pub(super) entry: &'static Entry,
    /// The entry's place in the registry.
    pub(super) place: u64,
    pub(super) arguments: Payload,
    pub(super) progress: Progress,
    pub(super) holder: Holder,
    /// How long it may run.
    pub(super) limit: Option<Duration>,
    /// How often it may still be run again after its worker has died.
    pub(super) retries: u32,
}

/// How far a job is.
pub(super) enum Progress {
    Queued,
    /// In the ring of this worker, or running there.
    With(usize),
    Done(Outcome),
}

/// Who wants to know what becomes of a job.
pub(super) enum Holder {
    /// Nobody: the result is thrown away.
    Nobody,
    /// A [`Job`], and the future that it may be.
    Job(Option<Waker>),
    /// One of several whose results are taken as they come: the number of their group.
    Group(usize),
}

/// What a job has come to.
pub(super) type Outcome = Result<Returned, Failure>;

/// What a job's task has returned, and where.
pub(super) struct Returned {
    pub(super) payload: Payload,
    pub(super) pid: u32,
}

/// Why a job has no value.
pub(super) struct Failure {
    pub(super) kind: JoinErrorKind,
    pub(super) pid: Option<u32>,
    pub(super) detail: String,
}

impl Failure {
    pub(super) fn new(kind: JoinErrorKind, pid: Option<u32>) -> Self {
        Self { kind, pid, detail: String::new() }
    }

    pub(super) fn of(self, task: &'static str) -> JoinError {
        JoinError::with_detail(self.kind, task, self.pid, self.detail)
    }
}

/// Turns what a worker has sent into the task's value.
pub(super) fn value<T>(
    shared: &Shared,
    outcome: Outcome,
    task: &'static str,
    decode: Decode<T>,
) -> Result<T, JoinError> {
    let Returned { payload, pid } = outcome.map_err(|failure| failure.of(task))?;
    decode(payload).map_err(|detail| {
        shared.note_undecodable();
        JoinError::with_detail(JoinErrorKind::Undecodable, task, Some(pid), detail)
    })
}

/// One call that a [`Pool`](super::Pool) runs, whose result is a `T`.
///
/// Also a [`Future`] for any executor. Dropped, it runs all the same, and its result is thrown away.
#[must_use = "the result of a job that is dropped is thrown away"]
pub struct Job<T> {
    shared: Arc<Shared>,
    key: Option<Key>,
    task: &'static str,
    decode: Decode<T>,
}

impl<T> Job<T> {
    pub(super) fn new(shared: Arc<Shared>, key: Key, task: &'static str, decode: Decode<T>) -> Self {
        Self { shared, key: Some(key), task, decode }
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
        let key = self.key.ok_or_else(|| self.error(JoinErrorKind::AlreadyTaken))?;
        let Some(outcome) = self.shared.wait(key, deadline) else { return Ok(None) };
        self.key = None;
        value(&self.shared, outcome, self.task, self.decode).map(Some)
    }

    /// Takes the job back if it has not begun; whether it was so. Its result is then [`Cancelled`](JoinErrorKind::Cancelled).
    ///
    /// A job that runs is only told: [`is_cancelled`](crate::is_cancelled) is true in its task from now on. See [`kill`](Self::kill).
    pub fn cancel(&self) -> bool {
        self.key.is_some_and(|key| self.shared.cancel(key))
    }

    /// Ends the job wherever it is: if it runs, its worker is killed and replaced. Its result is then
    /// [`Cancelled`](JoinErrorKind::Cancelled), unless it was done before.
    pub fn kill(&self) {
        if let Some(key) = self.key {
            self.shared.kill(key);
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
        if let Some(key) = self.key {
            self.shared.forget(key);
        }
    }
}

/// Ready when the job is done.
impl<T> Future for Job<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, polling: &mut Polling<'_>) -> Poll<Self::Output> {
        let Some(key) = self.key else {
            return Poll::Ready(Err(self.error(JoinErrorKind::AlreadyTaken)));
        };
        match self.shared.poll(key, polling.waker()) {
            Some(outcome) => {
                self.key = None;
                Poll::Ready(value(&self.shared, outcome, self.task, self.decode))
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
