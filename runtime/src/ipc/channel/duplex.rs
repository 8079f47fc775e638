//! A pipe that goes both ways.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::end::End;
use super::inbox::Inbox;
use super::{RecvError, RecvErrorKind, RequestError, SendError, SendErrorKind};
use crate::error::Error;
use crate::ipc::wire::message::{self, Unsent};
use crate::sys::poll::{self, Deadline};
use crate::sys::socket;

/// What an end receives while it waits to send, at most. Two ends that both send and never read would wait for each other.
const INBOX_MAX: usize = 64 << 20;

/// One end of a two-way pipe: sends `S`, receives `R`. Made by [`duplex`].
///
/// For one process on each end: what several do on the same end is not told apart, so that one may receive the answer to the
/// other's request. For that reason it cannot be cloned. Of the threads of a process one may send while another receives.
///
/// Both ways hold as much as a [`channel`](crate::ipc::channel#capacity). An end that waits to send takes in what comes meanwhile (up
/// to 64 MiB, for its own next [`recv`](Self::recv)), so that two ends that send at the same time do not wait for each other.
pub struct Duplex<S, R> {
    end: End,
    inbox: Inbox,
    values: PhantomData<fn(S) -> R>,
}

/// Makes a two-way pipe: what one end sends the other receives.
///
/// # Errors
/// [`LimitReached`](crate::ErrorKind::LimitReached) if two more descriptors may not be opened.
///
/// # Example
/// ```
/// use offspring::{Duplex, child_task, duplex};
///
/// #[child_task]
/// fn lengths(parent: Duplex<usize, String>) {
///     while let Ok(word) = parent.recv() {
///         parent.send(word.len()).expect("the parent listens");
///     }
/// }
///
/// #[offspring::process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let (child, theirs) = duplex::<String, usize>()?;
///     let handle = lengths::start(theirs)?;
///     assert_eq!(child.request("hello".to_owned())?, 5);
///     drop(child);
///     handle.join()?;
///     Ok(())
/// }
/// ```
///
/// Source: unix(7), socketpair(2).
#[expect(
    clippy::type_complexity,
    reason = "two ends, whose types are each other's mirror image, read best as they are"
)]
pub fn duplex<A, B>() -> Result<(Duplex<A, B>, Duplex<B, A>), Error> {
    let (one, other) = socket::pair().map_err(|error| Error::os("cannot make a two-way pipe", error))?;
    Ok((Duplex::new(End::new(one)), Duplex::new(End::new(other))))
}

impl<S, R> Duplex<S, R> {
    fn new(end: End) -> Self {
        Self { end, inbox: Inbox::default(), values: PhantomData }
    }

    pub(super) fn end(&self) -> &End {
        &self.end
    }

    pub(super) fn inbox(&self) -> &Inbox {
        &self.inbox
    }
}

impl<S: Serialize, R> Duplex<S, R> {
    /// Sends a value; waits while the pipe is full.
    ///
    /// # Errors
    /// [`Disconnected`](SendErrorKind::Disconnected) if no process has the other end any more;
    /// [`Unencodable`](SendErrorKind::Unencodable); [`Full`](SendErrorKind::Full) if neither end reads and 64 MiB have come
    /// here meanwhile. The value comes back.
    pub fn send(&self, value: S) -> Result<(), SendError<S>> {
        self.send_by(value, None, SendErrorKind::TimedOut)
    }

    /// Sends a value if the pipe has room for it at the moment.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`Full`](SendErrorKind::Full).
    pub fn try_send(&self, value: S) -> Result<(), SendError<S>> {
        self.send_by(value, Some(Instant::now()), SendErrorKind::Full)
    }

    /// Sends a value; waits for at most `limit` while the pipe is full.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`TimedOut`](SendErrorKind::TimedOut).
    pub fn send_timeout(&self, value: S, limit: Duration) -> Result<(), SendError<S>> {
        self.send_by(value, poll::deadline_in(limit), SendErrorKind::TimedOut)
    }

    fn send_by(&self, value: S, deadline: Deadline, full: SendErrorKind) -> Result<(), SendError<S>> {
        match self.deliver(&value, deadline) {
            Ok(true) => Ok(()),
            Ok(false) => Err(SendError::new(value, Unsent::Os(io::ErrorKind::TimedOut.into()), SendErrorKind::Full)),
            Err(unsent) => Err(SendError::new(value, unsent, full)),
        }
    }

