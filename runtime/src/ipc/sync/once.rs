//! A run once for all processes: the first caller runs, with the lock held.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::handle::{ObjectKind, create, handle};
use super::outcome::always;
use crate::error::Error;
use crate::sys::futex;
use crate::sys::robust::LockTimeout;
use crate::sys::shared_object::{SharedObject, Sole};

/// Not done, and no run in progress.
const OPEN: u32 = 0;
/// A run is in progress. The running thread holds the lock.
const RUNNING: u32 = 1;
/// Done.
const COMPLETE: u32 = 2;

/// A run that happens once for all processes.
///
/// As [`std::sync::Once`], for processes. Callers that come during the run wait for the end of the run. A call after
/// the run takes about 3 ns.
///
/// # Poisoning
///
/// A run that panics poisons the `Once`, and so does a run whose process dies. Waiting callers learn of the death at
/// once.
///
/// # Examples
///
/// ```
/// use offspring::sync::{Mutex, Once};
/// use offspring::{child_task, process_main};
///
/// #[child_task]
/// fn work(prepared: Once, runs: Mutex<u32>) {
///     prepared.call_once(|| *runs.lock().unwrap() += 1);
/// }
///
/// #[process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let (prepared, runs) = (Once::new()?, Mutex::new(0_u32)?);
///     let children = [0, 1, 2].map(|_| work::start(prepared.clone(), runs.clone()));
///     for child in children {
///         child?.join()?;
///     }
///     assert_eq!(runs.get().unwrap(), 1);
///     Ok(())
/// }
/// ```
pub struct Once {
    shared: Arc<SharedObject<(), 0, 1>>,
}

handle!(Once);

impl Once {
    /// Makes a `Once` that has not run.
    ///
    /// # Errors
    ///
    /// - [`LimitReached`](crate::ErrorKind::LimitReached): a limit on descriptors, memory or file sizes.
    /// - [`Os`](crate::ErrorKind::Os): the operating system refuses for another reason.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::Once;
    ///
    /// assert!(!Once::new()?.is_completed());
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn new() -> Result<Self, Error> {
        Ok(Self { shared: create(ObjectKind::Once, ())? })
    }

    /// Runs `f`, unless a run was completed before. Waits for a run in progress.
    ///
    /// # Panics
    ///
    /// - If an earlier run has panicked or died.
    /// - If `f` calls this `Once` again.
    /// - If `f` panics.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::Once;
    ///
    /// let prepared = Once::new()?;
    /// let mut runs = 0;
    /// prepared.call_once(|| runs += 1);
    /// prepared.call_once(|| runs += 1);
    /// assert_eq!(runs, 1);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    #[track_caller]
    pub fn call_once(&self, f: impl FnOnce()) {
        self.call(false, |_| f());
    }

    /// Runs `f`, unless a run was completed before, also after an unfinished run. Waits for a run in progress.
    ///
    /// `f` learns of an unfinished run by [`OnceState::is_poisoned`].
    ///
    /// # Panics
    ///
    /// - If `f` calls this `Once` again.
    /// - If `f` panics.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::panic::{AssertUnwindSafe, catch_unwind};
    ///
    /// use offspring::sync::Once;
    ///
    /// let prepared = Once::new()?;
    /// let first = catch_unwind(AssertUnwindSafe(|| prepared.call_once(|| panic!("no disk"))));
    /// assert!(first.is_err());
    /// prepared.call_once_force(|state| assert!(state.is_poisoned()));
    /// assert!(prepared.is_completed());
    /// # Ok::<(), offspring::Error>(())
    /// ```
    #[track_caller]
    pub fn call_once_force(&self, f: impl FnOnce(&OnceState)) {
        self.call(true, f);
    }

    /// Whether a run was completed.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::Once;
    ///
    /// let prepared = Once::new()?;
    /// prepared.call_once(|| {});
    /// assert!(prepared.is_completed());
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn is_completed(&self) -> bool {
        self.state().load(Ordering::Acquire) == COMPLETE
    }

    /// Waits until a run is completed.
    ///
    /// # Panics
    ///
    /// - If a run has panicked or died, at once.
    /// - If the run in progress belongs to this thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::Once;
    ///
    /// let prepared = Once::new()?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| prepared.call_once(|| {}));
    ///     prepared.wait();
    /// });
    /// assert!(prepared.is_completed());
    /// # Ok::<(), offspring::Error>(())
    /// ```
    #[track_caller]
    pub fn wait(&self) {
        while !self.is_completed() {
            match self.state().load(Ordering::Acquire) {
                // The running thread holds the lock until the end of the run, even if the end is a panic or a kill.
                RUNNING => drop(self.lock()),
                _ => futex::wait(self.state(), OPEN, None),
            }
            assert!(self.is_completed() || !self.shared.is_poisoned(), "{POISONED}");
        }
    }

    fn state(&self) -> &AtomicU32 {
        &self.shared.words()[0]
    }

    /// Takes the lock. A run found in progress then belongs to a dead thread, and is reset.
    #[track_caller]
    fn lock(&self) -> Sole<'_, (), 0, 1> {
        let sole = always(self.shared.seize(LockTimeout::Forever));
        // An error means: no run was in progress.
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

/// Resets the state after a panic of the run. The lock is dropped later, and poisons.
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

/// The state of a [`Once`] before a run of [`call_once_force`](Once::call_once_force).
///
/// # Examples
///
/// ```
/// use offspring::sync::{Once, OnceState};
///
/// fn prepare(state: &OnceState) {
///     if state.is_poisoned() {
///         // removes the remains of an unfinished run
///     }
/// }
///
/// let prepared = Once::new()?;
/// prepared.call_once_force(prepare);
/// # Ok::<(), offspring::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct OnceState(bool);

impl OnceState {
    /// Whether an earlier run has panicked or died.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::Once;
    ///
    /// Once::new()?.call_once_force(|state| assert!(!state.is_poisoned()));
    /// # Ok::<(), offspring::Error>(())
    /// ```
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
