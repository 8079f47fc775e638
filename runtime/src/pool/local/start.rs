//! Starting a worker: a child process whose task is `worker`.

use std::sync::{Arc, Mutex};

use super::hook::{Hook, Hooks};
use super::link::LocalLink;
use super::protocol::{Assignment, RingMemory, SentFd};
use super::worker;
use crate::error::{Error, ErrorKind};
use crate::ipc::wire::fds::ValueFd;
use crate::pool::model::Seat;
use crate::pool::transport::{StartFailure, StartWorker};
use crate::process::{Context, Options, ProcessBuilder};
use crate::start::{Launcher, Template};
use crate::sys::{self, eventfd};
use crate::task::Call;

/// Returns a builder that takes the options of workers, and starts no process.
pub(in crate::pool) fn worker_builder() -> ProcessBuilder<()> {
    let text = "the builder of a pool's worker options starts no process; `PoolBuilder::build` does";
    ProcessBuilder::new(Call::internal(&worker::ENTRY, &()), Err(Error::new(ErrorKind::Setting, text)))
}

/// What each worker of a pool is to be. Holds files and the arguments of hooks open.
#[derive(Debug, Default)]
pub(in crate::pool) struct WorkerRecipe {
    /// The options of the process.
    pub(in crate::pool) options: Options,
    /// The processors to which workers are pinned, one each.
    pub(in crate::pool) pins: Option<Vec<usize>>,
    /// Resident bytes above which a worker exits after a job.
    pub(in crate::pool) max_memory: Option<u64>,
    pub(in crate::pool) hooks: Arc<Hooks>,
}

impl WorkerRecipe {
    /// Returns the options of the worker at a place of the pool.
    fn options_at(&self, place: usize) -> Options {
        let mut options = self.options.clone();
        if let Some(processor) = self.pins.as_ref().and_then(|pins| pins.iter().cycle().nth(place)) {
            options.set_processors(vec![*processor]);
        }
        options
    }
}

/// Starts a pool's workers as children of this process.
#[derive(Debug)]
pub(in crate::pool) struct LocalStart {
    context: Context,
    /// The process that workers are copies of, under the start method `fork`.
    template: Mutex<Option<Arc<Template>>>,
    recipe: Mutex<Arc<WorkerRecipe>>,
}

impl LocalStart {
    pub(in crate::pool) fn new(context: Context, template: Option<Template>, recipe: WorkerRecipe) -> Self {
        let template = Mutex::new(template.map(Arc::new));
        Self { context, template, recipe: Mutex::new(Arc::new(recipe)) }
    }

    fn template(&self) -> Option<Arc<Template>> {
        sys::lock(&self.template).clone()
    }

    /// Kills the template, if there is one: no other worker is started.
    pub(in crate::pool) fn kill_template(&self) {
        if let Some(template) = self.template() {
            template.kill();
        }
    }

    /// Ends the template, and lets go of all that workers are given: no other worker is started. In a copy of the
    /// process, the template is no child, and lives on.
    pub(in crate::pool) fn release(&self) {
        // Another thread of the original may have held the locks when the copy was made.
        let template = self.template.try_lock().ok().and_then(|mut template| template.take());
        drop(template);
        let recipe = self.recipe.try_lock().ok().map(|mut recipe| std::mem::take(&mut *recipe));
        drop(recipe);
    }

    fn start_link(&self, seat: Seat, template: Option<&Template>) -> Result<LocalLink, Error> {
        let failed = |error| Error::os("cannot start a worker of a pool", error);
        let recipe = Arc::clone(&sys::lock(&self.recipe));
        let memory = RingMemory::create().map_err(failed)?;
        let eventfd = ValueFd::new(eventfd::create().map_err(failed)?);
        let assignment = Assignment {
            memory: memory.clone(),
            eventfd: SentFd(eventfd.clone()),
            max_memory: recipe.max_memory,
            initializer: recipe.hooks.initializer.as_ref().map(Hook::pack).transpose()?,
            finalizer: recipe.hooks.finalizer.as_ref().map(Hook::pack).transpose()?,
        };
        let call = Call::<()>::internal(&worker::ENTRY, &assignment);
        let process = self.context.process(call).options(recipe.options_at(seat.place)).name(seat.name).daemon(true);
        let process = process.start_by(template.map(|template| template as &dyn Launcher))?;
        Ok(LocalLink::new(process, memory, eventfd, Arc::clone(&recipe.hooks)))
    }
}

impl StartWorker for LocalStart {
    type Link = LocalLink;

    fn start(&self, seat: Seat) -> Result<LocalLink, StartFailure> {
        let template = self.template();
        self.start_link(seat, template.as_deref()).map_err(|cause| {
            let is_final = template.is_some_and(|template| template.has_ended());
            StartFailure { cause, is_final }
        })
    }
}
