//! The receiving end of a channel.

use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::end::End;
use super::error::{RecvError, RecvErrorKind};
use super::inbox::Inbox;
use crate::sys::poll::{self, Deadline};

/// The receiving end of a channel for values of type `T`. Made by [`channel`](crate::channel).
///
/// Each message goes to one receiver of the channel. A clone shares the descriptor of this process and costs no other.
/// Senders learn of the last drop in all processes.
///
/// # Serialisation
///
/// A receiver can be serialised in the arguments or the result of a task, or in a message. Serialising elsewhere is an
/// error of the serializer, and so is serialising while this process holds the rest of a
/// [batch](crate::Sender::send_all).
///
/// # Examples
///
/// Two children that share the work:
///
/// ```
/// use offspring::{Receiver, channel, child_task};
///
/// #[child_task]
/// fn sum(numbers: Receiver<u64>) -> u64 {
///     numbers.iter().flatten().sum()
/// }
///
/// #[offspring::process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let (sender, numbers) = channel()?;
///     let (one, other) = (sum::start(numbers.clone())?, sum::start(numbers)?);
///     (1..=100).try_for_each(|n| sender.send(n))?;
///     drop(sender); // ends the loops of the children
///     assert_eq!(one.join()? + other.join()?, 5050);
///     Ok(())
/// }
/// ```
pub struct Receiver<T> {
    end: End,
    /// The rest of a batch, shared by all clones.
    inbox: Arc<Inbox>,
    values: PhantomData<fn() -> T>,
}

impl<T> Receiver<T> {
    pub(super) fn new(end: End) -> Self {
        Self { end, inbox: Arc::default(), values: PhantomData }
    }

    pub(super) fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    pub(super) fn end(&self) -> &End {
        &self.end
    }
}

impl<T: DeserializeOwned> Receiver<T> {
    /// Receives a value. Waits for a message.
    ///
    /// # Errors
    ///
    /// - [`Disconnected`](RecvErrorKind::Disconnected): the channel is empty and no process has a sender, before the
    ///   call or during the wait.
    /// - [`Undecodable`](RecvErrorKind::Undecodable): a message is no `T`, and is lost.
    /// - [`DescriptorsLost`](RecvErrorKind::DescriptorsLost): this process may not open the descriptors of a message,
    ///   which is lost.
    /// - [`Os`](RecvErrorKind::Os): the operating system refuses.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::{RecvErrorKind, channel};
    ///
    /// let (sender, receiver) = channel()?;
    /// sender.send(7)?;
    /// drop(sender);
    /// assert_eq!(receiver.recv()?, 7);
    /// assert_eq!(receiver.recv().unwrap_err().kind(), RecvErrorKind::Disconnected);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recv(&self) -> Result<T, RecvError> {
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
    /// use offspring::{RecvErrorKind, channel};
    ///
    /// let (sender, receiver) = channel()?;
    /// assert_eq!(receiver.try_recv().unwrap_err().kind(), RecvErrorKind::Empty);
    /// sender.send(7)?;
    /// assert_eq!(receiver.try_recv()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_recv(&self) -> Result<T, RecvError> {
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
    /// use offspring::{RecvErrorKind, channel};
    ///
    /// let (_sender, receiver) = channel::<u32>()?;
    /// let error = receiver.recv_timeout(Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(error.kind(), RecvErrorKind::TimedOut);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn recv_timeout(&self, limit: Duration) -> Result<T, RecvError> {
        self.recv_by(poll::deadline_in(limit), RecvErrorKind::TimedOut)
    }

    /// Returns a blocking iterator over all values until the last sender is gone.
    ///
    /// A message that is lost ([`Undecodable`](RecvErrorKind::Undecodable),
    /// [`DescriptorsLost`](RecvErrorKind::DescriptorsLost)) is an `Err` item, and the iteration goes on. Any other
    /// error is the last item. The end of the channel is no error.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::channel;
    ///
    /// let (sender, receiver) = channel()?;
    /// sender.send(1)?;
    /// sender.send(2)?;
    /// drop(sender);
    /// let values: Vec<i32> = receiver.iter().collect::<Result<_, _>>()?;
    /// assert_eq!(values, [1, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self, is_over: false }
    }

    fn recv_by(&self, deadline: Deadline, nothing: RecvErrorKind) -> Result<T, RecvError> {
        self.inbox.receive(self.end.fd(), deadline, nothing)
    }
}

/// A blocking iterator over the values of a channel. Made by [`Receiver::iter`], and by a `for` loop over `&receiver`.
///
/// # Examples
///
/// ```
/// use offspring::channel;
///
/// let (sender, receiver) = channel()?;
/// sender.send("a".to_owned())?;
/// drop(sender);
/// for text in &receiver {
///     assert_eq!(text?, "a");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Iter<'a, T> {
    receiver: &'a Receiver<T>,
    is_over: bool,
}

impl<T: DeserializeOwned> Iterator for Iter<'_, T> {
    type Item = Result<T, RecvError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let received = self.receiver.recv();
        self.is_over = received.as_ref().is_err_and(|error| !error.is_of_one_message());
        match received {
            Err(error) if error.kind() == RecvErrorKind::Disconnected => None,
            other => Some(other),
        }
    }
}

impl<'a, T: DeserializeOwned> IntoIterator for &'a Receiver<T> {
    type Item = Result<T, RecvError>;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// Makes another receiver of the same channel, with the same descriptor. Each message still goes to one receiver.
impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self { end: self.end.clone(), inbox: Arc::clone(&self.inbox), values: PhantomData }
    }
}

/// Readable with a message, and when no process has a sender.
///
/// The rest of a [batch](crate::Sender::send_all) does not make the descriptor readable. So after each readiness, call
/// [`try_recv`](Self::try_recv) until the error [`Empty`](RecvErrorKind::Empty). [`wait`](crate::wait) knows of the
/// rest.
///
/// # Panics
///
/// In a forked copy of the process that was not given this receiver.
///
/// # Examples
///
/// ```
/// use std::os::fd::AsFd;
///
/// use offspring::{channel, wait};
///
/// let (sender, receiver) = channel()?;
/// sender.send(1)?;
/// assert_eq!(wait(&[&receiver.as_fd()], None)?, [0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl<T> AsFd for Receiver<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.borrowed()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receiver<{}>", std::any::type_name::<T>())
    }
}

impl<T> Serialize for Receiver<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !self.inbox.is_empty() {
            let text = "a receiver cannot be passed on while this process has messages of a batch that it has not read";
            return Err(S::Error::custom(text));
        }
        self.end.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Receiver<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        End::deserialize(deserializer).map(Self::new)
    }
}
