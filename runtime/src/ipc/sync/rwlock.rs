//! Many who read or one who writes: a gate, and a slot for each reader. The README beside this file has the protocol.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, LockResult, TryLockResult};
use std::time::Duration;

use bytemuck::Pod;

use super::{Kind, create, handle, settle, settle_attempt, settle_for_good, tell, tell_attempt};
use crate::error::Error;
use crate::sys::robust::LockTimeout;
use crate::sys::shared_object::{Member, SharedObject, Sole};

/// How many read at the same time; the next one waits until one of them has finished.
const READERS: usize = 32;

/// A value that many can see at the same time, or one can change.
///
/// As [`std::sync::RwLock`], it is poisoned when a writer panics; and also when a writer dies. A reader that dies has changed nothing, so that nobody
/// hears of it. At most 32 read at the same time. A writer that waits lets no new reader in, so that it
/// does not starve; a thread that reads must therefore not read again before it has dropped its guard.
///
/// # Example
/// ```
/// # offspring::guard();
/// let table = offspring::sync::RwLock::new([1_u32, 2, 3])?;
/// assert_eq!(table.read().unwrap()[1], 2);
/// table.write().unwrap()[1] = 5;
/// assert_eq!(table.read().unwrap()[1], 5);
/// # Ok::<(), offspring::Error>(())
/// ```
pub struct RwLock<T: Pod> {
    shared: Arc<SharedObject<T, READERS, 0>>,
}

handle!(RwLock<T>);

impl<T: Pod> RwLock<T> {
    /// Makes one that is not locked.
    ///
    /// # Errors
    /// [`LimitReached`](crate::ErrorKind::LimitReached): no more descriptors or memory.
    pub fn new(value: T) -> Result<Self, Error> {
        Ok(Self { shared: create(Kind::RwLock, value)? })
    }

    /// Locks it to read; waits for whoever writes, or waits to write.
    ///
    /// # Errors
    /// It is poisoned; the error has the guard.
    ///
    /// # Panics
    /// If this thread holds it to write.
    #[track_caller]
    pub fn read(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        let member = settle_for_good(self.shared.join(READERS, LockTimeout::Forever));
        tell(RwLockReadGuard(member), self.is_poisoned())
    }

    /// Locks it to read, unless somebody writes, or waits to write, or too many read.
    ///
    /// # Errors
    /// `WouldBlock`: so it is. `Poisoned`: as for [`read`](Self::read).
    pub fn try_read(&self) -> TryLockResult<RwLockReadGuard<'_, T>> {
        let member = settle_attempt(self.shared.join(READERS, LockTimeout::Never));
        tell_attempt(member.map(RwLockReadGuard), self.is_poisoned())
    }

    /// Locks it to read; waits no longer than `limit`.
    ///
    /// # Errors
    /// `WouldBlock`: the time is over. `Poisoned`: as for [`read`](Self::read).
    ///
    /// # Panics
    /// If this thread holds it to write.
    #[track_caller]
    pub fn read_timeout(&self, limit: Duration) -> TryLockResult<RwLockReadGuard<'_, T>> {
        let member = settle(self.shared.join(READERS, LockTimeout::within(limit)));
        tell_attempt(member.map(RwLockReadGuard), self.is_poisoned())
    }

    /// Locks it to write; waits for everyone else.
    ///
    /// # Errors
    /// It is poisoned; the error has the guard.
    ///
    /// # Panics
    /// If this thread holds it already.
    #[track_caller]
    pub fn write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        let sole = settle_for_good(self.shared.seize(LockTimeout::Forever));
        tell(RwLockWriteGuard(sole), self.is_poisoned())
    }

    /// Locks it to write, unless somebody has it.
    ///
    /// # Errors
    /// `WouldBlock`: somebody has it, which may be this thread. `Poisoned`: as for [`write`](Self::write).
    pub fn try_write(&self) -> TryLockResult<RwLockWriteGuard<'_, T>> {
        let sole = settle_attempt(self.shared.seize(LockTimeout::Never));
        tell_attempt(sole.map(RwLockWriteGuard), self.is_poisoned())
    }

    /// Locks it to write; waits no longer than `limit`.
    ///
    /// # Errors
    /// `WouldBlock`: the time is over. `Poisoned`: as for [`write`](Self::write).
    ///
    /// # Panics
    /// If this thread holds it already.
    #[track_caller]
    pub fn write_timeout(&self, limit: Duration) -> TryLockResult<RwLockWriteGuard<'_, T>> {
        let sole = settle(self.shared.seize(LockTimeout::within(limit)));
        tell_attempt(sole.map(RwLockWriteGuard), self.is_poisoned())
    }

    /// Whether a writer has panicked or died since it was made, or since the last [`clear_poison`](Self::clear_poison).
    ///
    /// A death is known when the next one has locked it.
    pub fn is_poisoned(&self) -> bool {
        self.shared.is_poisoned()
    }

    /// Declares the value sound again, by whoever has made it so.
    pub fn clear_poison(&self) {
        self.shared.clear_poison();
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("RwLock");
        match self.shared.join(READERS, LockTimeout::Never) {
            Ok(value) => debug.field("data", &*value),
            Err(_) => debug.field("data", &format_args!("<locked>")),
        };
        debug.field("poisoned", &self.is_poisoned()).finish_non_exhaustive()
    }
}

