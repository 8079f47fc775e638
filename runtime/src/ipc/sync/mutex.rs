//! One at a time: a robust lock with a value behind it.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, LockResult, TryLockResult};
use std::time::Duration;

use bytemuck::Pod;

use super::{Kind, create, handle, settle, settle_attempt, settle_for_good, tell, tell_attempt};
use crate::error::Error;
use crate::sys::robust::{LockFailure, LockTimeout};
use crate::sys::shared_object::{SharedObject, Sole};

/// A value that one thread of one process at a time can see and change.
///
/// As [`std::sync::Mutex`], it is *poisoned* when its holder panics. It is poisoned too when the holder's process dies, or its thread ends with
/// the guard forgotten: whoever locks it next, or is waiting for it at that moment, gets the data and the news at once. It stays
/// poisoned until [`clear_poison`](Self::clear_poison). A holder that the kill met before it could
/// touch the data, or after its last change, has not poisoned it.
///
/// # Example
/// ```
/// # offspring::guard();
/// let counts = offspring::sync::Mutex::new([0_u64; 3])?;
/// let counted = counts.lock().unwrap_or_else(|poisoned| {
///     let mut guard = poisoned.into_inner();
///     *guard = [0; 3]; // what the one before has left is repaired, or as here given up
///     counts.clear_poison();
///     guard
/// });
/// assert_eq!(counted[0], 0);
/// # Ok::<(), offspring::Error>(())
/// ```
///
/// Source: pthread_mutex_lock(3p), pthread_mutexattr_setrobust(3).
pub struct Mutex<T: Pod> {
    shared: Arc<SharedObject<T, 0, 0>>,
}

handle!(Mutex<T>);

impl<T: Pod> Mutex<T> {
    /// Makes one that is not locked.
    ///
    /// # Errors
    /// [`LimitReached`](crate::ErrorKind::LimitReached): no more descriptors or memory.
    pub fn new(value: T) -> Result<Self, Error> {
        Ok(Self { shared: create(Kind::Mutex, value)? })
    }

    /// Locks it; waits as long as somebody else has it.
    ///
    /// # Errors
    /// It is poisoned; the error has the guard.
    ///
    /// # Panics
    /// If this thread holds it already.
    #[track_caller]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        let guard = self.guard(settle_for_good(self.shared.seize(LockTimeout::Forever)));
        tell(guard, self.is_poisoned())
    }

    /// Locks it, unless somebody has it.
    ///
    /// # Errors
    /// `WouldBlock`: somebody has it, which may be this thread. `Poisoned`: as for [`lock`](Self::lock).
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        let guard = settle_attempt(self.shared.seize(LockTimeout::Never));
        tell_attempt(guard.map(|sole| self.guard(sole)), self.is_poisoned())
    }

    /// Locks it; waits no longer than `limit`.
    ///
    /// # Errors
    /// `WouldBlock`: the time is over. `Poisoned`: as for [`lock`](Self::lock).
    ///
    /// # Panics
    /// If this thread holds it already.
    #[track_caller]
    pub fn lock_timeout(&self, limit: Duration) -> TryLockResult<MutexGuard<'_, T>> {
        let guard = settle(self.shared.seize(LockTimeout::within(limit)));
        tell_attempt(guard.map(|sole| self.guard(sole)), self.is_poisoned())
    }

    /// Whether a holder has panicked or died since it was made, or since the last [`clear_poison`](Self::clear_poison).
    ///
    /// A death is known when the next one has locked it.
    pub fn is_poisoned(&self) -> bool {
        self.shared.is_poisoned()
    }

    /// Declares the value sound again, by whoever has made it so.
    pub fn clear_poison(&self) {
        self.shared.clear_poison();
    }

    /// The value, taken out under the lock.
    ///
    /// # Errors
    /// It is poisoned; the error has the value.
    ///
    /// # Panics
    /// If this thread holds it already.
    #[track_caller]
    pub fn get(&self) -> LockResult<T> {
        match self.lock() {
            Ok(guard) => Ok(*guard),
            Err(poisoned) => tell(*poisoned.into_inner(), true),
        }
    }

    fn guard<'a>(&'a self, sole: Sole<'a, T, 0, 0>) -> MutexGuard<'a, T> {
        MutexGuard { mutex: self, sole }
    }
}

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

/// The right to a mutex's value, given back when it is dropped.
#[must_use = "a lock whose guard is dropped at once guards nothing"]
pub struct MutexGuard<'a, T: Pod> {
    mutex: &'a Mutex<T>,
    sole: Sole<'a, T, 0, 0>,
}

impl<'a, T: Pod> MutexGuard<'a, T> {
    /// Unlocks it.
    pub(super) fn unlock(self) -> &'a Mutex<T> {
        self.mutex
    }
}

impl<T: Pod> Deref for MutexGuard<'_, T> {
    type Target = T;

    /// # Panics
    /// In a copy of the process that holds the lock.
    fn deref(&self) -> &T {
        &self.sole
    }
}

impl<T: Pod> DerefMut for MutexGuard<'_, T> {
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
            // As its own handle of the memory, which must stay mapped for the kernel.
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
