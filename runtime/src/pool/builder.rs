//! How a pool is to be.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use super::Pool;
use super::driver::{PoolCore, start_supervisor};
use super::local::{self, Hook, Hooks, LocalStart, WorkerRecipe};
use super::model::{EXIT_GRACE, PoolConfig};
use crate::error::{Error, ErrorKind};
use crate::ipc::wire::payload::{Payload, decode};
use crate::platform::StartMethod;
use crate::process::{Context, Options, ProcessBuilder};
use crate::report::Report;
use crate::start::Template;
use crate::sys;
use crate::task::{self, Call};

/// The options of a [`Pool`], and the start of the workers. Made by [`Context::pool`](crate::Context::pool).
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
/// let pool = Context::default()
///     .pool()
///     .workers(4)
///     .min_workers(1)
///     .idle_timeout(Duration::from_secs(60))
///     .max_tasks_per_worker(1000)
///     .task_timeout(Duration::from_secs(10))
///     .build()?;
/// assert_eq!(pool.submit(square::call(12)).wait()?, 144);
/// pool.join()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct PoolBuilder {
    context: Context,
    workers: Option<usize>,
    max_tasks: Option<u32>,
    max_memory: Option<u64>,
    worker: ProcessBuilder<()>,
    pin_workers: bool,
    is_graceful: bool,
    task_timeout: Option<Duration>,
    grace: Duration,
    retries: u32,
    initializer: Option<Result<Hook, Error>>,
    finalizer: Option<Result<Hook, Error>>,
    min_workers: Option<usize>,
    idle_timeout: Option<Duration>,
    retry_backoff: (Duration, Duration),
    queue_limit: Option<usize>,
    queue_limit_bytes: Option<usize>,
    name: String,
}

/// What an initializer or a finalizer can return: nothing, or a `Result<(), Report>`.
#[diagnostic::on_unimplemented(
    message = "an initializer or a finalizer returns nothing or a `Result<(), Report>`, not `{Self}`",
    note = "`#[child_task(report)]` makes a `Report` of any error"
)]
/// The return type of an [`initializer`](PoolBuilder::initializer) or a [`finalizer`](PoolBuilder::finalizer): `()` or
/// `Result<(), Report>`.
///
/// # Examples
/// ```
/// use offspring::{Context, ErrorKind, child_task};
///
/// #[child_task(report)]
/// fn open_database(path: String) -> std::io::Result<()> {
///     std::fs::File::open(path).map(drop)
/// }
///
/// # #[offspring::process_main]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let builder = Context::default().pool().workers(1);
/// let error = builder.initializer(open_database::call("/no/such/file".to_owned())).build().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Setting);
/// # Ok(())
/// # }
/// ```
pub trait InitializerOutput: Sized + sealed::Checked {}

mod sealed {
    /// Tells a failure.
    pub trait Checked {
        fn check(self) -> Result<(), super::Report>;
    }
}

impl sealed::Checked for () {
    fn check(self) -> Result<(), Report> {
        Ok(())
    }
}

impl sealed::Checked for Result<(), Report> {
    fn check(self) -> Self {
        self
    }
}

impl InitializerOutput for () {}
impl InitializerOutput for Result<(), Report> {}

impl PoolBuilder {
    pub(super) fn new(context: Context) -> Self {
        Self {
            context,
            workers: None,
            max_tasks: None,
            max_memory: None,
            worker: local::worker_builder(),
            pin_workers: false,
            is_graceful: false,
            task_timeout: None,
            grace: Duration::ZERO,
            retries: 0,
            initializer: None,
            finalizer: None,
            min_workers: None,
            idle_timeout: None,
            retry_backoff: (Duration::ZERO, Duration::ZERO),
            queue_limit: None,
            queue_limit_bytes: None,
            name: "PoolWorker".to_owned(),
        }
    }

