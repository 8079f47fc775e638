//! A job: one call that a pool runs, as the pool keeps it and as its user holds it.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Polling, Poll, Waker};
use std::time::{Duration, Instant};

use super::driver::{IsDone, PoolCore};
use super::model::{JobId, Outcome, Returned};
use crate::error::{JoinError, JoinErrorKind};
use crate::ipc::channel::{PollSource, Waitable};
use crate::sys::poll::{self, Deadline};
use crate::task::{Call, Decode};

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

/// A call in a [`Pool`](super::Pool), and the result of type `T`.
///
/// A job is also a [`Future`] for any executor, and a source for [`wait`](crate::wait()). The call runs even after a
/// drop of the job, and the result is discarded, unless the job is to be [killed on drop](Job::kill_on_drop).
///
/// # Examples
/// ```
/// use offspring::{Context, JoinErrorKind, child_task};
///
/// #[child_task]
/// fn divide(a: u32, b: u32) -> u32 {
///     a / b
/// }
///
/// # #[offspring::process_main]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Context::default().pool().workers(2).build()?;
/// let (good, bad) = (pool.submit(divide::call(12, 3)), pool.submit(divide::call(1, 0)));
/// assert_eq!(good.wait()?, 4);
/// assert!(matches!(bad.wait().unwrap_err().kind(), JoinErrorKind::Panicked(_)));
/// # Ok(())
/// # }
/// ```
#[must_use = "the result of a job that is dropped is thrown away"]
pub struct Job<T> {
    core: Arc<PoolCore>,
    id: Option<JobId>,
    task: &'static str,
    decode: Decode<T>,
    kill_on_drop: bool,
}

impl<T> Job<T> {
    pub(super) fn new(core: Arc<PoolCore>, id: JobId, task: &'static str, decode: Decode<T>) -> Self {
        Self { core, id: Some(id), task, decode, kill_on_drop: false }
    }

    /// Waits for the job and returns the result of the task. Blocks this thread without limit.
    ///
    /// # Errors
    /// - [`Panicked`](JoinErrorKind::Panicked): the task panicked.
    /// - [`Exited`](JoinErrorKind::Exited), [`Signaled`](JoinErrorKind::Signaled): the worker ended during the task.
    /// - [`TimedOut`](JoinErrorKind::TimedOut): the time limit was over, and the worker was killed.
    /// - [`Expired`](JoinErrorKind::Expired): the deadline of the call passed before the task began.
    /// - [`Cancelled`](JoinErrorKind::Cancelled): the job was cancelled before the task began, or was killed.
    /// - [`PoolClosed`](JoinErrorKind::PoolClosed): the pool was closed or terminated before the end of the job.
    /// - [`NotStarted`](JoinErrorKind::NotStarted): the arguments cannot be encoded or decoded, or no worker can be
    ///   started.
    /// - [`Unencodable`](JoinErrorKind::Unencodable), [`Undecodable`](JoinErrorKind::Undecodable),
    ///   [`DescriptorsLost`](JoinErrorKind::DescriptorsLost): the result did not arrive.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, child_task};
    ///
    /// #[child_task]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Context::default().pool().workers(1).build()?;
    /// assert_eq!(pool.submit(square::call(12)).wait()?, 144);
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait(mut self) -> Result<T, JoinError> {
        match self.by(None)? {
            Some(value) => Ok(value),
            // Without a deadline the wait ends with an outcome.
            None => Err(self.error(JoinErrorKind::Unknown)),
        }
    }

