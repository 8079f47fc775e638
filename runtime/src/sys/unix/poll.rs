//! Waiting for descriptors with a deadline (poll(2)).

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout};

/// The moment at which a wait gives up; `None` is never.
pub(crate) type Deadline = Option<Instant>;

/// Returns the moment `limit` from now. A limit beyond the range of the clock is never.
pub(crate) fn deadline_in(limit: Duration) -> Deadline {
    Instant::now().checked_add(limit)
}

/// Waits until one of `fds` is readable (data, end of file or an error), and says which. All are `false` when the
/// deadline passes.
pub(crate) fn readable<const N: usize>(fds: [BorrowedFd<'_>; N], deadline: Deadline) -> io::Result<[bool; N]> {
    let mut polled = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
    wait(&mut polled, deadline)?;
    Ok(polled.map(|fd| is_ready(&fd)))
}

/// Does the same for any number of descriptors.
pub(crate) fn readable_many(fds: &[BorrowedFd<'_>], deadline: Deadline) -> io::Result<Vec<bool>> {
    let mut polled: Vec<PollFd> = fds.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    wait(&mut polled, deadline)?;
    Ok(polled.iter().map(is_ready).collect())
}

/// The readiness that a wait is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    Read,
    Write,
}

/// Waits until one of the descriptors is ready for its interest, or at its end, and says which.
pub(crate) fn ready(fds: &[(BorrowedFd<'_>, Interest)], deadline: Deadline) -> io::Result<Vec<bool>> {
    let flags = |interest| if interest == Interest::Read { PollFlags::POLLIN } else { PollFlags::POLLOUT };
    let mut polled: Vec<PollFd> = fds.iter().map(|(fd, interest)| PollFd::new(*fd, flags(*interest))).collect();
    wait(&mut polled, deadline)?;
    Ok(polled.iter().map(is_ready).collect())
}

/// Returns whether `fd` is readable now.
pub(crate) fn is_readable(fd: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::new(fd, PollFlags::POLLIN)];
    look(&mut polled);
    is_ready(&polled[0])
}

/// Waits until a datagram can be sent on `fd` or the other end is gone. Returns `false` when the deadline passes.
pub(crate) fn writable(fd: BorrowedFd<'_>, deadline: Deadline) -> io::Result<bool> {
    let mut polled = [PollFd::new(fd, PollFlags::POLLOUT)];
    wait(&mut polled, deadline)?;
    Ok(is_ready(&polled[0]))
}

/// Waits until `fd` is readable or writable, and says which. Both are `false` when the deadline passes.
pub(crate) fn either(fd: BorrowedFd<'_>, deadline: Deadline) -> io::Result<[bool; 2]> {
    let mut polled = [PollFd::new(fd, PollFlags::POLLIN), PollFd::new(fd, PollFlags::POLLOUT)];
    wait(&mut polled, deadline)?;
    Ok([is_ready(&polled[0]), is_ready(&polled[1])])
}

/// Returns whether the other end of a pipe or socket is closed.
pub(crate) fn is_hung_up(fd: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::new(fd, PollFlags::empty())];
    look(&mut polled);
    polled[0].revents().is_some_and(|events| events.contains(PollFlags::POLLHUP))
}

/// Waits until the other end of a pipe or socket is closed. Data that comes before does not end the wait.
pub(crate) fn wait_for_hang_up(fd: BorrowedFd<'_>) {
    let mut polled = [PollFd::new(fd, PollFlags::empty())];
    let _ = wait(&mut polled, None);
}

/// Polls without waiting and without the clock, whose code a fresh copy of the process would have to fault in.
fn look(fds: &mut [PollFd<'_>]) {
    while nix::poll::poll(fds, PollTimeout::ZERO) == Err(nix::Error::EINTR) {}
}

fn is_ready(fd: &PollFd<'_>) -> bool {
    fd.revents().is_some_and(|events| !events.is_empty())
}

/// Polls again after a signal, and after each of the longest waits that poll(2) can express.
fn wait(fds: &mut [PollFd<'_>], deadline: Deadline) -> io::Result<()> {
    loop {
        match nix::poll::poll(fds, timeout(deadline)) {
            Ok(0) if deadline.is_none_or(|deadline| Instant::now() < deadline) => {}
            Ok(_) => return Ok(()),
            Err(nix::Error::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn timeout(deadline: Deadline) -> PollTimeout {
    let Some(deadline) = deadline else {
        return PollTimeout::NONE;
    };
    let left = deadline.saturating_duration_since(Instant::now());
    // Rounded up, or the last millisecond would be a busy loop.
    let milliseconds = left.as_nanos().div_ceil(1_000_000);
    PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX)
}