    /// Sets the maximum number of workers. Without [`min_workers`](Self::min_workers), also the minimum. Default: the
    /// number of processors that this process may use (affinity and cgroup quota).
    ///
    /// # Examples
    /// ```
    /// use offspring::Context;
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Context::default().pool().workers(3).build()?;
    /// assert_eq!(pool.stats().workers.len(), 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Sets the minimum number of workers. [`build`](Self::build) starts this number of workers. Default: the maximum
    /// number.
    ///
    /// The pool starts further workers one by one while there are more jobs than workers.
    ///
    /// # Examples
    /// ```
    /// use offspring::Context;
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Context::default().pool().workers(8).min_workers(1).build()?;
    /// assert_eq!(pool.stats().workers.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn min_workers(mut self, workers: usize) -> Self {
        self.min_workers = Some(workers);
        self
    }

    /// Shuts down workers that have been idle for `limit`, down to [`min_workers`](Self::min_workers). No effect unless
    /// `min_workers` is set. Default: never.
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
    /// let pool = Context::default()
    ///     .pool()
    ///     .workers(4)
    ///     .min_workers(0)
    ///     .idle_timeout(Duration::from_secs(5))
    ///     .build()?;
    /// assert_eq!(pool.submit(square::call(12)).wait()?, 144); // starts a worker, which ends 5 s later
    /// # Ok(())
    /// # }
    /// ```
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.idle_timeout = Some(limit);
        self
    }

    /// Sets the beginning of the workers' names, before a number. Default: `PoolWorker`.
    ///
    /// # Examples
    /// ```
    /// use offspring::Context;
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Context::default().pool().workers(1).worker_name("resizer").build()?;
    /// assert!(pool.stats().workers[0].name.starts_with("resizer"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn worker_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Replaces a worker after `tasks` jobs. Default: never.
    ///
    /// [`build`](Self::build) fails with [`Setting`](ErrorKind::Setting) if `tasks` is 0.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, child_task};
    ///
    /// #[child_task]
    /// fn own_pid() -> u32 {
    ///     std::process::id()
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Context::default().pool().workers(1).max_tasks_per_worker(1).build()?;
    /// let (first, second) = (pool.submit(own_pid::call()), pool.submit(own_pid::call()));
    /// assert_ne!(first.wait()?, second.wait()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_tasks_per_worker(mut self, tasks: u32) -> Self {
        self.max_tasks = Some(tasks);
        self
    }

    /// Replaces a worker that uses more than `bytes` of memory at the end of a job. Default: never.
    ///
    /// The option is for workers whose tasks leave memory behind, and limits no task. A
    /// [`limit`](ProcessBuilder::limit) among the [`worker_options`](Self::worker_options) limits a task. Counts the
    /// resident memory (RSS), including memory that a worker shares with other processes, such as pages of the copied
    /// process. With a value below the shared memory, each worker runs one job.
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
    /// let pool = Context::default().pool().workers(2).max_worker_memory_bytes(512 << 20).build()?; // 512 MiB
    /// assert_eq!(pool.submit(square::call(12)).wait()?, 144);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Source: [proc_pid_statm(5)](https://man7.org/linux/man-pages/man5/proc_pid_statm.5.html).
    pub fn max_worker_memory_bytes(mut self, bytes: u64) -> Self {
        self.max_memory = Some(bytes);
        self
    }

    /// Lets the workers survive `SIGTERM` and `SIGHUP`, so that jobs come to their end when a service is stopped.
    /// Default: the signals end a worker, as any process.
    ///
    /// Some supervisors send these signals to all processes of a service: systemd to its control group
    /// (`KillMode=control-group`, the default), a shell or a terminal to a process group. With this option the program
    /// alone reacts. It stops taking requests, and [`join`](crate::Pool::join)s the pool. Programs that tasks execute
    /// get the default reaction to the signals. A worker ends all the same when the pool kills it, when the program
    /// ends, and by `SIGKILL`. A signal that this process ignores is ignored by the workers.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, child_task};
    ///
    /// /// Sends itself what a supervisor sends to all processes.
    /// #[child_task]
    /// fn work(id: u32) -> u32 {
    ///     let kill = std::process::Command::new("kill").arg(std::process::id().to_string()).status();
    ///     assert!(kill.is_ok_and(|status| status.success()));
    ///     id
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Context::default().pool().workers(1).graceful_shutdown(true).build()?;
    /// assert_eq!(pool.submit(work::call(1)).wait()?, 1);
    /// pool.join()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Source: [signal(7)](https://man7.org/linux/man-pages/man7/signal.7.html),
    /// [systemd.kill(5)](https://man7.org/linux/man-pages/man5/systemd.kill.5.html).
    pub fn graceful_shutdown(mut self, graceful: bool) -> Self {
        self.is_graceful = graceful;
        self
    }

    /// Sets options of the workers' processes: environment, working directory, standard streams, umask, nice value,
    /// resource limits, processors and process group. Default: none, as for a single process.
    ///
    /// `set` gets a builder with the options so far, and returns the builder with more options. The options hold for
    /// each worker, under every start method, also for a worker that is started later. [`build`](Self::build) resolves
    /// the environment and the working directory, once for all workers. The pool keeps given streams open until the
    /// end of the pool.
    ///
    /// `build` fails with [`Setting`](ErrorKind::Setting) if an option is out of the range, if a worker may not make
    /// the setting, or if the option has no meaning for a worker. These options have none:
    ///
    /// - [`name`](ProcessBuilder::name): see [`worker_name`](Self::worker_name).
    /// - [`timeout`](ProcessBuilder::timeout): see [`task_timeout`](Self::task_timeout).
    /// - [`daemon`](ProcessBuilder::daemon) and [`kill_on_drop`](ProcessBuilder::kill_on_drop): workers always end with
    ///   the pool.
    /// - [`Stdio::piped`](crate::Stdio::piped): no handle has the other end. Give the workers one end of
    ///   [`std::io::pipe`].
    ///
    /// [`fork_despite_threads`](ProcessBuilder::fork_despite_threads) is about the moment of `build`, at which a fork
    /// pool copies this process.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, JoinErrorKind, Resource, child_task};
    ///
    /// #[child_task]
    /// fn fill(bytes: usize) -> usize {
    ///     vec![1_u8; bytes].len()
    /// }
    ///
    /// #[child_task]
    /// fn variable(name: String) -> Option<String> {
    ///     std::env::var(name).ok()
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Context::default()
    ///     .pool()
    ///     .workers(1)
    ///     .worker_options(|worker| {
    ///         worker.env("OMP_NUM_THREADS", "1").nice(5).limit(Resource::AddressSpace, 1 << 30)
    ///     })
    ///     .build()?;
    /// assert_eq!(pool.submit(variable::call("OMP_NUM_THREADS".to_owned())).wait()?.as_deref(), Some("1"));
    ///
    /// let job = pool.submit(fill::call(2 << 30));
    /// assert!(matches!(job.wait().unwrap_err().kind(), JoinErrorKind::Signaled(6))); // SIGABRT
    /// assert_eq!(pool.submit(fill::call(1000)).wait()?, 1000);
    /// # Ok(())
    /// # }
    /// ```
    pub fn worker_options(mut self, set: impl FnOnce(ProcessBuilder<()>) -> ProcessBuilder<()>) -> Self {
        self.worker = set(self.worker);
        self
    }

    /// Sets whether each worker runs on one processor of its own (`true`) or on all processors (`false`). Default:
    /// `false`.
    ///
    /// The processors are those of [`cpu_affinity`](ProcessBuilder::cpu_affinity) among the
    /// [`worker_options`](Self::worker_options), or else those that may run the thread of the [`build`](Self::build).
    /// The first worker gets the first processor, and so on. With more workers than processors, the next worker gets
    /// the first processor again. A replacement gets the processor of the worker that it replaces.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, child_task};
    ///
    /// #[child_task]
    /// fn processors() -> usize {
    ///     std::thread::available_parallelism().map_or(0, |count| count.get())
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Context::default().pool().pin_workers(true).build()?;
    /// assert_eq!(pool.submit(processors::call()).wait()?, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Source: [sched_setaffinity(2)](https://man7.org/linux/man-pages/man2/sched_setaffinity.2.html).
    pub fn pin_workers(mut self, pin: bool) -> Self {
        self.pin_workers = pin;
        self
    }

    /// Sets the time limit of each task. Default: none.
    ///
    /// After the limit and the [`grace`](Self::grace), the worker is killed, and the job fails with
    /// [`TimedOut`](crate::JoinErrorKind::TimedOut). The shorter of this limit and [`Call::timeout`] holds.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
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
    /// let pool = Context::default().pool().workers(1).task_timeout(Duration::from_millis(50)).build()?;
    /// let job = pool.submit(wait_for_ever::call());
    /// assert!(matches!(job.wait().unwrap_err().kind(), JoinErrorKind::TimedOut));
    /// # Ok(())
    /// # }
    /// ```
    pub fn task_timeout(mut self, limit: Duration) -> Self {
        self.task_timeout = Some(limit);
        self
    }

    /// Sets the time between the end of a task's time limit and the kill of the worker. Default: 0.
    ///
    /// In this time, [`is_cancelled`](crate::is_cancelled) is true in the task, which can end in order.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// use offspring::{Context, child_task, is_cancelled};
    ///
    /// #[child_task]
    /// fn count() -> u64 {
    ///     let mut count = 0;
    ///     while !is_cancelled() {
    ///         count += 1;
    ///     }
    ///     count
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Context::default()
    ///     .pool()
    ///     .workers(1)
    ///     .task_timeout(Duration::from_millis(50))
    ///     .grace(Duration::from_secs(10))
    ///     .build()?;
    /// assert!(pool.submit(count::call()).wait()? > 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Sets the maximum number of jobs that wait, besides one job for each of the [`workers`](Self::workers). Default:
    /// no limit.
    ///
    /// At the limit, [`Pool::submit`] blocks, [`Pool::submit_async`] waits, [`Pool::try_submit`] fails, and maps take
    /// nothing more from their input. A job that is done makes room, taken or not. With 0, the pool accepts a job only
    /// if a worker has none.
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
    /// let pool = Context::default().pool().workers(2).queue_limit(8).build()?;
    /// let jobs: Vec<_> = (0..100).map(|n| pool.submit(square::call(n))).collect(); // blocks now and then
    /// let sum: u64 = jobs.into_iter().map(|job| job.wait()).sum::<Result<_, _>>()?;
    /// assert_eq!(sum, 328_350);
    /// # Ok(())
    /// # }
    /// ```
    pub fn queue_limit(mut self, jobs: usize) -> Self {
        self.queue_limit = Some(jobs);
        self
    }

    /// Sets the maximum size of the encoded arguments of all jobs that are not done, in bytes. Default: no limit.
    ///
    /// Works as [`queue_limit`](Self::queue_limit), and both limits may be set. A job whose arguments alone are above
    /// the limit is accepted when the pool has no other arguments. [`PoolStats::queued_bytes`](crate::PoolStats) has
    /// the present size.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, child_task};
    ///
    /// #[child_task]
    /// fn length(bytes: Vec<u8>) -> usize {
    ///     bytes.len()
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Context::default().pool().workers(2).queue_limit_bytes(1 << 20).build()?; // 1 MiB
    /// let uploads = (0..100).map(|_| length::call(vec![0; 100_000])); // about 10 of these at a time
    /// assert!(pool.map(uploads).all(|length| length.is_ok_and(|length| length == 100_000)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn queue_limit_bytes(mut self, bytes: usize) -> Self {
        self.queue_limit_bytes = Some(bytes);
        self
    }

    /// Sets the number of further runs of a task marked `#[child_task(idempotent)]` after the death of the worker. A
    /// task that was killed for the time limit does not run again. Default: 0.
    ///
    /// A job that has killed a worker with each of several runs is given up as
    /// [`Poisoned`](crate::JoinErrorKind::Poisoned). [`Call::retry_if`] runs a call again for other reasons.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, child_task};
    ///
    /// /// Kills the worker in the first run.
    /// #[child_task(idempotent)]
    /// fn fragile(marker: std::path::PathBuf) -> bool {
    ///     if std::fs::File::create_new(&marker).is_ok() {
    ///         std::process::abort();
    ///     }
    ///     std::fs::remove_file(marker).is_ok()
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let marker = std::env::temp_dir().join(format!("offspring-retries-{}", std::process::id()));
    /// let pool = Context::default().pool().workers(1).retries(1).build()?;
    /// assert!(pool.submit(fragile::call(marker)).wait()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Sets the pause before a further run of a job ([`retries`](Self::retries), [`Call::retry_if`]): `first` before
    /// the first, doubled with each, up to `longest`. Default: no pause.
    ///
    /// Other jobs use the worker meanwhile. After the pause, the job waits behind the other jobs of its priority.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// use offspring::{Context, child_task};
    ///
    /// #[child_task]
    /// fn fetch(address: String) -> Option<String> {
    ///     (address.len() > 20).then_some(address)
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Context::default()
    ///     .pool()
    ///     .workers(2)
    ///     .retry_backoff(Duration::from_millis(10), Duration::from_secs(5)) // 10 ms, 20 ms, 40 ms
    ///     .build()?;
    /// let call = fetch::call("example.com".to_owned()).retry_if(3, |page| matches!(page, Ok(None)));
    /// assert_eq!(pool.submit(call).wait()?, None);
    /// assert_eq!(pool.stats().retried, 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn retry_backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.retry_backoff = (first, longest);
        self
    }

    /// Sets a call that each worker runs before the first task. The tasks of the worker see the statics that the call
    /// has set. Default: none.
    ///
    /// [`build`](Self::build) waits for the initializers, without limit unless the call has a
    /// [`timeout`](Call::timeout), and fails with [`Setting`](ErrorKind::Setting) if an initializer fails or panics. A
    /// [`Report`] of an initializer is the [`source`](std::error::Error::source) of the error of `build`.
    ///
    /// # Examples
    /// ```
    /// use std::sync::OnceLock;
    ///
    /// use offspring::{Context, child_task};
    ///
    /// static WORDS: OnceLock<Vec<String>> = OnceLock::new();
    ///
    /// #[child_task]
    /// fn load(text: String) {
    ///     WORDS.get_or_init(|| text.split_whitespace().map(str::to_owned).collect());
    /// }
    ///
    /// #[child_task]
    /// fn word(index: usize) -> Option<String> {
    ///     WORDS.get()?.get(index).cloned()
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Context::default().pool().workers(2).initializer(load::call("to be or not".to_owned())).build()?;
    /// assert_eq!(pool.submit(word::call(1)).wait()?.as_deref(), Some("be"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn initializer<T: InitializerOutput + serde::de::DeserializeOwned>(mut self, call: Call<T>) -> Self {
        self.initializer = Some(hook(&call));
        self
    }

    /// Sets a call that each worker runs after the last task. Default: none.
    ///
    /// The finalizer runs in a worker that exits in order: at the [`join`](Pool::join) of the pool, and when the pool
    /// replaces a worker ([`max_tasks_per_worker`](Self::max_tasks_per_worker),
    /// [`max_worker_memory_bytes`](Self::max_worker_memory_bytes)) or needs a worker no longer
    /// ([`idle_timeout`](Self::idle_timeout), [`resize`](Pool::resize)). The finalizer does not run in a worker that
    /// dies or is killed, also by a time limit, [`terminate`](Pool::terminate), the drop of the pool or the end of the
    /// program, and in a worker whose [`initializer`](Self::initializer) has failed.
    ///
    /// Finalizer and exit take up to 2 s together, and a [`timeout`](Call::timeout) of the call is added to this time.
    /// After that, the worker is killed. A finalizer that fails, panics or does not return ends no job: `join` returns
    /// the first such error, as [`Setting`](ErrorKind::Setting), after the end of all workers. A [`Report`] of a
    /// finalizer is the [`source`](std::error::Error::source) of the error.
    ///
    /// # Examples
    /// ```
    /// use std::sync::atomic::{AtomicU64, Ordering};
    ///
    /// use offspring::{Context, Sender, channel, child_task};
    ///
    /// static TOTAL: AtomicU64 = AtomicU64::new(0);
    ///
    /// #[child_task]
    /// fn add(n: u64) {
    ///     TOTAL.fetch_add(n, Ordering::Relaxed);
    /// }
    ///
    /// #[child_task]
    /// fn send_total(totals: Sender<u64>) {
    ///     totals.send(TOTAL.load(Ordering::Relaxed)).expect("the parent receives");
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (sender, totals) = channel()?;
    /// let pool = Context::default().pool().workers(2).finalizer(send_total::call(sender)).build()?;
    /// pool.map((1..=100).map(add::call)).collect::<Result<(), _>>()?;
    /// pool.join()?;
    /// assert_eq!(totals.recv()? + totals.recv()?, 5050);
    /// # Ok(())
    /// # }
    /// ```
    pub fn finalizer<T: InitializerOutput + serde::de::DeserializeOwned>(mut self, call: Call<T>) -> Self {
        self.finalizer = Some(hook(&call));
        self
    }

    /// Starts the workers, and waits until each worker is ready. Blocks this thread.
    ///
    /// If a limit allows only some of the workers, the pool begins with these workers and retries the start of the
    /// rest.
    ///
    /// # Errors
    /// - [`Setting`](ErrorKind::Setting): `workers` or `max_tasks_per_worker` is 0, `min_workers` is above `workers`,
    ///   or an initializer or an option of the workers fails.
    /// - [`MultiThreadedFork`](ErrorKind::MultiThreadedFork): the start method is `fork`, and this process has several
    ///   threads, such as the thread of another pool.
    /// - [`Encode`](ErrorKind::Encode), [`UnknownTask`](ErrorKind::UnknownTask),
    ///   [`DuplicateTask`](ErrorKind::DuplicateTask): the call of the initializer or of the finalizer cannot run.
    /// - The errors of [`Context::start`](crate::Context::start), if no worker could be started.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, ErrorKind};
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Context::default().pool().workers(2).build()?;
    /// assert_eq!(pool.stats().workers.len(), 2);
    /// pool.join()?;
    ///
    /// let error = Context::default().pool().workers(0).build().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Setting);
    /// # Ok(())
    /// # }
    /// ```
    pub fn build(self) -> Result<Pool, Error> {
        let pool = self.launch()?;
        pool.core.wait_until_ready()?;
        Ok(pool)
    }

    /// The asynchronous form of [`build`](Self::build), for any executor.
    ///
    /// The pool's thread starts the workers, and the future waits for their initializers. The first poll takes as long
    /// as the start of a thread, and for the start method `fork` as long as a copy of this process (milliseconds). A
    /// drop of the future kills the workers that were started.
    ///
    /// # Errors
    /// The errors of [`build`](Self::build).
    ///
    /// # Examples
    /// ```
    /// use offspring::Context;
    /// # fn block_on<T>(future: impl Future<Output = T>) -> T {
    /// #     let mut future = std::pin::pin!(future);
    /// #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    /// #     loop {
    /// #         if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) { return output }
    /// #         std::thread::yield_now();
    /// #     }
    /// # }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = block_on(Context::default().pool().workers(2).build_async())?;
    /// assert_eq!(pool.stats().workers.len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn build_async(self) -> Result<Pool, Error> {
        let pool = self.launch()?;
        poll_fn(|polling| pool.core.poll_ready(polling.waker())).await?;
        Ok(pool)
    }
}

