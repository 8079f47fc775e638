//! A doorbell: wakes a process that waits for messages, on a processor of its own.
//!
//! The kernel takes a message on a socket for a sign that its sender is about to sleep, and so wakes the receiver on the
//! sender's processor, to run there afterwards (the `sync` hint of its wake-ups). A sender that has work of its own to do
//! meanwhile rings a bell instead (eventfd(2), which gives no such hint), and the receiver sleeps on nothing else.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::poll::{PollFd, PollFlags, PollTimeout};

use super::{check, fd, retry};

/// A bell, which several processes may hold.
#[derive(Debug)]
pub(crate) struct Bell(OwnedFd);

impl Bell {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: eventfd takes two numbers.
        let raw = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) }.into())?;
        // SAFETY: a new descriptor that nobody else owns.
        Ok(Self(fd::above_stdio(unsafe { OwnedFd::from_raw_fd(raw as RawFd) })?))
    }

    /// Rings. A bell that has rung too often to count rings already.
    pub(crate) fn ring(&self) {
        let once = 1_u64.to_ne_bytes();
        // SAFETY: the buffer has the eight bytes that an eventfd takes.
        unsafe { libc::write(self.0.as_raw_fd(), once.as_ptr().cast(), once.len()) };
    }

    /// Waits until it rings, or until the other end of `link` is gone; what is in the link wakes nobody.
    pub(crate) fn wait(&self, link: BorrowedFd<'_>) -> io::Result<()> {
        let mut polled = [
            PollFd::new(self.0.as_fd(), PollFlags::POLLIN),
            PollFd::new(link, PollFlags::empty()),
        ];
        retry(|| Ok(nix::poll::poll(&mut polled, PollTimeout::NONE)?))?;
        let mut count = [0; 8];
        // SAFETY: the buffer has the eight bytes that an eventfd gives.
        unsafe { libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
        Ok(())
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Bell {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}
