//! Memory files, which travel as a descriptor and have no name that could outlive them.
//!
//! - A [`SealedFile`] is written once and cannot change under its reader. A reader accepts a file only with all four
//!   seals. A writer that could still shrink the file would end the reader with `SIGBUS`. A writer that could still
//!   write would change bytes between a check and their use.
//! - A [`SealedMapping`] is the mapped content of such a file, with the descriptor to hand the file on.
//! - A [`Region`] is written by every process that has the region. It is sealed against any change of its length.
//!
//! Sources: memfd_create(2), fcntl(2) `F_ADD_SEALS`, mmap(2).

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt as _;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use super::{check, rlimit};

/// The length stays as it is.
const LENGTH_SEALS: libc::c_int = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;

/// The content stays as it is.
const SEALS: libc::c_int = LENGTH_SEALS | libc::F_SEAL_WRITE;

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

    pub(crate) fn len(&self) -> usize {
        self.length as usize
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// `FileTooLarge` beyond `RLIMIT_FSIZE`. The limit holds for memory too, and its signal would end this process.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let length = self.length + bytes.len() as u64;
        check_length(length)?;
        self.file.write_all(bytes)?;
        self.length = length;
        Ok(())
    }

    /// Replaces a byte.
    pub(crate) fn patch(&mut self, at: usize, byte: u8) -> io::Result<()> {
        self.file.write_all_at(&[byte], at as u64)
    }

    /// Lets `fill` write `length` bytes in place. The bytes begin as zeroes.
    pub(crate) fn filled(length: usize, fill: impl FnOnce(&mut [u8])) -> io::Result<Self> {
        check_length(length as u64)?;
        let file = Self::new()?.file;
        file.set_len(length as u64)?;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let memory = Mapping::new(file.as_fd(), length, protection, 0)?;
        memory.keep_from_copies()?;
        // SAFETY: `length` bytes are mapped for writing, and nobody else has the file: its descriptor is local.
        fill(unsafe { std::slice::from_raw_parts_mut(memory.start.as_ptr(), length) });
        Ok(Self { file, length: length as u64 })
    }

    /// Makes the content final.
    pub(crate) fn seal(self) -> io::Result<SealedFile> {
        while_pages_are_held(|| add_seals(self.file.as_fd(), SEALS))?;
        Ok(SealedFile { fd: self.file.into(), length: self.length as usize, _count: OpenCount::new() })
    }
}

