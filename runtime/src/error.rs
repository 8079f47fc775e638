//! The two families of errors. An [`Error`] says that an operation failed. A [`JoinError`] says how a child ended
//! instead of returning a result.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

use crate::report::Report;
use crate::sys;

/// The error of an operation, such as the start of a child, the choice of a start method or a signal.
///
/// - [`kind`](Self::kind) returns the cause for a `match`.
/// - `Display` prints one text, which names the subject and a way out.
/// - `source` returns the error of the system, or the [`Report`] of a pool's initializer, if there is one.
/// - `Debug` prints the text and all sources, so a `main` that returns the error shows the sources.
///
/// # Examples
/// ```
/// use offspring::{ErrorKind, StartMethod};
///
/// let error = "Fork".parse::<StartMethod>().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::UnknownStartMethod);
/// assert!(error.to_string().contains("there are `spawn`, `fork` and `forkserver`"));
/// ```
pub struct Error(Box<ErrorInner>);

struct ErrorInner {
    kind: ErrorKind,
    text: String,
    source: Option<Source>,
}

enum Source {
    System(io::Error),
    /// An error of a task, or an error that another process has sent.
    Reported(Report),
}

impl Source {
    fn error(&self) -> &(dyn std::error::Error + 'static) {
        match self {
            Self::System(error) => error,
            Self::Reported(report) => report,
        }
    }

    /// Returns a copy, since `io::Error` has no `Clone`.
    fn again(&self) -> Self {
        match self {
            Self::System(error) => Self::System(copy_of(error)),
            Self::Reported(report) => Self::Reported(report.clone()),
        }
    }
}

/// The cause of an [`Error`].
///
/// # Examples
/// ```
/// use offspring::{Context, ErrorKind, Process, child_task};
///
/// #[child_task]
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// /// Returns `None` if there is no room for one more child.
/// fn start(n: u64) -> Result<Option<Process<u64>>, offspring::Error> {
///     match Context::default().start(square::call(n)) {
///         Ok(child) => Ok(Some(child)),
///         Err(error) if error.kind() == ErrorKind::LimitReached => Ok(None),
///         Err(error) => Err(error),
///     }
/// }
///
/// # #[offspring::process_main]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// if let Some(child) = start(12)? {
///     assert_eq!(child.join()?, 144);
/// }
/// # Ok(())
/// # }
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ErrorKind {
    /// `main` has neither `#[process_main]` nor a call of [`guard`](crate::guard), so a re-executed child would run
    /// `main`. Also: `main` has ended before the guard in the workers of a pool.
    MissingGuard,
    /// This process has several threads, so a fork could not run ordinary code, or the forking thread is panicking.
    /// Also: the program has several threads before the guard, and cannot be a forkserver.
    MultiThreadedFork,
    /// The start method was set or used before. [`force_start_method`](crate::force_start_method) always succeeds.
    ContextAlreadySet,
    /// A text is not the name of a start method.
    UnknownStartMethod,
    /// This platform lacks the start method.
    UnsupportedStartMethod,
    /// This program cannot be started again: `/proc` is missing, or a loader or an emulator runs the program.
    NoExecutable,
    /// This program has more privilege than the caller (set-user-id, set-group-id, file capabilities), or the effective
    /// ids differ from the real ids at the moment. The kernel makes no difference between the two cases.
    PrivilegedBinary,
    /// No task of this name is linked into this program.
    UnknownTask,
    /// Several functions of one crate are registered under the same name.
    DuplicateTask,
    /// The child has the task with another signature.
    SignatureMismatch,
    /// The arguments could not be encoded.
    Encode,
    /// The child could not decode the arguments.
    Decode,
    /// A function marked `#[preload]` failed, panicked, left threads or a held lock behind, moved to another pid
    /// namespace or tried to start a child.
    Preload,
    /// The forkserver or the template of a fork pool could not be kept alive, or the children of this process are in
    /// another pid namespace, which has no forkserver.
    ForkServer,
    /// A setting is out of range or cannot be applied: no workers, permits or parties; the directory, a limit or the
    /// affinity of a child.
    Setting,
    /// A limit on processes, descriptors or memory is reached. A later attempt may succeed.
    LimitReached,
    /// Another process started the child. A forked copy of a process cannot wait for the children of the process.
    NotParent,
    /// The operating system refused for another reason. See the source.
    Os,
}

