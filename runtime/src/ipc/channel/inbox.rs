//! Messages that an end has received ahead of use: the rest of a batch, or messages received by a duplex that waits to
//! send.
//!
//! All threads and futures that receive on one end in this process share an inbox:
//!
//! 1. A thread takes the *turn* to receive. Other threads wait for the turn, not for the socket.
//! 2. The thread takes the first message of the inbox, or else waits in the kernel for a datagram.
//! 3. The thread decodes one value. The rest of a batch goes back to the front of the inbox.
//! 4. The next thread takes the turn. Futures that found nothing are woken.
//!
//! Without the turn, a thread could sleep in the kernel while another one puts the rest of a batch into the inbox.

use std::collections::VecDeque;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;

use serde::de::DeserializeOwned;

use super::error::{RecvError, RecvErrorKind};
use crate::ipc::wire::message::{self, Pending, Received, Unread};
use crate::sys;
use crate::sys::poll::Deadline;

/// The mutex is never locked during a wait for a message.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    state: Mutex<InboxState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct InboxState {
    pending: VecDeque<Result<Pending, Unread>>,
    /// The memory of `pending`, in bytes.
    bytes: usize,
    /// Whether a thread has the turn. The next datagram belongs to that thread.
    is_turn_taken: bool,
    /// Threads that wait for the turn.
    waiting: usize,
    /// Futures that found nothing.
    wakers: Vec<Waker>,
}

/// The turn of a thread to receive. Dropping passes the turn on.
struct Turn<'a>(&'a Inbox);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_turn_taken = false;
        if state.waiting > 0 {
            self.0.changed.notify_all();
        }
    }
}

/// The largest number of wakers kept. Some may belong to dropped futures.
const WAKERS: usize = 64;

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, InboxState> {
        sys::lock(&self.state)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().pending.is_empty()
    }

    /// Receives one datagram into the inbox, unless a thread has the turn. Returns `false` if the inbox holds more than
    /// `max` bytes.
    pub(super) fn receive_ahead(&self, end: BorrowedFd<'_>, max: usize) -> bool {
        // Locked until the message is in the inbox: a thread that took the turn meanwhile would receive a later message
        // first.
        let mut state = self.lock();
        if state.is_turn_taken {
            drop(state);
            std::thread::yield_now();
            return true;
        }
        if state.bytes > max {
            return false;
        }
        let received = match message::receive_undecoded(end) {
            Ok(None) | Err(Unread::Os(_)) => return true,
            Ok(Some(pending)) => Ok(pending),
            Err(unread) => Err(unread),
        };
        state.bytes += received.as_ref().map_or(0, Pending::len);
        state.pending.push_back(received);
        self.notify(state);
        true
    }

    /// Puts the rest of a batch in front of all later messages.
    fn put_back(&self, rest: Pending) {
        let mut state = self.lock();
        state.bytes += rest.len();
        state.pending.push_front(Ok(rest));
        self.notify(state);
    }

    /// Wakes all threads and futures that wait for a message.
    fn notify(&self, mut state: MutexGuard<'_, InboxState>) {
        if state.waiting > 0 {
            self.changed.notify_all();
        }
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        // Unlocked, since a waker runs code of the executor.
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Keeps a waker for the next message in the inbox. The reactor watches the socket.
    pub(super) fn register(&self, waker: &Waker) {
        let mut state = self.lock();
        if state.wakers.iter().any(|known| known.will_wake(waker)) {
            return;
        }
        let surplus = if state.wakers.len() < WAKERS { Vec::new() } else { std::mem::take(&mut state.wakers) };
        state.wakers.push(waker.clone());
        drop(state);
        surplus.into_iter().for_each(Waker::wake);
    }

    /// Receives the next value, from the inbox or else from the socket.
    pub(super) fn receive<T: DeserializeOwned>(
        &self,
        end: io::Result<BorrowedFd<'_>>,
        deadline: Deadline,
        nothing: RecvErrorKind,
    ) -> Result<T, RecvError> {
        self.receive_from(end, deadline).unwrap_or_else(|unread| Err(RecvError::new(unread, nothing)))
    }

    fn receive_from<T: DeserializeOwned>(
        &self,
        end: io::Result<BorrowedFd<'_>>,
        deadline: Deadline,
    ) -> Result<Result<T, RecvError>, Unread> {
        let (first, _turn) = self.take_turn(deadline)?;
        let mut several = match first {
            Some(first) => first?,
            None => match message::receive(end.map_err(Unread::Os)?, deadline)? {
                Received::Value(value) => return Ok(Ok(value)),
                Received::Several(several) => several,
                Received::End => return Ok(Err(RecvError::disconnected())),
            },
        };
        // Unlocked but within the turn, since decoding runs code of the user.
        let value = several.next();
        if !several.is_empty() {
            self.put_back(several);
        }
        value.unwrap_or(Err(Unread::Os(io::ErrorKind::InvalidData.into()))).map(Ok)
    }

    /// Waits for the turn. Returns the first message of the inbox with the turn.
    ///
    /// A call that does not wait finds nothing while another thread has the turn: the next message belongs to that
    /// thread.
    fn take_turn(&self, deadline: Deadline) -> Result<(Option<Result<Pending, Unread>>, Turn<'_>), Unread> {
        let mut state = self.lock();
        while state.is_turn_taken {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(Unread::Os(io::ErrorKind::TimedOut.into()));
            }
            state.waiting += 1;
            state = match left {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) => self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
            state.waiting -= 1;
        }
        state.is_turn_taken = true;
        let first = state.pending.pop_front();
        state.bytes -= first.as_ref().map_or(0, |first| first.as_ref().map_or(0, Pending::len));
        Ok((first, Turn(self)))
    }
}
