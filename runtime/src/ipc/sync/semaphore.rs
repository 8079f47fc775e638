//! A number of holders at a time: a lock for each permit. The README beside this file has the protocol.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::handle::{ObjectKind, create, handle};
use super::outcome::{always, unless_busy};
use crate::error::{Error, ErrorKind};
use crate::sys::futex::WATCH_MAX;
use crate::sys::robust::LockTimeout;
use crate::sys::shared_object::{Member, SharedObject};

/// A number of permits, each held by one thread of one process at a time.
///
/// A permit comes back by dropping the guard, and at once by the death of the holder. Waiting threads get permits in
/// turn. [`try_acquire`](Self::try_acquire) does not overtake waiting threads. Acquiring and releasing takes about 60
/// ns without contention.
///
/// # Examples
///
/// ```
/// use offspring::sync::Semaphore;
/// use offspring::{child_task, process_main};
///
/// #[child_task]
/// fn download(slots: Semaphore) {
///     let _permit = slots.acquire();
///     // at most two children are here at a time
/// }
///
/// #[process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let slots = Semaphore::new(2)?;
///     let children = [0, 1, 2].map(|_| download::start(slots.clone()));
///     for child in children {
///         child?.join()?;
///     }
///     assert_eq!(slots.available_permits(), 2);
///     Ok(())
/// }
/// ```
///
/// # Platform
///
/// A waiting thread notices a release or a death at once from Linux 5.16 on, and within 5 ms on older kernels.
///
/// Source: [futex2](https://docs.kernel.org/userspace-api/futex2.html), `futex_waitv`.
pub struct Semaphore {
    shared: Arc<SharedObject<(), { Semaphore::MAX_PERMITS }, 1>>,
}

handle!(Semaphore);

impl Semaphore {
    /// The largest number of permits of a semaphore, 128: as many locks as the kernel can watch at once.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::Semaphore;
    ///
    /// let permits = 1000.min(Semaphore::MAX_PERMITS);
    /// assert_eq!(Semaphore::new(permits)?.available_permits(), 128);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub const MAX_PERMITS: usize = WATCH_MAX;

    /// Makes a semaphore with `permits` permits.
    ///
    /// # Errors
    ///
    /// - [`Setting`](ErrorKind::Setting): `permits` is 0, or more than [`MAX_PERMITS`](Self::MAX_PERMITS).
    /// - [`LimitReached`](ErrorKind::LimitReached): a limit on descriptors, memory or file sizes.
    /// - [`Os`](ErrorKind::Os): the operating system refuses for another reason.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::ErrorKind;
    /// use offspring::sync::Semaphore;
    ///
    /// assert_eq!(Semaphore::new(3)?.available_permits(), 3);
    /// assert_eq!(Semaphore::new(0).unwrap_err().kind(), ErrorKind::Setting);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn new(permits: usize) -> Result<Self, Error> {
        if permits == 0 || permits > Self::MAX_PERMITS {
            let text = format!("a semaphore has 1 to {} permits, not {permits}", Self::MAX_PERMITS);
            return Err(Error::new(ErrorKind::Setting, text));
        }
        let semaphore = Self { shared: create(ObjectKind::Semaphore, ())? };
        semaphore.shared.words()[0].store(permits as u32, Ordering::Release);
        Ok(semaphore)
    }

    /// Takes a permit. Waits for a permit.
    ///
    /// A thread that holds the last permit and waits for another waits forever.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::Semaphore;
    ///
    /// let slots = Semaphore::new(2)?;
    /// let permit = slots.acquire();
    /// assert_eq!(slots.available_permits(), 1);
    /// # drop(permit);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn acquire(&self) -> SemaphorePermit<'_> {
        SemaphorePermit { _member: always(self.shared.join(self.permits(), LockTimeout::Forever)) }
    }

    /// Takes a permit without waiting. Returns `None` if no permit is free, or if a thread waits for a permit.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::Semaphore;
    ///
    /// let slots = Semaphore::new(1)?;
    /// let permit = slots.acquire();
    /// assert!(slots.try_acquire().is_none());
    /// drop(permit);
    /// assert!(slots.try_acquire().is_some());
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn try_acquire(&self) -> Option<SemaphorePermit<'_>> {
        let member = unless_busy(self.shared.join(self.permits(), LockTimeout::Never));
        member.map(|member| SemaphorePermit { _member: member })
    }

    /// Takes a permit. Waits for at most `limit`. Returns `None` after `limit`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use offspring::sync::Semaphore;
    ///
    /// let slots = Semaphore::new(1)?;
    /// let permit = slots.acquire();
    /// assert!(slots.acquire_timeout(Duration::from_millis(1)).is_none());
    /// # drop(permit);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn acquire_timeout(&self, limit: Duration) -> Option<SemaphorePermit<'_>> {
        let member = unless_busy(self.shared.join(self.permits(), LockTimeout::within(limit)));
        member.map(|member| SemaphorePermit { _member: member })
    }

    /// Returns the number of permits free at this moment.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::Semaphore;
    ///
    /// let slots = Semaphore::new(4)?;
    /// let permits = (slots.acquire(), slots.acquire());
    /// assert_eq!(slots.available_permits(), 2);
    /// # drop(permits);
    /// # Ok::<(), offspring::Error>(())
    /// ```
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

/// A permit of a [`Semaphore`]. Dropping gives the permit back.
///
/// Belongs to the acquiring thread: not `Send`. A copy in a forked child gives nothing back.
///
/// # Examples
///
/// ```
/// use offspring::sync::{Semaphore, SemaphorePermit};
///
/// fn download(_permit: SemaphorePermit<'_>) {
///     // holds the permit until the end
/// }
///
/// let slots = Semaphore::new(1)?;
/// download(slots.acquire());
/// assert_eq!(slots.available_permits(), 1);
/// # Ok::<(), offspring::Error>(())
/// ```
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
            assert_eq!(error.kind(), ErrorKind::Setting);
            assert_eq!(error.to_string(), format!("a semaphore has 1 to 128 permits, not {permits}"));
        }
    }
}