fn check_length(length: u64) -> io::Result<()> {
    let limit = rlimit::get(rlimit::resource::FILE_SIZE)?.soft;
    if length > limit {
        let text = format!("{length} bytes in memory files are over the limit of {limit} on file sizes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(())
}

fn add_seals(fd: BorrowedFd<'_>, seals: libc::c_int) -> io::Result<()> {
    // SAFETY: F_ADD_SEALS takes flags; the descriptor is open.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_ADD_SEALS, seals) }.into())?;
    Ok(())
}

/// How often a file is sealed at most. Each attempt waits for up to 150 ms.
const SEAL_ATTEMPTS: usize = 20;

/// Seals a file against writes that no process has mapped for writing.
///
/// fcntl(2) gives `EBUSY` for a writable mapping, of which there is none. The kernel gives the same if it holds a page
/// of the file for longer than it waits itself (mm/memfd.c, `memfd_wait_for_pins`). Reclaim, compaction and DAMON hold
/// pages for a moment.
fn while_pages_are_held(mut seal: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    for _ in 1..SEAL_ATTEMPTS {
        match seal() {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
            other => return other,
        }
    }
    seal()
}

/// Returns the seals of a memory file. Any other file has none.
fn seals(fd: BorrowedFd<'_>) -> libc::c_int {
    // SAFETY: F_GET_SEALS reads flags; on anything but a memory file it fails.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GET_SEALS) }.into()).map_or(0, |seals| seals as libc::c_int)
}

fn check_sealed(fd: BorrowedFd<'_>) -> io::Result<()> {
    if seals(fd) & SEALS == SEALS {
        return Ok(());
    }
    let text = "a descriptor that should be a sealed memory file is not";
    Err(io::Error::new(io::ErrorKind::InvalidData, text))
}

/// Refuses memory of huge pages. They can run out between mapping and use, which would end this process with `SIGBUS`.
fn check_pages(fd: BorrowedFd<'_>) -> io::Result<()> {
    let kind = nix::sys::statfs::fstatfs(fd)?.filesystem_type();
    if kind != nix::sys::statfs::HUGETLBFS_MAGIC {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "shared memory of huge pages is not accepted"))
}

fn length(fd: BorrowedFd<'_>) -> io::Result<usize> {
    usize::try_from(nix::sys::stat::fstat(fd)?.st_size).map_err(io::Error::other)
}

/// A memory file that cannot change any more.
#[derive(Debug)]
pub(crate) struct SealedFile {
    fd: OwnedFd,
    length: usize,
    _count: OpenCount,
}

/// Sealed files that are open in this process.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// One of the sealed files that are open.
#[derive(Debug)]
struct OpenCount;

impl OpenCount {
    fn new() -> Self {
        OPEN.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for OpenCount {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

impl SealedFile {
    /// Accepts a file from another process, which may be hostile.
    ///
    /// # Errors
    /// `InvalidData` if it is no memory file, is not sealed, or has another length than `length`.
    pub(crate) fn accept(fd: OwnedFd, length: usize) -> io::Result<Self> {
        let refuse = |text: String| Err(io::Error::new(io::ErrorKind::InvalidData, text));
        check_sealed(fd.as_fd())?;
        let file = File::from(fd);
        let found = file.metadata()?.len();
        if found != length as u64 {
            return refuse(format!("a memory file of {found} bytes where {length} were announced"));
        }
        Ok(Self { fd: file.into(), length, _count: OpenCount::new() })
    }

    /// Returns how many sealed files this process has open.
    pub(crate) fn open_files() -> usize {
        OPEN.load(Ordering::Relaxed)
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Maps the content for reading.
    pub(crate) fn map(&self) -> io::Result<Mapping> {
        Mapping::new(self.fd.as_fd(), self.length, libc::PROT_READ, libc::MAP_POPULATE)
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

impl Mapping {
    fn new(fd: BorrowedFd<'_>, length: usize, protection: libc::c_int, flags: libc::c_int) -> io::Result<Self> {
        if length == 0 {
            return Ok(Self { start: NonNull::dangling(), length });
        }
        let flags = flags | libc::MAP_SHARED;
        // SAFETY: a new mapping at an address that the kernel chooses overlaps nothing.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, fd.as_raw_fd(), 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, length })
    }

    /// Leaves the mapping out of copies that foreign code makes of this process. A copy that maps a file for writing
    /// keeps the file from being sealed.
    fn keep_from_copies(&self) -> io::Result<()> {
        if self.length != 0 {
            // SAFETY: the range is this mapping; its content stays as it is.
            check(unsafe { libc::madvise(self.start.as_ptr().cast(), self.length, libc::MADV_DONTFORK) }.into())?;
        }
        Ok(())
    }
}

// SAFETY: the memory belongs to no thread; what may be done with it is for `Deref` and for `Region` to say.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl std::ops::Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `length` bytes are mapped until the drop. Only `SealedFile::map` and `SealedMapping` hand a mapping
        // out, and the seals keep anybody from changing or shrinking such a file.
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

/// The content of a sealed file, mapped for its readers here, and the descriptor for readers elsewhere.
#[derive(Debug)]
pub(crate) struct SealedMapping {
    descriptor: Arc<OwnedFd>,
    memory: Mapping,
}

impl SealedMapping {
    /// Maps the file. The kernel maps each page at the first read.
    pub(crate) fn new(file: SealedFile) -> io::Result<Self> {
        let memory = Mapping::new(file.as_fd(), file.length, libc::PROT_READ, 0)?;
        Ok(Self { descriptor: Arc::new(file.fd), memory })
    }

    /// Accepts a file from another process, which may be hostile.
    ///
    /// # Errors
    /// `InvalidData` if the file is no memory file or is not sealed. Limits on memory.
    pub(crate) fn accept(descriptor: Arc<OwnedFd>) -> io::Result<Self> {
        let fd = descriptor.as_fd();
        check_sealed(fd)?;
        check_pages(fd)?;
        let memory = Mapping::new(fd, length(fd)?, libc::PROT_READ, 0)?;
        Ok(Self { descriptor, memory })
    }

    pub(crate) fn descriptor(&self) -> &Arc<OwnedFd> {
        &self.descriptor
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.memory
    }
}

/// Memory that several processes read and write at the same time. The bytes begin as zeroes.
///
/// Each of these processes may change any byte at any moment. So every access is by atomics, or under a lock that lies
/// in the memory. The content is trusted no further than these processes are.
#[derive(Debug)]
pub(crate) struct Region {
    descriptor: Arc<OwnedFd>,
    memory: RegionMemory,
}

/// The memory of a [`Region`], for a process that does not hand the region on.
#[derive(Debug)]
pub(crate) struct RegionMemory(Mapping);

impl Region {
    /// # Errors
    /// `FileTooLarge` beyond `RLIMIT_FSIZE`. Limits on descriptors and memory.
    pub(crate) fn create(length: usize) -> io::Result<Self> {
        check_length(length as u64)?;
        let file = MemoryFile::new()?.file;
        file.set_len(length as u64)?;
        add_seals(file.as_fd(), LENGTH_SEALS)?;
        let memory = Self::map(file.as_fd(), length)?;
        Ok(Self { descriptor: Arc::new(file.into()), memory })
    }

    /// Maps a region that another process has made.
    ///
    /// # Errors
    /// `InvalidData` for a file that is no memory file, whose length may still change, or that cannot be written.
    pub(crate) fn accept(descriptor: Arc<OwnedFd>) -> io::Result<Self> {
        let fd = descriptor.as_fd();
        if seals(fd) & SEALS != LENGTH_SEALS {
            let text = "a descriptor that should be shared memory of a fixed length is not";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        check_pages(fd)?;
        let memory = Self::map(fd, length(fd)?)?;
        Ok(Self { descriptor, memory })
    }

    fn map(fd: BorrowedFd<'_>, length: usize) -> io::Result<RegionMemory> {
        Mapping::new(fd, length, libc::PROT_READ | libc::PROT_WRITE, 0).map(RegionMemory)
    }

    pub(crate) fn descriptor(&self) -> &Arc<OwnedFd> {
        &self.descriptor
    }

    /// Lets go of the descriptor.
    pub(crate) fn into_memory(self) -> RegionMemory {
        self.memory
    }
}

impl std::ops::Deref for Region {
    type Target = RegionMemory;

    fn deref(&self) -> &RegionMemory {
        &self.memory
    }
}

impl RegionMemory {
    /// Returns the length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.0.length
    }

    /// Returns the first words, which all processes use at the same time.
    ///
    /// # Panics
    /// If the region has fewer words.
    pub(crate) fn words(&self, count: usize) -> &[AtomicU64] {
        assert!(count * size_of::<AtomicU64>() <= self.len(), "{count} words in {} bytes", self.len());
        // SAFETY: so many bytes are mapped as long as the region lives, at the start of a page; every value is a word,
        // and whoever else has the memory and uses it in this crate uses these words as atomics too.
        unsafe { std::slice::from_raw_parts(self.start().as_ptr().cast(), count) }
    }

    /// Returns the half word at an offset in bytes. The offset is a multiple of four, and no other use overlaps the
    /// half word.
    ///
    /// # Panics
    /// If the region ends before the half word does.
    pub(crate) fn half_word(&self, offset: usize) -> &AtomicU32 {
        assert!(
            offset.is_multiple_of(4) && offset + 4 <= self.len(),
            "half a word at {offset} of {} bytes",
            self.len()
        );
        // SAFETY: the offset is inside of the region.
        let half = unsafe { self.start().add(offset) }.cast::<AtomicU32>();
        // SAFETY: as for `words`; the offset is aligned.
        unsafe { half.as_ref() }
    }

    /// Returns the first byte, which is aligned to a page and valid as long as the region lives.
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.0.start
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
    fn a_file_is_sealed_once_the_kernel_holds_its_pages_no_more() {
        let busy = || Err(io::Error::from_raw_os_error(libc::EBUSY));
        let attempts = |busy_for: usize| {
            let mut made = 0;
            let sealed = while_pages_are_held(|| {
                made += 1;
                if made <= busy_for { busy() } else { Ok(()) }
            });
            (made, sealed.is_ok())
        };
        assert_eq!(attempts(0), (1, true));
        assert_eq!(attempts(3), (4, true));
        assert_eq!(attempts(usize::MAX), (SEAL_ATTEMPTS, false));
        let refused = while_pages_are_held(|| Err(io::ErrorKind::PermissionDenied.into()));
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
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
    fn a_region_is_shared_and_keeps_its_length() {
        let one = Region::create(5000).unwrap();
        let other = Region::accept(Arc::clone(one.descriptor())).unwrap();
        // SAFETY: both are 5000 bytes long.
        let [last, others_last] = [&one, &other].map(|region| unsafe { region.start().add(4999) });
        // SAFETY: this thread alone uses them.
        unsafe { last.write(7) };
        // SAFETY: as above.
        assert_eq!((other.len(), unsafe { others_last.read() }), (5000, 7));
        // SAFETY: ftruncate on an open descriptor.
        assert_eq!(unsafe { libc::ftruncate(one.descriptor().as_raw_fd(), 0) }, -1);
    }

    #[test]
    fn only_memory_of_a_fixed_length_that_can_be_written_is_a_region() {
        let refused = |fd: OwnedFd| Region::accept(Arc::new(fd)).unwrap_err().kind();
        assert_eq!(refused(MemoryFile::new().unwrap().file.into()), io::ErrorKind::InvalidData);
        assert_eq!(refused(sealed(b"abc").fd), io::ErrorKind::InvalidData);
        assert_eq!(refused(super::super::fd::null().unwrap()), io::ErrorKind::InvalidData);
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
