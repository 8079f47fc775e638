//! Sending and receiving as futures, which wait through the one reactor of the program.
//!
//! A poll tries the operation without waiting. If nothing is possible, the future registers with the
//! [reactor](crate::ipc::reactor), whose thread polls the socket and wakes the task. A future registers in the inbox of
//! a receiver too, since a message may arrive there through another thread.
//!
//! The methods that make futures are here, so that `sender` and `receiver` know nothing of futures.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::end::EndSource;
use super::error::{RecvError, RecvErrorKind, SendError, SendErrorKind};
use super::receiver::Receiver;
use super::sender::Sender;
use crate::ipc::reactor::Watch;
use crate::ipc::wire::message::{Unread, Unsent};

/// The registration of a future in the reactor, made at the first wait.
#[derive(Default)]
struct WaitSlot(Option<(Watch, Arc<EndSource>)>);

impl WaitSlot {
    fn wait(&mut self, waker: &Waker, source: impl FnOnce() -> Arc<EndSource>) -> std::io::Result<()> {
        let (watch, source) = self.0.get_or_insert_with(|| (Watch::new(), source()));
        watch.wake(source, waker)
    }

    /// Receives a value, or registers for the next message.
    fn receive<T: DeserializeOwned>(
        &mut self,
        receiver: &Receiver<T>,
        context: &mut Context<'_>,
    ) -> Poll<Result<T, RecvError>> {
        match receiver.try_recv() {
            Err(error) if error.kind() == RecvErrorKind::Empty => {}
            done => return Poll::Ready(done),
        }
        receiver.inbox().register(context.waker());
        // A message that came into the inbox before the registration wakes no future.
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

impl<T: Serialize> Sender<T> {
    /// Sends a value, as a future for any executor. Ready when the message is in the channel.
    ///
    /// The first poll that has to wait starts one helper thread for the whole program. The start method `fork` is
    /// refused from then on.
    ///
    /// # Cancel safety
    ///
    /// A dropped future has sent the value only if a poll returned `Ready`. A value not sent is dropped with the
    /// future.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and:
    ///
    /// - [`Os`](SendErrorKind::Os): the helper thread cannot be started.
    ///
    /// # Panics
    ///
    /// The future panics when polled after `Ready`.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::channel;
    /// # fn block_on<T>(future: impl Future<Output = T>) -> T {
    /// #     let mut future = std::pin::pin!(future);
    /// #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    /// #     loop {
    /// #         if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) { return output }
    /// #         std::thread::yield_now();
    /// #     }
    /// # }
    ///
    /// let (sender, receiver) = channel()?;
    /// block_on(async { sender.send_async(7).await })?;
    /// assert_eq!(receiver.recv()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_async(&self, value: T) -> SendFuture<'_, T> {
        SendFuture { sender: self, value: Some(value), slot: WaitSlot::default() }
    }
}

/// A send in progress. Made by [`Sender::send_async`].
///
/// A dropped future has sent the value only if a poll returned `Ready`.
///
/// # Examples
///
/// A future that is dropped at a full channel sends nothing:
///
/// ```
/// use std::pin::pin;
/// use std::task::{Context, Waker};
///
/// use offspring::channel;
///
/// let (sender, receiver) = channel()?;
/// while sender.try_send(0).is_ok() {}
/// {
///     let mut future = pin!(sender.send_async(1));
///     assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
/// }
/// drop(sender);
/// assert!(receiver.iter().flatten().all(|n| n == 0));
/// # Ok::<(), offspring::Error>(())
/// ```
#[must_use = "a future does nothing until it is polled"]
pub struct SendFuture<'a, T> {
    sender: &'a Sender<T>,
    value: Option<T>,
    slot: WaitSlot,
}

/// No field is ever pinned.
impl<T> Unpin for SendFuture<'_, T> {}

/// Ready when the value is in the channel.
///
/// # Panics
///
/// When polled after `Ready`.
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
        match this.slot.wait(context.waker(), || this.sender.end().writable()) {
            Ok(()) => {
                this.value = Some(value);
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(SendError::new(value, Unsent::Os(error), SendErrorKind::Full))),
        }
    }
}

