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
use super::error::{RecvError, RecvErrorKind, RequestError, SendError, SendErrorKind};
use super::inbox::Inbox;
use crate::error::Error;
use crate::ipc::wire::message::{self, Unsent};
use crate::sys::poll::{self, Deadline};
use crate::sys::socket;

/// The largest inbox of an end that waits to send, in bytes.
const INBOX_MAX: usize = 64 << 20;

/// One end of a pipe that goes both ways: sends `S`, receives `R`. Made by [`duplex`].
///
/// Meant for one process on each end. Several processes on one end could receive each other's answers, so that an end
/// cannot be cloned. Within a process, one thread may send while another receives.
///
/// # Capacity
///
/// Each direction holds as much as a [`channel`](crate::channel#capacity). Two ends that send at the same time do not
/// wait for each other: an end that waits to send receives up to 64 MiB ahead, for later calls of [`recv`](Self::recv).
///
/// # Serialisation
///
/// An end can be serialised in the arguments or the result of a task, or in a message. Serialising elsewhere is an
/// error of the serializer, and so is serialising an end with messages received ahead.
///
/// # Examples
///
/// ```
/// use offspring::{Duplex, duplex};
///
/// let (client, server): (Duplex<String, usize>, Duplex<usize, String>) = duplex()?;
/// client.send("hello".to_owned())?;
/// let request = server.recv()?;
/// server.send(request.len())?;
/// assert_eq!(client.recv()?, 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Duplex<S, R> {
    end: End,
    inbox: Inbox,
    values: PhantomData<fn(S) -> R>,
}

/// Makes a pipe that goes both ways: one end sends `A` and receives `B`, the other end sends `B` and receives `A`.
///
/// # Errors
///
/// - [`LimitReached`](crate::ErrorKind::LimitReached): a limit on descriptors leaves no room for two.
/// - [`Os`](crate::ErrorKind::Os): the kernel refuses a socket pair, under seccomp for instance.
///
/// # Examples
///
/// ```
/// use offspring::{Duplex, child_task, duplex};
///
/// #[child_task]
/// fn lengths(parent: Duplex<usize, String>) {
///     while let Ok(word) = parent.recv() {
///         parent.send(word.len()).expect("the parent receives");
///     }
/// }
///
/// #[offspring::process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let (own, theirs) = duplex::<String, usize>()?;
///     let child = lengths::start(theirs)?;
///     assert_eq!(own.request("hello".to_owned())?, 5);
///     drop(own); // ends the loop of the child
///     child.join()?;
///     Ok(())
/// }
/// ```
///
/// Source: [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html),
/// [socketpair(2)](https://man7.org/linux/man-pages/man2/socketpair.2.html).
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
    /// Sends a value. Waits for room in a full pipe.
    ///
    /// # Errors
    ///
    /// The value comes back in the error, with one of these kinds:
    ///
    /// - [`Disconnected`](SendErrorKind::Disconnected): no process has the other end, before the call or during the
    ///   wait.
    /// - [`Full`](SendErrorKind::Full): neither end receives, and 64 MiB have been received ahead on this end.
    /// - [`Unencodable`](SendErrorKind::Unencodable): the value cannot be encoded.
    /// - [`Os`](SendErrorKind::Os): the operating system refuses.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::duplex;
    ///
    /// let (one, other) = duplex::<u32, String>()?;
    /// one.send(7)?;
    /// assert_eq!(other.recv()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send(&self, value: S) -> Result<(), SendError<S>> {
        self.send_by(value, None, SendErrorKind::TimedOut)
    }

    /// Sends a value without waiting.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and:
    ///
    /// - [`Full`](SendErrorKind::Full): the pipe has no room at the moment.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::{SendErrorKind, duplex};
    ///
    /// let (one, _other) = duplex::<u32, u32>()?;
    /// while one.try_send(0).is_ok() {}
    /// assert_eq!(one.try_send(0).unwrap_err().kind(), SendErrorKind::Full);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn try_send(&self, value: S) -> Result<(), SendError<S>> {
        self.send_by(value, Some(Instant::now()), SendErrorKind::Full)
    }

    /// Sends a value. Waits for room in a full pipe, for at most `limit`.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and:
    ///
    /// - [`TimedOut`](SendErrorKind::TimedOut): the pipe stayed full for `limit`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use offspring::{SendErrorKind, duplex};
    ///
    /// let (one, _other) = duplex::<u32, u32>()?;
    /// while one.try_send(0).is_ok() {}
    /// let error = one.send_timeout(0, Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(error.kind(), SendErrorKind::TimedOut);
    /// # Ok::<(), offspring::Error>(())
    /// ```
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

    /// Sends a value. Returns `false` if neither end receives and the inbox is full.
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
            // Makes room for the other end, which may wait to send as well.
            if readable && !self.inbox.receive_ahead(end, INBOX_MAX) {
                return Ok(false);
            }
        }
    }
}

