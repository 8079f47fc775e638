//! The words that all parts of a pool share: ids, jobs and their states, outcomes, and the configuration.
//!
//! Imports nothing of the rest of the pool.

use std::task::Waker;
use std::time::Duration;

use crate::error::{JoinError, JoinErrorKind};
use crate::ipc::wire::payload::Payload;
use crate::sys::poll::Deadline;
use crate::task::{Priority, Retry, TaskEntry};

/// How long either side of a link looks for an event before it sleeps: about as long as a sleep costs.
pub(super) const LONGEST_SPIN: Duration = Duration::from_micros(50);

/// How long a worker without jobs may take to exit. An exit handler may hang, and a stopped worker never exits.
pub(super) const EXIT_GRACE: Duration = Duration::from_secs(2);

/// A job's key in the scheduler's table, until its outcome is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct JobId(pub(super) usize);

/// A worker's key in the scheduler's table, until it is reaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct WorkerId(pub(super) usize);

/// The name and the place of a worker that is to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    /// Never used again.
    pub(super) name: String,
    /// The lowest number from 0 on that no other worker of the pool has. A replacement has that of its predecessor.
    pub(super) place: usize,
}

/// The key of several jobs whose outcomes are taken as they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct GroupId(pub(super) usize);

/// A job, from its submission until its outcome is taken.
pub(super) struct JobEntry {
    pub(super) entry: &'static TaskEntry,
    /// The index of `entry` in the registry of tasks, which is the same in parent and workers.
    pub(super) task_index: u64,
    pub(super) arguments: Payload,
    pub(super) state: JobState,
    pub(super) holder: Holder,
    /// How long the job may run.
    pub(super) time_limit: Option<Duration>,
    /// When the job is to be done, queued or running.
    pub(super) deadline: Deadline,
    pub(super) priority: Priority,
    /// How many more runs a worker's death under the job may cause.
    pub(super) retries: u32,
    /// The only worker that may run the job.
    pub(super) pin: Option<WorkerId>,
    /// Further runs that the call itself asks for.
    pub(super) retry: Option<Box<Retry>>,
    /// Further runs so far.
    pub(super) runs: u32,
    /// Workers that have died under the job.
    pub(super) deaths: u32,
    /// Whether the job is in a pause before a further run.
    pub(super) rests: bool,
}

impl JobEntry {
    /// Lets the job have no further run.
    pub(super) fn refuse_retries(&mut self) {
        self.retries = 0;
        if let Some(retry) = &mut self.retry {
            retry.times = 0;
        }
    }

    /// Returns whether the job has to be watched.
    pub(super) fn has_limit(&self) -> bool {
        self.time_limit.is_some() || self.deadline.is_some()
    }
}

/// How far a job is.
pub(super) enum JobState {
    Queued,
    /// Sent to this worker: in its window, or running there.
    InFlight(WorkerId),
    /// A run is over, and the call's predicate says whether another run follows.
    Undecided,
    Done(Outcome),
}

/// A job whose predicate is to be asked.
pub(super) struct Undecided {
    pub(super) id: JobId,
    pub(super) task: &'static str,
    pub(super) retry: Retry,
    pub(super) outcome: Outcome,
}

impl Undecided {
    /// Asks the predicate, which is code of the user. Returns the outcome, and whether there is to be another run.
    pub(super) fn ask(self) -> (Outcome, bool) {
        match self.outcome {
            Ok(returned) => {
                let again = (self.retry.predicate)(Ok(&returned.payload));
                (Ok(returned), again)
            }
            Err(failure) => {
                let error = failure.into_error(self.task);
                let again = (self.retry.predicate)(Err(&error));
                (Err(Failure::from(error)), again)
            }
        }
    }
}

/// The owner of a job's outcome.
pub(super) enum Holder {
    /// The outcome is dropped.
    Dropped,
    /// A [`Job`](super::Job), with the waker of the task that polls it as a future.
    Job(Option<Waker>),
    /// A map that takes outcomes as they come.
    Group(GroupId),
}

/// The end of a job.
pub(super) type Outcome = Result<Returned, Failure>;

/// A task's encoded result, and the process that returned it.
#[derive(Debug)]
pub(super) struct Returned {
    pub(super) payload: Payload,
    pub(super) pid: u32,
}

/// Why a job has no result.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) kind: JoinErrorKind,
    pub(super) pid: Option<u32>,
    /// Shown behind the kind, if not empty.
    pub(super) detail: String,
}

impl Failure {
    pub(super) fn new(kind: JoinErrorKind, pid: Option<u32>) -> Self {
        Self { kind, pid, detail: String::new() }
    }

    /// Returns whether the worker died under the job, and not by the pool's hand.
    pub(super) fn is_death(&self) -> bool {
        matches!(self.kind, JoinErrorKind::Signaled(_) | JoinErrorKind::Exited(_) | JoinErrorKind::Unknown)
    }

    pub(super) fn into_error(self, task: &'static str) -> JoinError {
        JoinError::with_detail(self.kind, task, self.pid, self.detail)
    }
}

impl From<JoinError> for Failure {
    fn from(error: JoinError) -> Self {
        let (kind, pid, detail) = error.into_parts();
        Self { kind, pid, detail }
    }
}

/// How a pool schedules jobs and workers. How a worker is started is in the transport's own configuration.
#[derive(Clone, Debug)]
pub(super) struct PoolConfig {
    /// Most workers at a time.
    pub(super) max_workers: usize,
    /// Fewest workers at a time; `max_workers` if `None`.
    pub(super) min_workers: Option<usize>,
    /// How long a worker above `min_workers` may be idle.
    pub(super) idle_timeout: Option<Duration>,
    /// How many jobs a worker does before it is replaced.
    pub(super) max_tasks: Option<u32>,
    /// How long a worker's initializer may run.
    pub(super) start_timeout: Option<Duration>,
    /// How long a worker without jobs may take to exit, finalizer included.
    pub(super) exit_grace: Duration,
    /// How long a job may run, unless its own limit is shorter.
    pub(super) task_timeout: Option<Duration>,
    /// How long a job may go on after its time limit.
    pub(super) grace: Duration,
    /// The first and the longest pause before a further run of a job.
    pub(super) retry_backoff: (Duration, Duration),
    /// Most unfinished jobs above one for each worker.
    pub(super) queue_limit: Option<usize>,
    /// Most bytes of encoded arguments of unfinished jobs.
    pub(super) queue_limit_bytes: Option<usize>,
    /// The workers' names begin with it.
    pub(super) name: String,
}

impl PoolConfig {
    /// The configuration of `max_workers` workers without limits.
    pub(super) fn new(max_workers: usize) -> Self {
        Self {
            max_workers,
            min_workers: None,
            idle_timeout: None,
            max_tasks: None,
            start_timeout: None,
            exit_grace: EXIT_GRACE,
            task_timeout: None,
            grace: Duration::ZERO,
            retry_backoff: (Duration::ZERO, Duration::ZERO),
            queue_limit: None,
            queue_limit_bytes: None,
            name: String::new(),
        }
    }

    pub(super) fn least_workers(&self) -> usize {
        self.min_workers.unwrap_or(self.max_workers).min(self.max_workers)
    }
}
