//! Waiting for a change of a value by another process. The README beside this file has the protocol.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LockResult, PoisonError};
use std::time::{Duration, Instant};

use bytemuck::Pod;

use super::handle::{ObjectKind, create, handle};
use super::mutex::MutexGuard;
use crate::error::Error;
use crate::sys::futex;
use crate::sys::poll::{Deadline, deadline_in};
use crate::sys::shared_object::SharedObject;

/// Lets a thread sleep until another thread, of any process, has changed the value of a [`Mutex`](super::Mutex).
///
/// As [`std::sync::Condvar`], for processes, with two differences:
///
/// - One condition variable may be used with any number of mutexes.
/// - Each wait returns at least once a second, by a *spurious* wake-up, which std allows too. So the death of a
///   notifier before the notification blocks no waiter. [`wait_while`](Self::wait_while) sees the changed value, or the
///   poison, within a second.
///
/// # Examples
///
/// ```
/// use offspring::sync::{Condvar, Mutex};
/// use offspring::{child_task, process_main};
///
/// #[child_task]
/// fn fill(level: Mutex<u32>, filled: Condvar) {
///     *level.lock().unwrap() = 5;
///     filled.notify_all();
/// }
///
/// #[process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let (level, filled) = (Mutex::new(0_u32)?, Condvar::new()?);
///     let child = fill::start(level.clone(), filled.clone())?;
///     let reached = filled.wait_while(level.lock().unwrap(), |level| *level < 5).unwrap();
///     assert_eq!(*reached, 5);
///     drop(reached);
///     child.join()?;
///     Ok(())
/// }
/// ```
///
/// Source: [futex(2)](https://man7.org/linux/man-pages/man2/futex.2.html).
pub struct Condvar {
    shared: Arc<SharedObject<(), 0, 1>>,
}

handle!(Condvar);

impl Condvar {
    /// Makes a condition variable.
    ///
    /// # Errors
    ///
    /// - [`LimitReached`](crate::ErrorKind::LimitReached): a limit on descriptors, memory or file sizes.
    /// - [`Os`](crate::ErrorKind::Os): the operating system refuses for another reason.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::Condvar;
    ///
    /// let changed = Condvar::new()?;
    /// changed.notify_all(); // no thread waits: no effect
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn new() -> Result<Self, Error> {
        Ok(Self { shared: create(ObjectKind::Condvar, ())? })
    }

    /// Unlocks the mutex, sleeps until a notification, and locks the mutex again.
    ///
    /// Returns after a second at the latest, so that the caller has to check the value in a loop.
    ///
    /// # Errors
    ///
    /// - [`PoisonError`]: the mutex is poisoned. Holds the guard.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::{Condvar, Mutex};
    ///
    /// let (is_ready, changed) = (Mutex::new(0_u8)?, Condvar::new()?);
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         *is_ready.lock().unwrap() = 1;
    ///         changed.notify_all();
    ///     });
    ///     let mut guard = is_ready.lock().unwrap();
    ///     while *guard == 0 {
    ///         guard = changed.wait(guard).unwrap();
    ///     }
    /// });
    /// # Ok::<(), offspring::Error>(())
    /// ```
    #[track_caller]
    pub fn wait<'a, T: Pod>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.suspend(guard, None).0
    }

    /// Waits as long as `condition` returns `true`. Returns with the mutex locked.
    ///
    /// # Errors
    ///
    /// - [`PoisonError`]: the mutex is poisoned. Holds the guard.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::{Condvar, Mutex};
    ///
    /// let (level, changed) = (Mutex::new(0_u32)?, Condvar::new()?);
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         *level.lock().unwrap() = 5;
    ///         changed.notify_all();
    ///     });
    ///     let guard = changed.wait_while(level.lock().unwrap(), |level| *level < 5).unwrap();
    ///     assert_eq!(*guard, 5);
    /// });
    /// # Ok::<(), offspring::Error>(())
    /// ```
    #[track_caller]
    pub fn wait_while<'a, T: Pod>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<MutexGuard<'a, T>> {
        while condition(&mut guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// Waits for a notification, for at most `limit`.
    ///
    /// May return earlier than both, after a second at the latest.
    ///
    /// # Errors
    ///
    /// - [`PoisonError`]: the mutex is poisoned. Holds the guard and the result.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use offspring::sync::{Condvar, Mutex};
    ///
    /// let (level, changed) = (Mutex::new(0_u32)?, Condvar::new()?);
    /// let (guard, result) = changed.wait_timeout(level.lock().unwrap(), Duration::from_millis(1)).unwrap();
    /// assert!(result.timed_out());
    /// # drop(guard);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    #[track_caller]
    pub fn wait_timeout<'a, T: Pod>(
        &self,
        guard: MutexGuard<'a, T>,
        limit: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let deadline = deadline_in(limit);
        let (locked, is_notified) = self.suspend(guard, deadline);
        let result = WaitTimeoutResult(!is_notified && is_over(deadline));
        both(locked, result)
    }

    /// Waits as long as `condition` returns `true`, for at most `limit`.
    ///
    /// # Errors
    ///
    /// - [`PoisonError`]: the mutex is poisoned. Holds the guard and the result.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use offspring::sync::{Condvar, Mutex};
    ///
    /// let (level, changed) = (Mutex::new(0_u32)?, Condvar::new()?);
    /// let limit = Duration::from_millis(1);
    /// let (guard, result) = changed.wait_timeout_while(level.lock().unwrap(), limit, |level| *level < 5).unwrap();
    /// assert!(result.timed_out());
    /// assert_eq!(*guard, 0);
    /// # drop(guard);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    #[track_caller]
    pub fn wait_timeout_while<'a, T: Pod>(
        &self,
        mut guard: MutexGuard<'a, T>,
        limit: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let deadline = deadline_in(limit);
        loop {
            if !condition(&mut guard) {
                return Ok((guard, WaitTimeoutResult(false)));
            }
            if is_over(deadline) {
                return Ok((guard, WaitTimeoutResult(true)));
            }
            match self.suspend(guard, deadline).0 {
                Ok(locked) => guard = locked,
                poisoned => return both(poisoned, WaitTimeoutResult(is_over(deadline))),
            }
        }
    }

    /// Wakes at least one waiting thread.
    ///
    /// Wakes all, as [`notify_all`](Self::notify_all): if only one thread were woken, the kill of that thread before it
    /// acts would leave all other threads asleep.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::{Condvar, Mutex};
    ///
    /// let (items, added) = (Mutex::new(0_u32)?, Condvar::new()?);
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         *items.lock().unwrap() += 1;
    ///         added.notify_one();
    ///     });
    ///     *added.wait_while(items.lock().unwrap(), |items| *items == 0).unwrap() -= 1;
    /// });
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn notify_one(&self) {
        self.notify_all();
    }

    /// Wakes all waiting threads. Costs a system call, about 450 ns, even without a waiting thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::{Condvar, Mutex};
    ///
    /// let (is_open, opened) = (Mutex::new(0_u8)?, Condvar::new()?);
    /// std::thread::scope(|scope| {
    ///     for _ in 0..2 {
    ///         scope.spawn(|| drop(opened.wait_while(is_open.lock().unwrap(), |is_open| *is_open == 0)));
    ///     }
    ///     *is_open.lock().unwrap() = 1;
    ///     opened.notify_all();
    /// });
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn notify_all(&self) {
        self.notifications().fetch_add(1, Ordering::Release);
        futex::wake_all(self.notifications());
    }

    /// The number of notifications.
    fn notifications(&self) -> &AtomicU32 {
        &self.shared.words()[0]
    }

    /// Sleeps once. Returns whether there was a notification.
    #[track_caller]
    fn suspend<'a, T: Pod>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Deadline,
    ) -> (LockResult<MutexGuard<'a, T>>, bool) {
        // Read before the unlock: a change of the value after the unlock is notified later, and changes the count.
        let seen = self.notifications().load(Ordering::Acquire);
        let mutex = guard.unlock();
        futex::wait(self.notifications(), seen, deadline);
        let is_notified = self.notifications().load(Ordering::Acquire) != seen;
        (mutex.lock(), is_notified)
    }
}

