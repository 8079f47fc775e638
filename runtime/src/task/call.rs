//! A call: a task and its encoded arguments, before a start.

use std::fmt;
use std::marker::PhantomData;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::arguments::{Decode, decode_output};
use super::registry::{self, TaskEntry};
use crate::error::{self, Error, ErrorKind, JoinError};
use crate::ipc::codec;
use crate::ipc::wire::payload::Payload;
use crate::sys;

/// A task and its encoded arguments: an inert value that runs nothing until a start.
///
/// `#[child_task]` generates the function `task::call(…)`, which returns a `Call`. `T` is the return type of the task,
/// so calls of different tasks with the same return type fit into one `Vec`. A clone shares the encoded arguments: the
/// cost of a clone does not depend on their size.
///
/// Start a call with [`Call::start`], [`Context::start`](crate::Context::start) or
/// [`Context::process`](crate::Context::process), or give a call to a [`Pool`](crate::Pool).
///
/// # Examples
/// ```
/// use offspring::{Call, child_task};
///
/// #[child_task]
/// fn sum(numbers: Vec<u64>) -> u64 {
///     numbers.iter().sum()
/// }
///
/// #[child_task]
/// fn product(numbers: Vec<u64>) -> u64 {
///     numbers.iter().product()
/// }
///
/// #[offspring::process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let calls: Vec<Call<u64>> = vec![sum::call(vec![2, 3, 4]), product::call(vec![2, 3, 4])];
///     let children = calls.into_iter().map(Call::start).collect::<Result<Vec<_>, _>>()?;
///     let results = children.into_iter().map(|child| child.join()).collect::<Result<Vec<_>, _>>()?;
///     assert_eq!(results, [9, 24]);
///     Ok(())
/// }
/// ```
#[must_use = "a call does nothing until it is started"]
pub struct Call<T> {
    pub(crate) entry: &'static TaskEntry,
    /// Keeps a failure to encode, which the start reports.
    arguments: Result<Payload, codec::Error>,
    pub(crate) decode: Decode<T>,
    /// The time limit of the task.
    pub(crate) limit: Option<Duration>,
    /// The end of the time of the call, queued or running.
    pub(crate) deadline: Option<Instant>,
    pub(crate) priority: Priority,
    pub(crate) retry: Option<Box<Retry>>,
}

/// Further runs of a call in a pool.
#[derive(Clone)]
pub(crate) struct Retry {
    /// The number of further runs.
    pub(crate) times: u32,
    /// Says whether another run is to follow on this result. Never panics.
    pub(crate) predicate: Arc<Predicate>,
}

type Predicate = dyn Fn(Result<&Payload, &JoinError>) -> bool + Send + Sync;

/// The priority of a call in the queue of a [`Pool`](crate::Pool). Set by [`Call::priority`].
///
/// # Examples
/// ```
/// use offspring::{Priority, child_task};
///
/// #[child_task]
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// assert!(Priority::High > Priority::Normal && Priority::Normal > Priority::Low);
/// let _urgent = square::call(12).priority(Priority::High);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// After all other calls: work that may wait for ever.
    Low,
    /// The default.
    #[default]
    Normal,
    /// Before all other calls: work that a user waits for.
    High,
}

impl Priority {
    /// The number of priorities.
    pub(crate) const LEVELS: usize = 3;
}

impl<T: DeserializeOwned> Call<T> {
    /// Makes a call of a task of this crate's own.
    pub(crate) fn internal<A: Serialize>(entry: &'static TaskEntry, argument: &A) -> Self {
        Self::new(entry, Payload::encode(argument), decode_output::<T>)
    }
}

impl<T> Call<T> {
    pub(super) fn new(entry: &'static TaskEntry, arguments: Result<Payload, codec::Error>, decode: Decode<T>) -> Self {
        Self {
            entry,
            arguments,
            decode,
            limit: entry.timeout,
            deadline: None,
            priority: Priority::default(),
            retry: None,
        }
    }