impl<S, R: DeserializeOwned> Duplex<S, R> {
    /// Receives a value. Waits for a message.
    ///
    /// # Errors
    ///
    /// - [`Disconnected`](RecvErrorKind::Disconnected): no message is left and no process has the other end, before the
    ///   call or during the wait.
    /// - [`Undecodable`](RecvErrorKind::Undecodable): a message is no `R`, and is lost.
    /// - [`DescriptorsLost`](RecvErrorKind::DescriptorsLost): this process may not open the descriptors of a message,
    ///   which is lost.
    /// - [`Os`](RecvErrorKind::Os): the operating system refuses.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::{RecvErrorKind, duplex};
    ///
    /// let (one, other) = duplex::<u32, u32>()?;
    /// other.send(7)?;
    /// drop(other);
    /// assert_eq!(one.recv()?, 7);
    /// assert_eq!(one.recv().unwrap_err().kind(), RecvErrorKind::Disconnected);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recv(&self) -> Result<R, RecvError> {
        self.recv_by(None, RecvErrorKind::TimedOut)
    }

    /// Receives a value without waiting.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and:
    ///
    /// - [`Empty`](RecvErrorKind::Empty): no message is there, or another thread of this process waits for the next
    ///   message.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::{RecvErrorKind, duplex};
    ///
    /// let (one, _other) = duplex::<u32, u32>()?;
    /// assert_eq!(one.try_recv().unwrap_err().kind(), RecvErrorKind::Empty);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn try_recv(&self) -> Result<R, RecvError> {
        self.recv_by(Some(Instant::now()), RecvErrorKind::Empty)
    }

    /// Receives a value. Waits for a message, for at most `limit`.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and:
    ///
    /// - [`TimedOut`](RecvErrorKind::TimedOut): no message came within `limit`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use offspring::{RecvErrorKind, duplex};
    ///
    /// let (one, _other) = duplex::<u32, u32>()?;
    /// let error = one.recv_timeout(Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(error.kind(), RecvErrorKind::TimedOut);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn recv_timeout(&self, limit: Duration) -> Result<R, RecvError> {
        self.recv_by(poll::deadline_in(limit), RecvErrorKind::TimedOut)
    }

    fn recv_by(&self, deadline: Deadline, nothing: RecvErrorKind) -> Result<R, RecvError> {
        self.inbox.receive(self.end.fd(), deadline, nothing)
    }
}

impl<S: Serialize, R: DeserializeOwned> Duplex<S, R> {
    /// Sends a request and waits for the answer: the next value from the other end.
    ///
    /// # Errors
    ///
    /// - [`RequestError::Send`]: the request was not sent, for a reason of [`send`](Self::send). Holds the request.
    /// - [`RequestError::Receive`]: no answer was received, for a reason of [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::duplex;
    ///
    /// let (client, server) = duplex::<u64, u64>()?;
    /// let server = std::thread::spawn(move || {
    ///     while let Ok(n) = server.recv() {
    ///         server.send(n * n).expect("the client receives");
    ///     }
    /// });
    /// assert_eq!(client.request(12)?, 144);
    /// drop(client);
    /// server.join().unwrap();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn request(&self, value: S) -> Result<R, RequestError<S>> {
        self.send(value).map_err(RequestError::Send)?;
        self.recv().map_err(RequestError::Receive)
    }

    /// Sends a request and waits for the answer, for at most `limit` altogether.
    ///
    /// A later answer is not lost. The next call that receives returns the late answer, so that a client that goes on
    /// after `TimedOut` should number requests and answers.
    ///
    /// # Errors
    ///
    /// As [`request`](Self::request), with the further kinds [`SendErrorKind::TimedOut`] and
    /// [`RecvErrorKind::TimedOut`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use offspring::{RecvErrorKind, RequestError, duplex};
    ///
    /// let (client, _server) = duplex::<u64, u64>()?;
    /// match client.request_timeout(12, Duration::from_millis(1)) {
    ///     Err(RequestError::Receive(error)) => assert_eq!(error.kind(), RecvErrorKind::TimedOut),
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn request_timeout(&self, value: S, limit: Duration) -> Result<R, RequestError<S>> {
        let deadline = poll::deadline_in(limit);
        self.send_by(value, deadline, SendErrorKind::TimedOut).map_err(RequestError::Send)?;
        self.recv_by(deadline, RecvErrorKind::TimedOut).map_err(RequestError::Receive)
    }
}

/// Readable with a message, and when no process has the other end.
///
/// Messages received ahead by a send do not make the descriptor readable. [`wait`](crate::wait) knows of these
/// messages, and [`try_recv`](Self::try_recv) returns the next.
///
/// # Panics
///
/// In a forked copy of the process that was not given this end.
///
/// # Examples
///
/// ```
/// use std::os::fd::AsFd;
///
/// use offspring::{duplex, wait};
///
/// let (one, other) = duplex::<u32, u32>()?;
/// other.send(1)?;
/// assert_eq!(wait(&[&one.as_fd()], None)?, [0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