    /// `false` if nobody reads, on either end.
    fn deliver(&self, value: &S, deadline: Deadline) -> Result<bool, Unsent> {
        let end = self.end.fd().map_err(Unsent::Os)?;
        loop {
            match message::send(end, value, Some(Instant::now())) {
                Err(Unsent::Os(error)) if error.kind() == io::ErrorKind::TimedOut => {}
                done => return done.map(|()| true),
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(Unsent::Os(io::ErrorKind::TimedOut.into()));
            }
            let [readable, _] = poll::either(end, deadline).map_err(Unsent::Os)?;
            // Two ends that send and do not read must not wait for each other.
            if readable && !self.inbox.take_in(end, INBOX_MAX) {
                return Ok(false);
            }
        }
    }
}

impl<S, R: DeserializeOwned> Duplex<S, R> {
    /// Receives a value; waits for one.
    ///
    /// # Errors
    /// [`Disconnected`](RecvErrorKind::Disconnected) when nothing is left and no process has the other end any more;
    /// [`Undecodable`](RecvErrorKind::Undecodable) and [`DescriptorsLost`](RecvErrorKind::DescriptorsLost) for one message
    /// that is gone.
    pub fn recv(&self) -> Result<R, RecvError> {
        self.recv_by(None, RecvErrorKind::TimedOut)
    }

    /// Receives a value if there is one.
    ///
    /// # Errors
    /// As [`recv`](Self::recv), and [`Empty`](RecvErrorKind::Empty).
    pub fn try_recv(&self) -> Result<R, RecvError> {
        self.recv_by(Some(Instant::now()), RecvErrorKind::Empty)
    }

    /// Receives a value; waits for at most `limit`.
    ///
    /// # Errors
    /// As [`recv`](Self::recv), and [`TimedOut`](RecvErrorKind::TimedOut).
    pub fn recv_timeout(&self, limit: Duration) -> Result<R, RecvError> {
        self.recv_by(poll::deadline_in(limit), RecvErrorKind::TimedOut)
    }

    fn recv_by(&self, deadline: Deadline, nothing: RecvErrorKind) -> Result<R, RecvError> {
        self.inbox.receive(self.end.fd(), deadline, nothing)
    }
}

impl<S: Serialize, R: DeserializeOwned> Duplex<S, R> {
    /// Sends a request and waits for the answer: the next value that the other end sends.
    ///
    /// # Errors
    /// [`Send`](RequestError::Send) if it was not sent, [`Receive`](RequestError::Receive) if no answer has come, since the
    /// other end is gone, for instance.
    pub fn request(&self, value: S) -> Result<R, RequestError<S>> {
        self.send(value).map_err(RequestError::Send)?;
        self.recv().map_err(RequestError::Receive)
    }

    /// As [`request`](Self::request), for at most `limit` altogether.
    ///
    /// An answer that comes later than that is still received, by the next call that receives.
    ///
    /// # Errors
    /// As [`request`](Self::request), with kinds [`TimedOut`](RecvErrorKind::TimedOut).
    pub fn request_timeout(&self, value: S, limit: Duration) -> Result<R, RequestError<S>> {
        let deadline = poll::deadline_in(limit);
        self.send_by(value, deadline, SendErrorKind::TimedOut).map_err(RequestError::Send)?;
        self.recv_by(deadline, RecvErrorKind::TimedOut).map_err(RequestError::Receive)
    }
}

/// Readable when there is a message, or when the other end is gone. Messages that were taken in by a send that had to wait are
/// not seen by polling it: [`wait`](crate::wait) knows of them, and [`try_recv`](Self::try_recv) returns them.
///
/// # Panics
/// In a forked copy of the process that was not given this end.
impl<S, R> AsFd for Duplex<S, R> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.borrowed()
    }
}

impl<S, R> fmt::Debug for Duplex<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Duplex<{}, {}>", std::any::type_name::<S>(), std::any::type_name::<R>())
    }
}

impl<S, R> Serialize for Duplex<S, R> {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        if !self.inbox.is_empty() {
            let text = "a two-way pipe cannot be passed on while this process has messages of it that it has not read";
            return Err(Z::Error::custom(text));
        }
        self.end.serialize(serializer)
    }
}

impl<'de, S, R> Deserialize<'de> for Duplex<S, R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        End::deserialize(deserializer).map(Self::new)
    }
}