impl PoolBuilder {
    /// Makes the pool, whose thread starts the workers.
    fn launch(self) -> Result<Pool, Error> {
        let workers = self.checked_workers()?;
        if self.max_tasks == Some(0) {
            return Err(Error::new(ErrorKind::Setting, "a worker of a pool has to do at least one task"));
        }
        let (options, threads) = self.worker.into_options();
        options.check_for_workers()?;
        // Before there is a thread: what it is a copy of must have but one.
        let template = match self.context.start_method() {
            StartMethod::Fork => Some(Template::new(threads)?),
            StartMethod::Spawn | StartMethod::ForkServer => None,
        };
        let options = options.resolve("a worker of a pool")?;
        let pins = if self.pin_workers { Some(processors(&options)?) } else { None };
        let hooks = Hooks { initializer: self.initializer.transpose()?, finalizer: self.finalizer.transpose()? };
        let time_of = |hook: &Option<Hook>| hook.as_ref().and_then(|hook| hook.time_limit);
        let config = PoolConfig {
            min_workers: self.min_workers,
            idle_timeout: self.idle_timeout,
            max_tasks: self.max_tasks,
            start_timeout: time_of(&hooks.initializer),
            exit_grace: EXIT_GRACE.saturating_add(time_of(&hooks.finalizer).unwrap_or_default()),
            task_timeout: self.task_timeout,
            grace: self.grace,
            retry_backoff: self.retry_backoff,
            queue_limit: self.queue_limit,
            queue_limit_bytes: self.queue_limit_bytes,
            name: self.name,
            ..PoolConfig::new(workers)
        };
        let recipe = WorkerRecipe {
            options,
            pins,
            max_memory: self.max_memory,
            is_graceful: self.is_graceful,
            hooks: Arc::new(hooks),
        };
        let core = LocalStart::new(self.context, template, recipe).and_then(|starter| PoolCore::new(config, starter));
        let core = Arc::new(core.map_err(|error| Error::os("cannot make a pool", error))?);
        // Before the workers, which may take all the processes that there can be.
        let thread = start_supervisor(&core)?;
        let is_limited = self.queue_limit.is_some() || self.queue_limit_bytes.is_some();
        Ok(Pool::new(core, thread, self.retries, is_limited))
    }

