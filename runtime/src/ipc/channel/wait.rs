//! Waiting for several sources at once: receivers, children, jobs, files.

use std::fs::File;
use std::io::{self, PipeReader, Stdin};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use super::duplex::Duplex;
use super::receiver::Receiver;
use crate::error::Error;
use crate::ipc::fd::Fd;
use crate::sys::eventfd;
use crate::sys::poll::{self, Interest};

/// A source that [`wait`] can wait for: a receiving end of a channel, a [`Process`](crate::Process), a
/// [`Job`](crate::Job), or an open file.
///
/// | source | ready |
/// | --- | --- |
/// | [`Receiver`], [`Duplex`] | a message is there, or no process has the other end |
/// | [`Process`](crate::Process) | the child has ended |
/// | [`Job`](crate::Job) | the job is done |
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
    /// Returns the descriptor that becomes readable, or `None` for a source that wakes a waker.
    ///
    /// # Errors
    /// `NotConnected`: this process is a forked copy without the descriptor.
    fn descriptor(&self) -> io::Result<Option<BorrowedFd<'_>>>;

    /// Whether the source is ready without the descriptor being readable.
    fn is_ready(&self) -> bool {
        false
    }

    /// Sets the waker of a source without a descriptor. Returns the waker before.
    fn register(&self, _waker: &Waker) -> Option<Waker> {
        None
    }

    /// Undoes [`register`](Self::register).
    fn unregister(&self, _waker: &Waker) {}
}

/// The registrations of one wait with the sources that have no descriptor.
struct WakeSources<'a> {
    sources: Vec<&'a dyn Waitable>,
    eventfd: Arc<WakeFd>,
    waker: Waker,
    /// The wakers of futures, which are woken in vain, and then register again.
    displaced: Vec<Waker>,
}

struct WakeFd(OwnedFd);

impl Wake for WakeFd {
    fn wake(self: Arc<Self>) {
        eventfd::wake(self.0.as_fd());
    }
}

impl<'a> WakeSources<'a> {
    fn new(sources: Vec<&'a dyn Waitable>) -> io::Result<Self> {
        let eventfd = Arc::new(WakeFd(eventfd::create()?));
        let waker = Waker::from(Arc::clone(&eventfd));
        Ok(Self { sources, eventfd, waker, displaced: Vec::new() })
    }

    fn register(&mut self) {
        eventfd::clear(self.eventfd.0.as_fd());
        let displaced = self.sources.iter().filter_map(|source| source.register(&self.waker));
        self.displaced.extend(displaced.filter(|waker| !waker.will_wake(&self.waker)));
    }
}

impl Drop for WakeSources<'_> {
    fn drop(&mut self) {
        self.sources.iter().for_each(|source| source.unregister(&self.waker));
        self.displaced.drain(..).for_each(Waker::wake);
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
/// - [`LimitReached`](crate::ErrorKind::LimitReached): the kernel has no memory for the wait, or this process may open
///   no descriptor (one for the call, if there are jobs among the sources).
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
    let deadline = limit.and_then(poll::deadline_in);
    let descriptors =
        sources.iter().map(|source| source.descriptor()).collect::<io::Result<Vec<_>>>().map_err(failed)?;
    let mut polled: Vec<_> = descriptors.iter().flatten().map(|fd| (*fd, Interest::Read)).collect();
    let wakes = sources.iter().zip(&descriptors).filter(|(_, descriptor)| descriptor.is_none());
    let wakes: Vec<&dyn Waitable> = wakes.map(|(source, _)| *source).collect();
    let mut wakes = if wakes.is_empty() { None } else { Some(WakeSources::new(wakes).map_err(failed)?) };
    let eventfd = wakes.as_ref().map(|wakes| Arc::clone(&wakes.eventfd));
    polled.extend(eventfd.as_ref().map(|eventfd| (eventfd.0.as_fd(), Interest::Read)));
    loop {
        // Before the look, or a source that becomes ready after the look would wake no waker.
        wakes.iter_mut().for_each(WakeSources::register);
        let is_known = sources.iter().any(|source| source.is_ready());
        let until = if is_known { Some(Instant::now()) } else { deadline };
        let mut readable = poll::ready(&polled, until).map_err(failed)?.into_iter();
        let mut ready = Vec::new();
        for (position, (source, descriptor)) in sources.iter().zip(&descriptors).enumerate() {
            let is_readable = descriptor.is_some() && readable.next() == Some(true);
            if is_readable || source.is_ready() {
                ready.push(position);
            }
        }
        if !ready.is_empty() || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(ready);
        }
    }
}

/// Ready with a message, and when no process has a sender.
impl<T> Waitable for Receiver<T> {}

impl<T> PollSource for Receiver<T> {
    fn descriptor(&self) -> io::Result<Option<BorrowedFd<'_>>> {
        self.end().fd().map(Some)
    }

    fn is_ready(&self) -> bool {
        !self.inbox().is_empty()
    }
}

/// Ready with a message, and when no process has the other end.
impl<S, R> Waitable for Duplex<S, R> {}

impl<S, R> PollSource for Duplex<S, R> {
    fn descriptor(&self) -> io::Result<Option<BorrowedFd<'_>>> {
        self.end().fd().map(Some)
    }

    fn is_ready(&self) -> bool {
        !self.inbox().is_empty()
    }
}

/// Ready when a read would not wait.
impl<T: AsFd> Waitable for Fd<T> {}

impl<T: AsFd> PollSource for Fd<T> {
    fn descriptor(&self) -> io::Result<Option<BorrowedFd<'_>>> {
        Ok(Some(self.as_fd()))
    }
}

macro_rules! waitable {
    ($($file:ty),*) => {$(
        /// Ready when a read would not wait.
        impl Waitable for $file {}

        impl PollSource for $file {
            fn descriptor(&self) -> io::Result<Option<BorrowedFd<'_>>> {
                Ok(Some(self.as_fd()))
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
