//! What can go wrong, by audience: [`Error`] (it could not be done) and [`JoinError`] (the child ended badly).

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

use crate::report::Report;
use crate::sys;

/// Something could not be done: a child could not be started, a method not be chosen, a signal not be sent.
///
/// [`kind`](Self::kind) says what to act on; the text names the thing and the way out; the source is what the system said.
pub struct Error(Box<ErrorInner>);

struct ErrorInner {
    kind: ErrorKind,
    text: String,
    source: Option<io::Error>,
}

/// What kind of thing could not be done.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ErrorKind {
    /// `main` has neither `#[process_main]` nor a call of [`guard`](crate::guard), so a re-executed child would run the program itself.
    MissingGuard,
    /// The process has more than one thread, so a fork of it could not run ordinary code; or the thread that would fork is panicking.
    MultiThreadedFork,
    /// The start method was set before; [`force_start_method`](crate::force_start_method) always wins.
    ContextAlreadySet,
    /// A text names no start method.
    UnknownStartMethod,
    /// This platform has no such start method.
    UnsupportedStartMethod,
    /// This program cannot be started again: `/proc` is missing, or a loader or emulator runs it.
    NoExecutable,
    /// This program runs, or its file would run, with more privilege than its caller's; or its effective ids are not its
    /// real ones at the moment, which the kernel takes for the same.
    PrivilegedBinary,
    /// No task of that name is linked into this program.
    UnknownTask,
    /// Several functions of one crate are registered under the same name.
    DuplicateTask,
    /// The child knows the task with another signature.
    SignatureMismatch,
    /// The arguments could not be encoded.
    Encode,
    /// The child could not decode the arguments.
    Decode,
    /// A function marked `#[preload]` failed, panicked, left threads or a held lock behind, moved to another pid namespace or
    /// tried to start a child; or a program reaches its guard with several threads, so that it cannot be a forkserver.
    Preload,
    /// The forkserver, or the template of a fork pool, could not be kept alive; or the children of this process are in
    /// another pid namespace than itself, where there is no forkserver.
    ForkServer,
    /// A setting is out of range or cannot be applied: no workers, permits or parties; the directory, a limit or the affinity
    /// of a child.
    Setting,
    /// A limit on processes, descriptors or memory is reached; it may go better later.
    LimitReached,
    /// The process that started the child is another one: a forked copy cannot wait for its parent's children.
    NotParent,
    /// The operating system refused for another reason; see the source.
    Os,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self(Box::new(ErrorInner { kind, text: text.into(), source: None }))
    }

    /// An error of the operating system; limits are told from the rest, with what they are called.
    pub(crate) fn os(text: impl Into<String>, source: io::Error) -> Self {
        if !sys::is_limit(&source) {
            return Self::with_source(ErrorKind::Os, text, source);
        }
        match sys::limit_behind(&source) {
            Some(limit) => Self::with_source(ErrorKind::LimitReached, format!("{}: {limit}", text.into()), source),
            // It has been found out here, and says itself which one.
            None => Self::new(ErrorKind::LimitReached, format!("{}: {source}", text.into())),
        }
    }

    pub(crate) fn with_source(kind: ErrorKind, text: impl Into<String>, source: io::Error) -> Self {
        Self(Box::new(ErrorInner { kind, text: text.into(), source: Some(source) }))
    }

    /// The same once more, for another who has to hear of it.
    pub(crate) fn again(&self) -> Self {
        let copy = |source: &io::Error| match source.raw_os_error() {
            Some(number) => io::Error::from_raw_os_error(number),
            None => io::Error::new(source.kind(), source.to_string()),
        };
        let source = self.0.source.as_ref().map(copy);
        Self(Box::new(ErrorInner { kind: self.0.kind, text: self.0.text.clone(), source }))
    }

    /// What kind of thing could not be done.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

/// Prints the text and its causes, as this is what a `main` that returns the error shows.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.0.text, self.0.kind)?;
        match &self.0.source {
            Some(source) => write!(f, "\ncaused by: {source}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| source as _)
    }
}

