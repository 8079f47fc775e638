//! The handle of a child: wait for it, take its value, signal it, let it go.

use std::fmt;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Polling, Poll};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, JoinError, JoinErrorKind, Panic, Refusal};
use crate::ipc::channel::{PollSource, Waitable};
use crate::ipc::reactor::{Source, Watch};
use crate::ipc::wire::frame::ReceivedFrame;
use crate::ipc::wire::kind;
use crate::platform::StartMethod;
use crate::sys::fd::Stream;
use crate::sys::poll::{self, Deadline, Interest};
use crate::sys::signal;
use crate::task::Decode;
use crate::this_process::children::{Child, ExitStatus};

/// A child process that runs one task, whose result is a `T`.
///
/// Four ways to wait: [`join`](Self::join) and [`wait`](Self::wait) without limit, [`join_timeout`](Self::join_timeout),
/// [`try_join`](Self::try_join) not at all; and the handle is a [`Future`] for any executor.
///
/// # Dropping
/// A child whose handle is dropped goes on; it is reaped when it has ended, and joined at the end of a `main` that is
/// marked `#[process_main]`. [`kill_on_drop`](ProcessBuilder::kill_on_drop) kills it instead, and [`detach`](Self::detach)
/// lets it outlive this process.
///
/// # The end of a child
/// A spawned child ends like a program. One that is a copy (`fork`, `forkserver`) writes out what it has printed and ends at
/// once (`_exit`): what its original has registered with `atexit` does not run, unless the task itself calls
/// `std::process::exit`, which runs it.
///
/// # As a future
/// `child.await`, `&mut child` in a `select!`, `timeout(limit, &mut child)`. A piped standard input that was not taken is closed by the
/// first poll, as by [`wait`](Self::wait). The first poll that has to wait starts one
/// helper thread for the whole program, after which the start method `fork` is refused.
pub struct Process<T> {
    child: Arc<Child>,
    decode: Decode<T>,
    taken: bool,
    /// What wakes the future that this handle is.
    watch: Option<Watch>,
}

impl<T> Process<T> {
    pub(super) fn new(child: Arc<Child>, decode: Decode<T>) -> Self {
        Self { child, decode, taken: false, watch: None }
    }

    pub(crate) fn child(&self) -> &Child {
        &self.child
    }

    /// Waits for the child and returns what its task returned.
    ///
    /// Blocks this thread without limit; [`join_timeout`](Self::join_timeout) bounds the wait.
    ///
    /// A child with a piped standard input that was not taken finds its end there. One that fills a pipe which nobody
    /// reads never ends: read [`take_stdout`](Self::take_stdout) first.
    ///
    /// # Errors
    /// See [`JoinErrorKind`]: the task panicked, the child exited or was killed before the task returned, ran out of its
    /// time, could not begin.
    ///
    /// Source: waitid(2), pidfd_open(2).
    pub fn join(mut self) -> Result<T, JoinError> {
        self.wait()
    }

    /// As [`join`](Self::join), for a handle that cannot be given away.
    ///
    /// # Errors
    /// As [`join`](Self::join), and [`JoinErrorKind::AlreadyTaken`] if this or another method has returned the value before.
    pub fn wait(&mut self) -> Result<T, JoinError> {
        drop(self.child.take_stream(Stream::In as usize));
        match self.value_by(None)? {
            Some(value) => Ok(value),
            // Without a deadline the wait ends with a status or an error.
            None => Err(self.error(JoinErrorKind::Unknown, "")),
        }
    }

