//! The process group of this process.
//!
//! Sources: getpgrp(2), setpgid(2).

use std::io;

use super::check;

/// The process group of this process.
pub(crate) fn current() -> i32 {
    // SAFETY: getpgrp cannot fail.
    unsafe { libc::getpgrp() }
}

/// Puts this process into a process group; 0 makes it the leader of a new one.
pub(crate) fn set(group: i32) -> io::Result<()> {
    // SAFETY: setpgid takes numbers.
    check(unsafe { libc::setpgid(0, group) }.into())?;
    Ok(())
}
