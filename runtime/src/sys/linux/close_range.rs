//! Closing of many descriptors by their numbers.
//!
//! Source: close_range(2) (Linux 5.9), proc_pid_fd(5).

use std::io;
use std::ops::Range;
use std::os::fd::RawFd;

use super::{check, rlimit};

/// Closes every descriptor from `first` on.
///
/// # Safety
/// No owner that this process goes on using has one of them, and no other thread opens a descriptor meanwhile.
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

/// Closes the descriptors with close_range(2). Fails before Linux 5.9, and where a filter refuses the call.
///
/// # Safety
/// As for [`close_from`].
unsafe fn close_range(first: libc::c_uint, last: libc::c_uint) -> io::Result<()> {
    // SAFETY: the caller's promise.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) })?;
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

/// Lists the open descriptors from `first` on, without the one that reads the list.
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

/// Returns all numbers from `first` on that this process may give to a descriptor.
fn possible_from(first: RawFd) -> Range<RawFd> {
    let limit = rlimit::get(rlimit::resource::FILES).map_or(u64::MAX, |limit| limit.soft);
    first..RawFd::try_from(limit).unwrap_or(RawFd::MAX)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    /// Above all numbers that other tests have open meanwhile.
    const HIGH: RawFd = 700;

    fn opened_high(numbers: &[RawFd]) {
        let null = super::super::fd::null().unwrap();
        for number in numbers {
            // SAFETY: nobody owns a number as high.
            assert_eq!(unsafe { libc::dup3(null.as_raw_fd(), HIGH + number, libc::O_CLOEXEC) }, HIGH + number);
        }
    }

    fn open_high() -> Vec<RawFd> {
        open_from(HIGH).unwrap().into_iter().map(|number| number - HIGH).collect()
    }

    /// In one test, as two would find each other's numbers.
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