    /// Returns what the task returned if the child has ended; does not wait.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn try_join(&mut self) -> Result<Option<T>, JoinError> {
        self.value_by(poll::deadline_in(Duration::ZERO))
    }

    /// Waits for at most `limit`; `None` if the child still runs by then. It goes on, and can be joined later.
    ///
    /// A piped standard input stays open meanwhile: a child that reads it to its end ends only when it was taken and dropped.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn join_timeout(&mut self, limit: Duration) -> Result<Option<T>, JoinError> {
        self.value_by(poll::deadline_in(limit))
    }

    fn value_by(&mut self, deadline: Deadline) -> Result<Option<T>, JoinError> {
        if self.taken {
            return Err(self.error(JoinErrorKind::AlreadyTaken, ""));
        }
        let status = self.child.wait(deadline).map_err(|error| self.error(JoinErrorKind::NotWaited(error), ""))?;
        let Some(status) = status else { return Ok(None) };
        self.taken = true;
        self.value(status).map(Some)
    }

    /// What a child that has ended has said; if it said nothing, how it ended.
    fn value(&self, status: ExitStatus) -> Result<T, JoinError> {
        let word = self.child.take_outcome().map_err(|error| self.unheard(&error))?;
        match word {
            Some(word) if word.kind == kind::RETURNED => {
                (self.decode)(word.payload).map_err(|error| self.error(JoinErrorKind::Undecodable, &error))
            }
            Some(word) if word.kind == kind::UNENCODABLE => {
                Err(self.error(JoinErrorKind::Unencodable, &self.head::<String>(&word)?))
            }
            Some(word) if word.kind == kind::PANICKED => {
                Err(self.error(JoinErrorKind::Panicked(self.head::<Panic>(&word)?), ""))
            }
            Some(word) if word.kind == kind::REFUSED => {
                Err(self.error(JoinErrorKind::NotStarted(self.head::<Refusal>(&word)?.into()), ""))
            }
            Some(word) if word.kind != kind::HANDSHAKE => {
                Err(self.error(JoinErrorKind::Undecodable, &format!("a message of kind {}", word.kind)))
            }
            _ => Err(self.error(self.silent_end(status), "")),
        }
    }

    fn unheard(&self, error: &Error) -> JoinError {
        let kind = match error.kind() {
            ErrorKind::LimitReached => JoinErrorKind::DescriptorsLost,
            _ => JoinErrorKind::Undecodable,
        };
        self.error(kind, &describe(error))
    }

    fn head<H: serde::de::DeserializeOwned>(&self, word: &ReceivedFrame) -> Result<H, JoinError> {
        word.head().map_err(|error| self.error(JoinErrorKind::Undecodable, &error.to_string()))
    }

    fn silent_end(&self, status: ExitStatus) -> JoinErrorKind {
        match status {
            _ if self.child.ran_out_of_time(status) => JoinErrorKind::TimedOut,
            ExitStatus::Exited(code) => JoinErrorKind::Exited(code),
            ExitStatus::Signaled(signal) => JoinErrorKind::Signaled(signal),
            ExitStatus::Unknown => JoinErrorKind::Unknown,
        }
    }

    fn error(&self, kind: JoinErrorKind, detail: &str) -> JoinError {
        JoinError::with_detail(kind, self.child.about.task.clone(), Some(self.child.pid), detail)
    }

    /// The child's process id. While this handle lives, no other process gets it unless something else in the program
    /// waits for any child.
    pub fn pid(&self) -> u32 {
        self.child.pid
    }

    /// The child's name: what the builder was told, or for instance `SpawnProcess-1`.
    pub fn name(&self) -> &str {
        &self.child.about.name
    }

    /// The name of its task.
    pub fn task(&self) -> &str {
        &self.child.about.task
    }

    /// How it was started.
    pub fn start_method(&self) -> StartMethod {
        self.child.about.method
    }

    /// Whether the child still runs.
    ///
    /// `false` in a forked copy of the process that started it, whose child it is not.
    pub fn is_alive(&self) -> bool {
        matches!(self.child.try_status(), Ok(None))
    }

    /// How the child has ended; `None` while it runs, and in a forked copy of the process that started it.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.child.try_status().ok().flatten()
    }

    /// A descriptor that becomes readable when the child has ended (a pidfd), for `poll` loops and event libraries.
    ///
    /// It is the caller's own, so that it can outlive the handle.
    ///
    /// # Errors
    /// [`NotParent`](crate::ErrorKind::NotParent) in a forked copy of the process that started the child;
    /// [`LimitReached`](crate::ErrorKind::LimitReached) if no more descriptors may be opened.
    ///
    /// Source: pidfd_open(2).
    pub fn sentinel(&self) -> Result<OwnedFd, Error> {
        let pidfd = self.child.pidfd()?;
        pidfd.try_clone_to_owned().map_err(|error| Error::os("cannot duplicate a sentinel", error))
    }

    /// Sends a signal, by number. One to a child that has ended already is no error.
    ///
    /// # Errors
    /// [`NotParent`](crate::ErrorKind::NotParent), or what the system says: no such signal, or a child that now belongs to another user.
    ///
    /// Source: pidfd_send_signal(2).
    pub fn signal(&self, signal: i32) -> Result<(), Error> {
        self.child.signal(signal)
    }

    /// Asks the child to end (`SIGTERM`).
    ///
    /// # Errors
    /// As [`signal`](Self::signal).
    pub fn terminate(&self) -> Result<(), Error> {
        self.signal(signal::TERMINATE)
    }

    /// Ends the child at once (`SIGKILL`). It is to be joined all the same.
    ///
    /// # Errors
    /// As [`signal`](Self::signal).
    pub fn kill(&self) -> Result<(), Error> {
        self.signal(signal::KILL)
    }

    /// Lets the child go: it may outlive this process, and nobody learns its result.
    ///
    /// Waits until the child has begun, which a spawned one does after about a millisecond. A child that is the first process of a
    /// pid namespace of its own ends with this process all the same.
    ///
    /// # Errors
    /// [`NotParent`](crate::ErrorKind::NotParent) in a forked copy of the process that started the child.
    pub fn detach(self) -> Result<(), Error> {
        self.child.detach()
    }

    /// The writing end of the child's standard input, if it was asked to be [piped](Stdio::piped) and not taken before.
    pub fn take_stdin(&mut self) -> Option<PipeWriter> {
        self.child.take_stream(Stream::In as usize).map(PipeWriter::from)
    }

    /// The reading end of the child's standard output, if it was asked to be [piped](Stdio::piped) and not taken before.
    pub fn take_stdout(&mut self) -> Option<PipeReader> {
        self.child.take_stream(Stream::Out as usize).map(PipeReader::from)
    }

    /// The reading end of the child's standard error, if it was asked to be [piped](Stdio::piped) and not taken before.
    pub fn take_stderr(&mut self) -> Option<PipeReader> {
        self.child.take_stream(Stream::Err as usize).map(PipeReader::from)
    }
}

