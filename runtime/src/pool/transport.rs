//! The seam between a pool and the transport of jobs: [`WorkerLink`], one for each worker, and [`StartWorker`], which
//! makes the links.
//!
//! The scheduler calls the methods of a link as its commands, and takes [`LinkEvent`]s from it. Each method returns at
//! once. A transport has to keep three promises, on which the pool's own promises rest:
//!
//! - The link knows whether a job has begun ([`oldest`](WorkerLink::oldest), [`Death::has_begun`]).
//! - A job that has not begun can be revoked, and then never begins.
//! - A worker's death is seen, at the latest by [`has_ended`](WorkerLink::has_ended) after the death source became
//!   readable.
//!
//! `local` is the transport to child processes of this one. A transport to other machines implements the same two
//! traits.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::model::{Failure, JobEntry, JobId, Outcome, Seat};
use crate::error::Error;

/// The pool's end of the link to one worker, which runs one job after the other in the order of their sending.
pub(super) trait WorkerLink {
    /// Most jobs in flight: sent, and without an outcome.
    const WINDOW: usize;

    /// Shown in the failures of a worker whose link was [`Broken`].
    const BROKEN: &'static str;

    /// The worker's name.
    fn name(&self) -> &str;

    /// The worker's process id.
    fn pid(&self) -> u32;

    /// Sends a job. The worker may sleep until [`flush`](Self::flush).
    fn send(&mut self, id: JobId, job: &JobEntry) -> Result<Sent, Broken>;

    /// Wakes a sleeping worker, for the jobs sent and for the room after outcomes were taken.
    fn flush(&self);

    /// Whether [`next_event`](Self::next_event) has an event.
    fn has_event(&self) -> bool;

    /// Takes the oldest event.
    fn next_event(&mut self) -> Result<Option<LinkEvent>, Broken>;

    /// The state of the oldest job in flight.
    fn oldest(&mut self, now: Instant) -> Result<Oldest, Broken>;

    /// Whether the worker waits for jobs.
    fn is_waiting(&self) -> bool;

    /// Takes the oldest job back that has not begun. It will not begin.
    fn revoke(&mut self) -> Result<Option<JobId>, Broken>;

    /// Lets a job that runs see that it is cancelled.
    fn cancel(&self, id: JobId);

    /// Tells the worker to exit after the jobs in flight; `false` if the window has no room for it.
    fn shut_down(&mut self) -> bool;

    /// Ends the worker at once.
    fn kill(&mut self);

    /// Whether the worker has ended. Events that it sent before are still to be taken.
    fn has_ended(&self) -> bool;

    /// How a worker has ended whose events are taken.
    fn death(&mut self) -> Death;

    /// Why a worker that ended like this before its first job cannot be had.
    fn startup_error(&self, failure: Failure) -> Error;

    /// Why a worker that was told to exit, and ended like this before [`LinkEvent::Finalized`], did not exit in order.
    /// `None` if the worker had nothing to do before its exit.
    fn exit_error(&self, failure: Failure) -> Option<Error>;

    /// Makes [`StartWorker::event_source`] readable after `events` more events. Returns whether there are so many
    /// already.
    fn arm(&self, events: usize) -> bool;

    /// Undoes [`arm`](Self::arm), to spare the worker a system call.
    fn disarm(&self);

    /// Readable when the worker has ended.
    fn death_source(&self) -> Result<BorrowedFd<'_>, Error>;
}

/// Starts workers. Each start may take milliseconds, and is made without the pool's lock.
pub(super) trait StartWorker {
    type Link: WorkerLink;

    /// An eventfd, readable after events on an armed link of any worker. The driver clears the eventfd, and writes it
    /// to wake its own threads.
    fn event_source(&self) -> BorrowedFd<'_>;

    fn start(&self, seat: Seat) -> Result<Self::Link, StartFailure>;
}

/// Why a worker could not be started.
pub(super) struct StartFailure {
    pub(super) cause: Error,
    /// No other start can succeed either.
    pub(super) is_final: bool,
}

/// Whether a job was sent.
#[derive(Debug)]
pub(super) enum Sent {
    Yes,
    /// The window is full, or another buffer of the link, or this process has no descriptor left.
    NoRoom,
    /// The job cannot be sent to any worker.
    Never(Error),
}

/// A link that cannot be used any more: the worker broke its protocol, or the link failed.
#[derive(Debug)]
pub(super) struct Broken;

/// What a worker has sent.
#[derive(Debug)]
pub(super) enum LinkEvent {
    /// The first event: the initializer returned, or why the worker is of no use.
    Ready(Result<(), Error>),
    /// The oldest job in flight is done.
    Done {
        id: JobId,
        outcome: Outcome,
        /// How long its task ran.
        duration: Duration,
        /// The worker exits now of its own accord, as it has grown too large. It begins no other job.
        is_last: bool,
    },
    /// The last event of a worker with a finalizer, which has returned or failed.
    Finalized(Result<(), Error>),
}

/// The state of the oldest job in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Oldest {
    /// No job is in flight.
    None,
    NotBegun,
    Running {
        since: Instant,
    },
}

/// The end of a worker.
#[derive(Debug)]
pub(super) struct Death {
    /// Whether the oldest job in flight had begun.
    pub(super) has_begun: bool,
    /// How the worker ended, as the failure of the job that ran.
    pub(super) failure: Failure,
}
