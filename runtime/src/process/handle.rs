//! The handle of a child: waits for the child, returns the result, signals and detaches the child.

use std::fmt;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
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
use crate::sys::handed_out;
use crate::sys::poll::{self, Deadline, Interest};
use crate::sys::signal;
use crate::task::Decode;
use crate::this_process::children::{Child, ExitStatus};
use crate::this_process::reaper;

/// A child process that runs one task, and the result of type `T`.
///
/// | method | waits |
/// | --- | --- |
/// | [`join`](Self::join), [`wait`](Self::wait) | without limit |
/// | [`join_timeout`](Self::join_timeout) | for a limited time |
/// | [`try_join`](Self::try_join) | never |
/// | `.await` | in any executor |
///
/// # Dropping
/// A child continues after a drop of the handle. The child is reaped after its end, and the end of a `main` with
/// `#[process_main]` waits for the child. [`kill_on_drop`](crate::ProcessBuilder::kill_on_drop) kills the child at the
/// drop. [`detach`](Self::detach) lets the child outlive this process.
///
/// # The end of a child
/// A spawned child ends like a program. A child that is a copy (`fork`, `forkserver`) flushes standard output and ends
/// at once (`_exit`): functions that the copied process has registered with `atexit` do not run, unless the task calls
/// `std::process::exit`.
///
/// # As a future
/// `child.await`, `&mut child` in a `select!`, and `timeout(limit, &mut child)` work in any executor. The first poll
/// closes a piped standard input that was not taken, like [`wait`](Self::wait). The first poll that has to wait starts
/// one helper thread for the whole program. From then on, the start method `fork` is refused.
///
/// # Examples
/// ```
/// use offspring::{JoinErrorKind, child_task};
///
/// #[child_task]
/// fn divide(a: u32, b: u32) -> u32 {
///     a / b
/// }
///
/// # #[offspring::process_main]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// assert_eq!(divide::start(12, 3)?.join()?, 4);
///
/// let error = divide::start(1, 0)?.join().unwrap_err();
/// assert!(matches!(error.kind(), JoinErrorKind::Panicked(_)));
/// # Ok(())
/// # }
/// ```
///
/// As a future:
///
/// ```
/// use std::sync::Arc;
/// use std::task::{Context, Poll, Wake, Waker};
/// use std::thread::{self, Thread};
///
/// use offspring::child_task;
///
/// #[child_task]
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// /// The smallest executor.
/// fn block_on<F: Future>(future: F) -> F::Output {
///     struct Unpark(Thread);
///     impl Wake for Unpark {
///         fn wake(self: Arc<Self>) {
///             self.0.unpark();
///         }
///     }
///     let waker = Waker::from(Arc::new(Unpark(thread::current())));
///     let mut future = std::pin::pin!(future);
///     loop {
///         match future.as_mut().poll(&mut Context::from_waker(&waker)) {
///             Poll::Ready(value) => return value,
///             Poll::Pending => thread::park(),
///         }
///     }
/// }
///
/// # #[offspring::process_main]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let child = square::start(12)?;
/// assert_eq!(block_on(child)?, 144);
/// # Ok(())
/// # }
/// ```
pub struct Process<T> {
    child: Arc<Child>,
    decode: Decode<T>,
    taken: bool,
    /// Wakes the task of an executor. Made by the first poll that has to wait.
    watch: Option<Watch>,
}

impl<T> Process<T> {
    pub(super) fn new(child: Arc<Child>, decode: Decode<T>) -> Self {
        Self { child, decode, taken: false, watch: None }
    }

    pub(crate) fn child(&self) -> &Child {
        &self.child
    }

