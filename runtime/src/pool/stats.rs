//! What a pool is doing, in numbers.

/// The state of a pool at one moment. Made by [`Pool::stats`](super::Pool::stats).
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
/// let pool = Context::default().pool().workers(2).build()?;
/// pool.map((0..10).map(square::call)).for_each(drop);
/// let stats = pool.stats();
/// assert_eq!((stats.queued, stats.running, stats.done, stats.failed), (0, 0, 10, 0));
/// assert_eq!((stats.max_workers, stats.workers.len()), (2, 2));
/// # Ok(())
/// # }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolStats {
    /// The number of jobs that have not begun, in the queue of the pool or of a worker.
    pub queued: usize,
    /// The number of workers with assigned jobs. Each of these workers runs one job.
    pub running: usize,
    /// The encoded arguments of all jobs that are not done, in bytes. See
    /// [`queue_limit_bytes`](super::PoolBuilder::queue_limit_bytes).
    pub queued_bytes: usize,
    /// The number of callers that wait for room in the queue. See [`queue_limit`](super::PoolBuilder::queue_limit).
    pub waiting: usize,
    /// The number of jobs that have returned a result, since the start of the pool.
    pub done: u64,
    /// The number of failed jobs, since the start of the pool: panicked, died with the worker, ran out of time, were
    /// cancelled or did not start.
    pub failed: u64,
    /// The number of further runs of jobs, since the start of the pool.
    pub retried: u64,
    /// The number of workers that died or were recycled. A new worker replaces each of these workers.
    pub replaced: u64,
    /// The number of workers that ended without a replacement, after idle time or a smaller size of the pool.
    pub retired: u64,
    /// The maximum number of workers.
    pub max_workers: usize,
    /// The live workers.
    pub workers: Vec<WorkerStats>,
}

/// The state of one worker at one moment. Part of [`PoolStats`].
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
/// pool.submit(square::call(12)).wait()?;
/// let worker = &pool.stats().workers[0];
/// assert!(worker.name.starts_with("PoolWorker"));
/// assert_eq!((worker.assigned, worker.done), (0, 1));
/// # Ok(())
/// # }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerStats {
    /// The name of the worker.
    pub name: String,
    /// The process id of the worker.
    pub pid: u32,
    /// The number of assigned and unfinished jobs, including the running job.
    pub assigned: usize,
    /// The number of jobs that the worker has finished.
    pub done: u32,
}

/// The jobs that a [`shutdown`](super::Pool::shutdown) has cut off.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
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
/// let job = pool.submit(square::call(12));
/// let unfinished = pool.shutdown(Duration::from_secs(30));
/// assert!(unfinished.is_empty(), "{unfinished:?}");
/// assert_eq!(job.wait()?, 144);
/// # Ok(())
/// # }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unfinished {
    /// The names of the tasks that had begun, and were killed with their workers.
    pub running: Vec<&'static str>,
    /// The number of jobs that had not begun.
    pub queued: usize,
}

impl Unfinished {
    /// Returns whether no job was cut off.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// use offspring::Context;
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Context::default().pool().workers(1).build()?;
    /// assert!(pool.shutdown(Duration::ZERO).is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_empty(&self) -> bool {
        self.running.is_empty() && self.queued == 0
    }
}
