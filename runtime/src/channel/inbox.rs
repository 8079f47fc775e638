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
use crate::sys;
use crate::sys::poll::Deadline;
use crate::wire::message::{self, Pending, Received, Unread};

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
    /// Whether a thread waits in the kernel: the next message is its, and not to be taken in.
    is_awaited: bool,
    /// Threads that wait for that one.
    waiting: usize,
    /// Futures that found nothing.
    wakers: Vec<Waker>,
}

/// A thread's place in the kernel's queue, which the next one takes when it is given up.
struct Place<'a>(&'a Inbox);

impl Drop for Place<'_> {
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

    /// In bytes.
    pub(super) fn len(&self) -> usize {
        self.lock().bytes
    }

    /// Whether a thread waits for the next message.
    pub(super) fn is_awaited(&self) -> bool {
        self.lock().is_awaited
    }

    pub(super) fn put(&self, received: Result<Pending, Unread>) {
        let mut contents = self.lock();
        contents.bytes += received.as_ref().map_or(0, Pending::len);
        contents.pending.push_back(received);
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
        let place = match self.next_or_place(deadline) {
            Ok(value) => return value.map(Ok),
            Err(place) => place,
        };
        match message::receive(end.map_err(Unread::Os)?, deadline)? {
            Received::Value(value) => Ok(Ok(value)),
            Received::Several(mut several) => {
                let first = several.next();
                if !several.is_empty() {
                    self.put(Ok(several));
                }
                drop(place);
                first.unwrap_or(Err(Unread::Os(io::ErrorKind::InvalidData.into()))).map(Ok)
            }
            Received::End => Ok(Err(RecvError::disconnected())),
        }
    }

    /// What is here; or if nothing is, the place of who waits for more. No place is needed to look at the socket without waiting.
    fn next_or_place<T: DeserializeOwned>(&self, deadline: Deadline) -> Result<Result<T, Unread>, Option<Place<'_>>> {
        let mut contents = self.lock();
        loop {
            if let Some(value) = self.take(&mut contents) {
                drop(contents);
                return Ok(value.and_then(|first| self.open(first)));
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(None);
            }
            if !contents.is_awaited {
                contents.is_awaited = true;
                return Err(Some(Place(self)));
            }
            contents.waiting += 1;
            contents = match left {
                None => self.changed.wait(contents).unwrap_or_else(PoisonError::into_inner),
                Some(left) => self.changed.wait_timeout(contents, left).unwrap_or_else(PoisonError::into_inner).0,
            };
            contents.waiting -= 1;
        }
    }

    fn take(&self, contents: &mut Contents) -> Option<Result<Pending, Unread>> {
        let first = contents.pending.pop_front()?;
        contents.bytes -= first.as_ref().map_or(0, Pending::len);
        Some(first)
    }

    /// Decodes the first value, out of the inbox meanwhile: that runs code of the user's, which may receive too.
    fn open<T: DeserializeOwned>(&self, mut first: Pending) -> Result<T, Unread> {
        let value = first.next();
        if !first.is_empty() {
            let mut contents = self.lock();
            contents.bytes += first.len();
            contents.pending.push_front(Ok(first));
            self.tell(contents);
        }
        value.unwrap_or(Err(Unread::Os(io::ErrorKind::InvalidData.into())))
    }
}
