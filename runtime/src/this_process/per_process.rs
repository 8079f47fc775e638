//! State that belongs to one process, and that a copy of the process begins anew.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard};

use crate::sys;
use crate::sys::fork::FreshCopy;
use crate::sys::fork_generation::ForkGeneration;

/// What a copy of the process does with the state of its original.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnCopy {
    /// Drops the state, and closes the descriptors in it.
    Drop,
    /// Leaves the state in memory, untouched. The kernel copies each page that a copy writes to.
    Leak,
}

/// A value of this process alone.
///
/// A copy of the process finds the value as `T::default()`, whether this crate or foreign code has made the copy.
#[derive(Debug)]
pub(crate) struct PerProcess<T> {
    slot: Mutex<Option<Used<T>>>,
    on_copy: OnCopy,
}

/// A value, and the process that has begun to use the value.
#[derive(Debug)]
struct Used<T> {
    user: ForkGeneration,
    value: T,
}

impl<T: Default> PerProcess<T> {
    pub(crate) const fn new(on_copy: OnCopy) -> Self {
        Self { slot: Mutex::new(None), on_copy }
    }

    /// Locks the value.
    pub(crate) fn lock(&self) -> PerProcessGuard<'_, T> {
        let mut slot = self.lock_slot();
        slot.get_or_insert_with(|| Used { user: ForkGeneration::current(), value: T::default() });
        PerProcessGuard(slot)
    }

    /// Locks the value if this process has locked the value before. Most children never do, and are spared the question
    /// for their generation.
    pub(crate) fn lock_used(&self) -> Option<PerProcessGuard<'_, T>> {
        let slot = self.lock_slot();
        slot.is_some().then(|| PerProcessGuard(slot))
    }

    /// In a fresh copy of the process: lets go of the original's value.
    pub(crate) fn after_fork(&self, _copy: &FreshCopy) {
        self.let_go(sys::lock(&self.slot).take());
    }

    /// Locks the slot, in which nothing of an original is.
    fn lock_slot(&self) -> MutexGuard<'_, Option<Used<T>>> {
        let mut slot = sys::lock(&self.slot);
        if slot.as_ref().is_some_and(|used| !used.user.is_current()) {
            self.let_go(slot.take());
        }
        slot
    }

    fn let_go(&self, inherited: Option<Used<T>>) {
        match self.on_copy {
            OnCopy::Drop => drop(inherited),
            OnCopy::Leak => std::mem::forget(inherited),
        }
    }
}

/// The lock on a [`PerProcess`] value.
#[derive(Debug)]
pub(crate) struct PerProcessGuard<'a, T>(MutexGuard<'a, Option<Used<T>>>);

const LOCKED: &str = "the slot is filled before a guard is made";

impl<T> Deref for PerProcessGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.as_ref().expect(LOCKED).value
    }
}

impl<T> DerefMut for PerProcessGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0.as_mut().expect(LOCKED).value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes the value one of a process that this one is a copy of.
    fn as_in_copy<T>(state: &PerProcess<T>) {
        sys::lock(&state.slot).as_mut().unwrap().user = ForkGeneration::of_other();
    }

    #[test]
    fn a_value_is_kept_while_the_process_is_the_same() {
        let state = PerProcess::<u32>::new(OnCopy::Drop);
        assert!(state.lock_used().is_none());
        *state.lock() = 7;
        assert_eq!(*state.lock(), 7);
        assert_eq!(state.lock_used().map(|value| *value), Some(7));
    }

    #[test]
    fn a_copy_begins_anew_and_drops_or_leaks_what_it_has_inherited() {
        for (on_copy, left) in [(OnCopy::Drop, 1), (OnCopy::Leak, 2)] {
            let (state, inner) = (PerProcess::<Option<std::sync::Arc<()>>>::new(on_copy), std::sync::Arc::new(()));
            *state.lock() = Some(inner.clone());
            as_in_copy(&state);
            assert!(state.lock_used().is_none());
            assert!(state.lock().is_none());
            assert_eq!(std::sync::Arc::strong_count(&inner), left);
        }
    }
}
