//! Errors of channels. A value that was not sent comes back in the error.

use std::fmt;
use std::io;

use crate::ipc::wire::message::{Unread, Unsent};

/// The error of a send. Holds the value that was not sent.
///
/// # Examples
///
/// ```
/// use offspring::{SendErrorKind, channel};
///
/// let (sender, receiver) = channel()?;
/// drop(receiver);
/// let error = sender.send("hello".to_owned()).unwrap_err();
/// assert_eq!(error.kind(), SendErrorKind::Disconnected);
/// assert_eq!(error.to_string(), "no receiver is left");
/// assert_eq!(error.into_inner(), "hello");
/// # Ok::<(), offspring::Error>(())
/// ```
pub struct SendError<T> {
    value: T,
    kind: SendErrorKind,
    text: String,
}

/// The reason why a value was not sent. Returned by [`SendError::kind`].
///
/// # Examples
///
/// ```
/// use offspring::{SendErrorKind, channel};
///
/// let (sender, _receiver) = channel()?;
/// let full = loop {
///     if let Err(error) = sender.try_send(0) {
///         break error;
///     }
/// };
/// match full.kind() {
///     SendErrorKind::Full => {} // try again later
///     SendErrorKind::Disconnected => panic!("no receiver"),
///     kind => panic!("{kind:?}"),
/// }
/// # Ok::<(), offspring::Error>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SendErrorKind {
    /// No process has a receiver.
    Disconnected,
    /// The channel is full, and the call does not wait. On a [`Duplex`](crate::Duplex): neither end receives, and the
    /// inbox of this end holds 64 MiB.
    ///
    /// A channel is full too while messages in transit hold more descriptors than a process may open (`RLIMIT_NOFILE`).
    /// All channels of a user without privileges count together.
    Full,
    /// The channel stayed full until the limit of the call.
    TimedOut,
    /// The value could not be encoded: serde or the type refuses, the value is longer than 1 GiB, or has more
    /// descriptors than a message carries.
    Unencodable,
    /// The operating system refused: a limit on descriptors or memory, for instance.
    Os,
}

impl<T> SendError<T> {
    /// Returns the reason.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::{SendErrorKind, channel};
    ///
    /// let (sender, receiver) = channel()?;
    /// drop(receiver);
    /// assert_eq!(sender.send(1).unwrap_err().kind(), SendErrorKind::Disconnected);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn kind(&self) -> SendErrorKind {
        self.kind
    }

    /// Returns the value that was not sent.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::channel;
    ///
    /// let (sender, receiver) = channel()?;
    /// drop(receiver);
    /// assert_eq!(sender.send(vec![1, 2]).unwrap_err().into_inner(), [1, 2]);
    /// # Ok::<(), offspring::Error>(())
    /// ```
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

/// The error of a receive.
///
/// # Examples
///
/// ```
/// use offspring::{RecvErrorKind, channel};
///
/// let (sender, receiver) = channel::<u32>()?;
/// assert_eq!(receiver.try_recv().unwrap_err().kind(), RecvErrorKind::Empty);
/// drop(sender);
/// assert_eq!(receiver.recv().unwrap_err().kind(), RecvErrorKind::Disconnected);
/// # Ok::<(), offspring::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RecvError {
    kind: RecvErrorKind,
    text: String,
}

/// The reason why no value was received. Returned by [`RecvError::kind`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use offspring::{RecvErrorKind, channel};
///
/// let (_sender, receiver) = channel::<u32>()?;
/// match receiver.recv_timeout(Duration::from_millis(1)) {
///     Ok(number) => println!("received {number}"),
///     Err(error) if error.kind() == RecvErrorKind::TimedOut => {} // a good moment for other work
///     Err(error) => return Err(error.into()),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecvErrorKind {
    /// The channel is empty, and no process has a sender.
    Disconnected,
    /// The channel is empty, and the call does not wait.
    Empty,
    /// The channel stayed empty until the limit of the call.
    TimedOut,
    /// A message is no `T`. The message is lost; the next message may be fine.
    Undecodable,
    /// A message holds more descriptors than this process may open (`RLIMIT_NOFILE`). The message is lost; the next
    /// message may be fine.
    DescriptorsLost,
    /// The operating system refused.
    Os,
}

impl RecvError {
    /// Returns the reason.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::{RecvErrorKind, channel};
    ///
    /// let (_sender, receiver) = channel::<u32>()?;
    /// assert_eq!(receiver.try_recv().unwrap_err().kind(), RecvErrorKind::Empty);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn kind(&self) -> RecvErrorKind {
        self.kind
    }

    /// Whether only one message is lost, so that the next call may succeed.
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

/// The error of [`Duplex::request`](crate::Duplex::request): which half of the exchange failed.
///
/// # Examples
///
/// ```
/// use offspring::{RequestError, duplex};
///
/// let (client, server) = duplex::<u32, u32>()?;
/// drop(server);
/// match client.request(7).unwrap_err() {
///     RequestError::Send(error) => assert_eq!(error.into_inner(), 7), // never sent: safe to repeat elsewhere
///     RequestError::Receive(error) => panic!("sent, but not answered: {error}"),
///     error => panic!("{error}"),
/// }
/// # Ok::<(), offspring::Error>(())
/// ```
#[non_exhaustive]
#[derive(Debug)]
pub enum RequestError<T> {
    /// The request was not sent. Holds the request.
    Send(SendError<T>),
    /// The request was sent, and no answer was received.
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