fn is_over(deadline: Deadline) -> bool {
    deadline.is_some_and(|end| Instant::now() >= end)
}

fn both<G, R>(locked: LockResult<G>, result: R) -> LockResult<(G, R)> {
    match locked {
        Ok(guard) => Ok((guard, result)),
        Err(poisoned) => Err(PoisonError::new((poisoned.into_inner(), result))),
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}

/// Whether a wait of a [`Condvar`] has reached the limit.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use offspring::sync::{Condvar, Mutex, WaitTimeoutResult};
///
/// let (level, changed) = (Mutex::new(0_u32)?, Condvar::new()?);
/// let (guard, result) = changed.wait_timeout(level.lock().unwrap(), Duration::from_millis(1)).unwrap();
/// let _: WaitTimeoutResult = result;
/// assert!(result.timed_out());
/// # drop(guard);
/// # Ok::<(), offspring::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether the wait ended at the limit.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use offspring::sync::{Condvar, Mutex};
    ///
    /// let (level, changed) = (Mutex::new(7_u32)?, Condvar::new()?);
    /// let limit = Duration::from_secs(1);
    /// let waited = changed.wait_timeout_while(level.lock().unwrap(), limit, |level| *level == 0);
    /// assert!(!waited.unwrap().1.timed_out());
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::sync::mutex::Mutex;

    const SHORT: Duration = Duration::from_millis(10);
    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_notification_between_unlock_and_sleep_is_not_lost() {
        let (turn, condvar) = (Mutex::new(0_u32).unwrap(), Condvar::new().unwrap());
        let play = |own: u32| {
            for _ in 0..300 {
                let guard = turn.lock().unwrap();
                let (mut guard, result) = condvar.wait_timeout_while(guard, LONG, |turn| *turn % 2 != own).unwrap();
                assert!(!result.timed_out());
                *guard += 1;
                drop(guard);
                condvar.notify_one();
            }
        };
        let begun = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| play(0));
            scope.spawn(|| play(1));
        });
        assert_eq!(turn.get().unwrap(), 600);
        // Were notifications lost, every turn would take the second after which sleepers look again.
        assert!(begun.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn a_limit_is_kept_and_told() {
        let (mutex, condvar) = (Mutex::new(0_u32).unwrap(), Condvar::new().unwrap());
        let begun = Instant::now();
        let (guard, result) = condvar.wait_timeout(mutex.lock().unwrap(), SHORT).unwrap();
        assert!(result.timed_out() && begun.elapsed() >= SHORT);
        let (_, result) = condvar.wait_timeout_while(guard, SHORT, |_| true).unwrap();
        assert!(result.timed_out());
    }

    #[test]
    fn without_a_notification_a_wait_looks_again_within_some_seconds() {
        let (mutex, condvar) = (Mutex::new(0_u32).unwrap(), Condvar::new().unwrap());
        let (_, result) = condvar.wait_timeout(mutex.lock().unwrap(), LONG).unwrap();
        assert!(!result.timed_out());
    }
}