impl<T: DeserializeOwned> Receiver<T> {
    /// Receives a value, as a future for any executor.
    ///
    /// The first poll that has to wait starts one helper thread for the whole program. The start method `fork` is
    /// refused from then on.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop at any time, in a `select!` for instance: no message is lost.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and:
    ///
    /// - [`Os`](RecvErrorKind::Os): the helper thread cannot be started.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::channel;
    /// # fn block_on<T>(future: impl Future<Output = T>) -> T {
    /// #     let mut future = std::pin::pin!(future);
    /// #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    /// #     loop {
    /// #         if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) { return output }
    /// #         std::thread::yield_now();
    /// #     }
    /// # }
    ///
    /// let (sender, receiver) = channel()?;
    /// sender.send(7)?;
    /// assert_eq!(block_on(async { receiver.recv_async().await })?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recv_async(&self) -> RecvFuture<'_, T> {
        RecvFuture { receiver: self, slot: WaitSlot::default() }
    }
}

/// A receive in progress. Made by [`Receiver::recv_async`].
///
/// Safe to drop at any time: no message is lost.
///
/// # Examples
///
/// ```
/// use std::pin::pin;
/// use std::task::{Context, Poll, Waker};
///
/// use offspring::channel;
///
/// let (sender, receiver) = channel()?;
/// let mut context = Context::from_waker(Waker::noop());
/// {
///     let mut future = pin!(receiver.recv_async());
///     assert!(future.as_mut().poll(&mut context).is_pending());
///     sender.send(7)?;
/// } // dropped: the message stays in the channel
/// assert_eq!(receiver.recv()?, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a future does nothing until it is polled"]
pub struct RecvFuture<'a, T> {
    receiver: &'a Receiver<T>,
    slot: WaitSlot,
}

/// No field is ever pinned.
impl<T> Unpin for RecvFuture<'_, T> {}

/// Ready with a value, and at the end of the channel.
impl<T: DeserializeOwned> Future for RecvFuture<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.slot.receive(this.receiver, context)
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

/// A stream of all values of a channel. Made by [`Receiver::into_stream`].
///
/// A dropped stream loses no message.
///
/// # Examples
///
/// ```
/// use std::future::poll_fn;
/// use std::pin::Pin;
///
/// use futures_core::Stream;
/// use offspring::channel;
/// # fn block_on<T>(future: impl Future<Output = T>) -> T {
/// #     let mut future = std::pin::pin!(future);
/// #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
/// #     loop {
/// #         if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) { return output }
/// #         std::thread::yield_now();
/// #     }
/// # }
///
/// let (sender, receiver) = channel()?;
/// sender.send_all([1, 2, 3])?;
/// drop(sender);
/// let mut numbers = receiver.into_stream();
/// let mut sum = 0;
/// block_on(async {
///     // With the `StreamExt` of an executor: `numbers.next().await`.
///     while let Some(number) = poll_fn(|context| Pin::new(&mut numbers).poll_next(context)).await {
///         sum += number.expect("a number");
///     }
/// });
/// assert_eq!(sum, 6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[cfg(feature = "stream")]
#[must_use = "a stream does nothing until it is polled"]
pub struct RecvStream<T> {
    receiver: Receiver<T>,
    slot: WaitSlot,
    is_over: bool,
}

#[cfg(feature = "stream")]
impl<T: DeserializeOwned> Receiver<T> {
    /// Returns a stream of all values until the last sender is gone, for any executor.
    ///
    /// The asynchronous form of [`iter`](Self::iter), with the same items. Waits as [`recv_async`](Self::recv_async)
    /// does.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::pin::Pin;
    /// use std::task::{Context, Poll, Waker};
    ///
    /// use futures_core::Stream;
    /// use offspring::channel;
    ///
    /// let (sender, receiver) = channel()?;
    /// sender.send(7)?;
    /// drop(sender);
    /// let mut values = receiver.into_stream();
    /// let mut context = Context::from_waker(Waker::noop());
    /// let first = Pin::new(&mut values).poll_next(&mut context);
    /// assert!(matches!(first, Poll::Ready(Some(Ok(7)))));
    /// let end = Pin::new(&mut values).poll_next(&mut context);
    /// assert!(matches!(end, Poll::Ready(None)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg_attr(docsrs, doc(cfg(feature = "stream")))]
    pub fn into_stream(self) -> RecvStream<T> {
        RecvStream { receiver: self, slot: WaitSlot::default(), is_over: false }
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
        let received = std::task::ready!(this.slot.receive(&this.receiver, context));
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
