//! The process group of this process.
//!
//! Sources: getpgrp(2), setpgid(2).

use std::io;

use super::check;

/// Returns the process group of this process.
pub(crate) fn current() -> i32 {
    // SAFETY: getpgrp cannot fail.
    unsafe { libc::getpgrp() }
}

/// Puts this process into a process group. 0 makes this process the leader of a new group.
pub(crate) fn set(group: i32) -> io::Result<()> {
    // SAFETY: setpgid takes numbers.
    check(unsafe { libc::setpgid(0, group) }.into())?;
    Ok(())
}
