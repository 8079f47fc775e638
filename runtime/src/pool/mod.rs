//! A pool: workers that run calls, and survive none of them.
//!
//! ```text
//! submit, map ──▶ queue ──▶ ring of each worker ──▶ worker: look the task up, run it, report
//!                             │      (shared memory)    │
//! Job, Map    ◀── outcome ◀──┴── ring of results ◀──────┘     a death costs the job that ran, and no other
//! ```
//!
//! - `builder`, `job`, `map`, `progress` and `stats` are the public types.
//! - `model` has the words that all other files share.
//! - `scheduler` decides, without I/O: which worker runs which job, and how many workers there are.
//! - `transport` is the trait of a link to a worker. `local` implements the trait for child processes.
//! - `driver` moves the scheduler on: in the thread that waits for a result, or in the pool's own thread.

mod builder;
mod driver;
mod job;
mod local;
mod map;
mod model;
#[cfg(feature = "progress")]
mod progress;
mod scheduler;
mod stats;
mod transport;

use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;

pub use builder::{InitializerOutput, PoolBuilder};
pub use job::Job;
pub use local::is_cancelled;
pub use map::{Map, MapUnordered};
#[cfg(feature = "progress")]
pub use progress::MapProgress;
pub use stats::{PoolStats, WorkerStats};

use builder::prepare;
use driver::PoolCore;
use model::{Failure, Holder, JobEntry, JobId, JobState};

use crate::error::{Error, ErrorKind, JoinErrorKind};
use crate::ipc::wire::payload::Payload;
use crate::process::Context;
use crate::task::Call;

impl Context {
    /// Returns a builder for a pool with workers of this context's start method.
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
    /// assert_eq!(pool.submit(square::call(12)).wait()?, 144);
    /// pool.join()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn pool(&self) -> PoolBuilder {
        PoolBuilder::new(self.clone())
    }
}

/// A fixed or growing number of worker processes that run calls.
///
/// All methods except [`join`](Self::join) and [`terminate`](Self::terminate) take `&self`, from any thread. A drop
/// [terminates](Self::terminate) the pool, and so does the end of the program. [`join`](Self::join) a pool to finish
/// all jobs.
///
/// # Faults
/// - A task that panics keeps the worker.
/// - A task whose worker dies (by a signal, an exit, an abort, a stack overflow or a lack of memory) fails with the
///   cause of the death. The queued jobs of the worker run elsewhere, and a new worker replaces the dead worker.
/// - A failed start of a worker (a limit is reached, or the initializer fails) is repeated after a pause of 10 ms to 1
///   s. If no worker serves and three starts in a row have failed, the waiting jobs fail with
///   [`NotStarted`](JoinErrorKind::NotStarted) and the cause. Later jobs wait for the next start.
/// - A fork pool with a killed template gets no more workers. After the end of the last worker, all jobs fail at once.
///
/// # Examples
/// ```
/// use offspring::{Context, JoinErrorKind, child_task};
///
/// /// Returns the number of steps from `n` to 1 by the Collatz rule.
/// #[child_task]
/// fn steps(mut n: u64) -> u32 {
///     if n == 27 {
///         std::process::abort();
///     }
///     let mut steps = 0;
///     while n != 1 {
///         n = if n % 2 == 0 { n / 2 } else { 3 * n + 1 };
///         steps += 1;
///     }
///     steps
/// }
///
/// # #[offspring::process_main]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Context::default().pool().workers(2).build()?;
///
/// // One worker dies, and one result is lost.
/// let results: Vec<_> = pool.map((1..100).map(steps::call)).collect();
/// assert_eq!(results.iter().flatten().max(), Some(&118));
/// assert_eq!(results.iter().filter(|result| result.is_err()).count(), 1);
///
/// let job = pool.submit(steps::call(27));
/// assert!(matches!(job.wait().unwrap_err().kind(), JoinErrorKind::Signaled(6))); // SIGABRT
/// pool.join()?;
/// # Ok(())
/// # }
/// ```
pub struct Pool {
    core: Arc<PoolCore>,
    thread: Option<JoinHandle<()>>,
    retries: u32,
}