pub(crate) fn copy_of(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => io::Error::new(error.kind(), Report::new(error)),
    }
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self(Box::new(ErrorInner { kind, text: text.into(), source: None }))
    }

    /// Makes an error from an error of the operating system. A reached limit gets the kind `LimitReached` and the name
    /// of the limit.
    pub(crate) fn os(text: impl Into<String>, source: io::Error) -> Self {
        if !sys::is_limit(&source) {
            return Self::with_source(ErrorKind::Os, text, source);
        }
        match sys::limit_behind(&source) {
            Some(limit) => Self::with_source(ErrorKind::LimitReached, format!("{}: {limit}", text.into()), source),
            // An error of this crate, whose text names the limit.
            None => Self::new(ErrorKind::LimitReached, format!("{}: {source}", text.into())),
        }
    }

    pub(crate) fn with_source(kind: ErrorKind, text: impl Into<String>, source: io::Error) -> Self {
        Self(Box::new(ErrorInner { kind, text: text.into(), source: Some(Source::System(source)) }))
    }

    /// Makes an error that was caused by an error of a task.
    pub(crate) fn with_report(kind: ErrorKind, text: impl Into<String>, report: Option<Report>) -> Self {
        Self(Box::new(ErrorInner { kind, text: text.into(), source: report.map(Source::Reported) }))
    }

    /// Returns a copy.
    pub(crate) fn again(&self) -> Self {
        let ErrorInner { kind, text, source } = &*self.0;
        Self(Box::new(ErrorInner { kind: *kind, text: text.clone(), source: source.as_ref().map(Source::again) }))
    }

    /// Returns the cause.
    ///
    /// # Examples
    /// ```
    /// use offspring::{ErrorKind, set_start_method, StartMethod};
    ///
    /// set_start_method(StartMethod::Spawn)?;
    /// let error = set_start_method(StartMethod::Fork).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::ContextAlreadySet);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

/// Prints the text and all causes, because a `main` that returns the error shows the `Debug` text.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.0.text, self.0.kind)?;
        write_causes(f, self)
    }
}

/// Prints all sources of an error, each on a line.
fn write_causes(f: &mut fmt::Formatter<'_>, error: &dyn std::error::Error) -> fmt::Result {
    let mut causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.try_for_each(|cause| write!(f, "\ncaused by: {cause}"))
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(Source::error)
    }
}

/// An error in the form that a child sends to the parent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Refusal {
    kind: ErrorKind,
    text: String,
    /// The `errno` of the cause, or the texts of a cause without an `errno`.
    cause: Option<Result<i32, Report>>,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let cause = error.0.source.map(|source| match source {
            Source::System(error) => error.raw_os_error().ok_or_else(|| Report::new(&error)),
            Source::Reported(report) => Err(report),
        });
        Self { kind: error.0.kind, text: error.0.text, cause }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let source = refusal.cause.map(|cause| match cause {
            Ok(number) => Source::System(io::Error::from_raw_os_error(number)),
            Err(report) => Source::Reported(report),
        });
        Self(Box::new(ErrorInner { kind: refusal.kind, text: refusal.text, source }))
    }
}

/// The error of a child or a job that has returned no result. Names the task and the process id.
///
/// - [`kind`](Self::kind) returns the cause for a `match`.
/// - `Debug` prints the text, all sources, and the backtrace of a panic.
///
/// # Examples
/// ```
/// use offspring::{JoinErrorKind, Task, child_task};
///
/// #[child_task]
/// fn third(items: Vec<u8>) -> u8 {
///     items[2]
/// }
///
/// # #[offspring::process_main]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let error = third::start(vec![1])?.join().unwrap_err();
/// assert_eq!(error.task(), third::NAME);
/// assert!(error.pid().is_some());
/// match error.kind() {
///     JoinErrorKind::Panicked(panic) => assert!(panic.message().starts_with("index out of bounds")),
///     _ => return Err(error.into()),
/// }
/// # Ok(())
/// # }
/// ```
pub struct JoinError(Box<JoinErrorInner>);

struct JoinErrorInner {
    kind: JoinErrorKind,
    task: String,
    pid: Option<u32>,
    detail: String,
}

