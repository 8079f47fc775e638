//! Starting a worker: a child process whose task is `worker`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex};

use super::hook::{Hook, Hooks};
use super::link::LocalLink;
use super::protocol::{Assignment, SentFd, SentMemory};
use super::worker;
use crate::error::Error;
use crate::ipc::wire::fds::ValueFd;
use crate::pool::model::Seat;
use crate::pool::transport::{StartFailure, StartWorker};
use crate::process::{Context, Options, ProcessBuilder};
use crate::start::{Launcher, Template};
use crate::sys::{self, eventfd, fd};
use crate::task::Call;

/// Returns a builder that takes the options of workers, and starts no process.
pub(in crate::pool) fn worker_builder() -> ProcessBuilder<()> {
    let text = "the builder of a pool's worker options starts no process; `PoolBuilder::build` does";
    ProcessBuilder::of_options(Call::internal(&worker::ENTRY, &()), text)
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
    /// Whether workers survive the signals that end a service.
    pub(in crate::pool) is_graceful: bool,
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
/// The descriptors that must be free before a start. A worker keeps three of them: link, pidfd, lifeline.
const DESCRIPTORS_LEFT: usize = 16;

/// Starts a pool's workers as children of this process.
#[derive(Debug)]
pub(in crate::pool) struct LocalStart {
    context: Context,
    /// Written by workers when the pool sleeps.
    eventfd: Arc<OwnedFd>,
    /// The process that workers are copies of, under the start method `fork`.
    template: Mutex<Option<Arc<Template>>>,
    recipe: Mutex<Arc<WorkerRecipe>>,
}

impl LocalStart {
    pub(in crate::pool) fn new(context: Context, template: Option<Template>, recipe: WorkerRecipe) -> io::Result<Self> {
        let (eventfd, template) = (Arc::new(eventfd::create()?), Mutex::new(template.map(Arc::new)));
        Ok(Self { context, eventfd, template, recipe: Mutex::new(Arc::new(recipe)) })
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

    /// Checks that a start leaves descriptors to the program.
    fn check_descriptors(&self) -> io::Result<()> {
        (0..DESCRIPTORS_LEFT).map(|_| fd::duplicate(self.eventfd.as_fd())).collect::<io::Result<Vec<_>>>().map(drop)
    }

    fn start_link(&self, seat: Seat, template: Option<&Template>) -> Result<LocalLink, Error> {
        let failed = |error| Error::os("cannot start a worker of a pool", error);
        self.check_descriptors().map_err(failed)?;
        let recipe = Arc::clone(&sys::lock(&self.recipe));
        let assignment = Assignment {
            memory: SentMemory::create().map_err(failed)?,
            eventfd: SentFd(ValueFd::from(&self.eventfd)),
            max_memory: recipe.max_memory,
            is_graceful: recipe.is_graceful,
            initializer: recipe.hooks.initializer.as_ref().map(Hook::pack).transpose()?,
            finalizer: recipe.hooks.finalizer.as_ref().map(Hook::pack).transpose()?,
        };
        let call = Call::<()>::internal(&worker::ENTRY, &assignment);
        let process = self.context.process(call).options(recipe.options_at(seat.place)).name(seat.name).daemon(true);
        let process = process.graceful(recipe.is_graceful);
        let process = process.start_by(template.map(|template| template as &dyn Launcher))?;
        Ok(LocalLink::new(process, assignment.memory.into_memory(), Arc::clone(&recipe.hooks)))
    }
}

impl StartWorker for LocalStart {
    type Link = LocalLink;

    fn event_source(&self) -> BorrowedFd<'_> {
        self.eventfd.as_fd()
    }

    fn start(&self, seat: Seat) -> Result<LocalLink, StartFailure> {
        let template = self.template();
        self.start_link(seat, template.as_deref()).map_err(|cause| {
            let is_final = template.is_some_and(|template| template.has_ended());
            StartFailure { cause, is_final }
        })
    }
}
