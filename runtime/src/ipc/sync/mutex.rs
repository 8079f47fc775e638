//! One holder at a time: a robust lock with a value. The README beside this file has the protocol.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, LockResult, TryLockResult};
use std::time::Duration;

use bytemuck::Pod;

use super::handle::{ObjectKind, create, handle};
use super::outcome::{always, attempted, try_with_poison, unless_busy, with_poison};
use crate::error::Error;
use crate::sys::robust::{LockFailure, LockTimeout};
use crate::sys::shared_object::{SharedObject, Sole};

/// A value that one thread of one process at a time can see and change.
///
/// As [`std::sync::Mutex`], for processes. Locking and unlocking takes about 50 ns without contention.
///
/// # Poisoning
///
/// A mutex is *poisoned* when a holder panics, as std's. A holder also poisons by the death of the process, and by the
/// end of the thread with the guard forgotten. The next holder, even if waiting already, gets the data and a
/// [`PoisonError`] at once. The mutex stays poisoned until [`clear_poison`](Self::clear_poison). A holder killed before
/// the first access to the data, or after the last change, does not poison.
///
/// [`PoisonError`]: std::sync::PoisonError
///
/// # Examples
///
/// A child that dies with the lock held:
///
/// ```
/// use offspring::sync::Mutex;
/// use offspring::{child_task, process_main};
///
/// #[child_task]
/// fn begin(counts: Mutex<[u64; 3]>) {
///     let mut counts = counts.lock().unwrap();
///     counts[0] = 1;
///     std::process::abort();
/// }
///
/// #[process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let counts = Mutex::new([0_u64; 3])?;
///     assert!(begin::start(counts.clone())?.join().is_err());
///     let repaired = counts.lock().unwrap_or_else(|poisoned| {
///         let mut guard = poisoned.into_inner();
///         *guard = [0; 3]; // repairs the state left behind
///         counts.clear_poison();
///         guard
///     });
///     assert_eq!(*repaired, [0; 3]);
///     Ok(())
/// }
/// ```
///
/// Source: [pthread_mutex_lock(3p)](https://man7.org/linux/man-pages/man3/pthread_mutex_lock.3p.html),
/// [pthread_mutexattr_setrobust(3)](https://man7.org/linux/man-pages/man3/pthread_mutexattr_setrobust.3.html).
pub struct Mutex<T: Pod> {
    shared: Arc<SharedObject<T, 0, 0>>,
}

handle!(Mutex<T>);

