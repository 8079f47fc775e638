//! Waiting for what another process does to a value. The README beside this file has the protocol.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LockResult, PoisonError};
use std::time::{Duration, Instant};

use bytemuck::Pod;

use super::{Kind, MutexGuard, create, handle};
use crate::error::Error;
use crate::sys::futex;
use crate::sys::poll::{Deadline, deadline_in};
use crate::sys::shared_object::SharedObject;

/// Lets a thread sleep until another one, of any process, has changed the value of a [`Mutex`](super::Mutex).
///
/// As [`std::sync::Condvar`], with two differences. It may be used with any number of mutexes. And each wait returns at least once a
/// second (a *spurious* wake-up, as std allows them too): should whoever was to notify be killed first, nobody sleeps for ever, and
/// [`wait_while`](Self::wait_while) sees what was changed, or that the mutex is poisoned, within a second.
///
/// # Example
/// ```
/// # offspring::guard();
/// use offspring::sync::{Condvar, Mutex};
///
/// let (filled, level) = (Condvar::new()?, Mutex::new(0_u32)?);
/// let (signal, gauge) = (filled.clone(), level.clone());
/// let filler = std::thread::spawn(move || {
///     *gauge.lock().unwrap() = 5;
///     signal.notify_all();
/// });
/// let reached = filled.wait_while(level.lock().unwrap(), |level| *level < 5).unwrap();
/// assert_eq!(*reached, 5);
/// # drop(reached);
/// # filler.join().unwrap();
/// # Ok::<(), offspring::Error>(())
/// ```
///
/// Source: futex(2).
pub struct Condvar {
    shared: Arc<SharedObject<(), 0, 1>>,
}

handle!(Condvar);

impl Condvar {
    /// Makes one.
    ///
    /// # Errors
    /// [`LimitReached`](crate::ErrorKind::LimitReached): no more descriptors or memory.
    pub fn new() -> Result<Self, Error> {
        Ok(Self { shared: create(Kind::Condvar, ())? })
    }

    /// Unlocks the mutex, sleeps until a notification, and locks it again.
    ///
    /// # Errors
    /// The mutex is poisoned; the error has the guard.
    #[track_caller]
    pub fn wait<'a, T: Pod>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.suspend(guard, None).0
    }

    /// Waits as long as `condition` holds.
    ///
    /// # Errors
    /// The mutex is poisoned; the error has the guard.
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

    /// Waits for a notification, no longer than `limit`.
    ///
    /// # Errors
    /// The mutex is poisoned; the error has the guard.
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

    /// Waits as long as `condition` holds, no longer than `limit`.
    ///
    /// # Errors
    /// The mutex is poisoned; the error has the guard.
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

    /// Wakes at least one of those who wait.
    ///
    /// It wakes all of them, as [`notify_all`](Self::notify_all) does: were it one, and that one killed before it acts, the others would
    /// sleep on.
    pub fn notify_one(&self) {
        self.notify_all();
    }

    /// Wakes all those who wait.
    pub fn notify_all(&self) {
        self.sequence().fetch_add(1, Ordering::Release);
        futex::wake_all(self.sequence());
    }

    /// Counts notifications.
    fn sequence(&self) -> &AtomicU32 {
        &self.shared.words()[0]
    }

    /// Sleeps once; says whether there was a notification.
    #[track_caller]
    fn suspend<'a, T: Pod>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Deadline,
    ) -> (LockResult<MutexGuard<'a, T>>, bool) {
        // Before the unlock: whoever changes the value after it notifies after this.
        let seen = self.sequence().load(Ordering::Acquire);
        let mutex = guard.unlock();
        futex::wait(self.sequence(), seen, deadline);
        let is_notified = self.sequence().load(Ordering::Acquire) != seen;
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

/// Whether a wait has reached its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether it has.
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::sync::Mutex;

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
