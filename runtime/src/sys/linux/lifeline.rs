//! The lifeline: the kernel kills a child when the child's parent ends, in any way.
//!
//! A process owns one pipe and keeps the write end alone, which the kernel closes at the end of the process. For each
//! child the process opens the read side of the pipe anew, so that the child has an open file description of its own,
//! and sends the descriptor along with the spec. The child arms the description. From then on the end of the pipe is a
//! `SIGKILL`, which cannot be blocked, ignored or missed while stopped.
//!
//! | descriptor | made by | held by | closed |
//! | --- | --- | --- | --- |
//! | write end | the process, at its first start | that process | by the kernel; in copies, see below |
//! | read side | the parent, per child | the child; the parent, to disarm | at the end of each, or at the join |
//!
//! - A copy of the process closes the write end at once: in each fork a `pthread_atfork` handler, in our own clones
//!   [`close_in_copy`].
//! - The owner set by `F_SETOWN` belongs to the open file description. Children that shared one would leave all but the
//!   last unprotected. Hence one opening for each child. The parent opens, so the child needs neither `/proc` nor
//!   matching ids. A pipe has mode 0600 of its creator, whose ids may have changed since. Hence the change of mode.
//! - The forkserver opens the read side of a spare through its own. The spare sends its parent a duplicate.
//! - A child that arms late gets no signal for an end that is already there. Hence the poll after the arming.
//! - The kernel keeps owner and signal with the description, and forgets them at its last close. So the child lets its
//!   descriptor be inherited (execve(2)), and a program that the task executes in place of itself is tied too. A
//!   program that the task starts beside itself inherits a harmless descriptor: the read side of an empty pipe, whose
//!   owner is the child. The signal does not reach a program that is executed with another user (set-user-id).
//! - `PR_SET_PDEATHSIG` is not used. It fires at the end of the starting *thread*, and only the child can take it back,
//!   which [`Kept::disarm`] has to. But the first process of a pid namespace has nothing else, and cannot be detached
//!   (see [`arm`]).
//!
//! Sources: fcntl(2) `F_SETOWN`, `F_SETSIG`, `O_ASYNC`; pipe(7); pthread_atfork(3).

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Once;
use std::sync::atomic::{AtomicI32, Ordering};

use super::fork_private::ForkPrivateFd;
use super::{atfork, check};

const NONE: RawFd = -1;

/// The write end of this process's pipe.
static WRITE_END: AtomicI32 = AtomicI32::new(NONE);

/// One child's part of the lifeline, as its parent holds it.
#[derive(Debug)]
pub(crate) struct Lifeline {
    /// The open file description that the child arms.
    pub(crate) read_side: OwnedFd,
    /// Without `/proc` the pipe cannot be opened anew. Then the child has a pipe of its own, whose write end is here.
    pub(crate) own_write_end: Option<OwnedFd>,
}

impl Lifeline {
    /// Makes the lifeline of one more child.
    pub(crate) fn new() -> io::Result<Self> {
        match reopen(write_end()?) {
            Ok(read_side) => Ok(Self { read_side, own_write_end: None }),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
                let (read_side, write_end) = pipe()?;
                Ok(Self { read_side, own_write_end: Some(write_end) })
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the part that the parent keeps once the child exists.
    pub(crate) fn keep(self) -> Kept {
        Kept {
            read_side: ForkPrivateFd::new(self.read_side),
            own_write_end: self.own_write_end.map(ForkPrivateFd::new),
        }
    }
}

/// The lifeline of a child that exists.
#[derive(Debug)]
pub(crate) struct Kept {
    read_side: ForkPrivateFd,
    own_write_end: Option<ForkPrivateFd>,
}

impl Kept {
    /// Returns whether the child has armed the lifeline. `NotConnected` in a copy of the process.
    pub(crate) fn is_armed(&self) -> io::Result<bool> {
        is_async(self.read_side()?)
    }

    /// Lets the child live on after this process. The child must have armed its lifeline before.
    pub(crate) fn disarm(self) -> io::Result<()> {
        let disarmed = self.read_side().and_then(|raw| set_flags(raw.as_raw_fd(), libc::O_NONBLOCK));
        if disarmed.is_err() {
            // The end of the pipe would still end the child.
            std::mem::forget(self.own_write_end);
        }
        disarmed
    }

    fn read_side(&self) -> io::Result<BorrowedFd<'_>> {
        self.read_side.get().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

/// Binds this process, and each program that it executes in place of itself, to the life of the process at the other
/// end. Returns `false` if that process is gone already.
pub(crate) fn arm(read_side: BorrowedFd<'_>) -> io::Result<bool> {
    let raw = read_side.as_raw_fd();
    let own = super::pid() as libc::pid_t;
    if own == 1 {
        // The first process of a pid namespace ignores this signal, unless it comes from outside, at its parent's end.
        // SAFETY: PR_SET_PDEATHSIG takes a number.
        check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) }.into())?;
    }
    // SAFETY: F_SETOWN and F_SETSIG take plain numbers; the descriptor is open.
    check(unsafe { libc::fcntl(raw, libc::F_SETOWN, own) }.into())?;
    // SAFETY: as above.
    check(unsafe { libc::fcntl(raw, F_SETSIG, libc::SIGKILL) }.into())?;
    // A program that this process executes inherits the descriptor, and with it the open file description and the tie.
    // SAFETY: as above.
    check(unsafe { libc::fcntl(raw, libc::F_SETFD, 0) }.into())?;
    set_flags(raw, libc::O_NONBLOCK | libc::O_ASYNC)?;
    // A parent that has detached this child may be gone. It has cleared the flag before.
    Ok(!super::poll::is_hung_up(read_side) || !is_async(read_side)?)
}