/// The way in which a child or a job ended instead of returning a result.
///
/// # Examples
/// ```
/// use offspring::{JoinErrorKind, child_task};
///
/// #[child_task]
/// fn exit(code: i32) {
///     std::process::exit(code);
/// }
///
/// #[child_task]
/// fn abort() {
///     std::process::abort();
/// }
///
/// # #[offspring::process_main]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let error = exit::start(3)?.join().unwrap_err();
/// assert!(matches!(error.kind(), JoinErrorKind::Exited(3)));
///
/// let error = abort::start()?.join().unwrap_err();
/// assert!(matches!(error.kind(), JoinErrorKind::Signaled(6)));
/// assert!(error.to_string().ends_with("was killed by signal 6 (SIGABRT)"));
/// # Ok(())
/// # }
/// ```
#[non_exhaustive]
#[derive(Debug)]
pub enum JoinErrorKind {
    /// The task panicked.
    Panicked(Panic),
    /// The child exited with this code before the task returned.
    Exited(i32),
    /// This signal ended the child before the task returned.
    Signaled(i32),
    /// The time limit of the task was over, and the child was killed.
    TimedOut,
    /// The [`deadline`](crate::Call::deadline) of the call passed before the task began.
    Expired,
    /// The job has killed several workers, one with each run, and has no run left.
    Poisoned {
        /// The number of dead workers.
        workers: u32,
        /// The end of the last worker: [`Signaled`](Self::Signaled), [`Exited`](Self::Exited) or
        /// [`Unknown`](Self::Unknown).
        last: Box<JoinErrorKind>,
    },
    /// The job was cancelled before it began, or was killed by [`Job::kill`](crate::Job::kill).
    Cancelled,
    /// The pool of the job is closed. With a [`pid`](JoinError::pid), the task had begun and was killed.
    PoolClosed,
    /// The task never began: the child could not apply an option, find the task or decode its arguments.
    NotStarted(Error),
    /// The wait failed, for example in a forked copy of the process that started the child.
    NotWaited(Error),
    /// The child sent bytes that are no result of the task.
    Undecodable,
    /// The result is lost: the result has descriptors or is large enough for a memory file, and this process may not
    /// open more descriptors (`RLIMIT_NOFILE`).
    DescriptorsLost,
    /// The result could not be encoded.
    Unencodable,
    /// The task returned a [`Report`], and the caller turned the report into a `JoinError` with `?`.
    Failed(Report),
    /// A method of the same handle has returned the result before.
    AlreadyTaken,
    /// The child ended without a result, and other code in this program has taken the exit status.
    Unknown,
}

impl JoinError {
    pub(crate) fn new(kind: JoinErrorKind, task: impl Into<String>, pid: Option<u32>) -> Self {
        Self::with_detail(kind, task, pid, String::new())
    }

    pub(crate) fn with_detail(
        kind: JoinErrorKind,
        task: impl Into<String>,
        pid: Option<u32>,
        detail: impl Into<String>,
    ) -> Self {
        Self(Box::new(JoinErrorInner { kind, task: task.into(), pid, detail: detail.into() }))
    }

    pub(crate) fn into_parts(self) -> (JoinErrorKind, Option<u32>, String) {
        let JoinErrorInner { kind, pid, detail, .. } = *self.0;
        (kind, pid, detail)
    }

    /// Returns the way in which the child ended.
    ///
    /// # Examples
    /// ```
    /// use offspring::{JoinErrorKind, child_task};
    ///
    /// #[child_task]
    /// fn exit(code: i32) {
    ///     std::process::exit(code);
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let error = exit::start(3)?.join().unwrap_err();
    /// assert!(matches!(error.kind(), JoinErrorKind::Exited(3)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn kind(&self) -> &JoinErrorKind {
        &self.0.kind
    }

    /// Returns the name of the task. Empty for an error that was made from a [`Report`] by `?`.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Task, child_task};
    ///
    /// #[child_task]
    /// fn exit(code: i32) {
    ///     std::process::exit(code);
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let error = exit::start(3)?.join().unwrap_err();
    /// assert_eq!(error.task(), exit::NAME);
    /// # Ok(())
    /// # }
    /// ```
    pub fn task(&self) -> &str {
        &self.0.task
    }

    /// Returns the process id of the child, or `None` if there was no child.
    ///
    /// # Examples
    /// ```
    /// use offspring::child_task;
    ///
    /// #[child_task]
    /// fn exit(code: i32) {
    ///     std::process::exit(code);
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let child = exit::start(3)?;
    /// let pid = child.pid();
    /// assert_eq!(child.join().unwrap_err().pid(), Some(pid));
    /// # Ok(())
    /// # }
    /// ```
    pub fn pid(&self) -> Option<u32> {
        self.0.pid
    }
}

