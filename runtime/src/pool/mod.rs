//! A pool: workers that run calls, and survive none of them.
//!
//! ```text
//! submit, map ──▶ queue ──▶ ring of each worker ──▶ worker: look the task up, run it, report
//!                             │      (shared memory)    │
//! Job, Map    ◀── outcome ◀──┴── ring of results ◀──────┘     a death costs the job that ran, and no other
//! ```
//!
//! - `builder`, `job`, `map` and `stats` are the public types.
//! - `model` has the words that all other files share.
//! - `scheduler` decides, without I/O: which worker runs which job, and how many workers there are.
//! - `transport` is the trait of a link to a worker. `local` implements the trait for child processes.
//! - `driver` moves the scheduler on: in the thread that waits for a result, or in the pool's own thread.

mod as_completed;
mod builder;
mod driver;
mod job;
mod local;
mod map;
mod model;
mod scheduler;
mod stats;
mod transport;

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

pub use as_completed::{AsCompleted, as_completed};
pub use builder::{InitializerOutput, PoolBuilder};
pub use job::{Job, TrySubmitError};
pub use local::is_cancelled;
#[cfg(feature = "stream")]
pub use map::MapStream;
pub use map::{Map, MapUnordered};
pub use stats::{PoolStats, Unfinished, WorkerStats};

use builder::prepare;
use driver::{InLine, PoolCore};
use model::{Failure, Holder, JobEntry, JobId, JobState};
use scheduler::NoEntry;

use crate::error::{Error, ErrorKind, JoinErrorKind};
use crate::ipc::wire::payload::Payload;
use crate::process::Context;
use crate::sys::{self, poll};
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
/// All methods take `&self`, from any thread. A clone is another handle of the same pool, and costs a few nanoseconds.
/// The drop of the last handle [terminates](Self::terminate) the pool, and so does the end of the program. Jobs are no
/// handles. [`join`](Self::join) or [`shutdown`](Self::shutdown) a pool to finish all jobs.
///
/// # Blocking
/// | method | blocks the thread | for an executor |
/// | --- | --- | --- |
/// | [`try_submit`](Self::try_submit), [`close`](Self::close), [`stats`](Self::stats) | never | |
/// | [`submit`](Self::submit) | at a full queue with a limit | [`submit_async`](Self::submit_async) |
/// | [`PoolBuilder::build`] | until the workers are ready | [`PoolBuilder::build_async`] |
/// | [`Job::wait`] | until the job is done | a [`Job`] is a future |
/// | [`map`](Self::map), [`map_unordered`](Self::map_unordered) | for each result | `map_stream` (feature `stream`) |
/// | [`join`](Self::join) | until all jobs are done | [`join_async`](Self::join_async) |
/// | [`shutdown`](Self::shutdown) | for the grace, and the workers' exit | [`shutdown_async`](Self::shutdown_async) |
/// | [`terminate`](Self::terminate), the drop of the last handle | until the workers are killed: milliseconds | |
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
#[derive(Clone)]
pub struct Pool {
    core: Arc<PoolCore>,
    end: Arc<EndOnDrop>,
    retries: u32,
    /// Whether the queue has a limit.
    is_limited: bool,
}

/// Ends a pool with the last handle.
struct EndOnDrop {
    core: Arc<PoolCore>,
    /// The supervisor.
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Pool {
    fn new(core: Arc<PoolCore>, thread: JoinHandle<()>, retries: u32, is_limited: bool) -> Self {
        let end = EndOnDrop { core: Arc::clone(&core), thread: Mutex::new(Some(thread)) };
        Self { core, end: Arc::new(end), retries, is_limited }
    }

    /// Queues a call and returns the job of the call.
    ///
    /// Blocks this thread only while the queue has a limit ([`PoolBuilder::queue_limit`]) and is full, as the `send` of
    /// a bounded channel does. Callers get room in the order of their coming. [`submit_async`](Self::submit_async)
    /// waits as a future, and [`try_submit`](Self::try_submit) never waits.
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
        let job = self.entry(&call, Holder::Job(None));
        let id = if self.must_wait(&job) { self.core.submit_with_room(job) } else { self.submit_now(job) };
        self.job(id, &call)
    }

    /// Queues a call if there is room, and never waits.
    ///
    /// There is no room while the queue is at its limit ([`PoolBuilder::queue_limit`]), or while other callers wait for
    /// room. Without a limit there is always room.
    ///
    /// # Errors
    /// - [`Full`](TrySubmitError::Full): there is no room. Has the call.
    /// - [`Closed`](TrySubmitError::Closed): the pool is closed. Has the call.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, TrySubmitError, child_task};
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
    /// let pool = Context::default().pool().workers(1).queue_limit(1).build()?;
    /// let running = pool.try_submit(wait_for_ever::call())?;
    /// let queued = pool.try_submit(wait_for_ever::call())?;
    /// match pool.try_submit(wait_for_ever::call()) {
    ///     Err(TrySubmitError::Full(_call)) => {} // shed the load
    ///     other => panic!("{other:?}"),
    /// }
    /// # drop((running, queued));
    /// # Ok(())
    /// # }
    /// ```
    #[expect(clippy::result_large_err, reason = "the error gives the call back, as that of a channel the value")]
    pub fn try_submit<T>(&self, call: Call<T>) -> Result<Job<T>, TrySubmitError<T>> {
        match self.core.try_submit(&mut Some(self.entry(&call, Holder::Job(None)))) {
            Ok(id) => Ok(self.job(id, &call)),
            Err(NoEntry::Full) => Err(TrySubmitError::Full(call)),
            Err(NoEntry::Closed) => Err(TrySubmitError::Closed(call)),
        }
    }