impl<T: Pod> Mutex<T> {
    /// Makes an unlocked mutex with a value.
    ///
    /// # Errors
    ///
    /// - [`LimitReached`](crate::ErrorKind::LimitReached): a limit on descriptors, memory or file sizes.
    /// - [`Os`](crate::ErrorKind::Os): the operating system refuses for another reason.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::Mutex;
    ///
    /// let temperature = Mutex::new(21.5_f64)?;
    /// assert_eq!(*temperature.lock().unwrap(), 21.5);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn new(value: T) -> Result<Self, Error> {
        Ok(Self { shared: create(ObjectKind::Mutex, value)? })
    }

    /// Locks the mutex. Waits while another thread holds the lock.
    ///
    /// # Errors
    ///
    /// - [`PoisonError`](std::sync::PoisonError): the mutex is poisoned. Holds the guard.
    ///
    /// # Panics
    ///
    /// If this thread holds the lock.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::Mutex;
    ///
    /// let count = Mutex::new(1_u32)?;
    /// *count.lock().unwrap() += 1;
    /// assert_eq!(*count.lock().unwrap(), 2);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    #[track_caller]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        let guard = self.guard(always(self.shared.seize(LockTimeout::Forever)));
        with_poison(guard, self.is_poisoned())
    }

    /// Locks the mutex without waiting.
    ///
    /// # Errors
    ///
    /// - [`WouldBlock`](std::sync::TryLockError::WouldBlock): a thread holds the lock, perhaps this thread.
    /// - [`Poisoned`](std::sync::TryLockError::Poisoned): the mutex is poisoned. Holds the guard.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::Mutex;
    ///
    /// let count = Mutex::new(1_u32)?;
    /// let held = count.lock().unwrap();
    /// assert!(count.try_lock().is_err());
    /// drop(held);
    /// assert!(count.try_lock().is_ok());
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        let guard = attempted(self.shared.seize(LockTimeout::Never));
        try_with_poison(guard.map(|sole| self.guard(sole)), self.is_poisoned())
    }

    /// Locks the mutex. Waits for at most `limit`.
    ///
    /// # Errors
    ///
    /// - [`WouldBlock`](std::sync::TryLockError::WouldBlock): another thread held the lock for `limit`.
    /// - [`Poisoned`](std::sync::TryLockError::Poisoned): the mutex is poisoned. Holds the guard.
    ///
    /// # Panics
    ///
    /// If this thread holds the lock.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::TryLockError;
    /// use std::time::Duration;
    ///
    /// use offspring::sync::Mutex;
    ///
    /// let count = Mutex::new(1_u32)?;
    /// let held = count.lock().unwrap();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         let locked = count.lock_timeout(Duration::from_millis(1));
    ///         assert!(matches!(locked, Err(TryLockError::WouldBlock)));
    ///     });
    /// });
    /// # drop(held);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    #[track_caller]
    pub fn lock_timeout(&self, limit: Duration) -> TryLockResult<MutexGuard<'_, T>> {
        let guard = unless_busy(self.shared.seize(LockTimeout::within(limit)));
        try_with_poison(guard.map(|sole| self.guard(sole)), self.is_poisoned())
    }

    /// Whether a holder has panicked or died since the last [`clear_poison`](Self::clear_poison).
    ///
    /// A death is known from the next lock on.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::Mutex;
    ///
    /// let count = Mutex::new(1_u32)?;
    /// std::thread::scope(|scope| {
    ///     let panicked = scope.spawn(|| {
    ///         let _guard = count.lock();
    ///         panic!("with the lock held");
    ///     });
    ///     assert!(panicked.join().is_err());
    /// });
    /// assert!(count.is_poisoned());
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn is_poisoned(&self) -> bool {
        self.shared.is_poisoned()
    }

    /// Declares the value sound again.
    ///
    /// Call with the lock held, after repairing the value.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::Mutex;
    ///
    /// let count = Mutex::new(1_u32)?;
    /// # std::thread::scope(|scope| {
    /// #     scope.spawn(|| {
    /// #         let _guard = count.lock();
    /// #         panic!("with the lock held");
    /// #     }).join().unwrap_err();
    /// # });
    /// if let Err(poisoned) = count.lock() {
    ///     *poisoned.into_inner() = 0;
    ///     count.clear_poison();
    /// }
    /// assert_eq!(*count.lock().unwrap(), 0);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn clear_poison(&self) {
        self.shared.clear_poison();
    }

    /// Returns a copy of the value. Waits while another thread holds the lock.
    ///
    /// # Errors
    ///
    /// - [`PoisonError`](std::sync::PoisonError): the mutex is poisoned. Holds the value.
    ///
    /// # Panics
    ///
    /// If this thread holds the lock.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::Mutex;
    ///
    /// assert_eq!(Mutex::new([1_u8, 2])?.get().unwrap(), [1, 2]);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    #[track_caller]
    pub fn get(&self) -> LockResult<T> {
        match self.lock() {
            Ok(guard) => Ok(*guard),
            Err(poisoned) => with_poison(*poisoned.into_inner(), true),
        }
    }

    fn guard<'a>(&'a self, sole: Sole<'a, T, 0, 0>) -> MutexGuard<'a, T> {
        MutexGuard { mutex: self, sole }
    }
}

/// Prints the value, or `<locked>`. Does not wait.
impl<T: Pod + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Mutex");
        match self.shared.seize(LockTimeout::Never) {
            Ok(value) => debug.field("data", &*value),
            Err(LockFailure::Busy | LockFailure::Deadlock | LockFailure::Os(_)) => {
                debug.field("data", &format_args!("<locked>"))
            }
        };
        debug.field("poisoned", &self.is_poisoned()).finish_non_exhaustive()
    }
}

/// Access to the value of a [`Mutex`]. Dropping unlocks.
///
/// Belongs to the locking thread: not `Send`.
///
/// # Panics
///
/// Access panics in a forked copy of the process that holds the lock.
///
/// # Examples
///
/// ```
/// use offspring::sync::{Mutex, MutexGuard};
///
/// fn double(mut number: MutexGuard<'_, u32>) {
///     *number *= 2;
/// } // unlocks
///
/// let number = Mutex::new(21_u32)?;
/// double(number.lock().unwrap());
/// assert_eq!(number.get().unwrap(), 42);
/// # Ok::<(), offspring::Error>(())
/// ```
#[must_use = "a lock whose guard is dropped at once guards nothing"]
pub struct MutexGuard<'a, T: Pod> {
    mutex: &'a Mutex<T>,
    sole: Sole<'a, T, 0, 0>,
}

