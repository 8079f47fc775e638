//! What an end has received ahead of its use: the rest of a batch, or what came while a two-way pipe waited for room.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::sync::Mutex;

use serde::de::DeserializeOwned;

use super::RecvError;
use super::error::RecvErrorKind;
use crate::sys;
use crate::sys::poll::Deadline;
use crate::wire::message::{self, Pending, Received, Unread};

/// Shared by the clones of an end in this process. Never locked while anybody waits.
#[derive(Debug, Default)]
pub(super) struct Inbox(Mutex<Contents>);

#[derive(Debug, Default)]
struct Contents {
    pending: VecDeque<Result<Pending, Unread>>,
    bytes: usize,
}

impl Inbox {
    pub(super) fn is_empty(&self) -> bool {
        sys::lock(&self.0).pending.is_empty()
    }

    /// In bytes.
    pub(super) fn len(&self) -> usize {
        sys::lock(&self.0).bytes
    }

    pub(super) fn put(&self, received: Result<Pending, Unread>) {
        let mut contents = sys::lock(&self.0);
        contents.bytes += received.as_ref().map_or(0, Pending::len);
        contents.pending.push_back(received);
    }

    /// The next value: from here, or else from the socket.
    pub(super) fn receive<T: DeserializeOwned>(
        &self,
        end: std::io::Result<BorrowedFd<'_>>,
        deadline: Deadline,
        nothing: RecvErrorKind,
    ) -> Result<T, RecvError> {
        let failed = |unread| RecvError::new(unread, nothing);
        if let Some(value) = self.next() {
            return value.map_err(failed);
        }
        let end = end.map_err(|error| failed(Unread::Os(error)))?;
        match message::receive(end, deadline).map_err(failed)? {
            Received::Value(value) => Ok(value),
            Received::Several(mut several) => {
                let first = several.next();
                if !several.is_empty() {
                    self.put(Ok(several));
                }
                first.unwrap_or(Err(Unread::Os(std::io::ErrorKind::InvalidData.into()))).map_err(failed)
            }
            Received::End => Err(RecvError::disconnected()),
        }
    }

    fn next<T: DeserializeOwned>(&self) -> Option<Result<T, Unread>> {
        let mut contents = sys::lock(&self.0);
        // Out of the inbox while it is decoded, which runs code of the user's that may receive too.
        let mut first = match contents.pending.pop_front()? {
            Ok(pending) => pending,
            Err(unread) => return Some(Err(unread)),
        };
        contents.bytes -= first.len();
        drop(contents);
        let value = first.next();
        if !first.is_empty() {
            let mut contents = sys::lock(&self.0);
            contents.bytes += first.len();
            contents.pending.push_front(Ok(first));
        }
        value
    }
}
