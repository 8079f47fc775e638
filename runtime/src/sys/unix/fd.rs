//! Descriptors: where they are numbered, how they are shared by the threads of one process, how a copy lets go of them.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use super::attributes;
use super::fork::FreshCopy;
use super::registry::{Inherited, Registry};

/// A descriptor that lives as long as its owner, but that a fresh copy of the process can close at once.
///
/// A forked child holds copies of its parent's handles in memory that it cannot drop (they are on stacks that it
/// never returns to). Through this type it closes their descriptors all the same, and the copies know it.
#[derive(Debug)]
pub(crate) struct Descriptor {
    raw: AtomicI32,
    /// If others see it when it is closed, what it was entered under: see [`note_end`].
    end: AtomicU32,
}

const CLOSED: RawFd = -1;

/// No count of forks in a row gets there.
const NO_END: u32 = u32::MAX;

impl Descriptor {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self { raw: AtomicI32::new(fd.into_raw_fd()), end: AtomicU32::new(NO_END) }
    }

    /// The descriptor, unless this process is a copy that has let go of it.
    pub(crate) fn get(&self) -> Option<BorrowedFd<'_>> {
        let raw = self.raw.load(Ordering::Acquire);
        // SAFETY: it is open until `drop` or `abandon`, its own or that of all ends; the first needs the last borrow gone, the
        // others a copy of the process that has just been made, in which nobody borrows: no borrow leaves this crate.
        (raw != CLOSED && !self.is_lost_end()).then(|| unsafe { BorrowedFd::borrow_raw(raw) })
    }

    /// The descriptor.
    ///
    /// # Errors
    /// `NotConnected` in a copy of the process that has let go of it.
    pub(crate) fn fd(&self) -> io::Result<BorrowedFd<'_>> {
        self.get().ok_or_else(|| {
            let text = "it belongs to the process that this one is a copy of, and was not passed to this one";
            io::Error::new(io::ErrorKind::NotConnected, text)
        })
    }

    /// Closes the descriptor in a copy of the process that the original goes on using.
    pub(crate) fn abandon(&self, _copy: &FreshCopy) {
        drop(self.take());
    }

    /// The descriptor itself, from its last holder.
    pub(crate) fn into_owned(self) -> Option<OwnedFd> {
        self.take()
    }

    /// Whether it is an end that this process, as a copy, has let go of.
    fn is_lost_end(&self) -> bool {
        let end = self.end.load(Ordering::Relaxed);
        end != NO_END && end != ENDS.count()
    }

    fn take(&self) -> Option<OwnedFd> {
        if self.is_lost_end() {
            return None;
        }
        let raw = self.take_raw()?;
        if self.end.load(Ordering::Relaxed) != NO_END {
            ENDS.strike_out(raw.as_raw_fd());
        }
        Some(raw)
    }

    fn take_raw(&self) -> Option<OwnedFd> {
        let raw = self.raw.swap(CLOSED, Ordering::AcqRel);
        // SAFETY: this object owned the descriptor, and the swap makes sure that it is handed out once.
        (raw != CLOSED).then(|| unsafe { OwnedFd::from_raw_fd(raw) })
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        drop(self.take());
    }
}

/// The descriptors by whose closing others see that this process has no more to say or to hear.
static ENDS: Registry = Registry::new();

/// A descriptor whose closing others wait for: the end of a channel.
pub(crate) fn end(fd: OwnedFd) -> Arc<Descriptor> {
    let end = Arc::new(Descriptor::new(fd));
    note_end(&end);
    end
}

/// Notes that others wait for the closing of a descriptor.
///
/// A forked child would hold a copy of each of its parent's, and so keep every channel open. It lets go of them by
/// [`Ends::of_original`] and keeps those alone that it was given.
pub(crate) fn note_end(end: &Arc<Descriptor>) {
    let raw = end.raw.load(Ordering::Acquire);
    if raw != CLOSED && end.end.load(Ordering::Relaxed) == NO_END {
        end.end.store(ENDS.enter(raw), Ordering::Relaxed);
    }
}

/// The ends that a fresh copy of the process has inherited.
#[derive(Debug)]
pub(crate) struct Ends(Inherited);

impl Ends {
    /// From here on the copy has none of them but what it inherits.
    pub(crate) fn of_original(copy: &FreshCopy) -> Self {
        Self(ENDS.take(copy))
    }

    /// What the copy goes on with that was given this descriptor. An end is its alone from now on: whoever holds that
    /// object never runs in the copy.
    pub(crate) fn inherit(&self, descriptor: &Arc<Descriptor>) -> Option<Arc<Descriptor>> {
        match descriptor.end.load(Ordering::Relaxed) {
            NO_END => Some(Arc::clone(descriptor)),
            count if self.0.has(count) => descriptor.take_raw().map(end),
            _ => None,
        }
    }

    /// Closes those that the copy was not given.
    pub(crate) fn abandon(self) {
        self.0.close_but(&ENDS);
    }
}

/// Moves a descriptor out of the numbers 0, 1 and 2, which a program may have closed and others then mistake for its streams.
pub(crate) fn above_stdio(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() > libc::STDERR_FILENO { Ok(fd) } else { duplicate(fd.as_fd()) }
}

/// The same, but if there is no room where it is: for one that is sent on and closed before anybody could mistake it.
pub(crate) fn above_stdio_or_as_it_is(fd: OwnedFd) -> OwnedFd {
    if fd.as_raw_fd() > libc::STDERR_FILENO { fd } else { duplicate(fd.as_fd()).unwrap_or(fd) }
}