    /// Returns the name of the task: [`Task::NAME`](crate::Task::NAME).
    ///
    /// # Examples
    /// ```
    /// use offspring::child_task;
    ///
    /// #[child_task(name = "square")]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// assert_eq!(square::call(12).task(), "square");
    /// ```
    pub fn task(&self) -> &'static str {
        self.entry.name
    }

    /// Sets the time limit of the task. Default: the `timeout` of `#[child_task]`, else none.
    ///
    /// When the time is over, the result is [`TimedOut`](crate::JoinErrorKind::TimedOut). For a child of its own,
    /// [`ProcessBuilder::timeout`](crate::ProcessBuilder::timeout) replaces this limit. In a pool, the time begins with
    /// the task, and the shorter of this limit and [`PoolBuilder::task_timeout`](crate::PoolBuilder::task_timeout)
    /// holds.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// use offspring::{JoinErrorKind, child_task};
    ///
    /// #[child_task]
    /// fn wait_for_ever() {
    ///     loop {
    ///         std::thread::park();
    ///     }
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let child = wait_for_ever::call().timeout(Duration::from_millis(50)).start()?;
    /// assert!(matches!(child.join().unwrap_err().kind(), JoinErrorKind::TimedOut));
    /// # Ok(())
    /// # }
    /// ```
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Sets the time at which the result has to be there, for a request that is of no use later. Default: none.
    ///
    /// In a pool, the time in the queue counts, and the wait for room in the queue. If the deadline passes before the
    /// task has begun, the job fails with [`Expired`](crate::JoinErrorKind::Expired). If the deadline passes while the
    /// task runs, the rest is as with a [`timeout`](Self::timeout): [`TimedOut`](crate::JoinErrorKind::TimedOut) after
    /// the [`grace`](crate::PoolBuilder::grace). Further runs of the task have the same deadline.
    ///
    /// For a child of its own, the deadline is a time limit from the start.
    ///
    /// # Examples
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// use offspring::{Context, JoinErrorKind, child_task};
    ///
    /// #[child_task]
    /// fn wait_for_ever() {
    ///     loop {
    ///         std::thread::park();
    ///     }
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Context::default().pool().workers(1).build()?;
    /// let _running = pool.submit(wait_for_ever::call());
    /// let queued = pool.submit(wait_for_ever::call().deadline(Instant::now() + Duration::from_millis(50)));
    /// assert!(matches!(queued.wait().unwrap_err().kind(), JoinErrorKind::Expired));
    /// # Ok(())
    /// # }
    /// ```
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets the priority of the call in the queue of a pool. Default: [`Normal`](Priority::Normal). Without effect for
    /// a child of its own.
    ///
    /// A job begins only when no job of a higher priority waits. So a steady stream of jobs above a job's priority
    /// keeps the job from its begin for ever. Jobs of the same priority begin in the order of their coming. A job that
    /// runs is not interrupted.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, Priority, child_task};
    ///
    /// #[child_task]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Context::default().pool().workers(2).build()?;
    /// let reindex: Vec<_> = (0..1000).map(|n| pool.submit(square::call(n).priority(Priority::Low))).collect();
    /// let request = pool.submit(square::call(12).priority(Priority::High)); // before most of the others
    /// assert_eq!(request.wait()?, 144);
    /// # drop(reindex);
    /// # Ok(())
    /// # }
    /// ```
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Runs the task again, up to `times` times, as long as `again` returns `true` for the result. Default: no further
    /// run. Without effect for a child of its own.
    ///
    /// `again` sees the value of the task, or the error of the job: a panic, a time limit, a worker's death. The last
    /// result is that of the job. Cancelled and expired jobs, and those of a closed pool, do not run again. The pauses
    /// between the runs are set by [`PoolBuilder::retry_backoff`](crate::PoolBuilder::retry_backoff). The
    /// [`timeout`](Self::timeout) counts for each run, and the [`deadline`](Self::deadline) for all.
    ///
    /// A thread of this process that uses the pool calls `again`, so `again` must return soon. A panic in `again`
    /// counts as `false`. A value that holds open files is not shown to `again`, and is the result.
    ///
    /// # Examples
    /// ```
    /// use std::path::PathBuf;
    ///
    /// use offspring::{Context, child_task};
    ///
    /// /// Succeeds in the second run.
    /// #[child_task(report)]
    /// fn connect(state: PathBuf) -> std::io::Result<()> {
    ///     std::fs::remove_file(&state).inspect_err(|_| std::fs::write(&state, "tried").unwrap())
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let state = std::env::temp_dir().join(format!("offspring-retry-if-{}", std::process::id()));
    /// let pool = Context::default().pool().workers(1).build()?;
    /// let job = pool.submit(connect::call(state).retry_if(3, |result| matches!(result, Ok(Err(_)))));
    /// assert!(job.wait()?.is_ok());
    /// assert_eq!(pool.stats().retried, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn retry_if(
        mut self,
        times: u32,
        again: impl Fn(Result<&T, &JoinError>) -> bool + Send + Sync + 'static,
    ) -> Self
    where
        T: 'static,
    {
        let decode = self.decode;
        let ask = move |result: Result<&Payload, &JoinError>| match result {
            // Open files have one owner, who takes them out of the payload.
            Ok(payload) if !payload.descriptors.is_empty() => false,
            Ok(payload) => decode(payload.clone()).is_ok_and(|value| again(Ok(&value))),
            Err(error) => again(Err(error)),
        };
        let predicate = move |result: Result<&Payload, &JoinError>| {
            panic::catch_unwind(AssertUnwindSafe(|| ask(result))).unwrap_or(false)
        };
        self.retry = Some(Box::new(Retry { times, predicate: Arc::new(predicate) }));
        self
    }

    /// Returns the arguments if they could be encoded and the task is in the registry.
    pub(crate) fn check(&self) -> Result<&Payload, Error> {
        registry::lookup(self.entry.name, self.entry.id())?;
        self.arguments.as_ref().map_err(|error| {
            let text = format!("cannot encode the arguments of `{}`", self.task());
            match error.io_error() {
                // A limit is not the fault of the value, and a later attempt may succeed.
                Some(limit) if sys::is_limit(limit) => Error::os(text, error::copy_of(limit)),
                _ => Error::new(ErrorKind::Encode, format!("{text}: {error}")),
            }
        })
    }
}

impl<T> Clone for Call<T> {
    fn clone(&self) -> Self {
        Self { arguments: self.arguments.clone(), retry: self.retry.clone(), ..*self }
    }
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.arguments {
            Ok(arguments) => write!(f, "{}({} bytes)", self.task(), arguments.len()),
            Err(error) => write!(f, "{}({error})", self.task()),
        }
    }
}

/// A call never holds a `T`, so a call is `Send` and `Sync` for every `T`.
const _: fn() = || {
    fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<Call<PhantomData<*const u8>>>();
};
