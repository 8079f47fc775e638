//! Children by descriptor. A pidfd names one process for ever, where the kernel may reuse a pid after the reaping.
//!
//! Sources: pidfd_open(2) (Linux 5.3), pidfd_send_signal(2) (5.1), waitid(2) `P_PIDFD` (5.4), `PIDFD_GET_INFO` (6.13;
//! exit status 6.15).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::{check, retry};

/// The end of a child, as the kernel tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitStatus {
    /// The child exited with this code.
    Exited(i32),
    /// This signal ended the child.
    Signaled(i32),
    /// The child has ended, but foreign code has taken the status.
    Unknown,
}

/// Opens a pidfd of the child `pid`, which has not been reaped yet.
pub(crate) fn open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two numbers.
    let raw = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0) })?;
    // SAFETY: a new descriptor that nobody else owns; the kernel makes it close-on-exec.
    super::fd::above_stdio(unsafe { OwnedFd::from_raw_fd(raw as RawFd) })
}

/// Opens a pidfd of a child that has just been made. Kills the child if there is no pidfd.
///
/// # Errors
/// `InvalidInput` for a number that no process has, as 0 for a process that this process's namespace does not number.
/// Calls other than pidfd_open(2) take such a number for a group.
pub(crate) fn open_or_kill(pid: u32) -> io::Result<OwnedFd> {
    let number = libc::pid_t::try_from(pid).ok().filter(|number| *number > 0);
    let number = number.ok_or(io::ErrorKind::InvalidInput)?;
    open(pid).inspect_err(|error| {
        // Foreign code has reaped the child, and the pid may be another's by now.
        if error.raw_os_error() == Some(libc::ESRCH) {
            return;
        }
        let (pid, nowhere) = (number, std::ptr::null_mut());
        // SAFETY: an unreaped child of ours still has its pid.
        unsafe { libc::kill(pid, libc::SIGKILL) };
        // SAFETY: waitpid does not write a status to a null pointer.
        let _ = retry(|| check(unsafe { libc::waitpid(pid, nowhere, 0) }.into()));
    })
}

/// Lists the ended but unreaped children of this process that have one of these names (proc_pid_stat(5),
/// proc_tid_children(5)).
pub(crate) fn zombies_called(names: &[&str]) -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return Vec::new() };
    let children = threads.flatten().filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    let pids: Vec<u32> =
        children.flat_map(|pids| pids.split_whitespace().flat_map(str::parse).collect::<Vec<_>>()).collect();
    let is_meant = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.split_once('(')
            .and_then(|(_, rest)| rest.rsplit_once(") "))
            .is_some_and(|(known, state)| names.contains(&known) && state.starts_with('Z'))
    };
    pids.into_iter().filter(is_meant).collect()
}

/// Reaps a child that has ended (waitpid(2)). Does not wait.
pub(crate) fn reap(pid: u32) {
    // SAFETY: waitpid does not write a status to a null pointer.
    unsafe { libc::waitpid(pid as libc::pid_t, std::ptr::null_mut(), libc::WNOHANG) };
}

/// Kills a new child and reaps it.
pub(crate) fn kill_and_reap(pidfd: BorrowedFd<'_>) {
    let _ = send_signal(pidfd, libc::SIGKILL);
    let _ = super::poll::readable([pidfd], None);
    let _ = try_reap(pidfd);
}

/// Sends a signal. An ended process needs no signal and is no error.
pub(crate) fn send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo means what kill(2) would send.
    let sent = check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, no_info, 0) });
    match sent {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        other => other.map(drop),
    }
}

/// Reaps the child if the child has ended. Returns `None` if the child still runs.
///
/// `ECHILD` is no error: a `waitpid(-1)` elsewhere in the program, or an ignored `SIGCHLD`, has taken the status. Newer
/// kernels still tell the status. On others it is [`WaitStatus::Unknown`].
pub(crate) fn try_reap(pidfd: BorrowedFd<'_>) -> io::Result<Option<WaitStatus>> {
    // SAFETY: all zeroes is a valid siginfo.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let (id, options) = (pidfd.as_raw_fd() as libc::id_t, libc::WEXITED | libc::WNOHANG);
    let waited = retry(|| {
        // SAFETY: the kernel writes one siginfo to the pointer.
        check(unsafe { libc::waitid(libc::P_PIDFD, id, &mut info, options) }.into())
    });
    match waited {
        // SAFETY: si_pid is defined after waitid; zero means that nothing has happened.
        Ok(_) if unsafe { info.si_pid() } == 0 => Ok(None),
        Ok(_) => {
            // SAFETY: si_status is defined for every event that WEXITED reports.
            let status = unsafe { info.si_status() };
            Ok(Some(decode(info.si_code, status)))
        }
        Err(error) if error.raw_os_error() == Some(libc::ECHILD) => Ok(stolen_status(pidfd)),
        Err(error) => Err(error),
    }
}

fn decode(code: i32, status: i32) -> WaitStatus {
    match code {
        libc::CLD_EXITED => WaitStatus::Exited(status),
        _ => WaitStatus::Signaled(status),
    }
}

/// Returns the status of a child that foreign code has reaped. Returns `None` for a live process that is no child of
/// this one.
fn stolen_status(pidfd: BorrowedFd<'_>) -> Option<WaitStatus> {
    if !super::poll::is_readable(pidfd) {
        return None;
    }
    let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, ..PidfdInfo::default() };
    // SAFETY: the request's number carries the size of the struct that the kernel fills.
    let is_known = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO, &mut info) } == 0;
    if !is_known || info.mask & PIDFD_INFO_EXIT == 0 {
        return Some(WaitStatus::Unknown);
    }
    let signal = info.exit_code & 0x7f;
    Some(if signal == 0 { WaitStatus::Exited(info.exit_code >> 8 & 0xff) } else { WaitStatus::Signaled(signal) })
}

/// `struct pidfd_info` of linux/pidfd.h as of its first published size, 64 bytes.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup_id: u64,
    ids: [u32; 11],
    exit_code: i32,
}

const PIDFD_INFO_EXIT: u64 = 1 << 3;
/// `_IOWR(0xff, 11, struct pidfd_info)`.
const PIDFD_GET_INFO: libc::Ioctl = (3 << 30 | (size_of::<PidfdInfo>() as u64) << 16 | 0xff << 8 | 11) as libc::Ioctl;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_info_request_has_the_size_of_the_first_version() {
        assert_eq!(size_of::<PidfdInfo>(), 64);
    }

    #[test]
    fn what_is_no_pid_is_neither_opened_nor_killed() {
        for number in [0, u32::MAX, 1 << 31] {
            assert_eq!(open_or_kill(number).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn statuses_are_decoded() {
        assert_eq!(decode(libc::CLD_EXITED, 7), WaitStatus::Exited(7));
        assert_eq!(decode(libc::CLD_KILLED, 9), WaitStatus::Signaled(9));
        assert_eq!(decode(libc::CLD_DUMPED, 11), WaitStatus::Signaled(11));
    }
}
