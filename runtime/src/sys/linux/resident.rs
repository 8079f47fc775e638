//! The memory that this process has in use.
//!
//! Source: proc_pid_statm(5).

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use super::check;
use super::fd::above_stdio;

/// A gauge of the memory in use. Each reading costs one system call.
#[derive(Debug)]
pub(crate) struct Resident {
    statm: File,
    page_bytes: u64,
}

impl Resident {
    pub(crate) fn open() -> io::Result<Self> {
        let statm = above_stdio(OwnedFd::from(File::open("/proc/self/statm")?))?;
        // SAFETY: sysconf has no preconditions.
        let page_bytes = check(unsafe { libc::sysconf(libc::_SC_PAGESIZE) })?;
        Ok(Self { statm: File::from(statm), page_bytes: page_bytes as u64 })
    }

    /// Returns the bytes of memory that are present, shared pages among them.
    pub(crate) fn bytes(&self) -> io::Result<u64> {
        let mut text = [0; 128];
        let length = self.statm.read_at(&mut text, 0)?;
        let pages = pages(&text[..length]).ok_or(io::ErrorKind::InvalidData)?;
        Ok(pages * self.page_bytes)
    }
}

/// Returns the second number.
fn pages(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_number_is_it() {
        assert_eq!(pages(b"1234 567 89 1 0 2 0\n"), Some(567));
        assert_eq!(pages(b"1234"), None);
        assert_eq!(pages(b""), None);
    }

    #[test]
    fn it_grows_with_what_is_touched() {
        let resident = Resident::open().unwrap();
        let before = resident.bytes().unwrap();
        let touched = std::hint::black_box(vec![1_u8; 32 << 20]);
        assert!(resident.bytes().unwrap() >= before + (24 << 20));
        drop(touched);
    }
}
