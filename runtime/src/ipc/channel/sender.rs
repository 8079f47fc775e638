//! The sending end of a channel.

use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::end::End;
use super::error::{SendError, SendErrorKind};
use crate::ipc::wire::message::{self, Batch, Unsent};
use crate::sys::poll::{self, Deadline};

/// The sending end of a channel for values of type `T`. Made by [`channel`](crate::channel).
///
/// Each value goes to one [`Receiver`](crate::Receiver) of the channel, in any process. A clone shares the descriptor
/// of this process and costs no other. Receivers learn of the last drop in all processes after the last message.
///
/// # Serialisation
///
/// A sender can be serialised in the arguments or the result of a task, or in a message. Serialising elsewhere is an
/// error of the serializer.
///
/// # Examples
///
/// Several children that send to one receiver:
///
/// ```
/// use offspring::{Sender, channel, child_task};
///
/// #[child_task]
/// fn square(n: u64, results: Sender<(u64, u64)>) {
///     results.send((n, n * n)).expect("the parent receives");
/// }
///
/// #[offspring::process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let (sender, results) = channel()?;
///     let children = [2, 3].map(|n| square::start(n, sender.clone()));
///     drop(sender); // the children have the only senders now
///     let mut results = results.iter().collect::<Result<Vec<_>, _>>()?;
///     results.sort();
///     assert_eq!(results, [(2, 4), (3, 9)]);
///     for child in children {
///         child?.join()?;
///     }
///     Ok(())
/// }
/// ```
pub struct Sender<T> {
    end: End,
    values: PhantomData<fn(T)>,
}

impl<T> Sender<T> {
    pub(super) fn new(end: End) -> Self {
        Self { end, values: PhantomData }
    }

    pub(super) fn end(&self) -> &End {
        &self.end
    }
}

impl<T: Serialize> Sender<T> {
    /// Sends a value. Waits for room in a full channel.
    ///
    /// The message is in the channel when this method returns, and stays there even if this process is killed.
    ///
    /// # Errors
    ///
    /// The value comes back in the error, with one of these kinds:
    ///
    /// - [`Disconnected`](SendErrorKind::Disconnected): no process has a receiver, before the call or during the wait.
    /// - [`Unencodable`](SendErrorKind::Unencodable): the value cannot be encoded.
    /// - [`Os`](SendErrorKind::Os): the operating system refuses.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::channel;
    ///
    /// let (sender, receiver) = channel()?;
    /// sender.send("hello".to_owned())?;
    /// assert_eq!(receiver.recv()?, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.send_by(value, None, SendErrorKind::TimedOut)
    }

    /// Sends a value without waiting.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and:
    ///
    /// - [`Full`](SendErrorKind::Full): the channel has no room at the moment.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::{SendErrorKind, channel};
    ///
    /// let (sender, _receiver) = channel()?;
    /// let sent = (0..).take_while(|n| sender.try_send(*n).is_ok()).count();
    /// assert!(sent > 0);
    /// assert_eq!(sender.try_send(0).unwrap_err().kind(), SendErrorKind::Full);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn try_send(&self, value: T) -> Result<(), SendError<T>> {
        self.send_by(value, Some(Instant::now()), SendErrorKind::Full)
    }

    /// Sends a value. Waits for room in a full channel, for at most `limit`.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and:
    ///
    /// - [`TimedOut`](SendErrorKind::TimedOut): the channel stayed full for `limit`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use offspring::{SendErrorKind, channel};
    ///
    /// let (sender, _receiver) = channel()?;
    /// while sender.try_send(0).is_ok() {}
    /// let error = sender.send_timeout(0, Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(error.kind(), SendErrorKind::TimedOut);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn send_timeout(&self, value: T, limit: Duration) -> Result<(), SendError<T>> {
        self.send_by(value, poll::deadline_in(limit), SendErrorKind::TimedOut)
    }

    /// Sends many values in few messages. Waits for room in a full channel.
    ///
    /// About twenty times as fast as [`send`](Self::send) for small values. A message holds up to 32 KiB of values.
    /// One receiver gets the whole message and hands out the values in order. A killed receiver takes along the rest of
    /// the message. All values are in the channel when this method returns.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send). The error holds the values of the message that was not sent. Values of earlier messages
    /// are in the channel. An iterator passed by reference keeps the values not yet taken.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::channel;
    ///
    /// let (sender, receiver) = channel::<u32>()?;
    /// sender.send_all(0..1000)?;
    /// drop(sender);
    /// assert_eq!(receiver.iter().sum::<Result<u32, _>>()?, 499_500);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_all(&self, values: impl IntoIterator<Item = T>) -> Result<(), SendError<Vec<T>>> {
        let mut values = values.into_iter();
        let mut unsent = Vec::new();
        loop {
            match self.send_batch(&mut values, &mut unsent) {
                Ok(()) if unsent.is_empty() => return Ok(()),
                Ok(()) => unsent.clear(),
                Err(reason) => return Err(SendError::new(unsent, reason, SendErrorKind::TimedOut)),
            }
        }
    }

    /// Sends one batch. Moves the values of the batch into `batched`.
    fn send_batch(&self, values: &mut impl Iterator<Item = T>, batched: &mut Vec<T>) -> Result<(), Unsent> {
        let mut batch = Batch::new();
        let mut is_full = false;
        while !is_full && let Some(value) = values.next() {
            batched.push(value);
            is_full = batched.last().map_or(Ok(false), |value| batch.push(value))?;
        }
        if batched.is_empty() {
            return Ok(());
        }
        batch.send(self.end.fd().map_err(Unsent::Os)?, None)
    }

    fn send_by(&self, value: T, deadline: Deadline, full: SendErrorKind) -> Result<(), SendError<T>> {
        let sent = self.end.fd().map_err(Unsent::Os).and_then(|end| message::send(end, &value, deadline));
        sent.map_err(|unsent| SendError::new(value, unsent, full))
    }
}

/// Makes another sender of the same channel, with the same descriptor.
impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self::new(self.end.clone())
    }
}

/// Writable when three quarters of the channel are free, or when no process has a receiver.
///
/// # Panics
///
/// In a forked copy of the process that was not given this sender.
///
/// # Examples
///
/// ```
/// use std::os::fd::AsFd;
///
/// use offspring::channel;
///
/// let (sender, receiver) = channel::<u32>()?;
/// let shared = sender.clone();
/// assert_eq!(format!("{:?}", sender.as_fd()), format!("{:?}", shared.as_fd()));
/// # drop(receiver);
/// # Ok::<(), offspring::Error>(())
/// ```
impl<T> AsFd for Sender<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.borrowed()
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sender<{}>", std::any::type_name::<T>())
    }
}

impl<T> Serialize for Sender<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.end.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Sender<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        End::deserialize(deserializer).map(Self::new)
    }
}
