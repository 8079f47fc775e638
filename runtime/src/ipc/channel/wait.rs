//! Waiting for several sources at once: receivers, children, files.

use std::fs::File;
use std::io::{self, PipeReader, Stdin};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::time::Duration;

use super::duplex::Duplex;
use super::receiver::Receiver;
use crate::error::Error;
use crate::ipc::fd::Fd;
use crate::sys::poll::{self, Interest};

/// A source that [`wait`] can wait for: a receiving end of a channel, a [`Process`](crate::Process), or an open file.
///
/// | source | ready |
/// | --- | --- |
/// | [`Receiver`], [`Duplex`] | a message is there, or no process has the other end |
/// | [`Process`](crate::Process) | the child has ended |
/// | a file, socket or pipe | a read would not wait |
///
/// The trait is sealed: no other type can implement it. Any other descriptor is a source as a [`BorrowedFd`], an
/// [`OwnedFd`], or in an [`Fd`].
///
/// # Examples
///
/// ```
/// use std::io::Write;
/// use std::os::fd::AsFd;
///
/// use offspring::{Waitable, channel, wait};
///
/// let (_sender, receiver) = channel::<u32>()?;
/// let (reader, mut writer) = std::io::pipe()?;
/// writer.write_all(b"data")?;
/// let sources: [&dyn Waitable; 2] = [&receiver, &reader.as_fd()];
/// assert_eq!(wait(&sources, None)?, [1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// ```compile_fail
/// struct Foreign;
///
/// impl offspring::Waitable for Foreign {}
/// ```
pub trait Waitable: PollSource {}

/// The methods of [`Waitable`], out of reach for users, so that no foreign type can be a source.
pub trait PollSource {
    /// Returns the descriptor that becomes readable.
    ///
    /// # Errors
    /// `NotConnected`: this process is a forked copy without the descriptor.
    fn descriptor(&self) -> io::Result<BorrowedFd<'_>>;

    /// Whether the source is ready without the descriptor being readable.
    fn is_ready(&self) -> bool {
        false
    }
}

/// Waits until at least one of `sources` is ready. Returns the positions of all ready sources, in ascending order.
///
/// The result is empty after `limit`, and at once without sources. `None` waits without limit.
///
/// A ready message may be gone at the next call, if other receivers take from the same channel. Take the message with
/// [`try_recv`](Receiver::try_recv), which does not wait.
///
/// # Errors
///
/// - [`LimitReached`](crate::ErrorKind::LimitReached): the kernel has no memory for the wait.
/// - [`Os`](crate::ErrorKind::Os): more sources than this process may open descriptors, or a source that this forked
///   copy of the process was not given.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use offspring::{channel, wait};
///
/// let (_numbers, no_number) = channel::<u64>()?;
/// let (words, word) = channel::<String>()?;
/// words.send("ready".to_owned())?;
/// assert_eq!(wait(&[&no_number, &word], Some(Duration::from_secs(1)))?, [1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// For a child and its messages at once:
///
/// ```
/// use offspring::{Sender, channel, child_task, wait};
///
/// #[child_task]
/// fn report_progress(progress: Sender<u8>) {
///     for percent in [50, 100] {
///         progress.send(percent).expect("the parent receives");
///     }
/// }
///
/// #[offspring::process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let (sender, progress) = channel()?;
///     let child = report_progress::start(sender)?;
///     let mut seen = Vec::new();
///     while !wait(&[&progress, &child], None)?.is_empty() {
///         match progress.try_recv() {
///             Ok(percent) => seen.push(percent),
///             Err(_) => break, // the child has ended, and no message is left
///         }
///     }
///     assert_eq!(seen, [50, 100]);
///     child.join()?;
///     Ok(())
/// }
/// ```
///
/// Source: [poll(2)](https://man7.org/linux/man-pages/man2/poll.2.html).
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
    Ok(either.enumerate().filter(|(_, ready)| *ready).map(|(position, _)| position).collect())
}

/// Ready with a message, and when no process has a sender.
impl<T> Waitable for Receiver<T> {}

impl<T> PollSource for Receiver<T> {
    fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        self.end().fd()
    }

    fn is_ready(&self) -> bool {
        !self.inbox().is_empty()
    }
}

/// Ready with a message, and when no process has the other end.
impl<S, R> Waitable for Duplex<S, R> {}

impl<S, R> PollSource for Duplex<S, R> {
    fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        self.end().fd()
    }

    fn is_ready(&self) -> bool {
        !self.inbox().is_empty()
    }
}

/// Ready when a read would not wait.
impl<T: AsFd> Waitable for Fd<T> {}

impl<T: AsFd> PollSource for Fd<T> {
    fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        Ok(self.as_fd())
    }
}

macro_rules! waitable {
    ($($file:ty),*) => {$(
        /// Ready when a read would not wait.
        impl Waitable for $file {}

        impl PollSource for $file {
            fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
                Ok(self.as_fd())
            }
        }
    )*};
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
