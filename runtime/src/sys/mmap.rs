//! Sealed memory files: bytes that are written once, travel as a descriptor, and cannot change under their reader.
//!
//! A reader accepts a file only with all four seals: a writer that could still shrink it would end the reader with
//! `SIGBUS`, one that could still write it would change bytes between a check and their use.
//!
//! Sources: memfd_create(2), fcntl(2) `F_ADD_SEALS`, mmap(2).

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;

use super::check;

const SEALS: libc::c_int = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;

/// A memory file that is being written.
#[derive(Debug)]
pub(crate) struct MemoryFile {
    file: File,
    length: u64,
}

impl MemoryFile {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
        // SAFETY: the name is a terminated string; it is seen in /proc only.
        let raw = check(unsafe { libc::memfd_create(c"offspring".as_ptr(), flags) }.into())?;
        // SAFETY: a new descriptor that nobody else owns.
        let fd = super::fd::above_stdio(unsafe { OwnedFd::from_raw_fd(raw as RawFd) })?;
        Ok(Self { file: fd.into(), length: 0 })
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// `FileTooLarge` beyond `RLIMIT_FSIZE`, which holds for memory too and whose signal would end this process.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = self.length + bytes.len() as u64;
        let limit = super::attributes::limit(super::attributes::resource::FILE_SIZE)?.soft;
        if length > limit {
            let text = format!("{length} bytes in memory files are over the limit of {limit} on file sizes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
        self.file.write_all(bytes)?;
        self.length = length;
        Ok(())
    }

    /// Makes the content final.
    pub(crate) fn seal(self) -> io::Result<SealedFile> {
        // SAFETY: F_ADD_SEALS takes flags; the descriptor is open.
        check(unsafe { libc::fcntl(self.file.as_raw_fd(), libc::F_ADD_SEALS, SEALS) }.into())?;
        Ok(SealedFile { fd: self.file.into(), length: self.length as usize })
    }
}

/// A memory file that nobody can change any more.
#[derive(Debug)]
pub(crate) struct SealedFile {
    fd: OwnedFd,
    length: usize,
}

impl SealedFile {
    /// Accepts a file from another process, which may be hostile.
    ///
    /// # Errors
    /// `InvalidData` if it is no memory file, is not sealed, or has another length than `length`.
    pub(crate) fn accept(fd: OwnedFd, length: usize) -> io::Result<Self> {
        let refuse = |text: String| Err(io::Error::new(io::ErrorKind::InvalidData, text));
        // SAFETY: F_GET_SEALS reads flags; on anything but a memory file it fails.
        let seals = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GET_SEALS) }.into());
        if !seals.is_ok_and(|seals| seals as libc::c_int & SEALS == SEALS) {
            return refuse("a descriptor that should be a sealed memory file is not".into());
        }
        let file = File::from(fd);
        let found = file.metadata()?.len();
        if found != length as u64 {
            return refuse(format!("a memory file of {found} bytes where {length} were announced"));
        }
        Ok(Self { fd: file.into(), length })
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Maps the content for reading.
    pub(crate) fn map(&self) -> io::Result<Mapping> {
        let Some(length) = std::num::NonZero::new(self.length) else {
            return Ok(Mapping { start: NonNull::dangling(), length: 0 });
        };
        // SAFETY: a new read-only mapping at an address that the kernel chooses overlaps nothing.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length.get(),
                libc::PROT_READ,
                libc::MAP_SHARED | libc::MAP_POPULATE,
                self.fd.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Mapping { start, length: self.length })
    }
}

impl AsFd for SealedFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The content of a sealed file.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the memory is read only, for every process, as long as the mapping lives.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl std::ops::Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `length` bytes are mapped until the drop; the seals keep anybody from changing or shrinking the file.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.length != 0 {
            // SAFETY: the mapping is ours and nobody borrows it any more.
            unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(bytes: &[u8]) -> SealedFile {
        let mut file = MemoryFile::new().unwrap();
        file.write(bytes).unwrap();
        file.seal().unwrap()
    }

    #[test]
    fn what_was_written_is_read() {
        let file = sealed(b"some bytes");
        let length = file.len();
        let accepted = SealedFile::accept(file.fd, length).unwrap();
        assert_eq!(&*accepted.map().unwrap(), b"some bytes");
        assert!(sealed(b"").map().unwrap().is_empty());
    }

    #[test]
    fn an_unsealed_file_a_wrong_length_and_another_kind_of_file_are_refused() {
        let unsealed = MemoryFile::new().unwrap();
        assert_eq!(SealedFile::accept(unsealed.file.into(), 0).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(SealedFile::accept(sealed(b"abc").fd, 4).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(
            SealedFile::accept(super::super::fd::null().unwrap(), 0).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }

    #[test]
    fn a_sealed_file_cannot_be_shrunk_or_written() {
        let file = sealed(b"abc");
        // SAFETY: ftruncate on an open descriptor.
        let truncated = unsafe { libc::ftruncate(file.fd.as_raw_fd(), 0) };
        // SAFETY: the buffer outlives the call.
        let written = unsafe { libc::pwrite(file.fd.as_raw_fd(), b"x".as_ptr().cast(), 1, 0) };
        assert_eq!((truncated, written), (-1, -1));
    }
}