/// An error as a child sends it home.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Refusal {
    kind: ErrorKind,
    text: String,
    /// The system's number for the cause, or its text if it has none.
    cause: Option<Result<i32, String>>,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let cause = error.0.source.map(|source| source.raw_os_error().ok_or_else(|| source.to_string()));
        Self { kind: error.0.kind, text: error.0.text, cause }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let source = refusal.cause.map(|cause| cause.map_or_else(io::Error::other, io::Error::from_raw_os_error));
        Self(Box::new(ErrorInner { kind: refusal.kind, text: refusal.text, source }))
    }
}

/// A child did not return its task's value. Says which task and which child.
pub struct JoinError(Box<JoinErrorInner>);

struct JoinErrorInner {
    kind: JoinErrorKind,
    task: String,
    pid: Option<u32>,
    detail: String,
}

/// How a child ended instead of returning a value.
#[non_exhaustive]
#[derive(Debug)]
pub enum JoinErrorKind {
    /// The task panicked.
    Panicked(Panic),
    /// The child exited with this code before the task returned.
    Exited(i32),
    /// This signal ended the child before the task returned.
    Signaled(i32),
    /// The task ran out of the time that it was given, and the child was killed.
    TimedOut,
    /// The task was cancelled before it ran.
    Cancelled,
    /// The pool that was to run the task is closed; with a pid, the task had begun and was killed.
    PoolClosed,
    /// The task never began: the child could not apply an option, find the task or decode its arguments.
    NotStarted(Error),
    /// It could not be waited for, for instance from a forked copy of the process that started it.
    NotWaited(Error),
    /// The child sent bytes that are not the task's value.
    Undecodable,
    /// The task returned a value that holds descriptors, or is so large that it travels in a memory file, and this process may not
    /// open more (`RLIMIT_NOFILE`): it is lost.
    DescriptorsLost,
    /// The task returned a value that could not be encoded.
    Unencodable,
    /// The task returned an error that its caller handed on with `?`.
    Failed(Report),
    /// The value was taken from this handle before.
    AlreadyTaken,
    /// The child has ended without a word, and something else in this program has taken its exit status.
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

    /// How the child ended.
    pub fn kind(&self) -> &JoinErrorKind {
        &self.0.kind
    }

    /// The name of the task; empty for an error that came from a [`Report`] by `?`.
    pub fn task(&self) -> &str {
        &self.0.task
    }

    /// The child's process id, if there was a child.
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

/// Completes a sentence that begins with the task.
impl fmt::Display for JoinErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(panic) => panic.fmt(f),
            Self::Exited(code) => write!(f, "exited with code {code} before it returned"),
            Self::Signaled(signal) => write!(f, "was killed by {}", SignalName(*signal)),
            Self::TimedOut => f.write_str("ran out of time and was killed"),
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

/// Prints the text and its causes, as this is what a `main` that returns the error shows.
impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            write!(f, "\ncaused by: {error}")?;
            cause = error.source();
        }
        match &self.0.kind {
            JoinErrorKind::Panicked(Panic { backtrace: Some(backtrace), .. }) => write!(f, "\n{backtrace}"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for JoinError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.kind {
            // Its own text is part of this one's.
            JoinErrorKind::NotStarted(error) | JoinErrorKind::NotWaited(error) => error.source(),
            JoinErrorKind::Failed(report) => report.source(),
            _ => None,
        }
    }
}

/// `signal 11 (SIGSEGV)`.
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

/// A panic in a child.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Panic {
    pub(crate) message: String,
    pub(crate) location: Option<String>,
    pub(crate) backtrace: Option<String>,
}

impl Panic {
    /// What was passed to `panic!`; `Box<dyn Any>` if that was no text.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where it panicked, as `src/main.rs:7:5`.
    pub fn location(&self) -> Option<&str> {
        self.location.as_deref()
    }

    /// The child's backtrace, if `RUST_BACKTRACE` or `RUST_LIB_BACKTRACE` asks for one there.
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
        let error = Error::os("cannot do it", io::Error::other("for a reason of its own"));
        assert_eq!(format!("{:?}", error.again()), format!("{error:?}"));
    }

    #[test]
    fn a_report_becomes_a_join_error_with_its_own_text_and_causes() {
        let report = Report::new(&io::Error::other("broken"));
        assert_eq!(JoinError::from(report).to_string(), "broken");
    }
}