/// The right to see the value, given back when it is dropped.
#[must_use = "a lock whose guard is dropped at once guards nothing"]
pub struct RwLockReadGuard<'a, T: Pod>(Member<'a, T, READERS, 0>);

impl<T: Pod> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    /// # Panics
    /// In a copy of the process that holds the lock.
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// The right to change the value, given back when it is dropped.
#[must_use = "a lock whose guard is dropped at once guards nothing"]
pub struct RwLockWriteGuard<'a, T: Pod>(Sole<'a, T, READERS, 0>);

impl<T: Pod> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    /// # Panics
    /// In a copy of the process that holds the lock.
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Pod> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::TryLockError;
    use std::sync::mpsc::channel;

    use super::*;

    const SHORT: Duration = Duration::from_millis(10);
    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn readers_share_and_a_writer_is_alone() {
        let lock = RwLock::new(1_u32).unwrap();
        let (one, other) = (lock.read().unwrap(), lock.read().unwrap());
        assert_eq!((*one, *other), (1, 1));
        assert!(matches!(lock.try_write(), Err(TryLockError::WouldBlock)));
        assert!(catch_unwind(AssertUnwindSafe(|| drop(lock.write()))).is_err());
        drop((one, other));
        let mut writer = lock.write().unwrap();
        *writer = 2;
        assert!(matches!(lock.try_read(), Err(TryLockError::WouldBlock)));
        assert!(matches!(lock.try_write(), Err(TryLockError::WouldBlock)));
        assert!(catch_unwind(AssertUnwindSafe(|| drop(lock.read()))).is_err());
        drop(writer);
        assert_eq!(*lock.try_read().unwrap(), 2);
        assert!(lock.try_write().is_ok());
    }

    #[test]
    fn one_reader_more_than_there_are_slots_waits_for_one() {
        let lock = RwLock::new(1_u32).unwrap();
        let mut guards: Vec<_> = (0..READERS).map(|_| lock.read().unwrap()).collect();
        assert!(matches!(lock.try_read(), Err(TryLockError::WouldBlock)));
        assert!(matches!(lock.read_timeout(SHORT), Err(TryLockError::WouldBlock)));
        let (ready, is_ready) = channel();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                ready.send(()).unwrap();
                lock.read_timeout(LONG).map(|guard| *guard).ok()
            });
            is_ready.recv().unwrap();
            guards.pop();
            assert_eq!(waiter.join().unwrap(), Some(1));
        });
    }

    #[test]
    fn a_writer_that_gives_up_lets_readers_in_again() {
        let lock = RwLock::new(1_u32).unwrap();
        let reader = lock.read().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| assert!(matches!(lock.write_timeout(SHORT), Err(TryLockError::WouldBlock))));
        });
        assert_eq!(*lock.try_read().unwrap(), 1);
        drop(reader);
    }

    #[test]
    fn readers_who_never_pause_do_not_starve_a_writer() {
        let lock = RwLock::new(0_u32).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                // Each takes its next guard before it drops the last one: there is always somebody who reads.
                scope.spawn(|| {
                    let mut last = lock.read().unwrap();
                    while *last == 0 {
                        match lock.try_read() {
                            Ok(next) => last = next,
                            Err(_) => {
                                drop(last);
                                last = lock.read().unwrap();
                            }
                        }
                    }
                });
            }
            *lock.write_timeout(LONG).unwrap() = 1;
        });
    }

    #[test]
    fn a_writers_panic_poisons_and_a_readers_does_not() {
        let lock = RwLock::new(1_u32).unwrap();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _guard = lock.read();
            panic!("on purpose");
        }));
        assert!(panicked.is_err() && !lock.is_poisoned());
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _guard = lock.write();
            panic!("on purpose");
        }));
        assert!(panicked.is_err() && lock.is_poisoned());
        assert_eq!(*lock.read().unwrap_err().into_inner(), 1);
        assert!(matches!(lock.try_write(), Err(TryLockError::Poisoned(_))));
        lock.clear_poison();
        assert!(lock.write().is_ok());
    }
}
