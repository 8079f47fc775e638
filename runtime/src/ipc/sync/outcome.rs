//! From the outcome of a lock in `sys` to std's results: a guard, poison, or "would block".

use std::sync::{LockResult, PoisonError, TryLockError, TryLockResult};

use crate::sys::robust::LockFailure;

/// Returns the guard, or `None` after the limit.
///
/// # Panics
/// If this thread holds the lock, or if the memory is broken. Neither would get better by waiting.
#[track_caller]
pub(super) fn unless_busy<G>(locked: Result<G, LockFailure>) -> Option<G> {
    match locked {
        Ok(guard) => Some(guard),
        Err(LockFailure::Busy) => None,
        Err(LockFailure::Deadlock) => panic!("this thread holds the lock already, and would wait for itself"),
        Err(LockFailure::Os(error)) => panic!("the memory of a lock was overwritten: {error}"),
    }
}

/// Returns the guard of a wait without a limit. Panics as [`unless_busy`].
#[track_caller]
pub(super) fn always<G>(locked: Result<G, LockFailure>) -> G {
    unless_busy(locked).unwrap_or_else(|| unreachable!("a wait without a limit has not reached one"))
}

/// Returns the guard of an attempt that does not wait. An attempt of the holding thread is `None`, not a panic.
#[track_caller]
pub(super) fn attempted<G>(locked: Result<G, LockFailure>) -> Option<G> {
    if let Err(LockFailure::Deadlock) = locked { None } else { unless_busy(locked) }
}

/// Wraps the guard in a `PoisonError` if the lock is poisoned.
pub(super) fn with_poison<G>(guard: G, is_poisoned: bool) -> LockResult<G> {
    if is_poisoned { Err(PoisonError::new(guard)) } else { Ok(guard) }
}

/// As [`with_poison`], with `WouldBlock` for no guard.
pub(super) fn try_with_poison<G>(guard: Option<G>, is_poisoned: bool) -> TryLockResult<G> {
    let guard = guard.ok_or(TryLockError::WouldBlock)?;
    with_poison(guard, is_poisoned).map_err(TryLockError::Poisoned)
}