    /// Waits for the job for at most `limit`. Returns `None` if the job is not done after `limit`. The job continues
    /// after a `None`.
    ///
    /// # Errors
    /// The errors of [`wait`](Self::wait), and [`AlreadyTaken`](JoinErrorKind::AlreadyTaken): a method of this job has
    /// returned the result before.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// use offspring::{Context, child_task};
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
    /// let mut job = pool.submit(wait_for_ever::call());
    /// assert!(job.wait_timeout(Duration::from_millis(10))?.is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_timeout(&mut self, limit: Duration) -> Result<Option<T>, JoinError> {
        self.by(poll::deadline_in(limit))
    }

    /// Returns the result of the task if the job is done. Never waits. Returns `None` if the job is not done.
    ///
    /// # Errors
    /// The errors of [`wait_timeout`](Self::wait_timeout).
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, child_task};
    ///
    /// #[child_task]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Context::default().pool().workers(1).build()?;
    /// let mut job = pool.submit(square::call(12));
    /// let square = loop {
    ///     if let Some(square) = job.try_wait()? {
    ///         break square;
    ///     }
    ///     std::thread::yield_now(); // other work
    /// };
    /// assert_eq!(square, 144);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_wait(&mut self) -> Result<Option<T>, JoinError> {
        self.by(Some(Instant::now()))
    }

    /// Returns whether the job is done: with a result, with an error, or taken. Never waits.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, child_task};
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
    /// let job = pool.submit(wait_for_ever::call());
    /// assert!(!job.is_done());
    /// pool.terminate();
    /// assert!(job.is_done());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_done(&self) -> bool {
        self.id.is_none_or(|id| self.core.is_done(id))
    }

    /// Returns the process id of the worker that runs the task, or has run the task of a job that is done. Returns
    /// `None` before the begin of the task, and for a result that was taken.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, child_task};
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
    /// let job = pool.submit(wait_for_ever::call());
    /// let pid = loop {
    ///     if let Some(pid) = job.pid() {
    ///         break pid; // `gdb --pid`, `cat /proc/<pid>/stack`
    ///     }
    ///     std::thread::yield_now();
    /// };
    /// assert_eq!(pid, pool.stats().workers[0].pid);
    /// # Ok(())
    /// # }
    /// ```
    pub fn pid(&self) -> Option<u32> {
        self.core.pid_of(self.id?)
    }

    /// Sets whether a drop of the job [kills](Self::kill) the job, so that a future that is dropped, such as that of a
    /// client that has gone, leaves no task behind. Default: `false`.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, child_task};
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
    /// drop(pool.submit(wait_for_ever::call()).kill_on_drop(true));
    /// pool.join()?; // would wait for ever
    /// # Ok(())
    /// # }
    /// ```
    pub fn kill_on_drop(mut self, kill: bool) -> Self {
        self.kill_on_drop = kill;
        self
    }

    /// Sets the waker that is woken at the end of the job. Returns the waker before, or an error if the job is done.
    pub(super) fn set_waker(&self, waker: &Waker) -> Result<Option<Waker>, IsDone> {
        self.id.map_or(Err(IsDone), |id| self.core.register(id, waker))
    }

    fn by(&mut self, deadline: Deadline) -> Result<Option<T>, JoinError> {
        let id = self.id.ok_or_else(|| self.error(JoinErrorKind::AlreadyTaken))?;
        let Some(outcome) = self.core.wait(id, deadline) else { return Ok(None) };
        self.id = None;
        value(&self.core, outcome, self.task, self.decode).map(Some)
    }

    /// Cancels the job if the task has not begun. Returns whether the task had not begun. The result of a cancelled job
    /// is [`Cancelled`](JoinErrorKind::Cancelled).
    ///
    /// In a task that has begun, [`is_cancelled`](crate::is_cancelled) becomes true, and the task continues.
    /// [`kill`](Self::kill) ends such a task.
    ///
    /// # Examples
    /// ```
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
    /// let running = pool.submit(wait_for_ever::call());
    /// let queued = pool.submit(wait_for_ever::call());
    /// assert!(queued.cancel());
    /// assert!(matches!(queued.wait().unwrap_err().kind(), JoinErrorKind::Cancelled));
    /// running.kill();
    /// # Ok(())
    /// # }
    /// ```
    pub fn cancel(&self) -> bool {
        self.id.is_some_and(|id| self.core.cancel(id))
    }

    /// Ends the job. If the task has begun, the worker is killed and replaced. The result is
    /// [`Cancelled`](JoinErrorKind::Cancelled), unless the job was done before.
    ///
    /// # Examples
    /// ```
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
    /// let job = pool.submit(wait_for_ever::call());
    /// job.kill();
    /// assert!(matches!(job.wait().unwrap_err().kind(), JoinErrorKind::Cancelled));
    /// # Ok(())
    /// # }
    /// ```
    pub fn kill(&self) {
        if let Some(id) = self.id {
            self.core.kill(id);
        }
    }

    /// Returns the name of the task.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, Task, child_task};
    ///
    /// #[child_task]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Context::default().pool().workers(1).build()?;
    /// assert_eq!(pool.submit(square::call(12)).task(), square::NAME);
    /// # Ok(())
    /// # }
    /// ```
    pub fn task(&self) -> &'static str {
        self.task
    }

    fn error(&self, kind: JoinErrorKind) -> JoinError {
        JoinError::new(kind, self.task, None)
    }
}