    /// Waits for the end of the child and returns the result of the task.
    ///
    /// Blocks this thread without limit. [`join_timeout`](Self::join_timeout) limits the wait.
    ///
    /// Closes a piped standard input that was not taken. Read a piped output before the join: a child that fills a pipe
    /// without a reader never ends.
    ///
    /// # Errors
    /// - [`Panicked`](JoinErrorKind::Panicked): the task panicked.
    /// - [`Exited`](JoinErrorKind::Exited), [`Signaled`](JoinErrorKind::Signaled): the child ended before the task
    ///   returned.
    /// - [`TimedOut`](JoinErrorKind::TimedOut): the time limit was over, and the child was killed.
    /// - [`NotStarted`](JoinErrorKind::NotStarted): the child could not apply an option, find the task or decode the
    ///   arguments.
    /// - [`NotWaited`](JoinErrorKind::NotWaited): this process is a forked copy of the process that started the child.
    /// - [`Unencodable`](JoinErrorKind::Unencodable), [`Undecodable`](JoinErrorKind::Undecodable),
    ///   [`DescriptorsLost`](JoinErrorKind::DescriptorsLost): the result did not arrive.
    /// - [`Unknown`](JoinErrorKind::Unknown): the child sent no result, and the exit status was taken by other code of
    ///   this program.
    ///
    /// # Examples
    /// ```
    /// use offspring::child_task;
    ///
    /// #[child_task]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let child = square::start(12)?;
    /// assert_eq!(child.join()?, 144);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Source: [waitid(2)](https://man7.org/linux/man-pages/man2/waitid.2.html),
    /// [pidfd_open(2)](https://man7.org/linux/man-pages/man2/pidfd_open.2.html).
    pub fn join(mut self) -> Result<T, JoinError> {
        self.wait()
    }

    /// Waits for the end of the child and returns the result of the task, like [`join`](Self::join), by reference.
    ///
    /// # Errors
    /// The errors of [`join`](Self::join), and [`AlreadyTaken`](JoinErrorKind::AlreadyTaken): a method of this handle
    /// has returned the result before.
    ///
    /// # Examples
    /// ```
    /// use offspring::{JoinErrorKind, child_task};
    ///
    /// #[child_task]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut child = square::start(12)?;
    /// assert_eq!(child.wait()?, 144);
    /// assert!(matches!(child.wait().unwrap_err().kind(), JoinErrorKind::AlreadyTaken));
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait(&mut self) -> Result<T, JoinError> {
        drop(self.child.take_stream(Stream::In as usize));
        match self.value_by(None)? {
            Some(value) => Ok(value),
            // Without a deadline the wait ends with a status or an error.
            None => Err(self.error(JoinErrorKind::Unknown, "")),
        }
    }

