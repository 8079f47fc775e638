//! One end of a channel: a socket, shared by clones in this process, and passed to other processes as a descriptor.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ipc::reactor::Source;
use crate::ipc::wire::fds;
use crate::sys::fork_private::ForkPrivateFd;
use crate::sys::poll::Interest;
use crate::sys::socket;

/// A socket of a channel. The descriptor closes with the last clone in this process.
#[derive(Clone, Debug)]
pub(super) struct End(Arc<ForkPrivateFd>);

impl End {
    pub(super) fn new(socket: std::os::fd::OwnedFd) -> Self {
        Self(Arc::new(ForkPrivateFd::new_end(socket)))
    }

    /// Returns the descriptor.
    ///
    /// # Errors
    /// `NotConnected`: this process is a forked copy, and the end is not among the task's arguments.
    pub(super) fn fd(&self) -> std::io::Result<BorrowedFd<'_>> {
        self.0.fd()
    }

    /// Returns the descriptor.
    ///
    /// # Panics
    /// In a forked copy of the process, for an end that is not among the task's arguments.
    pub(super) fn borrowed(&self) -> BorrowedFd<'_> {
        self.0.get().expect("an end of a channel in a process that was not given it")
    }

    /// A source for the reactor, ready for receiving.
    pub(super) fn readable(&self) -> Arc<EndSource> {
        Arc::new(EndSource(Arc::clone(&self.0), Interest::Read))
    }

    /// A source for the reactor, ready for sending.
    pub(super) fn writable(&self) -> Arc<EndSource> {
        Arc::new(EndSource(Arc::clone(&self.0), Interest::Write))
    }
}

impl Serialize for End {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fds::attach(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for End {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let descriptor = fds::share_private(deserializer)?;
        if !descriptor.fd().is_ok_and(socket::is_link) {
            return Err(D::Error::custom("a descriptor that should be the end of a channel is not"));
        }
        Ok(Self(descriptor))
    }
}

/// An end with the direction that a future waits for.
pub(super) struct EndSource(Arc<ForkPrivateFd>, Interest);

impl Source for EndSource {
    fn interest(&self) -> Option<(BorrowedFd<'_>, Interest)> {
        Some((self.0.get()?, self.1))
    }
}