impl From<Report> for JoinError {
    fn from(report: Report) -> Self {
        Self::new(JoinErrorKind::Failed(report), String::new(), None)
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        if let JoinErrorKind::Failed(report) = &inner.kind {
            return fmt::Display::fmt(report, f);
        }
        write!(f, "`{}`", inner.task)?;
        if let Some(pid) = inner.pid {
            write!(f, " (pid {pid})")?;
        }
        write!(f, " {}", inner.kind)?;
        if !inner.detail.is_empty() {
            write!(f, ": {}", inner.detail)?;
        }
        Ok(())
    }
}

/// Prints the rest of a sentence that begins with the name of the task.
impl fmt::Display for JoinErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(panic) => panic.fmt(f),
            Self::Exited(code) => write!(f, "exited with code {code} before it returned"),
            Self::Signaled(signal) => write!(f, "was killed by {}", SignalName(*signal)),
            Self::TimedOut => f.write_str("ran out of time and was killed"),
            Self::Expired => f.write_str("did not begin before its deadline"),
            Self::Poisoned { workers, last } => {
                write!(f, "has killed {workers} workers and is given up; the last one {last}")
            }
            Self::Cancelled => f.write_str("was cancelled"),
            Self::PoolClosed => f.write_str("was not done, since its pool is closed"),
            Self::NotStarted(error) => write!(f, "did not start: {error}"),
            Self::NotWaited(error) => write!(f, "cannot be waited for: {error}"),
            Self::Undecodable => f.write_str("sent bytes that are not its value"),
            Self::DescriptorsLost => f.write_str("returned a value whose descriptors this process may not open"),
            Self::Unencodable => f.write_str("returned a value that cannot be encoded"),
            Self::Failed(report) => report.fmt(f),
            Self::AlreadyTaken => f.write_str("has given its value away already"),
            Self::Unknown => f.write_str(
                "has ended without a value, and its exit status was taken by another waiter in this program",
            ),
        }
    }
}

/// Prints the text, all causes and the backtrace, because a `main` that returns the error shows the `Debug` text.
impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        write_causes(f, self)?;
        match &self.0.kind {
            JoinErrorKind::Panicked(Panic { backtrace: Some(backtrace), .. }) => write!(f, "\n{backtrace}"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for JoinError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.kind {
            // `Display` prints the text of the inner error already.
            JoinErrorKind::NotStarted(error) | JoinErrorKind::NotWaited(error) => error.source(),
            JoinErrorKind::Failed(report) => report.source(),
            _ => None,
        }
    }
}

/// Prints a signal, such as `signal 11 (SIGSEGV)`.
pub(crate) struct SignalName(pub(crate) i32);

impl fmt::Display for SignalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "signal {}", self.0)?;
        match sys::signal::name(self.0) {
            Some(name) => write!(f, " ({name})"),
            None => Ok(()),
        }
    }
}

/// A panic of a task, as [`JoinErrorKind::Panicked`] carries the panic.
///
/// # Examples
/// ```
/// use offspring::{JoinErrorKind, child_task};
///
/// #[child_task]
/// fn divide(a: u32, b: u32) -> u32 {
///     assert_ne!(b, 0, "no division by zero");
///     a / b
/// }
///
/// # #[offspring::process_main]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let error = divide::start(1, 0)?.join().unwrap_err();
/// let JoinErrorKind::Panicked(panic) = error.kind() else { return Err(error.into()) };
/// assert!(panic.message().contains("no division by zero"));
/// assert!(panic.location().is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Panic {
    pub(crate) message: String,
    pub(crate) location: Option<String>,
    pub(crate) backtrace: Option<String>,
}

