//! The working directory of this process, and the umask of the files that the process makes.
//!
//! Sources: chdir(2), stat(2) `AT_EMPTY_PATH`, open(2) `O_PATH`, umask(2).

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::check;

/// Opens a directory for a child that is to work there, even if the directory is renamed or removed meanwhile.
pub(crate) fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let file = File::options().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(path)?;
    super::fd::above_stdio(file.into())
}

/// Returns device and inode of the working directory, also of one that may not be searched. An empty path is the
/// directory itself (stat(2)).
pub(crate) fn directory() -> Option<(u64, u64)> {
    // SAFETY: all zeroes is a valid stat.
    let mut stat: libc::stat64 = unsafe { std::mem::zeroed() };
    // SAFETY: a terminated string, and the kernel writes one stat to the pointer.
    let result = unsafe { libc::fstatat64(libc::AT_FDCWD, c"".as_ptr(), &mut stat, libc::AT_EMPTY_PATH) };
    check(result.into()).ok().map(|_| (stat.st_dev, stat.st_ino))
}

/// Makes an open directory the working directory.
pub(crate) fn enter_directory(directory: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the descriptor is open.
    check(unsafe { libc::fchdir(directory.as_raw_fd()) }.into())?;
    Ok(())
}

/// Sets the umask of this process. To read the umask, see `/proc`: umask(2) only swaps it, and other threads would see
/// that.
pub(crate) fn set_umask(mask: u32) {
    // SAFETY: umask cannot fail.
    unsafe { libc::umask(mask as libc::mode_t) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_working_directory_is_found_without_its_name() {
        use std::os::unix::fs::MetadataExt;
        let by_name = std::fs::metadata("/proc/self/cwd").unwrap();
        assert_eq!(directory(), Some((by_name.dev(), by_name.ino())));
    }

    #[test]
    fn a_file_is_no_directory() {
        assert!(open_directory(Path::new("/dev/null")).is_err());
        assert!(open_directory(Path::new("/")).is_ok());
    }
}
