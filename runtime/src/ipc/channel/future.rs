//! Sending and receiving as futures, which wait through the one reactor of the program.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::end::Waiting;
use super::{Receiver, RecvError, RecvErrorKind, SendError, SendErrorKind, Sender};
use crate::ipc::reactor::Watch;
use crate::ipc::wire::message::{Unread, Unsent};

/// A future's place in the reactor, taken when it first has to wait.
#[derive(Default)]
struct WaitSlot(Option<(Watch, Arc<Waiting>)>);

impl WaitSlot {
    fn wait(&mut self, waker: &Waker, source: impl FnOnce() -> Arc<Waiting>) -> std::io::Result<()> {
        let (watch, source) = self.0.get_or_insert_with(|| (Watch::new(), source()));
        watch.wake(source, waker)
    }

    /// Receives a value, or waits for one.
    fn receive<T: DeserializeOwned>(
        &mut self,
        receiver: &Receiver<T>,
        context: &mut Context<'_>,
    ) -> Poll<Result<T, RecvError>> {
        match receiver.try_recv() {
            Err(error) if error.kind() == RecvErrorKind::Empty => {}
            done => return Poll::Ready(done),
        }
        receiver.inbox().note(context.waker());
        // What another has left in the inbox meanwhile.
        if !receiver.inbox().is_empty() {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        match self.wait(context.waker(), || receiver.end().readable()) {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(Err(RecvError::new(Unread::Os(error), RecvErrorKind::Empty))),
        }
    }
}

/// A value on its way into a channel, made by [`Sender::send_async`].
#[must_use = "a future does nothing until it is polled"]
pub struct SendFuture<'a, T> {
    sender: &'a Sender<T>,
    value: Option<T>,
    place: WaitSlot,
}

impl<'a, T> SendFuture<'a, T> {
    pub(super) fn new(sender: &'a Sender<T>, value: T) -> Self {
        Self { sender, value: Some(value), place: WaitSlot::default() }
    }
}

/// No part of it is ever pinned.
impl<T> Unpin for SendFuture<'_, T> {}

/// Ready when the value is in the channel.
///
/// # Panics
/// If it is polled after it was ready.
impl<T: Serialize> Future for SendFuture<'_, T> {
    type Output = Result<(), SendError<T>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let value = this.value.take().expect("a future that is polled after it was ready");
        let error = match this.sender.try_send(value) {
            Err(error) if error.kind() == SendErrorKind::Full => error,
            done => return Poll::Ready(done),
        };
        let value = error.into_inner();
        match this.place.wait(context.waker(), || this.sender.end().writable()) {
            Ok(()) => {
                this.value = Some(value);
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(SendError::new(value, Unsent::Os(error), SendErrorKind::Full))),
        }
    }
}

/// A value on its way out of a channel, made by [`Receiver::recv_async`].
#[must_use = "a future does nothing until it is polled"]
pub struct RecvFuture<'a, T> {
    receiver: &'a Receiver<T>,
    place: WaitSlot,
}

impl<'a, T> RecvFuture<'a, T> {
    pub(super) fn new(receiver: &'a Receiver<T>) -> Self {
        Self { receiver, place: WaitSlot::default() }
    }
}

impl<T> Unpin for RecvFuture<'_, T> {}

/// Ready when there is a value, or will never be one.
impl<T: DeserializeOwned> Future for RecvFuture<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.place.receive(this.receiver, context)
    }
}

impl<T> fmt::Debug for SendFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SendFuture of {:?}", self.sender)
    }
}

impl<T> fmt::Debug for RecvFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecvFuture of {:?}", self.receiver)
    }
}

/// The values of a channel as they come, made by [`Receiver::into_stream`].
#[cfg(feature = "stream")]
#[must_use = "a stream does nothing until it is polled"]
pub struct RecvStream<T> {
    receiver: Receiver<T>,
    place: WaitSlot,
    is_over: bool,
}

#[cfg(feature = "stream")]
impl<T: DeserializeOwned> Receiver<T> {
    /// Every value until the last sender is gone, as a stream for any executor; like [`iter`](Self::iter).
    pub fn into_stream(self) -> RecvStream<T> {
        RecvStream { receiver: self, place: WaitSlot::default(), is_over: false }
    }
}

#[cfg(feature = "stream")]
impl<T: DeserializeOwned> futures_core::Stream for RecvStream<T> {
    type Item = Result<T, RecvError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.is_over {
            return Poll::Ready(None);
        }
        let received = std::task::ready!(this.place.receive(&this.receiver, context));
        this.is_over = received.as_ref().is_err_and(|error| !error.is_of_one_message());
        match received {
            Err(error) if error.kind() == RecvErrorKind::Disconnected => Poll::Ready(None),
            other => Poll::Ready(Some(other)),
        }
    }
}

#[cfg(feature = "stream")]
impl<T> fmt::Debug for RecvStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecvStream of {:?}", self.receiver)
    }
}
