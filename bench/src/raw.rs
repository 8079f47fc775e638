//! All `unsafe` of the benchmarks: plain forks, and shared memory for two waiting processes.
#![expect(unsafe_code, reason = "the floor is what the kernel does, without a library in between")]

use std::num::NonZero;
use std::ptr::{NonNull, null, null_mut};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

use crate::Result;

/// A child by a plain fork. Dropping kills and reaps the child.
pub(crate) struct Forked {
    pid: Pid,
    is_reaped: bool,
}

impl Forked {
    /// Forks a child that runs the body and exits with the result of the body.
    pub(crate) fn start(body: impl FnOnce() -> i32) -> Result<Self> {
        // SAFETY: a contender that forks has one thread, so no lock of another thread is copied.
        match unsafe { fork() }? {
            ForkResult::Child => exit_at_once(body()),
            ForkResult::Parent { child } => Ok(Self { pid: child, is_reaped: false }),
        }
    }

    /// Forks a child that does not outlive its parent, by any end of the parent.
    pub(crate) fn start_bound(body: impl FnOnce() -> i32) -> Result<Self> {
        Self::start(|| match prctl::set_pdeathsig(Signal::SIGKILL) {
            Ok(()) => body(),
            Err(error) => error as i32,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// Waits for the end of the child, and returns the exit code.
    pub(crate) fn join(mut self) -> Result<i32> {
        self.is_reaped = true;
        match waitpid(self.pid, None)? {
            WaitStatus::Exited(_, code) => Ok(code),
            other => Err(format!("a plain child ended as {other:?}").into()),
        }
    }
}

impl Drop for Forked {
    fn drop(&mut self) {
        if !self.is_reaped {
            let _ = kill(self.pid, Signal::SIGKILL); // the child may have ended
            let _ = waitpid(self.pid, None);
        }
    }
}

/// Ends the process without exit handlers, which belong to the parent.
fn exit_at_once(code: i32) -> ! {
    // SAFETY: `_exit` may be called at any time.
    unsafe { libc::_exit(code) }
}

/// Words in memory that all children forked from now on share.
pub(crate) struct Words {
    words: NonNull<[AtomicU32; 2]>,
}

impl Words {
    /// Maps two words of value 0. The mapping lasts until the end of the process.
    pub(crate) fn new() -> Result<Self> {
        let length = NonZero::new(size_of::<[AtomicU32; 2]>()).ok_or("no length")?;
        // SAFETY: the kernel chooses the address, so no other mapping is replaced.
        let mapping = unsafe {
            mmap_anonymous(None, length, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED)
        }?;
        Ok(Self { words: mapping.cast() })
    }

    /// Returns one of the words.
    pub(crate) fn at(&self, index: usize) -> &AtomicU32 {
        // SAFETY: the mapping is larger than two words, aligned to a page, zeroed, and never unmapped.
        let words = unsafe { self.words.as_ref() };
        &words[index]
    }

    /// Sleeps while the word has the value.
    pub(crate) fn wait_while(&self, index: usize, value: u32) {
        while self.at(index).load(Ordering::Acquire) == value {
            futex(self.at(index), libc::FUTEX_WAIT, value);
        }
    }

    /// Sets the word and wakes the sleepers on the word.
    pub(crate) fn set(&self, index: usize, value: u32) {
        self.at(index).store(value, Ordering::Release);
        futex(self.at(index), libc::FUTEX_WAKE, i32::MAX.unsigned_abs());
    }
}

/// Makes all inherited descriptors close-on-exec, except the standard streams.
pub(crate) fn keep_own_descriptors() -> Result<()> {
    let flags = i32::try_from(libc::CLOSE_RANGE_CLOEXEC)?;
    // SAFETY: descriptors close only at an exec, after which no code of this program can use them.
    let outcome = unsafe { libc::close_range(3, u32::MAX, flags) };
    nix::errno::Errno::result(outcome)?;
    Ok(())
}

fn futex(word: &AtomicU32, operation: i32, value: u32) {
    // SAFETY: the word outlives the call, and the kernel reads the word atomically. The caller looks at the word again
    // after any result.
    unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), operation, value, null::<libc::timespec>(), null_mut::<u32>(), 0)
    };
}
