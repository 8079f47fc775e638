//! Wake-ups between processes by eventfds, and waiting for many of them (eventfd(2), epoll(7)).
//!
//! An eventfd stays readable until it is cleared, so a wake-up before the wait is not lost.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Instant;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::check;
use super::fd::above_stdio;
use super::poll::Deadline;

/// Makes an eventfd.
pub(crate) fn create() -> io::Result<OwnedFd> {
    // SAFETY: eventfd takes two numbers.
    let raw = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) }.into())?;
    // SAFETY: a new descriptor that nobody else owns.
    above_stdio(unsafe { OwnedFd::from_raw_fd(raw as RawFd) })
}

/// Makes the eventfd readable. A counter that is full is readable already, so the error does not matter.
pub(crate) fn wake(eventfd: BorrowedFd<'_>) {
    let one = 1_u64.to_ne_bytes();
    // SAFETY: eight bytes that outlive the call.
    unsafe { libc::write(eventfd.as_raw_fd(), one.as_ptr().cast(), one.len()) };
}

/// Makes the eventfd unreadable.
pub(crate) fn clear(eventfd: BorrowedFd<'_>) {
    let mut count = [0_u8; 8];
    // SAFETY: eight bytes that outlive the call.
    unsafe { libc::read(eventfd.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
}

/// A set of descriptors to wait for, each under a number.
#[derive(Debug)]
pub(crate) struct Poller(Epoll);

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?))
    }

    /// Adds a descriptor that is ready while it is readable.
    pub(crate) fn add(&self, fd: impl AsFd, number: u64) -> io::Result<()> {
        Ok(self.0.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, number))?)
    }

    /// Removes a descriptor. Closing it would do so too, but only with the last descriptor of its open file, which a
    /// copy of the process may have.
    pub(crate) fn remove(&self, fd: impl AsFd) {
        let _ = self.0.delete(fd);
    }

    /// Waits until a descriptor is ready or the deadline passes. Returns the numbers of the ready ones.
    pub(crate) fn wait(&self, deadline: Deadline) -> io::Result<Vec<u64>> {
        let mut events = [EpollEvent::empty(); 32];
        let timeout = match deadline {
            None => EpollTimeout::NONE,
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                // Rounded up, or the last millisecond would be a busy loop.
                EpollTimeout::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(EpollTimeout::MAX)
            }
        };
        match self.0.wait(&mut events, timeout) {
            Ok(count) => Ok(events[..count].iter().map(EpollEvent::data).collect()),
            Err(nix::Error::EINTR) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Readable while a descriptor of the set is ready (epoll(7)).
impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.0.as_fd()
    }
}
