//! Many readers or one writer: a gate, and a slot for each reader. The README beside this file has the protocol.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, LockResult, TryLockResult};
use std::time::Duration;

use bytemuck::Pod;

use super::handle::{ObjectKind, create, handle};
use super::outcome::{always, attempted, try_with_poison, unless_busy, with_poison};
use crate::error::Error;
use crate::sys::robust::LockTimeout;
use crate::sys::shared_object::{Member, SharedObject, Sole};

/// The largest number of readers at a time. A further reader waits for a slot.
const READERS: usize = 32;

/// A value that many threads can see at a time, or one can change, in any processes.
///
/// As [`std::sync::RwLock`], for processes. Up to 32 threads read at a time. Without contention a read takes about 65
/// ns, a write about 85 ns.
///
/// A writer that waits lets no new reader in, so that writers do not starve. A reading thread must therefore not read
/// again before dropping the guard.
///
/// # Poisoning
///
/// A writer poisons the lock by a panic or by death, as with [`Mutex`](super::Mutex). A reader changes nothing and
/// poisons nothing.
///
/// # Examples
///
/// ```
/// use offspring::sync::RwLock;
/// use offspring::{child_task, process_main};
///
/// #[child_task]
/// fn price(prices: RwLock<[u32; 3]>, product: usize) -> u32 {
///     prices.read().unwrap()[product]
/// }
///
/// #[process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let prices = RwLock::new([10_u32, 20, 30])?;
///     prices.write().unwrap()[1] = 25;
///     assert_eq!(price::start(prices, 1)?.join()?, 25);
///     Ok(())
/// }
/// ```
pub struct RwLock<T: Pod> {
    shared: Arc<SharedObject<T, READERS, 0>>,
}

handle!(RwLock<T>);

impl<T: Pod> RwLock<T> {
    /// Makes an unlocked lock with a value.
    ///
    /// # Errors
    ///
    /// - [`LimitReached`](crate::ErrorKind::LimitReached): a limit on descriptors, memory or file sizes.
    /// - [`Os`](crate::ErrorKind::Os): the operating system refuses for another reason.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::RwLock;
    ///
    /// let table = RwLock::new([1_u32, 2, 3])?;
    /// assert_eq!(table.read().unwrap()[1], 2);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn new(value: T) -> Result<Self, Error> {
        Ok(Self { shared: create(ObjectKind::RwLock, value)? })
    }

    /// Locks for reading. Waits while a thread writes or waits to write, and while 32 threads read.
    ///
    /// # Errors
    ///
    /// - [`PoisonError`](std::sync::PoisonError): the lock is poisoned. Holds the guard.
    ///
    /// # Panics
    ///
    /// If this thread holds the lock for writing.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::RwLock;
    ///
    /// let table = RwLock::new([1_u32, 2, 3])?;
    /// let (one, other) = (table.read().unwrap(), table.read().unwrap());
    /// assert_eq!(one[0], other[0]);
    /// # drop((one, other));
    /// # Ok::<(), offspring::Error>(())
    /// ```
    #[track_caller]
    pub fn read(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        let member = always(self.shared.join(READERS, LockTimeout::Forever));
        with_poison(RwLockReadGuard(member), self.is_poisoned())
    }

    /// Locks for reading without waiting.
    ///
    /// # Errors
    ///
    /// - [`WouldBlock`](std::sync::TryLockError::WouldBlock): a thread writes or waits to write, or 32 threads read.
    /// - [`Poisoned`](std::sync::TryLockError::Poisoned): the lock is poisoned. Holds the guard.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::RwLock;
    ///
    /// let table = RwLock::new([1_u32, 2, 3])?;
    /// let writer = table.write().unwrap();
    /// assert!(table.try_read().is_err());
    /// drop(writer);
    /// assert!(table.try_read().is_ok());
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn try_read(&self) -> TryLockResult<RwLockReadGuard<'_, T>> {
        let member = attempted(self.shared.join(READERS, LockTimeout::Never));
        try_with_poison(member.map(RwLockReadGuard), self.is_poisoned())
    }

    /// Locks for reading. Waits for at most `limit`.
    ///
    /// # Errors
    ///
    /// - [`WouldBlock`](std::sync::TryLockError::WouldBlock): no room for a reader within `limit`.
    /// - [`Poisoned`](std::sync::TryLockError::Poisoned): the lock is poisoned. Holds the guard.
    ///
    /// # Panics
    ///
    /// If this thread holds the lock for writing.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use offspring::sync::RwLock;
    ///
    /// let table = RwLock::new([1_u32, 2, 3])?;
    /// assert_eq!(table.read_timeout(Duration::from_secs(1)).unwrap()[2], 3);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    #[track_caller]
    pub fn read_timeout(&self, limit: Duration) -> TryLockResult<RwLockReadGuard<'_, T>> {
        let member = unless_busy(self.shared.join(READERS, LockTimeout::within(limit)));
        try_with_poison(member.map(RwLockReadGuard), self.is_poisoned())
    }

    /// Locks for writing. Waits for all readers and writers.
    ///
    /// # Errors
    ///
    /// - [`PoisonError`](std::sync::PoisonError): the lock is poisoned. Holds the guard.
    ///
    /// # Panics
    ///
    /// If this thread holds the lock, for reading or writing.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::RwLock;
    ///
    /// let table = RwLock::new([1_u32, 2, 3])?;
    /// table.write().unwrap()[1] = 5;
    /// assert_eq!(*table.read().unwrap(), [1, 5, 3]);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    #[track_caller]
    pub fn write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        let sole = always(self.shared.seize(LockTimeout::Forever));
        with_poison(RwLockWriteGuard(sole), self.is_poisoned())
    }

    /// Locks for writing without waiting.
    ///
    /// # Errors
    ///
    /// - [`WouldBlock`](std::sync::TryLockError::WouldBlock): a thread holds the lock, perhaps this thread.
    /// - [`Poisoned`](std::sync::TryLockError::Poisoned): the lock is poisoned. Holds the guard.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::RwLock;
    ///
    /// let table = RwLock::new([1_u32, 2, 3])?;
    /// let reader = table.read().unwrap();
    /// assert!(table.try_write().is_err());
    /// drop(reader);
    /// assert!(table.try_write().is_ok());
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn try_write(&self) -> TryLockResult<RwLockWriteGuard<'_, T>> {
        let sole = attempted(self.shared.seize(LockTimeout::Never));
        try_with_poison(sole.map(RwLockWriteGuard), self.is_poisoned())
    }

    /// Locks for writing. Waits for at most `limit`. Readers get in again after the limit.
    ///
    /// # Errors
    ///
    /// - [`WouldBlock`](std::sync::TryLockError::WouldBlock): other threads held the lock for `limit`.
    /// - [`Poisoned`](std::sync::TryLockError::Poisoned): the lock is poisoned. Holds the guard.
    ///
    /// # Panics
    ///
    /// If this thread holds the lock, for reading or writing.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use offspring::sync::RwLock;
    ///
    /// let table = RwLock::new([1_u32, 2, 3])?;
    /// table.write_timeout(Duration::from_secs(1)).unwrap()[0] = 9;
    /// assert_eq!(table.read().unwrap()[0], 9);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    #[track_caller]
    pub fn write_timeout(&self, limit: Duration) -> TryLockResult<RwLockWriteGuard<'_, T>> {
        let sole = unless_busy(self.shared.seize(LockTimeout::within(limit)));
        try_with_poison(sole.map(RwLockWriteGuard), self.is_poisoned())
    }

    /// Whether a writer has panicked or died since the last [`clear_poison`](Self::clear_poison).
    ///
    /// A death is known from the next lock on.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::RwLock;
    ///
    /// let table = RwLock::new([1_u32, 2, 3])?;
    /// std::thread::scope(|scope| {
    ///     let panicked = scope.spawn(|| {
    ///         let _guard = table.write();
    ///         panic!("with the lock held");
    ///     });
    ///     assert!(panicked.join().is_err());
    /// });
    /// assert!(table.is_poisoned());
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn is_poisoned(&self) -> bool {
        self.shared.is_poisoned()
    }

    /// Declares the value sound again.
    ///
    /// Call with the lock held for writing, after repairing the value.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::RwLock;
    ///
    /// let table = RwLock::new([1_u32, 2, 3])?;
    /// # std::thread::scope(|scope| {
    /// #     scope.spawn(|| {
    /// #         let _guard = table.write();
    /// #         panic!("with the lock held");
    /// #     }).join().unwrap_err();
    /// # });
    /// if let Err(poisoned) = table.write() {
    ///     *poisoned.into_inner() = [0; 3];
    ///     table.clear_poison();
    /// }
    /// assert_eq!(*table.read().unwrap(), [0; 3]);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn clear_poison(&self) {
        self.shared.clear_poison();
    }
}

