//! At most so many at a time: a lock for each permit. The README beside this file has the protocol.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Kind, create, handle, settle, settle_for_good};
use crate::error::{Error, ErrorKind};
use crate::sys::futex::WATCH_MAX;
use crate::sys::robust::LockTimeout;
use crate::sys::shared_object::{Member, SharedObject};

/// Permits, of which each is held by one thread of one process at a time.
///
/// A permit comes back when it is dropped, and at once when its holder dies. Those who wait get one in turn; who tries
/// ([`try_acquire`](Self::try_acquire)) does not overtake them.
///
/// # Example
/// ```
/// # offspring::guard();
/// let downloads = offspring::sync::Semaphore::new(2)?;
/// let (one, other) = (downloads.acquire(), downloads.acquire());
/// assert!(downloads.try_acquire().is_none());
/// drop(one);
/// assert_eq!(downloads.available_permits(), 1);
/// # drop(other);
/// # Ok::<(), offspring::Error>(())
/// ```
///
/// # Platform
/// A release or a death is noticed at once from Linux 5.16 on, before within 5 ms.
///
/// Source: futex2.rst, "futex_waitv".
pub struct Semaphore {
    shared: Arc<SharedObject<(), { Semaphore::MAX_PERMITS }, 1>>,
}

handle!(Semaphore);

impl Semaphore {
    /// Most permits of one semaphore: as many locks as the kernel can watch at once.
    pub const MAX_PERMITS: usize = WATCH_MAX;

    /// Makes one with so many permits.
    ///
    /// # Errors
    /// - [`InvalidInput`](ErrorKind::InvalidInput): no permits, or more than [`MAX_PERMITS`](Self::MAX_PERMITS).
    /// - [`LimitReached`](ErrorKind::LimitReached): no more descriptors or memory.
    pub fn new(permits: usize) -> Result<Self, Error> {
        if permits == 0 || permits > Self::MAX_PERMITS {
            let text = format!("a semaphore has 1 to {} permits, not {permits}", Self::MAX_PERMITS);
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        let semaphore = Self { shared: create(Kind::Semaphore, ())? };
        semaphore.shared.words()[0].store(permits as u32, Ordering::Release);
        Ok(semaphore)
    }

    /// Takes a permit; waits for one.
    ///
    /// A thread that waits for a permit while it holds the last one waits for ever.
    pub fn acquire(&self) -> SemaphorePermit<'_> {
        SemaphorePermit { _member: settle_for_good(self.shared.join(self.permits(), LockTimeout::Forever)) }
    }

    /// Takes a permit, if there is one and nobody waits for it.
    pub fn try_acquire(&self) -> Option<SemaphorePermit<'_>> {
        let member = settle(self.shared.join(self.permits(), LockTimeout::Never));
        member.map(|member| SemaphorePermit { _member: member })
    }

    /// Takes a permit; waits for one no longer than `limit`.
    pub fn acquire_timeout(&self, limit: Duration) -> Option<SemaphorePermit<'_>> {
        let member = settle(self.shared.join(self.permits(), LockTimeout::within(limit)));
        member.map(|member| SemaphorePermit { _member: member })
    }

    /// How many permits nobody holds at this moment.
    pub fn available_permits(&self) -> usize {
        self.shared.slots().iter().take(self.permits()).filter(|slot| slot.is_free()).count()
    }

    fn permits(&self) -> usize {
        self.shared.words()[0].load(Ordering::Acquire) as usize
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Semaphore");
        debug.field("permits", &self.permits()).field("available", &self.available_permits()).finish_non_exhaustive()
    }
}

/// A permit, given back when it is dropped.
#[must_use = "a permit that is dropped at once permits nothing"]
pub struct SemaphorePermit<'a> {
    _member: Member<'a, (), { Semaphore::MAX_PERMITS }, 1>,
}

impl fmt::Debug for SemaphorePermit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SemaphorePermit").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc::channel;

    use super::*;

    const SHORT: Duration = Duration::from_millis(10);
    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn no_more_than_there_are_permits() {
        let semaphore = Semaphore::new(3).unwrap();
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    for _ in 0..300 {
                        let _permit = semaphore.acquire();
                        most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(most.load(Ordering::SeqCst), 3);
        assert_eq!(semaphore.available_permits(), 3);
    }

    #[test]
    fn one_thread_may_hold_several_and_a_waiter_gets_the_first_that_comes_back() {
        let semaphore = Semaphore::new(Semaphore::MAX_PERMITS).unwrap();
        let mut permits: Vec<_> = (0..Semaphore::MAX_PERMITS).map(|_| semaphore.acquire()).collect();
        assert!(semaphore.try_acquire().is_none());
        assert!(semaphore.acquire_timeout(SHORT).is_none());
        assert_eq!(semaphore.available_permits(), 0);
        let (ready, is_ready) = channel();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                ready.send(()).unwrap();
                semaphore.acquire_timeout(LONG).is_some()
            });
            is_ready.recv().unwrap();
            drop(permits.swap_remove(77));
            assert!(waiter.join().unwrap());
        });
        assert_eq!(semaphore.available_permits(), 1);
    }

    #[test]
    fn permits_of_a_thread_that_has_ended_come_back() {
        let semaphore = Semaphore::new(1).unwrap();
        let (taken, is_taken) = channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::mem::forget(semaphore.acquire());
                taken.send(()).unwrap();
            });
            is_taken.recv().unwrap();
            assert!(semaphore.acquire_timeout(LONG).is_some());
        });
    }

    #[test]
    fn a_number_that_cannot_be_is_refused() {
        for permits in [0, Semaphore::MAX_PERMITS + 1] {
            let error = Semaphore::new(permits).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_eq!(error.to_string(), format!("a semaphore has 1 to 128 permits, not {permits}"));
        }
    }
}