/// Another descriptor of the same open file, close-on-exec.
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
    // SAFETY: fcntl on any number is harmless; it fails if nothing is open there. Close-on-exec keeps it from the next program.
    super::check(unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) }.into())?;
    // SAFETY: it is open, and whoever started this process handed it over: nothing else here knows the number.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Opens `/dev/null` for reading and writing.
///
/// Without std's `File`: every child does this, and a fresh copy of a process pays for each piece of code that it touches.
pub(crate) fn null() -> io::Result<OwnedFd> {
    // SAFETY: the path is a terminated string.
    let raw = super::check(unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) }.into())?;
    // SAFETY: a new descriptor that nobody else owns.
    above_stdio(unsafe { OwnedFd::from_raw_fd(raw as RawFd) })
}

/// Makes a standard stream (0, 1 or 2) refer to what `fd` refers to, over any later exec too (dup2(2)).
pub(crate) fn redirect(fd: BorrowedFd<'_>, stream: Stream) -> io::Result<()> {
    // SAFETY: both numbers are valid, and the target is a standard stream, which no object owns.
    super::retry(|| super::check(unsafe { libc::dup2(fd.as_raw_fd(), stream as RawFd) }.into()))?;
    Ok(())
}

/// A standard stream by its descriptor's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    In = 0,
    Out = 1,
    Err = 2,
}

impl Stream {
    pub(crate) const ALL: [Self; 3] = [Self::In, Self::Out, Self::Err];

    /// A duplicate of this process's own stream, or `None` if it is closed.
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

/// Closes every descriptor from `first` on.
///
/// # Safety
/// Nothing that this process goes on using owns one of them, and no other thread opens any meanwhile.
pub(super) unsafe fn close_from(first: RawFd) {
    // SAFETY: the caller's promise.
    if unsafe { close_range(first as libc::c_uint, libc::c_uint::MAX) }.is_ok() {
        return;
    }
    match open_from(first) {
        // SAFETY: the caller's promise.
        Ok(numbers) => unsafe { close_each(numbers) },
        // SAFETY: as above.
        Err(_) => unsafe { close_each(possible_from(first)) },
    }
}

/// Closes descriptors whose numbers have no gap between them.
///
/// # Safety
/// As for [`close_from`].
pub(super) unsafe fn close_run(run: Range<RawFd>) {
    // SAFETY: the caller's promise.
    let is_done =
        run.len() > 1 && unsafe { close_range(run.start as libc::c_uint, run.end as libc::c_uint - 1) }.is_ok();
    if !is_done {
        // SAFETY: as above.
        unsafe { close_each(run) };
    }
}

/// Closes them at once (close_range(2)): not before Linux 5.9, nor where a filter of system calls refuses it.
///
/// # Safety
/// As for [`close_from`].
unsafe fn close_range(first: libc::c_uint, last: libc::c_uint) -> io::Result<()> {
    // SAFETY: the caller's promise.
    super::check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) })?;
    Ok(())
}

/// # Safety
/// As for [`close_from`].
unsafe fn close_each(numbers: impl IntoIterator<Item = RawFd>) {
    for number in numbers {
        // SAFETY: the caller's promise; a number that is not open stays so.
        unsafe { libc::close(number) };
    }
}

/// The open descriptors from `first` on, but for the one by which they are found.
fn open_from(first: RawFd) -> io::Result<Vec<RawFd>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let number = entry?.file_name().to_str().and_then(|name| name.parse().ok());
        numbers.extend(number.filter(|number: &RawFd| *number >= first));
    }
    // SAFETY: harmless on any number.
    numbers.retain(|number| unsafe { libc::fcntl(*number, libc::F_GETFD) } != -1);
    Ok(numbers)
}

/// All numbers from `first` on that this process may give to a descriptor.
fn possible_from(first: RawFd) -> Range<RawFd> {
    let limit = attributes::limit(attributes::resource::FILES).map_or(u64::MAX, |limit| limit.soft);
    first..RawFd::try_from(limit).unwrap_or(RawFd::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Above all that other tests have open meanwhile.
    const HIGH: RawFd = 700;

    fn opened_high(numbers: &[RawFd]) {
        let null = null().unwrap();
        for number in numbers {
            // SAFETY: nobody owns a number as high.
            assert_eq!(unsafe { libc::dup3(null.as_raw_fd(), HIGH + number, libc::O_CLOEXEC) }, HIGH + number);
        }
    }

    fn open_high() -> Vec<RawFd> {
        open_from(HIGH).unwrap().into_iter().map(|number| number - HIGH).collect()
    }

    /// In one test, as others would find these numbers.
    #[test]
    fn all_are_closed_from_a_number_on_however_it_is_done() {
        let all = [0, 1, 5, 200];
        let [some, none] = [vec![0, 200], vec![]];
        opened_high(&all);
        assert_eq!(open_high(), all);
        // SAFETY: here and below, the descriptors have no owner.
        unsafe { close_run(HIGH + 1..HIGH + 6) };
        assert_eq!(open_high(), some);
        // SAFETY: as above.
        unsafe { close_from(HIGH) };
        assert_eq!(open_high(), none);
        opened_high(&all);
        // SAFETY: as above.
        unsafe { close_each(open_from(HIGH).unwrap()) };
        assert_eq!(open_high(), none);
        opened_high(&all);
        // SAFETY: as above.
        unsafe { close_each(possible_from(HIGH)) };
        assert_eq!(open_high(), none);
    }
}
