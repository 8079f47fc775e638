//! Descriptors that no copy of this process is to have: its part in its children.

use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

use super::fork::FreshCopy;
use super::registry::Registry;

/// A descriptor of this process alone.
#[derive(Debug)]
pub(crate) struct ForkPrivateFd {
    raw: RawFd,
    /// What it was entered under.
    count: u32,
}

static FORK_PRIVATE: Registry = Registry::new();

impl ForkPrivateFd {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        let raw = fd.into_raw_fd();
        Self { raw, count: FORK_PRIVATE.enter(raw) }
    }

    /// The descriptor, unless this process is a copy that has closed it.
    pub(crate) fn get(&self) -> Option<BorrowedFd<'_>> {
        // SAFETY: it is open until `release` or `close_all`; the first needs the last borrow gone, the second a copy of
        // the process that has just been made, in which nobody borrows: no borrow leaves this crate.
        self.is_open().then(|| unsafe { BorrowedFd::borrow_raw(self.raw) })
    }

    /// The descriptor itself, which copies of the process have from now on; `None` as for [`get`](Self::get).
    pub(crate) fn into_owned(self) -> Option<OwnedFd> {
        let owned = self.release();
        std::mem::forget(self);
        owned
    }

    fn is_open(&self) -> bool {
        self.count == FORK_PRIVATE.count()
    }

    /// Called once.
    fn release(&self) -> Option<OwnedFd> {
        if !self.is_open() {
            return None;
        }
        FORK_PRIVATE.strike_out(self.raw);
        // SAFETY: this object has owned it, and is gone after this.
        Some(unsafe { OwnedFd::from_raw_fd(self.raw) })
    }
}

impl Drop for ForkPrivateFd {
    fn drop(&mut self) {
        drop(self.release());
    }
}

/// Closes, in a copy of the process, what the original goes on using.
pub(crate) fn close_all(copy: &FreshCopy) {
    FORK_PRIVATE.take(copy).close_but(&FORK_PRIVATE);
}