    fn checked_workers(&self) -> Result<usize, Error> {
        let workers = self.workers.unwrap_or_else(sys::sched::usable_processors);
        match self.min_workers {
            _ if workers == 0 => Err(Error::new(ErrorKind::Setting, "a pool needs at least one worker")),
            Some(least) if least > workers => {
                let text = format!("a pool of at most {workers} workers cannot have at least {least}");
                Err(Error::new(ErrorKind::Setting, text))
            }
            _ => Ok(workers),
        }
    }
}

/// The processors that may run a worker with these options.
fn processors(options: &Options) -> Result<Vec<usize>, Error> {
    match options.processors() {
        Some(processors) => Ok(processors.to_vec()),
        None => sys::sched::affinity()
            .map_err(|error| Error::os("cannot tell to which processors to pin the workers of a pool", error)),
    }
}

fn hook<T: InitializerOutput + serde::de::DeserializeOwned>(call: &Call<T>) -> Result<Hook, Error> {
    fn check<T: sealed::Checked + serde::de::DeserializeOwned>(payload: Payload) -> Result<(), Report> {
        decode::<T>(payload).map_err(Report::msg)?.check()
    }
    let (task_index, arguments) = prepare(call)?;
    Ok(Hook { task_index, task: call.task(), arguments, time_limit: call.limit, check: check::<T> })
}

/// What a pool keeps of a call; the same checks as for a process of its own.
pub(super) fn prepare<T>(call: &Call<T>) -> Result<(u64, Payload), Error> {
    let arguments = call.check()?.clone();
    let task_index = task::index_of(call.entry).ok_or_else(|| {
        Error::new(ErrorKind::UnknownTask, format!("no task `{}` is linked into this program", call.task()))
    })?;
    Ok((task_index, arguments))
}
