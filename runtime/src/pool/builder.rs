//! How a pool is to be.

use std::sync::Arc;
use std::time::Duration;

use super::Pool;
use super::dispatcher::{Shared, start_thread};
use super::hand::Initializer;
use super::state::Plan;
use crate::context::Context;
use crate::error::{Error, ErrorKind};
use crate::launch::Template;
use crate::platform::StartMethod;
use crate::report::Report;
use crate::sys;
use crate::task::{self, Call};
use crate::wire::payload::{Payload, decode};

/// Makes a [`Pool`]. Made by [`Context::pool`](crate::Context::pool).
#[derive(Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct PoolBuilder {
    context: Context,
    workers: Option<usize>,
    max_tasks: Option<u32>,
    limit: Option<Duration>,
    grace: Duration,
    retries: u32,
    initializer: Option<Result<Initializer, Error>>,
}

/// What an initializer can return.
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
            limit: None,
            grace: Duration::ZERO,
            retries: 0,
            initializer: None,
        }
    }

    /// How many workers; by default one for each processor that this process may use (affinity and cgroup quota).
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// How many jobs a worker does before another takes its place; by default any number.
    pub fn max_tasks_per_worker(mut self, tasks: u32) -> Self {
        self.max_tasks = Some(tasks);
        self
    }

    /// How long each task may run. One that takes longer is killed with its worker, and has
    /// [`TimedOut`](crate::JoinErrorKind::TimedOut).
    pub fn task_timeout(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// How long a task whose time is over may go on, to notice it by [`is_cancelled`](crate::is_cancelled) and end in order;
    /// by default not at all.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// How often a task marked `#[child_task(idempotent)]` is run again when its worker has died under it; by default never.
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// What each worker does first. State that it leaves in statics is there for the worker's tasks.
    ///
    /// One that fails or panics is the pool's failure: [`build`](Self::build) returns it.
    pub fn initializer<T: InitializerOutput + serde::de::DeserializeOwned>(mut self, call: Call<T>) -> Self {
        fn check<T: sealed::Checked + serde::de::DeserializeOwned>(payload: Payload) -> Result<(), String> {
            decode::<T>(payload).map_err(|error| error.to_string())?.check()
        }
        self.initializer = Some(prepare(&call).map(|(place, arguments)| Initializer {
            place,
            task: call.task(),
            arguments,
            check: check::<T>,
        }));
        self
    }

    /// Starts the workers, and waits until each is ready.
    ///
    /// # Errors
    /// [`Setting`](ErrorKind::Setting) for no workers, and for an initializer that fails; those of
    /// [`Context::start`](crate::Context::start).
    pub fn build(self) -> Result<Pool, Error> {
        let workers = match self.workers {
            Some(0) => return Err(Error::new(ErrorKind::Setting, "a pool needs at least one worker")),
            Some(workers) => workers,
            None => sys::attributes::usable_processors(),
        };
        // Before there is a thread: what it is a copy of must have but one.
        let template = match self.context.start_method() {
            StartMethod::Fork => Some(Arc::new(Template::new()?)),
            StartMethod::Spawn | StartMethod::ForkServer => None,
        };
        let plan = Plan {
            context: self.context,
            template,
            workers,
            max_tasks: self.max_tasks,
            limit: self.limit,
            grace: self.grace,
            retries: self.retries,
            initializer: self.initializer.transpose()?,
        };
        let retries = plan.retries;
        let shared = Arc::new(Shared::new(plan).map_err(|error| Error::os("cannot make a pool", error))?);
        shared.wait_until_ready().inspect_err(|_| shared.terminate())?;
        let thread = start_thread(&shared).inspect_err(|_| shared.terminate())?;
        Ok(Pool { shared, thread: Some(thread), retries })
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
