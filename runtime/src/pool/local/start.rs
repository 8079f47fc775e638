//! Starting a worker: a child process whose task is `worker`.

use std::sync::{Arc, Mutex};

use super::initializer::Initializer;
use super::link::LocalLink;
use super::protocol::{Assignment, RingMemory, SentFd};
use super::worker;
use crate::error::Error;
use crate::ipc::wire::fds::ValueFd;
use crate::pool::transport::{StartFailure, StartWorker};
use crate::process::{Context, Resource};
use crate::start::{Launcher, Template};
use crate::sys::{self, eventfd};
use crate::task::Call;

/// Starts a pool's workers as children of this process.
#[derive(Debug)]
pub(in crate::pool) struct LocalStart {
    context: Context,
    /// The process that workers are copies of, under the start method `fork`.
    template: Mutex<Option<Arc<Template>>>,
    /// Resource limits of each worker.
    limits: Vec<(Resource, u64)>,
    /// Resident bytes above which a worker exits after a job.
    max_memory: Option<u64>,
    /// Whether workers survive the signals that end a service.
    is_graceful: bool,
    initializer: Option<Initializer>,
}

impl LocalStart {
    pub(in crate::pool) fn new(
        context: Context,
        template: Option<Template>,
        limits: Vec<(Resource, u64)>,
        max_memory: Option<u64>,
        is_graceful: bool,
        initializer: Option<Initializer>,
    ) -> Self {
        Self { context, template: Mutex::new(template.map(Arc::new)), limits, max_memory, is_graceful, initializer }
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

    fn start_link(&self, name: String, template: Option<&Template>) -> Result<LocalLink, Error> {
        let failed = |error| Error::os("cannot start a worker of a pool", error);
        let memory = RingMemory::create().map_err(failed)?;
        let eventfd = ValueFd::new(eventfd::create().map_err(failed)?);
        let assignment = Assignment {
            memory: memory.clone(),
            eventfd: SentFd(eventfd.clone()),
            max_memory: self.max_memory,
            is_graceful: self.is_graceful,
            initializer: self.initializer.as_ref().map(Initializer::pack).transpose()?,
        };
        let call = Call::<()>::internal(&worker::ENTRY, &assignment);
        let process = self.context.process(call).name(name).daemon(true).graceful(self.is_graceful);
        let process = self.limits.iter().fold(process, |process, (resource, value)| process.limit(*resource, *value));
        let process = process.start_by(template.map(|template| template as &dyn Launcher))?;
        Ok(LocalLink::new(process, memory, eventfd, self.initializer.clone()))
    }
}

impl StartWorker for LocalStart {
    type Link = LocalLink;

    fn start(&self, name: String) -> Result<LocalLink, StartFailure> {
        let template = self.template();
        self.start_link(name, template.as_deref()).map_err(|cause| {
            let is_final = template.is_some_and(|template| template.has_ended());
            StartFailure { cause, is_final }
        })
    }
}
