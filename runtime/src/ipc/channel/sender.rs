//! The end of a channel that values go into.

use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::end::End;
use super::{SendError, SendErrorKind, SendFuture};
use crate::ipc::wire::message::{self, Batch, Unsent};
use crate::sys::poll::{self, Deadline};

/// Sends values of type `T` to whichever [`Receiver`](crate::Receiver) takes them. Made by [`channel`](crate::ipc::channel).
///
/// A clone shares this process's descriptor and costs none. When the last sender of all processes is gone, receivers learn it
/// after the last message.
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
    /// Sends a value; waits while the channel is full.
    ///
    /// When this returns, the message is in the channel, whatever becomes of this process.
    ///
    /// # Errors
    /// [`Disconnected`](SendErrorKind::Disconnected) if no process has a receiver any more, which is also what ends a wait;
    /// [`Unencodable`](SendErrorKind::Unencodable). The value comes back.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.send_by(value, None, SendErrorKind::TimedOut)
    }

    /// Sends a value if the channel has room for it at the moment.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`Full`](SendErrorKind::Full).
    pub fn try_send(&self, value: T) -> Result<(), SendError<T>> {
        self.send_by(value, Some(Instant::now()), SendErrorKind::Full)
    }

    /// Sends a value; waits for at most `limit` while the channel is full.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`TimedOut`](SendErrorKind::TimedOut).
    pub fn send_timeout(&self, value: T, limit: Duration) -> Result<(), SendError<T>> {
        self.send_by(value, poll::deadline_in(limit), SendErrorKind::TimedOut)
    }

    /// Sends many values in few messages, which is some twenty times as fast for small ones; waits while the channel is full.
    ///
    /// As many values as fit into 32 KiB travel together: they are received by one receiver, which hands them out one by one,
    /// and if that one is killed meanwhile, they are lost together. When this returns, all are in the channel.
    ///
    /// # Errors
    /// As [`send`](Self::send). The values that were to travel together with the one that could not be sent come back; what the
    /// iterator has not handed out by then stays in it, if it was passed by reference.
    pub fn send_all(&self, values: impl IntoIterator<Item = T>) -> Result<(), SendError<Vec<T>>> {
        let mut values = values.into_iter();
        let mut together = Vec::new();
        loop {
            let sent = self.send_some(&mut values, &mut together);
            match sent {
                Ok(()) if together.is_empty() => return Ok(()),
                Ok(()) => together.clear(),
                Err(unsent) => return Err(SendError::new(together, unsent, SendErrorKind::TimedOut)),
            }
        }
    }

    /// Sends as many values as one batch takes; they stay in `together` until they are sent.
    fn send_some(&self, values: &mut impl Iterator<Item = T>, together: &mut Vec<T>) -> Result<(), Unsent> {
        let mut batch = Batch::new();
        let mut is_full = false;
        while !is_full && let Some(value) = values.next() {
            together.push(value);
            is_full = together.last().map_or(Ok(false), |value| batch.push(value))?;
        }
        if together.is_empty() {
            return Ok(());
        }
        batch.send(self.end.fd().map_err(Unsent::Os)?, None)
    }

    /// Sends a value, as a future for any executor.
    ///
    /// The first poll that has to wait starts one helper thread for the whole program, after which the start method `fork` is
    /// refused. A future that is dropped has not sent its value, unless it was ready.
    pub fn send_async(&self, value: T) -> SendFuture<'_, T> {
        SendFuture::new(self, value)
    }

    fn send_by(&self, value: T, deadline: Deadline, full: SendErrorKind) -> Result<(), SendError<T>> {
        let sent = self.end.fd().map_err(Unsent::Os).and_then(|end| message::send(end, &value, deadline));
        sent.map_err(|unsent| SendError::new(value, unsent, full))
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self::new(self.end.clone())
    }
}

/// Writable when the channel is nearly empty (three quarters), or when no receiver is left.
///
/// # Panics
/// In a forked copy of the process that was not given this sender.
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