/// Opens the read side anew, for a copy of this process that has the same parent (through `/proc`).
pub(crate) fn for_sibling(read_side: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    reopen(read_side.as_raw_fd())
}

/// Closes a fresh copy's copy of the write end, also in a clone that runs no `pthread_atfork` handler. The next child
/// gets a new pipe.
pub(crate) fn close_in_copy(_copy: &super::fork::FreshCopy) {
    close_write_end();
}

/// The number is the same on every architecture of Linux. The libc crate has the constant for some only.
const F_SETSIG: libc::c_int = 10;

fn is_async(read_side: BorrowedFd<'_>) -> io::Result<bool> {
    // SAFETY: F_GETFL reads flags of an open descriptor.
    let flags = check(unsafe { libc::fcntl(read_side.as_raw_fd(), libc::F_GETFL) }.into())?;
    Ok(flags as libc::c_int & libc::O_ASYNC != 0)
}

/// Sets the flags of the read side, which has no others.
fn set_flags(raw: RawFd, flags: libc::c_int) -> io::Result<()> {
    // SAFETY: F_SETFL sets flags of an open descriptor.
    check(unsafe { libc::fcntl(raw, libc::F_SETFL, flags) }.into())?;
    Ok(())
}

fn write_end() -> io::Result<RawFd> {
    static HANDLER: Once = Once::new();
    // SAFETY: the handler makes async-signal-safe calls only (close, atomics).
    HANDLER.call_once(|| unsafe { atfork::register(None, close_write_end) });
    let known = WRITE_END.load(Ordering::Acquire);
    if known != NONE {
        return Ok(known);
    }
    let (_, write_end) = pipe()?;
    // Read-only: a child that could write would kill the others, or keep them alive.
    // SAFETY: the descriptor is open.
    check(unsafe { libc::fchmod(write_end.as_raw_fd(), 0o444) }.into())?;
    match WRITE_END.compare_exchange(NONE, write_end.as_raw_fd(), Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => Ok(write_end.into_raw_fd()),
        Err(other_thread) => Ok(other_thread),
    }
}

extern "C" fn close_write_end() {
    let raw = WRITE_END.swap(NONE, Ordering::AcqRel);
    if raw != NONE {
        // SAFETY: the static owned it, and the swap makes sure that it is closed once.
        unsafe { libc::close(raw) };
    }
}

/// Opens the read side through `/proc`, by the number of either end of the pipe.
fn reopen(end: RawFd) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{end}");
    // Non-blocking, since the open of a FIFO may wait for the other end.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    super::fd::above_stdio(file.into())
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [NONE; 2];
    // SAFETY: the array has room for two descriptors.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) }.into())?;
    // SAFETY: two new descriptors that nobody else owns.
    let [read_end, write_end] = ends.map(|raw| unsafe { OwnedFd::from_raw_fd(raw) });
    Ok((super::fd::above_stdio(read_end)?, super::fd::above_stdio(write_end)?))
}
