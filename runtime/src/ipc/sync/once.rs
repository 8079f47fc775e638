//! Done once, by whichever process comes first.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Kind, create, handle, settle_for_good};
use crate::error::Error;
use crate::sys::futex;
use crate::sys::robust::LockTimeout;
use crate::sys::shared_object::{SharedObject, Sole};

/// Nobody has done it, nobody is at it.
const OPEN: u32 = 0;
/// Somebody is at it, and holds the lock.
const RUNNING: u32 = 1;
/// It is done.
const COMPLETE: u32 = 2;

/// Something that is done once for all processes.
///
/// As [`std::sync::Once`]: those who come while it is being done wait for it, and a run that panics poisons it. A run whose process
/// dies poisons it too, and is told at once to those who wait.
///
/// # Example
/// ```
/// # offspring::guard();
/// let prepared = offspring::sync::Once::new()?;
/// let mut runs = 0;
/// prepared.call_once(|| runs += 1);
/// prepared.call_once(|| runs += 1);
/// assert!(prepared.is_completed() && runs == 1);
/// # Ok::<(), offspring::Error>(())
/// ```
pub struct Once {
    shared: Arc<SharedObject<(), 0, 1>>,
}

handle!(Once);

impl Once {
    /// Makes one that is not done.
    ///
    /// # Errors
    /// [`LimitReached`](crate::ErrorKind::LimitReached): no more descriptors or memory.
    pub fn new() -> Result<Self, Error> {
        Ok(Self { shared: create(Kind::Once, ())? })
    }

    /// Runs `f`, unless it was done before; waits for whoever is at it.
    ///
    /// # Panics
    /// If an earlier run has panicked or died; if `f` calls it again.
    #[track_caller]
    pub fn call_once(&self, f: impl FnOnce()) {
        self.call(false, |_| f());
    }

    /// Runs `f`, unless it was done before; also after a run that was cut short, which `f` is told.
    ///
    /// # Panics
    /// If `f` calls it again.
    #[track_caller]
    pub fn call_once_force(&self, f: impl FnOnce(&OnceState)) {
        self.call(true, f);
    }

    /// Whether it is done.
    pub fn is_completed(&self) -> bool {
        self.state().load(Ordering::Acquire) == COMPLETE
    }

    /// Waits until it is done.
    ///
    /// # Panics
    /// If a run has panicked or died, at once; if the run that is waited for is this thread's.
    #[track_caller]
    pub fn wait(&self) {
        while !self.is_completed() {
            match self.state().load(Ordering::Acquire) {
                // Whoever is at it holds the lock, and gives it up however it ends.
                RUNNING => drop(self.lock()),
                _ => futex::wait(self.state(), OPEN, None),
            }
            assert!(self.is_completed() || !self.shared.is_poisoned(), "{POISONED}");
        }
    }

    fn state(&self) -> &AtomicU32 {
        &self.shared.words()[0]
    }

    /// With the lock held, nobody else is at it: who was is dead.
    #[track_caller]
    fn lock(&self) -> Sole<'_, (), 0, 1> {
        let sole = settle_for_good(self.shared.seize(LockTimeout::Forever));
        // An error is: it was not running.
        let _ = self.state().compare_exchange(RUNNING, OPEN, Ordering::AcqRel, Ordering::Acquire);
        sole
    }

    #[track_caller]
    fn call(&self, even_if_poisoned: bool, f: impl FnOnce(&OnceState)) {
        if self.is_completed() {
            return;
        }
        let sole = self.lock();
        if self.is_completed() {
            return;
        }
        let state = OnceState(self.shared.is_poisoned());
        if state.0 && !even_if_poisoned {
            drop(sole);
            panic!("{POISONED}");
        }
        self.change(RUNNING);
        let run = Run(self);
        f(&state);
        self.shared.clear_poison();
        std::mem::forget(run);
        self.change(COMPLETE);
    }

    fn change(&self, state: u32) {
        self.state().store(state, Ordering::Release);
        futex::wake_all(self.state());
    }
}

const POISONED: &str = "a `Once` is poisoned: a run of it has panicked or died; `call_once_force` runs all the same";

/// Takes the state back if the run panics; the lock, which is dropped behind this, poisons.
struct Run<'a>(&'a Once);

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.0.change(OPEN);
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").field("is_completed", &self.is_completed()).finish_non_exhaustive()
    }
}

/// What a run of [`Once::call_once_force`] is told.
#[derive(Clone, Copy, Debug)]
pub struct OnceState(bool);

impl OnceState {
    /// Whether an earlier run has panicked or died.
    pub fn is_poisoned(&self) -> bool {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn one_of_many_does_it_and_the_others_see_it_done() {
        let (once, runs) = (Once::new().unwrap(), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    once.call_once(|| {
                        std::thread::yield_now();
                        runs.fetch_add(1, Ordering::SeqCst);
                    });
                    assert_eq!(runs.load(Ordering::SeqCst), 1);
                });
                scope.spawn(|| {
                    once.wait();
                    assert_eq!(runs.load(Ordering::SeqCst), 1);
                });
            }
        });
        assert!(once.is_completed());
    }

    #[test]
    fn a_panic_poisons_until_it_is_done_all_the_same() {
        let once = Once::new().unwrap();
        let attempt = |f: &dyn Fn()| catch_unwind(AssertUnwindSafe(|| once.call_once(f))).is_err();
        assert!(attempt(&|| panic!("on purpose")));
        assert!(attempt(&|| unreachable!("it is poisoned")));
        assert!(catch_unwind(AssertUnwindSafe(|| once.wait())).is_err());
        once.call_once_force(|state| assert!(state.is_poisoned()));
        assert!(once.is_completed());
        once.call_once_force(|_| unreachable!("it is done"));
        once.wait();
    }

    #[test]
    fn a_run_that_calls_itself_is_told() {
        let once = Once::new().unwrap();
        once.call_once(|| {
            assert!(catch_unwind(AssertUnwindSafe(|| once.call_once(|| {}))).is_err());
            assert!(catch_unwind(AssertUnwindSafe(|| once.wait())).is_err());
        });
        assert!(once.is_completed());
    }
}