impl Panic {
    /// Returns the message of the panic, or `Box<dyn Any>` if the payload of the panic is no text.
    ///
    /// # Examples
    /// ```
    /// use offspring::{JoinErrorKind, child_task};
    ///
    /// #[child_task]
    /// fn fail() {
    ///     panic!("no paper");
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let error = fail::start()?.join().unwrap_err();
    /// assert!(matches!(error.kind(), JoinErrorKind::Panicked(panic) if panic.message() == "no paper"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the place of the panic, such as `src/main.rs:7:5`.
    ///
    /// # Examples
    /// ```
    /// use offspring::{JoinErrorKind, child_task};
    ///
    /// #[child_task]
    /// fn fail() {
    ///     panic!("no paper");
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let error = fail::start()?.join().unwrap_err();
    /// let JoinErrorKind::Panicked(panic) = error.kind() else { return Err(error.into()) };
    /// assert!(panic.location().is_some_and(|place| place.contains(".rs:")));
    /// # Ok(())
    /// # }
    /// ```
    pub fn location(&self) -> Option<&str> {
        self.location.as_deref()
    }

    /// Returns the backtrace in the child, if `RUST_BACKTRACE` or `RUST_LIB_BACKTRACE` is set in the child.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, JoinErrorKind, child_task};
    ///
    /// #[child_task]
    /// fn fail() {
    ///     panic!("no paper");
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let child = Context::default().process(fail::call()).env("RUST_BACKTRACE", "1").start()?;
    /// let error = child.join().unwrap_err();
    /// let JoinErrorKind::Panicked(panic) = error.kind() else { return Err(error.into()) };
    /// assert!(panic.backtrace().is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub fn backtrace(&self) -> Option<&str> {
        self.backtrace.as_deref()
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Some(location) => write!(f, "panicked at {location}: {}", self.message),
            None => write!(f, "panicked: {}", self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn texts_name_the_task_the_child_and_the_cause_once() {
        let kind = JoinErrorKind::NotStarted(Error::os("cannot enter the directory", io::Error::from_raw_os_error(2)));
        let error = JoinError::new(kind, "app::parse", Some(7));
        assert_eq!(error.to_string(), "`app::parse` (pid 7) did not start: cannot enter the directory");
        assert_eq!(error.source().unwrap().to_string(), io::Error::from_raw_os_error(2).to_string());
        assert_eq!(format!("{error:?}").matches("cannot enter").count(), 1);
        let signaled = JoinError::new(JoinErrorKind::Signaled(11), "app::parse", Some(7));
        assert_eq!(signaled.to_string(), "`app::parse` (pid 7) was killed by signal 11 (SIGSEGV)");
    }

    #[test]
    fn an_error_survives_the_way_home() {
        let error = Error::from(Refusal::from(Error::os("cannot do it", io::Error::from_raw_os_error(24))));
        assert_eq!(error.kind(), ErrorKind::LimitReached);
        assert!(
            error.to_string().starts_with("cannot do it: ") && error.to_string().contains("RLIMIT_NOFILE"),
            "{error}"
        );
        assert_eq!(error.source().unwrap().to_string(), io::Error::from_raw_os_error(24).to_string());
    }

    #[test]
    fn an_error_can_be_told_twice() {
        let error = Error::os("cannot do it", io::Error::from_raw_os_error(24));
        assert_eq!(format!("{:?}", error.again()), format!("{error:?}"));
        let deep = Report::from(vec!["for a reason of its own".to_owned(), "and another behind".to_owned()]);
        let errors = [
            Error::os("cannot do it", io::Error::other(deep.clone())),
            Error::with_report(ErrorKind::Setting, "it failed", Some(deep)),
        ];
        for error in errors {
            let told = format!("{error:?}");
            assert!(told.ends_with("caused by: for a reason of its own\ncaused by: and another behind"), "{told}");
            assert_eq!(format!("{:?}", error.again()), told);
            assert_eq!(format!("{:?}", Error::from(Refusal::from(error))), told);
        }
    }

    #[test]
    fn a_report_becomes_a_join_error_with_its_own_text_and_causes() {
        let report = Report::new(&io::Error::other("broken"));
        assert_eq!(JoinError::from(report).to_string(), "broken");
    }
}
