//! Descriptors: their numbers, duplicates, and the standard streams.
//!
//! Sources: fcntl(2) `F_DUPFD_CLOEXEC`, dup2(2).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Moves a descriptor out of the numbers 0, 1 and 2. A program may have closed those, and would take the descriptor for
/// one of its streams.
pub(crate) fn above_stdio(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() > libc::STDERR_FILENO { Ok(fd) } else { duplicate(fd.as_fd()) }
}

/// Does the same, but leaves the descriptor in place if there is no room. For one that is sent on and closed at once.
pub(crate) fn above_stdio_or_as_it_is(fd: OwnedFd) -> OwnedFd {
    if fd.as_raw_fd() > libc::STDERR_FILENO { fd } else { duplicate(fd.as_fd()).unwrap_or(fd) }
}

/// Returns another descriptor of the same open file, close-on-exec.
pub(crate) fn duplicate(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC makes a new descriptor that nobody else owns.
    let raw = super::check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3) }.into())?;
    // SAFETY: as above.
    Ok(unsafe { OwnedFd::from_raw_fd(raw as RawFd) })
}

/// Takes over a descriptor that this process was started with.
///
/// # Errors
/// `EBADF` if there is no such descriptor.
pub(crate) fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl on any number is harmless; it fails if nothing is open there. Close-on-exec keeps it from the next
    // program.
    super::check(unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) }.into())?;
    // SAFETY: it is open, and whoever started this process handed it over: nothing else here knows the number.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Opens `/dev/null` for reading and writing.
///
/// Does not use std's `File`: every child calls this, and a fresh copy of a process pays for each page of code that it
/// touches.
pub(crate) fn null() -> io::Result<OwnedFd> {
    // SAFETY: the path is a terminated string.
    let raw = super::check(unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) }.into())?;
    // SAFETY: a new descriptor that nobody else owns.
    above_stdio(unsafe { OwnedFd::from_raw_fd(raw as RawFd) })
}

/// Opens an input without a byte: `/dev/null`, or else a pipe whose other end is closed. A bare chroot has no devices.
pub(crate) fn empty_input() -> io::Result<OwnedFd> {
    null().or_else(|_| {
        let (reader, _writer) = io::pipe()?;
        above_stdio(reader.into())
    })
}

/// Makes a standard stream (0, 1 or 2) refer to the open file of `fd`, also over a later exec (dup2(2)).
pub(crate) fn redirect(fd: BorrowedFd<'_>, stream: Stream) -> io::Result<()> {
    // SAFETY: both numbers are valid, and the target is a standard stream, which no object owns.
    super::retry(|| super::check(unsafe { libc::dup2(fd.as_raw_fd(), stream as RawFd) }.into()))?;
    Ok(())
}

/// A standard stream, by the number of its descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    In = 0,
    Out = 1,
    Err = 2,
}

impl Stream {
    pub(crate) const ALL: [Self; 3] = [Self::In, Self::Out, Self::Err];

    /// Returns a duplicate of this process's own stream. Returns `None` if the stream is closed.
    pub(crate) fn duplicate(self) -> io::Result<Option<OwnedFd>> {
        // SAFETY: F_DUPFD_CLOEXEC on any number is harmless; it fails with EBADF if nothing is open there.
        let raw = unsafe { libc::fcntl(self as RawFd, libc::F_DUPFD_CLOEXEC, 3) };
        match super::check(raw.into()) {
            // SAFETY: a new descriptor that nobody else owns.
            Ok(raw) => Ok(Some(unsafe { OwnedFd::from_raw_fd(raw as RawFd) })),
            Err(error) if error.raw_os_error() == Some(libc::EBADF) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
