//! How a pool is to be.

use std::sync::Arc;
use std::time::Duration;

use super::Pool;
use super::driver::{Shared, start_thread};
use super::local::handle::Initializer;
use super::scheduler::Plan;
use crate::error::{Error, ErrorKind};
use crate::ipc::wire::payload::{Payload, decode};
use crate::platform::StartMethod;
use crate::process::Context;
use crate::process::Resource;
use crate::report::Report;
use crate::start::Template;
use crate::sys;
use crate::task::{self, Call};

/// Makes a [`Pool`]. Made by [`Context::pool`](crate::Context::pool).
#[derive(Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct PoolBuilder {
    context: Context,
    workers: Option<usize>,
    max_tasks: Option<u32>,
    max_memory: Option<u64>,
    limits: Vec<(Resource, u64)>,
    task_timeout: Option<Duration>,
    grace: Duration,
    retries: u32,
    initializer: Option<Result<Initializer, Error>>,
    min_workers: Option<usize>,
    idle_timeout: Option<Duration>,
    name: String,
}

/// What an initializer can return: nothing, or a `Result<(), Report>`.
#[diagnostic::on_unimplemented(
    message = "an initializer returns nothing or a `Result<(), Report>`, not `{Self}`",
    note = "`#[child_task(report)]` makes a `Report` of any error"
)]
pub trait InitializerOutput: Sized + sealed::Checked {}

mod sealed {
    /// Tells a failure.
    pub trait Checked {
        fn check(self) -> Result<(), String>;
    }
}

impl sealed::Checked for () {
    fn check(self) -> Result<(), String> {
        Ok(())
    }
}

impl sealed::Checked for Result<(), Report> {
    fn check(self) -> Result<(), String> {
        self.map_err(|report| report.to_string())
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
            limits: Vec::new(),
            task_timeout: None,
            grace: Duration::ZERO,
            retries: 0,
            initializer: None,
            min_workers: None,
            idle_timeout: None,
            name: "PoolWorker".to_owned(),
        }
    }

    /// How many workers there are at most, and at least unless [`min_workers`](Self::min_workers) says less; by default one for each processor that this process may use (affinity and cgroup quota).
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// How few workers there may be; by default as many as there may be at most, all of which are started by [`build`](Self::build).
    ///
    /// With less, those above are started one by one, when there are more jobs than workers.
    pub fn min_workers(mut self, workers: usize) -> Self {
        self.min_workers = Some(workers);
        self
    }

    /// After how long with nothing to do a worker leaves, if there are more than [`min_workers`](Self::min_workers), without which there never
    /// are; by default never.
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.idle_timeout = Some(limit);
        self
    }

    /// What the names of the workers begin with, before a number; by default `PoolWorker`.
    pub fn worker_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// How many jobs a worker does before another takes its place, at least 1; by default any number.
    pub fn max_tasks_per_worker(mut self, tasks: u32) -> Self {
        self.max_tasks = Some(tasks);
        self
    }

    /// How much memory a worker may have in use when a job is done, in bytes; if it has more, another takes its place. By default any.
    ///
    /// It is what recycles a worker whose tasks leave memory behind, and no limit: a task may use more while it runs. For that
    /// there is [`limit`](Self::limit). Memory counts that is present (RSS), also what a worker shares with others, such as pages of
    /// the process that it was copied from: less than that lets each worker do one job.
    ///
    /// Source: proc_pid_statm(5).
    pub fn max_worker_memory_bytes(mut self, bytes: u64) -> Self {
        self.max_memory = Some(bytes);
        self
    }

    /// Limits a resource of each worker, in the resource's own unit; see [`ProcessBuilder::limit`](crate::ProcessBuilder::limit).
    pub fn limit(mut self, resource: Resource, value: u64) -> Self {
        self.limits.push((resource, value));
        self
    }

    /// How long each task may run. One that takes longer is killed with its worker, and has
    /// [`TimedOut`](crate::JoinErrorKind::TimedOut).
    pub fn task_timeout(mut self, limit: Duration) -> Self {
        self.task_timeout = Some(limit);
        self
    }

    /// How long a task whose time is over may go on, to notice it by [`is_cancelled`](crate::is_cancelled) and end in order;
    /// by default not at all: then it is killed at once.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// How often a task marked `#[child_task(idempotent)]` is run again when its worker has died under it, but not for its time limit; by
    /// default never.
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// What each worker does first. State that it leaves in statics is there for the worker's tasks.
    ///
    /// One that fails or panics is the pool's failure: [`build`](Self::build) returns it. [`build`](Self::build) waits for as long as it
    /// takes, unless the call has a [`timeout`](Call::timeout) of its own.
    pub fn initializer<T: InitializerOutput + serde::de::DeserializeOwned>(mut self, call: Call<T>) -> Self {
        fn check<T: sealed::Checked + serde::de::DeserializeOwned>(payload: Payload) -> Result<(), String> {
            decode::<T>(payload).map_err(|error| error.to_string())?.check()
        }
        self.initializer = Some(prepare(&call).map(|(place, arguments)| Initializer {
            place,
            task: call.task(),
            arguments,
            limit: call.limit,
            check: check::<T>,
        }));
        self
    }

    /// Starts the workers, and waits until each is ready.
    ///
    /// If there cannot be so many at the moment ([`LimitReached`](ErrorKind::LimitReached)), the pool begins with those that there
    /// are, and goes on trying to have the others.
    ///
    /// # Errors
    /// [`MultiThreadedFork`](ErrorKind::MultiThreadedFork) under the start method `fork` in a process with other threads, such as that of
    /// another pool; [`Setting`](ErrorKind::Setting) for no workers, for no tasks, for less than there have to be, and for an initializer or a limit that
    /// fails; those of [`Context::start`](crate::Context::start), if there is not one worker.
    pub fn build(self) -> Result<Pool, Error> {
        let workers = self.checked_workers()?;
        if self.max_tasks == Some(0) {
            return Err(Error::new(ErrorKind::Setting, "a worker of a pool has to do at least one task"));
        }
        // Before there is a thread: what it is a copy of must have but one.
        let template = match self.context.start_method() {
            StartMethod::Fork => Some(Arc::new(Template::new()?)),
            StartMethod::Spawn | StartMethod::ForkServer => None,
        };
        let plan = Plan {
            max_tasks: self.max_tasks,
            max_memory: self.max_memory,
            limits: self.limits,
            limit: self.task_timeout,
            grace: self.grace,
            retries: self.retries,
            initializer: self.initializer.transpose()?,
            min_workers: self.min_workers,
            idle_timeout: self.idle_timeout,
            name: self.name,
            template,
            ..Plan::new(self.context, workers)
        };
        let retries = plan.retries;
        let shared = Arc::new(Shared::new(plan).map_err(|error| Error::os("cannot make a pool", error))?);
        // Before the workers, which may take all the processes that there can be.
        let (thread, begin) = start_thread(&shared)?;
        if let Err(error) = shared.wait_until_ready() {
            shared.terminate();
            drop(begin);
            let _ = thread.join();
            return Err(error);
        }
        let _ = begin.send(());
        Ok(Pool { shared, thread: Some(thread), retries })
    }
}

impl PoolBuilder {
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

/// What a pool keeps of a call; the same checks as for a process of its own.
pub(super) fn prepare<T>(call: &Call<T>) -> Result<(u64, Payload), Error> {
    let arguments = call.check()?.clone();
    let place = task::place(call.entry).ok_or_else(|| {
        Error::new(ErrorKind::UnknownTask, format!("no task `{}` is linked into this program", call.task()))
    })?;
    Ok((place, arguments))
}