impl<T> Drop for Job<T> {
    fn drop(&mut self) {
        match self.id {
            Some(id) if self.kill_on_drop => self.core.kill_and_release(id),
            Some(id) => self.core.release_job(id),
            None => {}
        }
    }
}

/// Ready at the end of the job.
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

/// Ready when the job is done, or its result was taken.
impl<T> Waitable for Job<T> {}

impl<T> PollSource for Job<T> {
    fn descriptor(&self) -> io::Result<Option<BorrowedFd<'_>>> {
        Ok(None)
    }

    fn is_ready(&self) -> bool {
        self.is_done()
    }

    fn register(&self, waker: &Waker) -> Option<Waker> {
        // A job that is done is seen to be ready.
        self.set_waker(waker).ok().flatten()
    }

    fn unregister(&self, waker: &Waker) {
        if let Some(id) = self.id {
            self.core.unregister(id, waker);
        }
    }
}

/// A job has no pinned part.
impl<T> Unpin for Job<T> {}

impl<T> fmt::Debug for Job<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Job of {}", self.task)
    }
}

/// A call that [`Pool::try_submit`](super::Pool::try_submit) has not queued.
///
/// # Examples
/// ```
/// use offspring::{Context, TrySubmitError, child_task};
///
/// #[child_task]
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// # #[offspring::process_main]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Context::default().pool().workers(1).build()?;
/// pool.close();
/// let error = pool.try_submit(square::call(12)).unwrap_err();
/// assert!(matches!(error, TrySubmitError::Closed(_)));
/// assert_eq!(error.to_string(), "the pool is closed");
/// # Ok(())
/// # }
/// ```
#[non_exhaustive]
pub enum TrySubmitError<T> {
    /// The queue of the pool is at its limit, or other callers wait for room. A later attempt may succeed.
    Full(Call<T>),
    /// The pool is closed, and takes no other call.
    Closed(Call<T>),
}

impl<T> TrySubmitError<T> {
    /// Returns the call.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, child_task};
    ///
    /// #[child_task]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Context::default().pool().workers(1).build()?;
    /// pool.close();
    /// let call = pool.try_submit(square::call(12)).unwrap_err().into_inner();
    /// assert_eq!(call.start()?.join()?, 144);
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_inner(self) -> Call<T> {
        match self {
            Self::Full(call) | Self::Closed(call) => call,
        }
    }
}

impl<T> fmt::Display for TrySubmitError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the queue of the pool is full",
            Self::Closed(_) => "the pool is closed",
        })
    }
}

impl<T> fmt::Debug for TrySubmitError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(call) => f.debug_tuple("Full").field(call).finish(),
            Self::Closed(call) => f.debug_tuple("Closed").field(call).finish(),
        }
    }
}

impl<T> std::error::Error for TrySubmitError<T> {}
