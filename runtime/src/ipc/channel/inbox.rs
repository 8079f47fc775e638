//! What an end has received ahead of its use: the rest of a batch, or what came while a two-way pipe waited for room.
//!
//! All threads and futures that receive on the same end in this process take from here first. One thread at a time waits in the
//! kernel, the others for that one: it may come back with more than it wants itself.

use std::collections::VecDeque;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;

use serde::de::DeserializeOwned;

use super::RecvError;
use super::error::RecvErrorKind;
use crate::ipc::wire::message::{self, Pending, Received, Unread};
use crate::sys;
use crate::sys::poll::Deadline;

/// Never locked while anybody waits for a message.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    contents: Mutex<Contents>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Contents {
    pending: VecDeque<Result<Pending, Unread>>,
    bytes: usize,
    /// Whether it is a thread's turn: the next message is its, and not to be taken in.
    is_awaited: bool,
    /// Threads that wait for that one.
    waiting: usize,
    /// Futures that found nothing.
    wakers: Vec<Waker>,
}

/// A thread's turn to receive, which the next one has when it is given up.
struct ReaderSlot<'a>(&'a Inbox);

impl Drop for ReaderSlot<'_> {
    fn drop(&mut self) {
        let mut contents = self.0.lock();
        contents.is_awaited = false;
        if contents.waiting > 0 {
            self.0.changed.notify_all();
        }
    }
}

/// Most wakers that are kept: some may be of futures that are gone.
const WAKERS: usize = 64;

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Contents> {
        sys::lock(&self.contents)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().pending.is_empty()
    }

    /// Takes in what has come, if a thread is not waiting for it; `false` if there are more than `max` bytes here already.
    pub(super) fn take_in(&self, end: BorrowedFd<'_>, max: usize) -> bool {
        // Locked all the while, which is not long: a thread that began to wait meanwhile would get the message behind this one.
        let mut contents = self.lock();
        if contents.is_awaited {
            drop(contents);
            std::thread::yield_now();
            return true;
        }
        if contents.bytes > max {
            return false;
        }
        let received = match message::receive_undecoded(end) {
            Ok(None) | Err(Unread::Os(_)) => return true,
            Ok(Some(pending)) => Ok(pending),
            Err(unread) => Err(unread),
        };
        contents.bytes += received.as_ref().map_or(0, Pending::len);
        contents.pending.push_back(received);
        self.tell(contents);
        true
    }

    /// Keeps the rest of a batch, before anything that has come after it.
    fn keep(&self, rest: Pending) {
        let mut contents = self.lock();
        contents.bytes += rest.len();
        contents.pending.push_front(Ok(rest));
        self.tell(contents);
    }

    /// Tells everybody who waits that there is something here.
    fn tell(&self, mut contents: MutexGuard<'_, Contents>) {
        if contents.waiting > 0 {
            self.changed.notify_all();
        }
        let wakers = std::mem::take(&mut contents.wakers);
        drop(contents);
        // Without the lock: that runs code of executors.
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Wakes a future when there is something here; the socket it watches itself.
    pub(super) fn note(&self, waker: &Waker) {
        let mut contents = self.lock();
        if contents.wakers.iter().any(|known| known.will_wake(waker)) {
            return;
        }
        let surplus = if contents.wakers.len() < WAKERS { Vec::new() } else { std::mem::take(&mut contents.wakers) };
        contents.wakers.push(waker.clone());
        drop(contents);
        surplus.into_iter().for_each(Waker::wake);
    }

    /// The next value: from here, or else from the socket.
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
        let (first, _place) = self.first_in_line(deadline)?;
        let mut several = match first {
            Some(first) => first?,
            None => match message::receive(end.map_err(Unread::Os)?, deadline)? {
                Received::Value(value) => return Ok(Ok(value)),
                Received::Several(several) => several,
                Received::End => return Ok(Err(RecvError::disconnected())),
            },
        };
        // Out of the inbox, and in this thread's turn: decoding runs code of the user's.
        let value = several.next();
        if !several.is_empty() {
            self.keep(several);
        }
        value.unwrap_or(Err(Unread::Os(io::ErrorKind::InvalidData.into()))).map(Ok)
    }

    /// Waits for this thread's turn; what is here by then.
    ///
    /// Whoever looks without waiting while another has the turn finds nothing: the next message is that one's.
    fn first_in_line(&self, deadline: Deadline) -> Result<(Option<Result<Pending, Unread>>, ReaderSlot<'_>), Unread> {
        let mut contents = self.lock();
        while contents.is_awaited {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(Unread::Os(io::ErrorKind::TimedOut.into()));
            }
            contents.waiting += 1;
            contents = match left {
                None => self.changed.wait(contents).unwrap_or_else(PoisonError::into_inner),
                Some(left) => self.changed.wait_timeout(contents, left).unwrap_or_else(PoisonError::into_inner).0,
            };
            contents.waiting -= 1;
        }
        contents.is_awaited = true;
        let first = contents.pending.pop_front();
        contents.bytes -= first.as_ref().map_or(0, |first| first.as_ref().map_or(0, Pending::len));
        Ok((first, ReaderSlot(self)))
    }
}
