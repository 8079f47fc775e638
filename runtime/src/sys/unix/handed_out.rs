//! Ends of piped standard streams that this process has handed out to its user.
//!
//! A pipe reaches its end when its last writer closes it. A forked sibling that kept the user's end of a child's
//! standard input open would keep the child waiting for the end. The user owns the end, so nothing tells this crate of
//! its close, and the number may be another file's by then. So an end is noted by number *and* pipe, and a fresh copy
//! lets go of those that are still the same.
//!
//! The copy does not close the number. Its copy of the user's owner lives on, and would later use or close the number
//! of another file. The number gets a file without content in place of the pipe.
//!
//! Sources: pipe(7), dup(2), fstat(2).

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::fork::FreshCopy;
use super::{check, fd};

/// One end of one pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PipeEnd {
    device: libc::dev_t,
    inode: libc::ino_t,
    /// Both ends have the same number of an inode.
    access: libc::c_int,
}

/// The ends by number. A number that is handed out again replaces the earlier end, so the table does not outgrow the
/// limit on descriptors.
static HANDED_OUT: Mutex<BTreeMap<RawFd, PipeEnd>> = Mutex::new(BTreeMap::new());

/// Whether there was ever an end: most programs have none, and their starts are spared the lock.
static IS_USED: AtomicBool = AtomicBool::new(false);

/// Notes an end that the user is about to own.
pub(crate) fn note(end: BorrowedFd<'_>) {
    if let Some(pipe) = PipeEnd::at(end.as_raw_fd()) {
        IS_USED.store(true, Ordering::Relaxed);
        super::lock(&HANDED_OUT).insert(end.as_raw_fd(), pipe);
    }
}

/// Forgets an end that the user has given to this crate, for a child or a value: from here on copies keep it.
pub(crate) fn take_back(end: BorrowedFd<'_>) {
    if IS_USED.load(Ordering::Relaxed) {
        super::lock(&HANDED_OUT).remove(&end.as_raw_fd());
    }
}

/// Lets go of all ends, in a fresh copy of the process.
pub(crate) fn release_in_copy(_copy: &FreshCopy) {
    if !IS_USED.load(Ordering::Relaxed) {
        return;
    }
    let table = super::lock(&HANDED_OUT);
    let held = || table.iter().filter(|(raw, end)| PipeEnd::at(**raw) == Some(**end));
    if held().next().is_none() {
        return;
    }
    let Ok(nothing) = fd::empty_input() else { return };
    for (raw, _) in held() {
        // SAFETY: two plain numbers. The owner of `raw` keeps an open descriptor under its number.
        let _ = check(unsafe { libc::dup3(nothing.as_fd().as_raw_fd(), *raw, libc::O_CLOEXEC) }.into());
    }
}

impl PipeEnd {
    fn at(raw: RawFd) -> Option<Self> {
        // SAFETY: all zeroes is a valid stat.
        let mut stat: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: fstat on any number is harmless, and writes one stat.
        check(unsafe { libc::fstat(raw, &mut stat) }.into()).ok()?;
        // SAFETY: F_GETFL reads flags, and fails if nothing is open there.
        let flags = check(unsafe { libc::fcntl(raw, libc::F_GETFL) }.into()).ok()?;
        let access = flags as libc::c_int & libc::O_ACCMODE;
        Some(Self { device: stat.st_dev, inode: stat.st_ino, access })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_a_pipe_are_told_apart_and_are_themselves() {
        let (reader, writer) = std::io::pipe().unwrap();
        let (other, _) = std::io::pipe().unwrap();
        let [reader, writer, other] = [reader.as_raw_fd(), writer.as_raw_fd(), other.as_raw_fd()].map(PipeEnd::at);
        assert!(reader.is_some() && reader == reader && reader != writer && reader != other);
        assert_eq!(PipeEnd::at(-1), None);
    }
}
