//! A stack for the copies that do not begin on the original's.
//!
//! The stack is mapped once. The process that maps the stack never touches it, but for the word that musl's `clone`
//! puts at its top, so the stack costs nothing to copy. Each copy gets its pages on use, as of any stack. A copy runs
//! on the stack and cannot begin another copy there, so it maps another for its own copies.
//!
//! The size is the soft limit on stacks (`RLIMIT_STACK`) of the process that maps the stack. Below lies a gap without
//! access, as large as the kernel's below the main thread's stack. A copy that runs out of stack ends by `SIGSEGV`.
//!
//! Sources: mmap(2) `MAP_STACK`, `MAP_NORESERVE`; madvise(2) `MADV_NOHUGEPAGE`; getrlimit(2) `RLIMIT_STACK`.

use std::ffi::c_void;
use std::io;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::rlimit::{self, resource};

const GAP: usize = 1 << 20;

/// The size without a limit. A stack needs address space, of which a program of 32 bits has little.
const UNLIMITED: u64 = 64 << 20;

/// The size that the kernel gives every program, even under a lower limit.
const LEAST: u64 = 128 << 10;

/// A mapping for the stack of copies. Never unmapped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stack {
    top: *mut c_void,
}

/// The top of the stack that this process does not run on; null without such a stack.
static OF_COPIES: AtomicPtr<c_void> = AtomicPtr::new(null_mut());

impl Stack {
    /// Returns the stack of the copies to come.
    ///
    /// # Errors
    /// Limits on memory.
    pub(super) fn of_copies() -> io::Result<Self> {
        let known = OF_COPIES.load(Ordering::Relaxed);
        if !known.is_null() {
            return Ok(Self { top: known });
        }
        let stack = Self::map(Self::size()?)?;
        OF_COPIES.store(stack.top, Ordering::Relaxed);
        Ok(stack)
    }

    /// Notes, in a copy, that the copy runs on the stack.
    pub(super) fn of_copies_is_in_use() {
        OF_COPIES.store(null_mut(), Ordering::Relaxed);
    }

    /// Returns the end from which the stack grows downwards.
    pub(super) fn top(self) -> *mut c_void {
        self.top
    }

    fn size() -> io::Result<usize> {
        let limit = rlimit::get(resource::STACK)?.soft;
        let size = if limit == libc::RLIM_INFINITY { UNLIMITED } else { limit.max(LEAST) };
        // Down to whole pages, of 64 KiB at most.
        usize::try_from(size & !0xffff).map_err(|_| io::ErrorKind::OutOfMemory.into())
    }

    fn map(size: usize) -> io::Result<Self> {
        let length = size.checked_add(GAP).ok_or(io::ErrorKind::OutOfMemory)?;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
        // SAFETY: new memory, at an address of the kernel's choice.
        let start = unsafe { libc::mmap(null_mut(), length, libc::PROT_NONE, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let bottom = start.wrapping_byte_add(GAP);
        // SAFETY: the upper part of what was mapped above.
        if unsafe { libc::mprotect(bottom, size, libc::PROT_READ | libc::PROT_WRITE) } != 0 {
            let error = io::Error::last_os_error();
            // SAFETY: it was mapped above, and nobody knows of it.
            unsafe { libc::munmap(start, length) };
            return Err(error);
        }
        // Or each copy would clear 2 MiB for its first frame. A kernel without huge pages refuses.
        // SAFETY: an advice on what was mapped above, which changes no content.
        unsafe { libc::madvise(bottom, size, libc::MADV_NOHUGEPAGE) };
        Ok(Self { top: bottom.wrapping_byte_add(size) })
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn it_can_be_written_to_its_bottom_and_no_further() {
        let size = Stack::size().unwrap();
        let bottom = Stack::map(size).unwrap().top().wrapping_byte_sub(size);
        // SAFETY: the lowest byte of a new mapping that nobody else uses.
        unsafe { bottom.cast::<u8>().write_volatile(1) };
        let (_reader, writer) = io::pipe().unwrap();
        // SAFETY: the kernel reads one byte, or refuses to.
        let can_read = |place: *mut c_void| unsafe { libc::write(writer.as_raw_fd(), place, 1) } == 1;
        assert!(can_read(bottom));
        assert!(!can_read(bottom.wrapping_byte_sub(1)) && !can_read(bottom.wrapping_byte_sub(GAP)));
    }

    #[test]
    fn it_is_as_large_as_the_limit_says() {
        let limit = rlimit::get(resource::STACK).unwrap().soft;
        let size = Stack::size().unwrap() as u64;
        assert!(size.is_multiple_of(1 << 16) && size >= LEAST && size <= limit.max(LEAST));
    }
}
