//! One end of a channel: a socket that is shared by its clones and passed to other processes.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ipc::reactor::Source;
use crate::ipc::wire::fds;
use crate::sys::fork_private::ForkPrivateFd;
use crate::sys::poll::Interest;
use crate::sys::socket;

/// The descriptor closes with the last clone in this process; the other side sees it when all processes' are closed.
#[derive(Clone, Debug)]
pub(super) struct End(Arc<ForkPrivateFd>);

impl End {
    pub(super) fn new(socket: std::os::fd::OwnedFd) -> Self {
        Self(Arc::new(ForkPrivateFd::new_end(socket)))
    }

    /// # Errors
    /// `NotConnected` in a copy of the process that was not given this end.
    pub(super) fn fd(&self) -> std::io::Result<BorrowedFd<'_>> {
        self.0.fd()
    }

    /// # Panics
    /// In a forked copy of the process that was not given this end.
    pub(super) fn borrowed(&self) -> BorrowedFd<'_> {
        self.0.get().expect("an end of a channel in a process that was not given it")
    }

    pub(super) fn readable(&self) -> Arc<Waiting> {
        Arc::new(Waiting(Arc::clone(&self.0), Interest::Read))
    }

    pub(super) fn writable(&self) -> Arc<Waiting> {
        Arc::new(Waiting(Arc::clone(&self.0), Interest::Write))
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

/// What a future waits for.
pub(super) struct Waiting(Arc<ForkPrivateFd>, Interest);

impl Source for Waiting {
    fn interest(&self) -> Option<(BorrowedFd<'_>, Interest)> {
        Some((self.0.get()?, self.1))
    }
}
