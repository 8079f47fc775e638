//! Open files in arguments, results and messages.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ipc::wire::fds::{self, ValueFd};
use crate::sys::fd;

/// An open file in a form that can be passed to another process: a `File`, an `OwnedFd`, a socket, an end of a pipe.
///
/// The receiver gets a descriptor for the same open file. Position and flags are shared with the sender, as after
/// `dup`. A task under the start method `fork` gets a descriptor of its own too, so that closing means the same under
/// every start method.
///
/// # Serialisation
///
/// Serialising duplicates the descriptor, and the original stays open. Errors of the serializer or deserializer:
///
/// - The value is outside of an argument, a result or a message.
/// - This process may not open another descriptor (`RLIMIT_NOFILE`).
/// - A hostile sender names a descriptor that was not sent.
///
/// A receiver that may open no more descriptors loses the message:
/// [`RecvErrorKind::DescriptorsLost`](crate::RecvErrorKind::DescriptorsLost). A message carries up to 246 descriptors.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
///
/// use offspring::{Fd, child_task};
///
/// #[child_task(report)]
/// fn read(mut file: Fd<std::io::PipeReader>) -> std::io::Result<String> {
///     let mut text = String::new();
///     file.read_to_string(&mut text)?;
///     Ok(text)
/// }
///
/// #[offspring::process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let (reader, mut writer) = std::io::pipe()?;
///     writer.write_all(b"hello")?;
///     drop(writer);
///     let child = read::start(Fd::new(reader))?;
///     assert_eq!(child.join()??, "hello");
///     Ok(())
/// }
/// ```
///
/// Source: [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html) `SCM_RIGHTS`,
/// [fcntl(2)](https://man7.org/linux/man-pages/man2/fcntl.2.html) `F_DUPFD_CLOEXEC`.
pub struct Fd<T>(T);

impl<T> Fd<T> {
    /// Wraps a file.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::fs::File;
    ///
    /// use offspring::Fd;
    ///
    /// let file = Fd::new(File::open("/dev/null")?);
    /// assert_eq!(file.metadata()?.len(), 0); // methods of the file
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new(file: T) -> Self {
        Self(file)
    }

    /// Returns the file.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::fs::File;
    ///
    /// use offspring::Fd;
    ///
    /// let file: File = Fd::new(File::open("/dev/null")?).into_inner();
    /// # Ok::<(), std::io::Error>(())
    /// ```
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

/// Duplicates the descriptor, since the original stays in use.
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
