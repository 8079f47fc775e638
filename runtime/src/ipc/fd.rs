//! Open files in arguments, results and messages.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ipc::wire::fds::{self, ValueFd};
use crate::sys::fd;

/// Anything that is a descriptor (`File`, `OwnedFd`, a socket, an end of a pipe), in a form that can be passed to another
/// process.
///
/// The receiver gets a descriptor of its own for the same open file: position and flags are shared with the sender's, as
/// after `dup`. What a task is given under the method `fork` is a descriptor of its own too, so that closing it means the
/// same under every start method.
///
/// # Errors
/// serde's errors, when it is serialised where no descriptor can go (anywhere but in an argument, a result or a message),
/// when this process may not open another descriptor, or when a hostile sender claims one that it has not sent. A receiver
/// that may open no more loses the message ([`RecvErrorKind::DescriptorsLost`](crate::RecvErrorKind::DescriptorsLost)).
///
/// # Example
/// ```no_run
/// use std::fs::File;
/// use std::io::Read;
/// use offspring::{Fd, child_task};
///
/// #[child_task(report)]
/// fn count(mut file: Fd<File>) -> std::io::Result<usize> {
///     let mut text = String::new();
///     file.read_to_string(&mut text)?;
///     Ok(text.lines().count())
/// }
///
/// #[offspring::process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let lines = count::start(Fd::new(File::open("/etc/hosts")?))?.join()??;
///     println!("{lines}");
///     Ok(())
/// }
/// ```
///
/// Source: unix(7) `SCM_RIGHTS`, fcntl(2) `F_DUPFD_CLOEXEC`.
pub struct Fd<T>(T);

impl<T> Fd<T> {
    /// Wraps it.
    pub fn new(file: T) -> Self {
        Self(file)
    }

    /// Unwraps it.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> From<T> for Fd<T> {
    fn from(file: T) -> Self {
        Self(file)
    }
}

impl<T> Deref for Fd<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Fd<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: AsFd> AsFd for Fd<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl<T: fmt::Debug> fmt::Debug for Fd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fd").field(&self.0).finish()
    }
}

/// The duplicate that travels is nobody else's, since the original goes on being used.
impl<T: AsFd> Serialize for Fd<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let duplicate = fd::duplicate(self.0.as_fd());
        let duplicate =
            duplicate.map_err(|error| S::Error::custom(format_args!("cannot duplicate a descriptor: {error}")))?;
        fds::attach(ValueFd::private(duplicate), serializer)
    }
}

impl<'de, T: From<OwnedFd>> Deserialize<'de> for Fd<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        fds::own(deserializer).map(|fd| Self(fd.into()))
    }
}