fn describe(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => source.to_string(),
        None => error.to_string(),
    }
}

impl<T> Drop for Process<T> {
    fn drop(&mut self) {
        self.child.release();
    }
}

/// Ready when the child has ended.
impl<T> Future for Process<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, polling: &mut Polling<'_>) -> Poll<Self::Output> {
        drop(self.child.take_stream(Stream::In as usize));
        match self.try_join() {
            Ok(Some(value)) => Poll::Ready(Ok(value)),
            Err(error) => Poll::Ready(Err(error)),
            Ok(None) => {
                let this = &mut *self;
                match this.watch.get_or_insert_with(Watch::new).wake(&this.child, polling.waker()) {
                    Ok(()) => Poll::Pending,
                    Err(error) => {
                        let error = Error::os("cannot start the thread that waits for children", error);
                        Poll::Ready(Err(self.error(JoinErrorKind::NotWaited(error), "")))
                    }
                }
            }
        }
    }
}

/// Ready when the child has ended.
impl<T> Waitable for Process<T> {}

impl<T> PollSource for Process<T> {
    fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        self.child.pidfd().map_err(io::Error::other)
    }
}

/// A child is awaited by its pidfd, and killed meanwhile if its own time is over.
impl Source for Child {
    fn interest(&self) -> Option<(BorrowedFd<'_>, Interest)> {
        Some((self.pidfd().ok()?, Interest::Read))
    }

    fn deadline(&self) -> Deadline {
        self.deadline()
    }

    fn is_ready(&self, polled: bool, now: Instant) -> bool {
        polled || self.kill_if_overdue(now).is_err()
    }
}

/// No part of the handle is ever pinned.
impl<T> Unpin for Process<T> {}

impl<T> fmt::Debug for Process<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Process");
        debug.field("name", &self.name()).field("pid", &self.pid()).field("task", &self.task());
        match self.exit_status() {
            Some(status) => debug.field("ended", &format_args!("{status}")).finish(),
            None => debug.finish_non_exhaustive(),
        }
    }
}