    /// Queues a call as soon as there is room, as a future for any executor.
    ///
    /// The asynchronous form of [`submit`](Self::submit): ready with the job when the call is in the queue. `.await`
    /// the job for the result.
    ///
    /// # Cancel safety
    /// A dropped future has submitted the call only if a poll returned `Ready`. The place in the line is lost.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, child_task};
    /// # fn block_on<T>(future: impl Future<Output = T>) -> T {
    /// #     let mut future = std::pin::pin!(future);
    /// #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    /// #     loop {
    /// #         if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) { return output }
    /// #         std::thread::yield_now();
    /// #     }
    /// # }
    ///
    /// #[child_task]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Context::default().pool().workers(2).queue_limit(100).build()?;
    /// block_on(async {
    ///     let job = pool.submit_async(square::call(12)).await;
    ///     assert_eq!(job.await?, 144);
    ///     Ok(())
    /// })
    /// # }
    /// ```
    pub async fn submit_async<T>(&self, call: Call<T>) -> Job<T> {
        let job = self.entry(&call, Holder::Job(None));
        let id = if self.must_wait(&job) {
            let mut place = InLine::new(&self.core, job);
            poll_fn(|polling| place.poll(polling.waker())).await
        } else {
            self.submit_now(job)
        };
        self.job(id, &call)
    }

    /// Returns whether a job may have to wait for room. A job that has failed already needs none.
    fn must_wait(&self, job: &JobEntry) -> bool {
        self.is_limited && matches!(job.state, JobState::Queued)
    }

    fn submit_now(&self, job: JobEntry) -> JobId {
        let mut id = JobId(0);
        self.core.submit([job], |submitted| id = submitted);
        id
    }

    fn job<T>(&self, id: JobId, call: &Call<T>) -> Job<T> {
        Job::new(Arc::clone(&self.core), id, call.task(), call.decode)
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

    /// Runs many calls and returns a stream of the results, in the order of the calls, for any executor.
    ///
    /// The asynchronous form of [`map`](Self::map): the stream takes the input as workers have room for calls, so
    /// memory stays bounded on an endless input. The input is an ordinary iterator, which a poll calls: an iterator
    /// that waits blocks the executor. The stream is a handle of the pool.
    ///
    /// # Examples
    /// ```
    /// use std::future::poll_fn;
    /// use std::pin::Pin;
    ///
    /// use futures_core::Stream;
    /// use offspring::{Context, child_task};
    /// # fn block_on<T>(future: impl Future<Output = T>) -> T {
    /// #     let mut future = std::pin::pin!(future);
    /// #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    /// #     loop {
    /// #         if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) { return output }
    /// #         std::thread::yield_now();
    /// #     }
    /// # }
    ///
    /// #[child_task]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Context::default().pool().workers(2).build()?;
    /// let mut squares = pool.map_stream((1..=4).map(square::call));
    /// let mut sum = 0;
    /// block_on(async {
    ///     // With the `StreamExt` of an executor: `squares.next().await`.
    ///     while let Some(square) = poll_fn(|polling| Pin::new(&mut squares).poll_next(polling)).await {
    ///         sum += square?;
    ///     }
    ///     Ok::<(), offspring::JoinError>(())
    /// })?;
    /// assert_eq!(sum, 30);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "stream")]
    #[cfg_attr(docsrs, doc(cfg(feature = "stream")))]
    pub fn map_stream<T, I: IntoIterator<Item = Call<T>>>(&self, calls: I) -> MapStream<T, I::IntoIter> {
        MapStream::new(self.clone(), calls.into_iter())
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
        let submitted = self.core.broadcast(|| self.entry(&call, Holder::Job(None)));
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

    /// Closes the pool, and waits for the end of all jobs and all workers. Blocks this thread without limit.
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
    pub fn join(&self) -> Result<(), Error> {
        self.core.begin_shutdown(None);
        self.core.wait_until_ended();
        self.end.terminate();
        self.core.end_error().map_or(Ok(()), Err)
    }

    /// The asynchronous form of [`join`](Self::join), for any executor.
    ///
    /// The pool is closed at the first poll. A drop of the future does not open the pool again: the jobs and workers
    /// still come to their end.
    ///
    /// # Errors
    /// The errors of [`join`](Self::join).
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, child_task};
    /// # fn block_on<T>(future: impl Future<Output = T>) -> T {
    /// #     let mut future = std::pin::pin!(future);
    /// #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    /// #     loop {
    /// #         if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) { return output }
    /// #         std::thread::yield_now();
    /// #     }
    /// # }
    ///
    /// #[child_task]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// block_on(async {
    ///     let pool = Context::default().pool().workers(2).build_async().await?;
    ///     let job = pool.submit(square::call(12));
    ///     pool.join_async().await?;
    ///     assert_eq!(job.await?, 144);
    ///     Ok(())
    /// })
    /// # }
    /// ```
    pub async fn join_async(&self) -> Result<(), Error> {
        self.core.begin_shutdown(None);
        poll_fn(|polling| self.core.poll_ended(polling.waker())).await;
        self.end.terminate();
        self.core.end_error().map_or(Ok(()), Err)
    }

    /// Closes the pool, waits for up to `grace` for the end of all jobs, and then [terminates](Self::terminate) the
    /// pool. Returns the jobs that were cut off. Blocks this thread.
    ///
    /// The jobs that are cut off fail with [`PoolClosed`](JoinErrorKind::PoolClosed). Of several shutdowns at the same
    /// time, the earliest end of a grace holds for all. The exit of idle workers takes up to 2 s more, if an exit
    /// handler hangs, and as long as the [`timeout`](Call::timeout) of a [`finalizer`](PoolBuilder::finalizer) that
    /// hangs.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// use offspring::{Context, Task, child_task};
    ///
    /// #[child_task]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
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
    /// let (short, long) = (pool.submit(square::call(12)), pool.submit(wait_for_ever::call()));
    /// let unfinished = pool.shutdown(Duration::from_millis(200));
    /// assert_eq!(unfinished.running, [wait_for_ever::NAME]);
    /// assert_eq!(unfinished.queued, 0);
    /// assert_eq!(short.wait()?, 144);
    /// assert!(long.wait().is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn shutdown(&self, grace: Duration) -> Unfinished {
        self.core.begin_shutdown(poll::deadline_in(grace));
        self.core.wait_until_ended();
        self.end.terminate();
        self.core.cut_off()
    }

