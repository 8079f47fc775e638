//! The end of a channel that values come out of.

use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::end::End;
use super::inbox::Inbox;
use super::{RecvError, RecvErrorKind, RecvFuture};
use crate::sys::poll::{self, Deadline};

/// Receives values of type `T` from any [`Sender`](crate::Sender) of its channel. Made by [`channel`](crate::ipc::channel).
///
/// A clone shares this process's descriptor and costs none; each message goes to one of all receivers.
pub struct Receiver<T> {
    end: End,
    /// The rest of a batch, which all clones take from.
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
    /// Receives a value; waits for one.
    ///
    /// # Errors
    /// [`Disconnected`](RecvErrorKind::Disconnected) when nothing is left and no process has a sender any more, which is
    /// also what ends a wait; [`Undecodable`](RecvErrorKind::Undecodable) and
    /// [`DescriptorsLost`](RecvErrorKind::DescriptorsLost) for one message that is gone.
    pub fn recv(&self) -> Result<T, RecvError> {
        self.recv_by(None, RecvErrorKind::TimedOut)
    }

    /// Receives a value if there is one.
    ///
    /// # Errors
    /// As [`recv`](Self::recv), and [`Empty`](RecvErrorKind::Empty).
    pub fn try_recv(&self) -> Result<T, RecvError> {
        self.recv_by(Some(Instant::now()), RecvErrorKind::Empty)
    }

    /// Receives a value; waits for at most `limit`.
    ///
    /// # Errors
    /// As [`recv`](Self::recv), and [`TimedOut`](RecvErrorKind::TimedOut).
    pub fn recv_timeout(&self, limit: Duration) -> Result<T, RecvError> {
        self.recv_by(poll::deadline_in(limit), RecvErrorKind::TimedOut)
    }

    /// Receives a value, as a future for any executor.
    ///
    /// The first poll that has to wait starts one helper thread for the whole program, after which the start method `fork` is
    /// refused. Nothing is lost with a future that is dropped.
    pub fn recv_async(&self) -> RecvFuture<'_, T> {
        RecvFuture::new(self)
    }

    /// Every value until the last sender is gone; waits for each.
    ///
    /// A message that cannot be decoded is an error, and the next one is tried; any other error is the last item.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self, is_over: false }
    }

    fn recv_by(&self, deadline: Deadline, nothing: RecvErrorKind) -> Result<T, RecvError> {
        self.inbox.receive(self.end.fd(), deadline, nothing)
    }
}

/// The values of a channel, made by [`Receiver::iter`].
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

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self { end: self.end.clone(), inbox: Arc::clone(&self.inbox), values: PhantomData }
    }
}

/// Readable when there is a message, or when no sender is left. The rest of a [batch](crate::Sender::send_all) is not seen by
/// polling the descriptor: take values by [`try_recv`](Self::try_recv) until it says
/// [`Empty`](RecvErrorKind::Empty). [`wait`](crate::wait) knows of it.
///
/// # Panics
/// In a forked copy of the process that was not given this receiver.
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