/// Prints the value, or `<locked>`. Does not wait.
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

/// Shared access to the value of an [`RwLock`]. Dropping unlocks.
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
/// use offspring::sync::{RwLock, RwLockReadGuard};
///
/// fn sum(table: RwLockReadGuard<'_, [u32; 3]>) -> u32 {
///     table.iter().sum()
/// } // unlocks
///
/// assert_eq!(sum(RwLock::new([1_u32, 2, 3])?.read().unwrap()), 6);
/// # Ok::<(), offspring::Error>(())
/// ```
#[must_use = "a lock whose guard is dropped at once guards nothing"]
pub struct RwLockReadGuard<'a, T: Pod>(Member<'a, T, READERS, 0>);

impl<T: Pod> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    /// # Panics
    ///
    /// In a forked copy of the process that holds the lock.
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Exclusive access to the value of an [`RwLock`]. Dropping unlocks.
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
/// use offspring::sync::{RwLock, RwLockWriteGuard};
///
/// fn clear(mut table: RwLockWriteGuard<'_, [u32; 3]>) {
///     table.fill(0);
/// } // unlocks
///
/// let table = RwLock::new([1_u32, 2, 3])?;
/// clear(table.write().unwrap());
/// assert_eq!(*table.read().unwrap(), [0; 3]);
/// # Ok::<(), offspring::Error>(())
/// ```
#[must_use = "a lock whose guard is dropped at once guards nothing"]
pub struct RwLockWriteGuard<'a, T: Pod>(Sole<'a, T, READERS, 0>);

impl<T: Pod> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    /// # Panics
    ///
    /// In a forked copy of the process that holds the lock.
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Pod> DerefMut for RwLockWriteGuard<'_, T> {
    /// # Panics
    ///
    /// In a forked copy of the process that holds the lock.
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
                // Takes the next guard before dropping the last: there is a reader at all times.
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