impl Pool {
    /// Queues a call and returns the job of the call. Never blocks.
    ///
    /// A call that cannot run (encoding of the arguments fails, or the pool is closed) makes a job that fails.
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
    /// let (first, second) = (pool.submit(square::call(3)), pool.submit(square::call(4)));
    /// assert_eq!(first.wait()? + second.wait()?, 25);
    /// # Ok(())
    /// # }
    /// ```
    pub fn submit<T>(&self, call: Call<T>) -> Job<T> {
        let (task, decode) = (call.task(), call.decode);
        let mut id = JobId(0);
        self.core.submit([self.entry(call, Holder::Job(None))], |submitted| id = submitted);
        Job::new(Arc::clone(&self.core), id, task, decode)
    }

    /// Runs many calls and returns an iterator over the results, in the order of the calls.
    ///
    /// The iterator takes the input as workers have room for calls, so memory stays bounded on an endless input.
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
    /// let squares = pool.map((1..=4).map(square::call)).collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(squares, [1, 4, 9, 16]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn map<T, I: IntoIterator<Item = Call<T>>>(&self, calls: I) -> Map<'_, T, I::IntoIter> {
        Map::new(self, calls.into_iter())
    }

    /// Runs many calls and returns an iterator over the results, in the order of completion. Each item has the index of
    /// the call.
    ///
    /// The iterator takes the input as workers have room for calls, so memory stays bounded on an endless input.
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
    /// for (index, result) in pool.map_unordered((0..100).map(square::call)) {
    ///     assert_eq!(result?, (index * index) as u64);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn map_unordered<T, I: IntoIterator<Item = Call<T>>>(&self, calls: I) -> MapUnordered<'_, T, I::IntoIter> {
        MapUnordered::new(self, calls.into_iter())
    }

    /// Runs a call once on every present worker. Returns the process id of each worker with the job of the worker.
    /// Never blocks.
    ///
    /// The call is for state that each worker keeps in statics: caches to clear, configuration to read again, totals to
    /// collect. Present are all workers but those that are told to exit. The jobs of the other calls that a worker has
    /// not begun run in this worker after the call, whenever they were submitted.
    ///
    /// - A worker that is busy runs the call after the running job. No other worker runs the call in its place.
    /// - The job of a worker that ends before the call begins fails with [`Cancelled`](JoinErrorKind::Cancelled). The
    ///   job of a worker that dies under the call fails with the cause of the death, and runs no second time.
    /// - A worker that is started later does not run the call, a replacement included. The
    ///   [`initializer`](PoolBuilder::initializer) is for all workers.
    /// - The call counts for [`max_tasks_per_worker`](PoolBuilder::max_tasks_per_worker), and also runs in a worker
    ///   that has done its share.
    ///
    /// # Examples
    /// ```
    /// use std::sync::atomic::{AtomicU64, Ordering};
    ///
    /// use offspring::{Context, child_task};
    ///
    /// static FACTOR: AtomicU64 = AtomicU64::new(1);
    ///
    /// #[child_task]
    /// fn set_factor(factor: u64) -> u64 {
    ///     FACTOR.swap(factor, Ordering::Relaxed)
    /// }
    ///
    /// #[child_task]
    /// fn scale(n: u64) -> u64 {
    ///     n * FACTOR.load(Ordering::Relaxed)
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Context::default().pool().workers(2).build()?;
    /// for (pid, job) in pool.broadcast(set_factor::call(10)) {
    ///     println!("worker {pid} had the factor {}", job.wait()?);
    /// }
    /// let scaled = pool.map((1..=4).map(scale::call)).collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(scaled, [10, 20, 30, 40]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn broadcast<T>(&self, call: Call<T>) -> Vec<(u32, Job<T>)> {
        let submitted = self.core.broadcast(|| self.entry(call.clone(), Holder::Job(None)));
        let job = |id| Job::new(Arc::clone(&self.core), id, call.task(), call.decode);
        submitted.into_iter().map(|(pid, id)| (pid, job(id))).collect()
    }

    /// Closes the pool for new jobs. The pool finishes the jobs that it has.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, JoinErrorKind, child_task};
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
    /// pool.close();
    /// assert_eq!(job.wait()?, 144);
    ///
    /// let late = pool.submit(square::call(12));
    /// assert!(matches!(late.wait().unwrap_err().kind(), JoinErrorKind::PoolClosed));
    /// # Ok(())
    /// # }
    /// ```
    pub fn close(&self) {
        self.core.close();
    }

    /// Closes the pool, and waits for the end of all jobs and all workers.
    ///
    /// # Errors
    /// - The error of the failed start of a worker, if jobs were left without a worker. These jobs fail with
    ///   [`NotStarted`](JoinErrorKind::NotStarted). See [`Context::start`] for the kinds.
    /// - [`Setting`](ErrorKind::Setting): the [`finalizer`](PoolBuilder::finalizer) of a worker has failed.
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
    /// let job = pool.submit(square::call(12));
    /// pool.join()?;
    /// assert_eq!(job.wait()?, 144);
    /// # Ok(())
    /// # }
    /// ```
    pub fn join(mut self) -> Result<(), Error> {
        self.core.close();
        self.core.wait_until_finished();
        self.core.shut_down();
        let emptied = self.core.wait_until_empty();
        self.end();
        emptied
    }

    /// Kills all workers. Every unfinished job fails with [`PoolClosed`](JoinErrorKind::PoolClosed).
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
    /// pool.terminate();
    /// assert!(matches!(job.wait().unwrap_err().kind(), JoinErrorKind::PoolClosed));
    /// # Ok(())
    /// # }
    /// ```
    pub fn terminate(mut self) {
        self.end();
    }

    /// Changes the maximum number of workers. Surplus workers finish their jobs and exit.
    ///
    /// # Errors
    /// - [`Setting`](ErrorKind::Setting): `workers` is 0.
    /// - [`ForkServer`](ErrorKind::ForkServer): the template of a fork pool was killed.
    ///
    /// # Examples
    /// ```
    /// use offspring::Context;
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Context::default().pool().workers(1).build()?;
    /// pool.resize(2)?;
    /// assert_eq!(pool.stats().max_workers, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn resize(&self, workers: usize) -> Result<(), Error> {
        if workers == 0 {
            return Err(Error::new(ErrorKind::Setting, "a pool needs at least one worker"));
        }
        self.core.resize(workers)
    }

    /// Returns the state of the pool and of each worker, in numbers.
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
    /// pool.submit(square::call(12)).wait()?;
    /// let stats = pool.stats();
    /// assert_eq!((stats.done, stats.failed), (1, 0));
    /// assert_eq!(stats.workers.len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn stats(&self) -> PoolStats {
        self.core.stats()
    }

    fn end(&mut self) {
        self.core.terminate();
        match self.thread.take() {
            // A forked copy of the process has no such thread, and would wait for it for ever.
            Some(thread) if self.core.is_forked_copy() => std::mem::forget(thread),
            // A waker that it has woken held the pool; it ends when it has returned from here.
            Some(thread) if thread.thread().id() == std::thread::current().id() => {}
            Some(thread) => drop(thread.join()),
            None => {}
        }
        // Jobs may hold the rest for longer.
        self.core.release_starter();
    }

    fn entry<T>(&self, call: Call<T>, holder: Holder) -> JobEntry {
        let (entry, time_limit) = (call.entry, call.limit);
        let (task_index, arguments, state) = match prepare(&call) {
            Ok((task_index, arguments)) => (task_index, arguments, JobState::Queued),
            Err(error) => {
                let failure = Failure::new(JoinErrorKind::NotStarted(error), None);
                (0, Payload::EMPTY, JobState::Done(Err(failure)))
            }
        };
        JobEntry { entry, task_index, arguments, state, holder, time_limit, retries: self.retries, pin: None }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("stats", &self.stats()).finish()
    }
}