    /// The asynchronous form of [`shutdown`](Self::shutdown), for any executor.
    ///
    /// The grace begins at the first poll. A drop of the future does not stop the shutdown: at the end of the grace,
    /// the pool is terminated all the same.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// use offspring::{Context, child_task};
    /// # fn block_on<T>(future: impl Future<Output = T>) -> T {
    /// #     let mut future = std::pin::pin!(future);
    /// #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    /// #     loop {
    /// #         if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) { return output }
    /// #         std::thread::yield_now();
    /// #     }
    /// # }
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
    /// let unfinished = block_on(pool.shutdown_async(Duration::from_secs(30)));
    /// assert!(unfinished.is_empty());
    /// assert_eq!(job.wait()?, 144);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn shutdown_async(&self, grace: Duration) -> Unfinished {
        self.core.begin_shutdown(poll::deadline_in(grace));
        poll_fn(|polling| self.core.poll_ended(polling.waker())).await;
        self.end.terminate();
        self.core.cut_off()
    }

    /// Kills all workers, and waits for their end, which takes milliseconds. Every unfinished job fails with
    /// [`PoolClosed`](JoinErrorKind::PoolClosed). Holds for all handles of the pool.
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
    pub fn terminate(&self) {
        self.end.terminate();
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

    fn entry<T>(&self, call: &Call<T>, holder: Holder) -> JobEntry {
        let (entry, time_limit) = (call.entry, call.limit);
        let (task_index, arguments, state) = match prepare(call) {
            Ok((task_index, arguments)) => (task_index, arguments, JobState::Queued),
            Err(error) => {
                let failure = Failure::new(JoinErrorKind::NotStarted(error), None);
                (0, Payload::EMPTY, JobState::Done(Err(failure)))
            }
        };
        let (deadline, priority) = (call.deadline, call.priority);
        let (retries, retry) = (self.retries, call.retry.clone());
        JobEntry {
            entry,
            task_index,
            arguments,
            state,
            holder,
            time_limit,
            deadline,
            priority,
            retries,
            retry,
            runs: 0,
            deaths: 0,
            rests: false,
            pin: None,
        }
    }
}

impl EndOnDrop {
    fn terminate(&self) {
        self.core.terminate();
        // A waker that the supervisor has woken holds the pool. The supervisor ends when it has returned from here.
        if !self.core.is_supervisor() {
            self.join_supervisor();
        }
        // Jobs may hold the rest for longer.
        self.core.release_starter();
    }

    fn join_supervisor(&self) {
        // A forked copy of the process has no such thread, and would wait for it for ever. Another thread of the
        // original may have held the lock.
        if self.core.is_forked_copy() {
            let thread = self.thread.try_lock().ok().and_then(|mut thread| thread.take());
            return std::mem::forget(thread);
        }
        // Under the lock, so that another handle waits too.
        let mut thread = sys::lock(&self.thread);
        if let Some(thread) = thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.terminate();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("stats", &self.stats()).finish()
    }
}
