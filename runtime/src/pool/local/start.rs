//! Starting a worker: a child process whose task is `worker`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex};

use super::initializer::Initializer;
use super::link::LocalLink;
use super::protocol::{Assignment, SentFd, SentMemory};
use super::worker;
use crate::error::Error;
use crate::ipc::wire::fds::ValueFd;
use crate::pool::transport::{StartFailure, StartWorker};
use crate::process::{Context, Resource};
use crate::start::{Launcher, Template};
use crate::sys::{self, eventfd, fd};
use crate::task::Call;

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
    /// Resource limits of each worker.
    limits: Vec<(Resource, u64)>,
    /// Resident bytes above which a worker exits after a job.
    max_memory: Option<u64>,
    initializer: Option<Initializer>,
}

impl LocalStart {
    pub(in crate::pool) fn new(
        context: Context,
        template: Option<Template>,
        limits: Vec<(Resource, u64)>,
        max_memory: Option<u64>,
        initializer: Option<Initializer>,
    ) -> io::Result<Self> {
        let (eventfd, template) = (Arc::new(eventfd::create()?), Mutex::new(template.map(Arc::new)));
        Ok(Self { context, eventfd, template, limits, max_memory, initializer })
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

    /// Ends the template. Does nothing in a copy of the process, where the template is no child.
    pub(in crate::pool) fn release_template(&self) {
        // Another thread of the original may have held the lock when the copy was made.
        let template = self.template.try_lock().ok().and_then(|mut template| template.take());
        drop(template);
    }

    /// Checks that a start leaves descriptors to the program.
    fn check_descriptors(&self) -> io::Result<()> {
        (0..DESCRIPTORS_LEFT).map(|_| fd::duplicate(self.eventfd.as_fd())).collect::<io::Result<Vec<_>>>().map(drop)
    }

    fn start_link(&self, name: String, template: Option<&Template>) -> Result<LocalLink, Error> {
        let failed = |error| Error::os("cannot start a worker of a pool", error);
        self.check_descriptors().map_err(failed)?;
        let assignment = Assignment {
            memory: SentMemory::create().map_err(failed)?,
            eventfd: SentFd(ValueFd::from(&self.eventfd)),
            max_memory: self.max_memory,
            initializer: self.initializer.as_ref().map(Initializer::pack).transpose()?,
        };
        let call = Call::<()>::internal(&worker::ENTRY, &assignment);
        let process = self.context.process(call).name(name).daemon(true);
        let process = self.limits.iter().fold(process, |process, (resource, value)| process.limit(*resource, *value));
        let process = process.start_by(template.map(|template| template as &dyn Launcher))?;
        Ok(LocalLink::new(process, assignment.memory.into_memory(), self.initializer.clone()))
    }
}

impl StartWorker for LocalStart {
    type Link = LocalLink;

    fn event_source(&self) -> BorrowedFd<'_> {
        self.eventfd.as_fd()
    }

    fn start(&self, name: String) -> Result<LocalLink, StartFailure> {
        let template = self.template();
        self.start_link(name, template.as_deref()).map_err(|cause| {
            let is_final = template.is_some_and(|template| template.has_ended());
            StartFailure { cause, is_final }
        })
    }
}
