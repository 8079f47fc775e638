//! Waiting for several things at once: receivers, children, anything with a descriptor.

use std::fs::File;
use std::io::{self, PipeReader, Stdin};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::time::Duration;

use super::{Duplex, Receiver};
use crate::error::Error;
use crate::ipc::fd::Fd;
use crate::sys::poll::{self, Interest};

/// What [`wait`] can wait for: a channel's receiving end, a [`Process`](crate::Process), a file that can be polled.
pub trait Waitable {
    /// What becomes readable when there is something.
    ///
    /// # Errors
    /// If this process has no such descriptor, being a forked copy that was not given it.
    fn descriptor(&self) -> io::Result<BorrowedFd<'_>>;

    /// Whether there is something already that the descriptor does not tell of.
    fn is_ready(&self) -> bool {
        false
    }
}

/// Waits until at least one of `sources` has something for this process, and says which, by their places.
///
/// A receiver is ready when it has a message or has lost its last sender, a process when it has ended. `None` waits without
/// limit; when the time is over, the result is empty. Without sources there is nothing to wait for, and the result is empty
/// at once. What is ready may be gone when this process gets to it, if others receive on the same channel:
/// take it by [`try_recv`](Receiver::try_recv).
///
/// # Errors
/// What poll(2) says: more descriptors than this process may open, no memory.
///
/// # Example
/// ```
/// # offspring::guard();
/// use std::time::Duration;
/// use offspring::{channel, wait};
///
/// let (_numbers, no_number) = channel::<u64>()?;
/// let (words, word) = channel::<String>()?;
/// words.send("ready".to_owned())?;
/// assert_eq!(wait(&[&no_number, &word], Some(Duration::from_secs(1)))?, [1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: poll(2).
pub fn wait(sources: &[&dyn Waitable], limit: Option<Duration>) -> Result<Vec<usize>, Error> {
    if sources.is_empty() {
        return Ok(Vec::new());
    }
    let failed = |error| Error::os("cannot wait", error);
    let known: Vec<bool> = sources.iter().map(|source| source.is_ready()).collect();
    let limit = if known.contains(&true) { Some(Duration::ZERO) } else { limit };
    let descriptors = sources.iter().map(|source| Ok((source.descriptor()?, Interest::Read)));
    let descriptors = descriptors.collect::<io::Result<Vec<_>>>().map_err(failed)?;
    let ready = poll::ready(&descriptors, limit.and_then(poll::deadline_in)).map_err(failed)?;
    let either = known.into_iter().zip(ready).map(|(known, polled)| known || polled);
    Ok(either.enumerate().filter(|(_, ready)| *ready).map(|(place, _)| place).collect())
}

impl<T> Waitable for Receiver<T> {
    fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        self.end().fd()
    }

    fn is_ready(&self) -> bool {
        !self.inbox().is_empty()
    }
}

impl<S, R> Waitable for Duplex<S, R> {
    fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        self.end().fd()
    }

    fn is_ready(&self) -> bool {
        !self.inbox().is_empty()
    }
}

impl<T: AsFd> Waitable for Fd<T> {
    fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        Ok(self.as_fd())
    }
}

macro_rules! waitable {
    ($($file:ty),*) => {
        $(impl Waitable for $file {
            fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
                Ok(self.as_fd())
            }
        })*
    };
}

waitable!(
    OwnedFd,
    BorrowedFd<'_>,
    File,
    PipeReader,
    Stdin,
    UnixStream,
    UnixDatagram,
    UnixListener,
    TcpStream,
    TcpListener,
    UdpSocket
);