    /// Returns the result of the task if the child has ended, and `None` if the child still runs. Does not wait.
    ///
    /// # Errors
    /// The errors of [`wait`](Self::wait).
    ///
    /// # Examples
    /// ```
    /// use offspring::child_task;
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
    /// let mut child = wait_for_ever::start()?;
    /// assert!(child.try_join()?.is_none());
    /// child.kill()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_join(&mut self) -> Result<Option<T>, JoinError> {
        self.value_by(poll::deadline_in(Duration::ZERO))
    }

    /// Waits for the end of the child for at most `limit`. Returns `None` if the child still runs after `limit`.
    ///
    /// The child continues after a `None`, and a later call can return the result. A piped standard input stays open:
    /// take and drop the standard input of a child that reads to the end.
    ///
    /// # Errors
    /// The errors of [`wait`](Self::wait).
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// use offspring::child_task;
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
    /// let mut child = wait_for_ever::start()?;
    /// assert!(child.join_timeout(Duration::from_millis(10))?.is_none());
    /// child.kill()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn join_timeout(&mut self, limit: Duration) -> Result<Option<T>, JoinError> {
        self.value_by(poll::deadline_in(limit))
    }

    fn hand_out(&self, stream: Stream) -> Option<OwnedFd> {
        self.child.take_stream(stream as usize).inspect(|end| handed_out::note(end.as_fd()))
    }

    fn value_by(&mut self, deadline: Deadline) -> Result<Option<T>, JoinError> {
        if self.taken {
            return Err(self.error(JoinErrorKind::AlreadyTaken, ""));
        }
        let status = self.child.wait(deadline).map_err(|error| self.error(JoinErrorKind::NotWaited(error), ""))?;
        let Some(status) = status else { return Ok(None) };
        self.taken = true;
        // A program that starts no more children joins those that it has.
        reaper::sweep();
        self.value(status).map(Some)
    }

    /// Returns the result that an ended child has sent, or an error with the cause of the missing result.
    fn value(&self, status: ExitStatus) -> Result<T, JoinError> {
        let outcome = self.child.take_outcome().map_err(|error| self.unreceived(&error))?;
        match outcome {
            Some(frame) if frame.kind == kind::RETURNED => {
                (self.decode)(frame.payload).map_err(|error| self.error(JoinErrorKind::Undecodable, &error))
            }
            Some(frame) if frame.kind == kind::UNENCODABLE => {
                Err(self.error(JoinErrorKind::Unencodable, &self.head::<String>(&frame)?))
            }
            Some(frame) if frame.kind == kind::PANICKED => {
                Err(self.error(JoinErrorKind::Panicked(self.head::<Panic>(&frame)?), ""))
            }
            Some(frame) if frame.kind == kind::REFUSED => {
                Err(self.error(JoinErrorKind::NotStarted(self.head::<Refusal>(&frame)?.into()), ""))
            }
            Some(frame) if frame.kind != kind::HANDSHAKE => {
                Err(self.error(JoinErrorKind::Undecodable, &format!("a message of kind {}", frame.kind)))
            }
            _ => Err(self.error(self.end_without_result(status), "")),
        }
    }

    fn unreceived(&self, error: &Error) -> JoinError {
        let kind = match error.kind() {
            ErrorKind::LimitReached => JoinErrorKind::DescriptorsLost,
            _ => JoinErrorKind::Undecodable,
        };
        self.error(kind, &describe(error))
    }

    fn head<H: serde::de::DeserializeOwned>(&self, frame: &ReceivedFrame) -> Result<H, JoinError> {
        frame.head().map_err(|error| self.error(JoinErrorKind::Undecodable, &error.to_string()))
    }

    fn end_without_result(&self, status: ExitStatus) -> JoinErrorKind {
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

    /// Returns the process id of the child.
    ///
    /// No other process gets the id while the handle lives, unless other code of this program waits for any child
    /// (`waitpid(-1)`).
    ///
    /// # Examples
    /// ```
    /// use offspring::child_task;
    ///
    /// #[child_task]
    /// fn own_pid() -> u32 {
    ///     std::process::id()
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let child = own_pid::start()?;
    /// let pid = child.pid();
    /// assert_eq!(child.join()?, pid);
    /// # Ok(())
    /// # }
    /// ```
    pub fn pid(&self) -> u32 {
        self.child.pid
    }

    /// Returns the name of the child. Default: the start method and a number, such as `SpawnProcess-1`.
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
    /// let child = Context::default().process(square::call(12)).name("square").start()?;
    /// assert_eq!(child.name(), "square");
    /// # Ok(())
    /// # }
    /// ```
    pub fn name(&self) -> &str {
        &self.child.about.name
    }

    /// Returns the name of the task.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Task, child_task};
    ///
    /// #[child_task]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let child = square::start(12)?;
    /// assert_eq!(child.task(), square::NAME);
    /// # Ok(())
    /// # }
    /// ```
    pub fn task(&self) -> &str {
        &self.child.about.task
    }

    /// Returns the start method of the child.
    ///
    /// # Examples
    /// ```
    /// use offspring::{StartMethod, child_task, get_context};
    ///
    /// #[child_task]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let child = get_context(StartMethod::Spawn)?.start(square::call(12))?;
    /// assert_eq!(child.start_method(), StartMethod::Spawn);
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_method(&self) -> StartMethod {
        self.child.about.method
    }

    /// Returns whether the child still runs.
    ///
    /// Returns `false` in a forked copy of the process that started the child.
    ///
    /// # Examples
    /// ```
    /// use offspring::child_task;
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
    /// let mut child = wait_for_ever::start()?;
    /// assert!(child.is_alive());
    ///
    /// child.kill()?;
    /// child.wait().unwrap_err();
    /// assert!(!child.is_alive());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_alive(&self) -> bool {
        matches!(self.child.try_status(), Ok(None))
    }

    /// Returns the exit status of the child. Returns `None` while the child runs, and in a forked copy of the process
    /// that started the child.
    ///
    /// # Examples
    /// ```
    /// use offspring::{ExitStatus, child_task};
    ///
    /// #[child_task]
    /// fn exit(code: i32) {
    ///     std::process::exit(code);
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut child = exit::start(3)?;
    /// child.wait().unwrap_err();
    /// assert_eq!(child.exit_status(), Some(ExitStatus::Exited(3)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.child.try_status().ok().flatten()
    }

    /// Returns a new descriptor that becomes readable at the end of the child (a pidfd), for `poll` loops and event
    /// libraries.
    ///
    /// The descriptor may outlive the handle.
    ///
    /// # Errors
    /// - [`NotParent`](crate::ErrorKind::NotParent): this process is a forked copy of the process that started the
    ///   child.
    /// - [`LimitReached`](crate::ErrorKind::LimitReached): the limit on open descriptors is reached.
    ///
    /// # Examples
    /// ```
    /// use std::os::fd::AsFd;
    ///
    /// use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    /// use offspring::child_task;
    ///
    /// #[child_task]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut child = square::start(12)?;
    /// let sentinel = child.sentinel()?;
    /// let mut descriptors = [PollFd::new(sentinel.as_fd(), PollFlags::POLLIN)];
    /// poll(&mut descriptors, PollTimeout::NONE)?;
    /// assert_eq!(child.try_join()?, Some(144));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Source: [pidfd_open(2)](https://man7.org/linux/man-pages/man2/pidfd_open.2.html).
    pub fn sentinel(&self) -> Result<OwnedFd, Error> {
        let pidfd = self.child.pidfd()?;
        pidfd.try_clone_to_owned().map_err(|error| Error::os("cannot duplicate a sentinel", error))
    }

    /// Sends a signal to the child, by number. A child that has ended gets no signal, and the call succeeds.
    ///
    /// # Errors
    /// - [`NotParent`](crate::ErrorKind::NotParent): this process is a forked copy of the process that started the
    ///   child.
    /// - [`Os`](crate::ErrorKind::Os): the signal does not exist, or the child now belongs to another user.
    ///
    /// # Examples
    /// ```
    /// use offspring::{JoinErrorKind, child_task};
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
    /// let child = wait_for_ever::start()?;
    /// child.signal(10)?; // SIGUSR1
    /// assert!(matches!(child.join().unwrap_err().kind(), JoinErrorKind::Signaled(10)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Source: [pidfd_send_signal(2)](https://man7.org/linux/man-pages/man2/pidfd_send_signal.2.html).
    pub fn signal(&self, signal: i32) -> Result<(), Error> {
        self.child.signal(signal)
    }

    /// Asks the child to end: sends `SIGTERM`.
    ///
    /// # Errors
    /// The errors of [`signal`](Self::signal).
    ///
    /// # Examples
    /// ```
    /// use offspring::{JoinErrorKind, child_task};
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
    /// let child = wait_for_ever::start()?;
    /// child.terminate()?;
    /// assert!(matches!(child.join().unwrap_err().kind(), JoinErrorKind::Signaled(15)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn terminate(&self) -> Result<(), Error> {
        self.signal(signal::TERMINATE)
    }

    /// Ends the child at once: sends `SIGKILL`. A later join returns [`Signaled(9)`](JoinErrorKind::Signaled).
    ///
    /// # Errors
    /// The errors of [`signal`](Self::signal).
    ///
    /// # Examples
    /// ```
    /// use offspring::{JoinErrorKind, child_task};
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
    /// let child = wait_for_ever::start()?;
    /// child.kill()?;
    /// assert!(matches!(child.join().unwrap_err().kind(), JoinErrorKind::Signaled(9)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn kill(&self) -> Result<(), Error> {
        self.signal(signal::KILL)
    }

    /// Detaches the child: the child may outlive this process, and the result is lost.
    ///
    /// Waits until the child has begun, which takes about 1 ms for a spawned child. A child that is the first process
    /// of its own pid namespace ends with this process in spite of `detach`.
    ///
    /// # Errors
    /// - [`NotParent`](crate::ErrorKind::NotParent): this process is a forked copy of the process that started the
    ///   child.
    ///
    /// # Examples
    /// ```
    /// use offspring::child_task;
    ///
    /// #[child_task]
    /// fn write_log(text: String) {
    ///     println!("{text}");
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// write_log::start("done".to_owned())?.detach()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn detach(self) -> Result<(), Error> {
        self.child.detach()
    }

    /// Takes the writing end of the child's standard input. Returns `None` if the standard input is not
    /// [piped](crate::Stdio::piped) or was taken before.
    ///
    /// # Examples
    /// ```
    /// use std::io::{Write, read_to_string, stdin};
    ///
    /// use offspring::{Context, Stdio, child_task};
    ///
    /// #[child_task(report)]
    /// fn count_words() -> std::io::Result<usize> {
    ///     Ok(read_to_string(stdin())?.split_whitespace().count())
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut child = Context::default().process(count_words::call()).stdin(Stdio::piped()).start()?;
    /// let mut input = child.take_stdin().expect("standard input is piped");
    /// input.write_all(b"to be or not to be")?;
    /// drop(input); // the end of the input
    /// assert_eq!(child.join()??, 6);
    /// # Ok(())
    /// # }
    /// ```
    pub fn take_stdin(&mut self) -> Option<PipeWriter> {
        self.hand_out(Stream::In).map(PipeWriter::from)
    }

    /// Takes the reading end of the child's standard output. Returns `None` if the standard output is not
    /// [piped](crate::Stdio::piped) or was taken before.
    ///
    /// # Examples
    /// ```
    /// use std::io::read_to_string;
    ///
    /// use offspring::{Context, Stdio, child_task};
    ///
    /// #[child_task]
    /// fn greet() {
    ///     println!("Hello!");
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut child = Context::default().process(greet::call()).stdout(Stdio::piped()).start()?;
    /// let output = child.take_stdout().expect("standard output is piped");
    /// assert_eq!(read_to_string(output)?, "Hello!\n");
    /// child.join()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn take_stdout(&mut self) -> Option<PipeReader> {
        self.hand_out(Stream::Out).map(PipeReader::from)
    }

    /// Takes the reading end of the child's standard error. Returns `None` if the standard error is not
    /// [piped](crate::Stdio::piped) or was taken before.
    ///
    /// # Examples
    /// ```
    /// use std::io::read_to_string;
    ///
    /// use offspring::{Context, Stdio, child_task};
    ///
    /// #[child_task]
    /// fn complain() {
    ///     eprintln!("no paper");
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut child = Context::default().process(complain::call()).stderr(Stdio::piped()).start()?;
    /// let messages = child.take_stderr().expect("standard error is piped");
    /// assert_eq!(read_to_string(messages)?, "no paper\n");
    /// child.join()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn take_stderr(&mut self) -> Option<PipeReader> {
        self.hand_out(Stream::Err).map(PipeReader::from)
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

/// Ready at the end of the child.
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

/// Ready at the end of the child.
impl<T> Waitable for Process<T> {}

impl<T> PollSource for Process<T> {
    fn descriptor(&self) -> io::Result<Option<BorrowedFd<'_>>> {
        self.child.pidfd().map(Some).map_err(io::Error::other)
    }
}

/// The helper thread polls the pidfd of a child, and kills a child at the end of the time limit.
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

/// The handle has no pinned part.
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
