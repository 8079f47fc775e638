//! What can go wrong with a message. A value that was not sent comes back.

use std::fmt;
use std::io;

use crate::ipc::wire::message::{Unread, Unsent};

/// A value was not sent. It is in here.
pub struct SendError<T> {
    value: T,
    kind: SendErrorKind,
    text: String,
}

/// Why a value was not sent.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SendErrorKind {
    /// No process has a receiver any more.
    Disconnected,
    /// The channel is full, and the call does not wait; or, on a [`Duplex`](crate::Duplex), nobody reads on either side. It is full
    /// too as long as the messages that nobody has received yet, of all channels of an unprivileged user, hold more descriptors than a process
    /// may open (`RLIMIT_NOFILE`).
    Full,
    /// The channel has been full until the time was over.
    TimedOut,
    /// The value could not be encoded: its type, its size, or a descriptor in it.
    Unencodable,
    /// The operating system refused: limits on descriptors or memory, for instance.
    Os,
}

impl<T> SendError<T> {
    /// Why it was not sent.
    pub fn kind(&self) -> SendErrorKind {
        self.kind
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.value
    }

    pub(super) fn new(value: T, unsent: Unsent, full: SendErrorKind) -> Self {
        let (kind, text) = match unsent {
            Unsent::Codec(error) => (SendErrorKind::Unencodable, format!("the value cannot be sent: {error}")),
            Unsent::Os(error) => describe(error, full),
        };
        Self { value, kind, text }
    }
}

fn describe(error: io::Error, full: SendErrorKind) -> (SendErrorKind, String) {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
            (SendErrorKind::Disconnected, "no receiver is left".to_owned())
        }
        io::ErrorKind::TimedOut if full == SendErrorKind::Full => (full, "the channel is full".to_owned()),
        io::ErrorKind::TimedOut => (full, "the channel was full until the time was over".to_owned()),
        _ => (SendErrorKind::Os, format!("the value cannot be sent: {error}")),
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.text, self.kind)
    }
}

impl<T> std::error::Error for SendError<T> {}

/// No value was received.
#[derive(Clone, PartialEq, Eq)]
pub struct RecvError {
    kind: RecvErrorKind,
    text: String,
}

/// Why no value was received.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecvErrorKind {
    /// Nothing is left in the channel, and no process has a sender any more.
    Disconnected,
    /// Nothing is in the channel, and the call does not wait.
    Empty,
    /// Nothing has come until the time was over.
    TimedOut,
    /// A message has come that is no `T`; it is gone, and the next one may be better.
    Undecodable,
    /// A message has come whose descriptors this process may not open (`RLIMIT_NOFILE`); it is gone.
    DescriptorsLost,
    /// The operating system refused.
    Os,
}

impl RecvError {
    /// Why nothing was received.
    pub fn kind(&self) -> RecvErrorKind {
        self.kind
    }

    /// Whether the next call may well succeed, as this message alone was lost.
    pub(super) fn is_of_one_message(&self) -> bool {
        matches!(self.kind, RecvErrorKind::Undecodable | RecvErrorKind::DescriptorsLost)
    }

    pub(super) fn disconnected() -> Self {
        Self { kind: RecvErrorKind::Disconnected, text: "nothing is left to receive, and no sender either".to_owned() }
    }

    pub(super) fn new(unread: Unread, nothing: RecvErrorKind) -> Self {
        let (kind, text) = match unread {
            Unread::Codec(error) => (RecvErrorKind::Undecodable, format!("a message cannot be decoded: {error}")),
            Unread::DescriptorsLost => {
                let text = "a message has lost its descriptors, since this process may not open more (RLIMIT_NOFILE)";
                (RecvErrorKind::DescriptorsLost, text.to_owned())
            }
            Unread::Os(error) if error.kind() == io::ErrorKind::TimedOut => {
                let when = if nothing == RecvErrorKind::Empty { "at the moment" } else { "until the time was over" };
                (nothing, format!("nothing to receive {when}"))
            }
            Unread::Os(error) => (RecvErrorKind::Os, format!("cannot receive: {error}")),
        };
        Self { kind, text }
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.text, self.kind)
    }
}

impl std::error::Error for RecvError {}

/// A request was not answered.
#[non_exhaustive]
#[derive(Debug)]
pub enum RequestError<T> {
    /// It was not sent.
    Send(SendError<T>),
    /// It was sent, and no answer was received.
    Receive(RecvError),
}

impl<T> fmt::Display for RequestError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(error) => write!(f, "a request was not sent: {error}"),
            Self::Receive(error) => write!(f, "a request was not answered: {error}"),
        }
    }
}

impl<T: fmt::Debug + 'static> std::error::Error for RequestError<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Send(error) => error.source(),
            Self::Receive(error) => error.source(),
        }
    }
}