impl<'a, T: Pod> MutexGuard<'a, T> {
    /// Unlocks, and returns the mutex.
    pub(super) fn unlock(self) -> &'a Mutex<T> {
        self.mutex
    }
}

impl<T: Pod> Deref for MutexGuard<'_, T> {
    type Target = T;

    /// # Panics
    ///
    /// In a forked copy of the process that holds the lock.
    fn deref(&self) -> &T {
        &self.sole
    }
}

impl<T: Pod> DerefMut for MutexGuard<'_, T> {
    /// # Panics
    ///
    /// In a forked copy of the process that holds the lock.
    fn deref_mut(&mut self) -> &mut T {
        &mut self.sole
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::TryLockError;

    use super::*;

    const SHORT: Duration = Duration::from_millis(10);
    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn threads_exclude_each_other() {
        let mutex = Mutex::new([0_u64; 2]).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        let mut pair = mutex.lock().unwrap();
                        assert_eq!(pair[0], pair[1]);
                        pair[0] += 1;
                        pair[1] += 1;
                    }
                });
            }
        });
        assert_eq!(mutex.get().unwrap(), [8000; 2]);
    }

    #[test]
    fn a_thread_that_locks_twice_is_told() {
        let mutex = Mutex::new(1_u8).unwrap();
        let guard = mutex.lock().unwrap();
        assert!(matches!(mutex.try_lock(), Err(TryLockError::WouldBlock)));
        assert!(catch_unwind(AssertUnwindSafe(|| drop(mutex.lock()))).is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| drop(mutex.lock_timeout(LONG)))).is_err());
        assert_eq!(format!("{mutex:?}"), "Mutex { data: <locked>, poisoned: false, .. }");
        drop(guard);
        assert_eq!(*mutex.lock().unwrap(), 1);
        assert_eq!(format!("{mutex:?}"), "Mutex { data: 1, poisoned: false, .. }");
    }

    #[test]
    fn a_limit_is_kept() {
        let mutex = Mutex::new(1_u8).unwrap();
        let _guard = mutex.lock().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let begun = std::time::Instant::now();
                assert!(matches!(mutex.lock_timeout(SHORT), Err(TryLockError::WouldBlock)));
                assert!(begun.elapsed() >= SHORT);
                assert!(matches!(mutex.try_lock(), Err(TryLockError::WouldBlock)));
            });
        });
    }

    #[test]
    fn a_panic_poisons_as_in_std() {
        let mutex = Mutex::new(1_u8).unwrap();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            *mutex.lock().unwrap() = 2;
            assert!(!mutex.is_poisoned());
            let _guard = mutex.lock();
            panic!("on purpose");
        }));
        assert!(panicked.is_err() && mutex.is_poisoned());
        assert_eq!(*mutex.lock().unwrap_err().into_inner(), 2);
        assert!(matches!(mutex.try_lock(), Err(TryLockError::Poisoned(_))));
        mutex.clear_poison();
        assert_eq!(mutex.get().unwrap(), 2);
    }

    #[test]
    fn a_forgotten_guard_of_a_dropped_handle_harms_nobody_and_its_threads_end_tells() {
        let mutex = Mutex::new(1_u8).unwrap();
        let other = mutex.clone();
        let ended = std::thread::spawn(move || {
            std::mem::forget(mutex.lock());
            // The last handle of this memory, which must stay mapped for the kernel.
            let alone = Mutex::new(1_u8).unwrap();
            std::mem::forget(alone.lock());
            drop(alone);
            let third = Mutex::new(1_u8).unwrap();
            assert_eq!(*third.lock().unwrap(), 1);
        });
        ended.join().unwrap();
        assert!(other.lock_timeout(LONG).is_err_and(|error| matches!(error, TryLockError::Poisoned(_))));
    }

    #[test]
    fn values_of_no_and_of_much_space_and_of_wide_alignment() {
        Mutex::new(()).unwrap().lock().map(|_| ()).unwrap();
        assert_eq!(Mutex::new([7_u64; 4096]).unwrap().get().unwrap(), [7; 4096]);
        assert_eq!(Mutex::new(u128::MAX).unwrap().get().unwrap(), u128::MAX);
    }
}
