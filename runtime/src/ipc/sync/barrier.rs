//! A rendezvous of a number of parties. The README beside this file has the protocol.
//!
//! A waiting party holds a slot of the shared object, and the *state* of the slot says which role the party has. All
//! else is derived: the number of waiting parties, and the death of one (a slot with a waiting state that no thread
//! holds).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::handle::{ObjectKind, create, handle};
use super::outcome::{always, unless_busy};
use crate::error::{Error, ErrorKind};
use crate::sys::futex::{self, WATCH_MAX, WordWatch};
use crate::sys::robust::{LockFailure, LockTimeout, RobustGuard, acquire_any};
use crate::sys::shared_object::SharedObject;

const SLOTS: usize = WATCH_MAX;

/// The word with the number of parties.
const PARTIES: usize = 0;
/// The word that says whether the barrier is broken.
const BROKEN: usize = 1;
/// The word that changes at the end of a round. All parties wait for this word, but for the sentry.
const ENDS: usize = 2;
/// The word that changes at an arrival and at the end of a round. The sentry waits for this word.
const ARRIVALS: usize = 3;
/// The first of the words with the state of each slot.
const STATES: usize = 4;

const WORDS: usize = STATES + SLOTS;

/// State: no party.
const EMPTY: u32 = 0;
/// State: a party waits, and watches the sentry.
const WAITING: u32 = 1;
/// State: a party waits, and watches all other parties. The first party of a round is the sentry.
const SENTRY: u32 = 2;
/// State: the round of the party is complete.
const PASSED: u32 = 3;
/// State: the round of the party is broken.
const CUT_SHORT: u32 = 4;

/// Lets a number of threads, of any processes, go on together, again and again.
///
/// As [`std::sync::Barrier`], for processes, without waits for a party known to be lost. One of these *breaks* the
/// barrier:
///
/// - the death of a party during the wait
/// - a wait that reaches the limit
/// - a call of [`abort`](Self::abort)
///
/// All waiting parties learn of the break at once, and all later parties until [`reset`](Self::reset). A party that
/// dies before waiting is unknown to the barrier. Give the wait a limit for that case.
///
/// A round of four processes takes about 140 µs.
///
/// # Examples
///
/// ```
/// use offspring::sync::Barrier;
/// use offspring::{child_task, process_main};
///
/// #[child_task]
/// fn step(barrier: Barrier) -> bool {
///     barrier.wait().expect("all parties come").is_leader()
/// }
///
/// #[process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let barrier = Barrier::new(3)?;
///     let children = [step::start(barrier.clone())?, step::start(barrier.clone())?];
///     let mut leaders = u32::from(barrier.wait()?.is_leader());
///     for child in children {
///         leaders += u32::from(child.join()?);
///     }
///     assert_eq!(leaders, 1);
///     Ok(())
/// }
/// ```
///
/// # Platform
///
/// A death is noticed at once from Linux 5.16 on (`futex_waitv`), and within 5 ms on older kernels.
pub struct Barrier {
    shared: Arc<SharedObject<(), SLOTS, WORDS>>,
}

handle!(Barrier);

impl Barrier {
    /// The largest number of parties of a barrier, 128: as many locks as the kernel can watch at once.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::Barrier;
    ///
    /// assert!(Barrier::new(Barrier::MAX_PARTIES).is_ok());
    /// assert!(Barrier::new(Barrier::MAX_PARTIES + 1).is_err());
    /// ```
    pub const MAX_PARTIES: usize = SLOTS;

    /// Makes a barrier for `parties` parties.
    ///
    /// # Errors
    ///
    /// - [`Setting`](ErrorKind::Setting): `parties` is 0, or more than [`MAX_PARTIES`](Self::MAX_PARTIES).
    /// - [`LimitReached`](ErrorKind::LimitReached): a limit on descriptors, memory or file sizes.
    /// - [`Os`](ErrorKind::Os): the operating system refuses for another reason.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::ErrorKind;
    /// use offspring::sync::Barrier;
    ///
    /// assert!(Barrier::new(1)?.wait()?.is_leader());
    /// assert_eq!(Barrier::new(0).unwrap_err().kind(), ErrorKind::Setting);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(parties: usize) -> Result<Self, Error> {
        if parties == 0 || parties > Self::MAX_PARTIES {
            let text = format!("a barrier has 1 to {} parties, not {parties}", Self::MAX_PARTIES);
            return Err(Error::new(ErrorKind::Setting, text));
        }
        let barrier = Self { shared: create(ObjectKind::Barrier, ())? };
        barrier.word(PARTIES).store(parties as u32, Ordering::Release);
        Ok(barrier)
    }

    /// Waits until all parties wait.
    ///
    /// # Errors
    ///
    /// - [`Broken`](BarrierError::Broken): a party has died in the wait, has reached the limit of the wait, or has
    ///   called [`abort`](Self::abort) or [`reset`](Self::reset).
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::Barrier;
    ///
    /// let barrier = Barrier::new(2)?;
    /// std::thread::scope(|scope| {
    ///     let other = scope.spawn(|| barrier.wait());
    ///     let own = barrier.wait()?;
    ///     let other = other.join().unwrap()?;
    ///     assert!(own.is_leader() != other.is_leader());
    ///     Ok::<(), offspring::sync::BarrierError>(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait(&self) -> Result<BarrierWaitResult, BarrierError> {
        self.wait_for(LockTimeout::Forever)
    }

    /// Waits until all parties wait, for at most `limit`.
    ///
    /// # Errors
    ///
    /// - [`TimedOut`](BarrierError::TimedOut): not all parties came within `limit`. The barrier is broken.
    /// - [`Broken`](BarrierError::Broken): as for [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use offspring::sync::{Barrier, BarrierError};
    ///
    /// let barrier = Barrier::new(2)?;
    /// assert_eq!(barrier.wait_timeout(Duration::from_millis(1)), Err(BarrierError::TimedOut));
    /// assert!(barrier.is_broken());
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn wait_timeout(&self, limit: Duration) -> Result<BarrierWaitResult, BarrierError> {
        self.wait_for(LockTimeout::within(limit))
    }

    /// Breaks the barrier, for all waiting parties, and for later parties until [`reset`](Self::reset).
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::{Barrier, BarrierError};
    ///
    /// let barrier = Barrier::new(2)?;
    /// barrier.abort();
    /// assert_eq!(barrier.wait(), Err(BarrierError::Broken));
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn abort(&self) {
        let _gate = self.pass_gate();
        self.break_round();
    }

    /// Mends a broken barrier. Breaks the round of parties that wait now.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::Barrier;
    ///
    /// let barrier = Barrier::new(1)?;
    /// barrier.abort();
    /// barrier.reset();
    /// assert!(barrier.wait().is_ok());
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn reset(&self) {
        let _gate = self.pass_gate();
        self.break_round();
        self.word(BROKEN).store(0, Ordering::Release);
    }

    /// Whether the barrier is broken.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::Barrier;
    ///
    /// let barrier = Barrier::new(2)?;
    /// assert!(!barrier.is_broken());
    /// barrier.abort();
    /// assert!(barrier.is_broken());
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn is_broken(&self) -> bool {
        self.word(BROKEN).load(Ordering::Acquire) != 0
    }

    /// Returns the number of parties that wait at this moment.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::Barrier;
    ///
    /// let barrier = Barrier::new(2)?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| barrier.wait());
    ///     while barrier.waiting() == 0 {
    ///         std::thread::yield_now();
    ///     }
    ///     assert!(barrier.wait().unwrap().is_leader()); // the other party came first
    /// });
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn waiting(&self) -> usize {
        self.waiters().count()
    }

    fn wait_for(&self, timeout: LockTimeout) -> Result<BarrierWaitResult, BarrierError> {
        let Some((party, slot)) = self.arrive(timeout)? else {
            return Ok(BarrierWaitResult(true));
        };
        let outcome = self.wait_for_end(party, timeout);
        self.state(party).store(EMPTY, Ordering::Release);
        drop(slot);
        outcome
    }

    /// Takes a slot. Returns `None` if this party completes the round.
    fn arrive(&self, timeout: LockTimeout) -> Result<Option<(usize, RobustGuard<'_>)>, BarrierError> {
        loop {
            let gate = self.pass_gate();
            if self.is_broken() {
                return Err(BarrierError::Broken);
            }
            if self.waiting() + 1 >= self.word(PARTIES).load(Ordering::Acquire) as usize {
                self.end_round(PASSED);
                return Ok(None);
            }
            if let Some(taken) = unless_busy(acquire_any(self.shared.slots(), LockTimeout::Never)) {
                if !self.enroll(taken.0) {
                    self.break_round();
                    return Err(BarrierError::Broken);
                }
                drop(gate);
                futex::wake_all(self.word(ARRIVALS));
                return Ok(Some(taken));
            }
            drop(gate);
            self.wait_for_a_slot(timeout)?;
        }
    }

    /// Waits for a slot while parties of earlier rounds hold all of them.
    ///
    /// Parties that were stopped leave late. With groups of parties that take turns, more parties than one round has
    /// may be there.
    fn wait_for_a_slot(&self, timeout: LockTimeout) -> Result<(), BarrierError> {
        match acquire_any(self.shared.slots(), timeout) {
            Err(LockFailure::Busy) => {
                let _gate = self.pass_gate();
                self.break_round();
                Err(BarrierError::TimedOut)
            }
            other => {
                always(other);
                Ok(())
            }
        }
    }

    /// Writes the state of a slot just taken. Returns `false` if the last party in the slot has just died in the wait.
    fn enroll(&self, party: usize) -> bool {
        if self.waiters().any(|waiter| waiter == party) {
            return false;
        }
        let role = if self.waiting() == 0 { SENTRY } else { WAITING };
        self.state(party).store(role, Ordering::Release);
        self.word(ARRIVALS).fetch_add(1, Ordering::Release);
        true
    }

    fn wait_for_end(&self, party: usize, timeout: LockTimeout) -> Result<BarrierWaitResult, BarrierError> {
        loop {
            // Read before the state: the end of a round changes states first, and these words last.
            let (ends, arrivals) = (self.watch(ENDS), self.watch(ARRIVALS));
            let watched = match self.state(party).load(Ordering::Acquire) {
                PASSED => return Ok(BarrierWaitResult(false)),
                SENTRY => self.watch_others(arrivals, |other| other != party),
                WAITING => self.watch_others(ends, |other| self.state(other).load(Ordering::Acquire) == SENTRY),
                _ => return Err(BarrierError::Broken),
            };
            match watched {
                Some(watched) if !self.shared.is_abandoned() && !timeout.is_over() => {
                    futex::wait_any(&watched, timeout.deadline());
                }
                Some(_) if timeout.is_over() => self.give_up(party)?,
                // A party is dead, or has just left. The gate tells which.
                _ => drop(self.pass_gate()),
            }
        }
    }

    /// Returns `word` and the slots of all waiting parties to be watched, or `None` if such a slot is free.
    fn watch_others<'a>(
        &'a self,
        word: WordWatch<'a>,
        is_watched: impl Fn(usize) -> bool,
    ) -> Option<Vec<WordWatch<'a>>> {
        let slots = self.waiters().filter(|other| is_watched(*other)).map(|other| self.shared.slots()[other].watch());
        std::iter::once(Some(word)).chain(slots).collect()
    }

    /// Breaks the round after the limit, unless the round has ended meanwhile.
    fn give_up(&self, party: usize) -> Result<(), BarrierError> {
        let _gate = self.pass_gate();
        if self.waiters().all(|other| other != party) {
            return Ok(());
        }
        self.break_round();
        Err(BarrierError::TimedOut)
    }

    /// Passes the gate. Breaks the round if a party has died in the round, or in the gate.
    #[track_caller]
    fn pass_gate(&self) -> RobustGuard<'_> {
        let gate = always(self.shared.enter(LockTimeout::Forever));
        let is_dead = |party: usize| self.shared.slots()[party].is_free();
        if gate.after_death() && self.waiting() > 0 || self.waiters().any(is_dead) {
            self.break_round();
        }
        gate
    }

    fn break_round(&self) {
        self.word(BROKEN).store(1, Ordering::Release);
        self.end_round(CUT_SHORT);
    }

    /// Ends the round, with the gate held. If this party dies before the last state is written, the next party to pass
    /// the gate breaks the round for the rest.
    fn end_round(&self, outcome: u32) {
        for party in self.waiters() {
            self.state(party).store(outcome, Ordering::Release);
        }
        for word in [ENDS, ARRIVALS] {
            self.word(word).fetch_add(1, Ordering::Release);
            futex::wake_all(self.word(word));
        }
    }

    /// The slots with a waiting party, dead or alive.
    fn waiters(&self) -> impl Iterator<Item = usize> {
        (0..SLOTS).filter(|party| matches!(self.state(*party).load(Ordering::Acquire), WAITING | SENTRY))
    }

    fn state(&self, party: usize) -> &AtomicU32 {
        self.word(STATES + party)
    }

    fn word(&self, index: usize) -> &AtomicU32 {
        &self.shared.words()[index]
    }

    fn watch(&self, index: usize) -> WordWatch<'_> {
        let word = self.word(index);
        WordWatch { word, expected: word.load(Ordering::Acquire) }
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Barrier");
        debug.field("parties", &self.word(PARTIES)).field("waiting", &self.waiting());
        debug.field("is_broken", &self.is_broken()).finish_non_exhaustive()
    }
}

/// The result of a complete round of a [`Barrier`].
///
/// # Examples
///
/// ```
/// use offspring::sync::{Barrier, BarrierWaitResult};
///
/// let result: BarrierWaitResult = Barrier::new(1)?.wait()?;
/// assert!(result.is_leader());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarrierWaitResult(bool);

impl BarrierWaitResult {
    /// Whether this party came last. Each round has one leader.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::Barrier;
    ///
    /// let barrier = Barrier::new(1)?;
    /// if barrier.wait()?.is_leader() {
    ///     // work to be done once a round
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_leader(&self) -> bool {
        self.0
    }
}

/// The reason why a party waits no longer at a [`Barrier`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use offspring::sync::{Barrier, BarrierError};
///
/// let barrier = Barrier::new(2)?;
/// assert_eq!(barrier.wait_timeout(Duration::from_millis(1)), Err(BarrierError::TimedOut));
/// assert_eq!(barrier.wait(), Err(BarrierError::Broken));
/// barrier.reset();
/// # Ok::<(), offspring::Error>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarrierError {
    /// Another party has died in the wait, has reached the limit of the wait, or has called [`Barrier::abort`] or
    /// [`Barrier::reset`].
    Broken,
    /// This party has reached the limit of the wait, and so has broken the barrier.
    TimedOut,
}

impl fmt::Display for BarrierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Broken => "the barrier is broken: a party has died, given up or aborted it; `reset` makes it as new",
            Self::TimedOut => {
                "not all parties came to the barrier in time, and it is broken now; `reset` makes it as new"
            }
        })
    }
}

impl std::error::Error for BarrierError {}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const SHORT: Duration = Duration::from_millis(10);
    const LONG: Duration = Duration::from_secs(20);

    fn until_waiting(barrier: &Barrier, count: usize) {
        let end = Instant::now() + LONG;
        while barrier.waiting() != count {
            assert!(Instant::now() < end, "{barrier:?}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn nobody_passes_before_all_have_come_and_one_leads() {
        let barrier = Barrier::new(4).unwrap();
        let arrived = AtomicU32::new(0);
        let begun = Instant::now();
        let rounds = || {
            (0..200)
                .filter(|round| {
                    arrived.fetch_add(1, Ordering::SeqCst);
                    let result = barrier.wait_timeout(LONG).unwrap();
                    assert!(arrived.load(Ordering::SeqCst) >= 4 * (round + 1));
                    result.is_leader()
                })
                .count()
        };
        let leads: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(rounds)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(leads, 200);
        assert!(begun.elapsed() < Duration::from_secs(60), "a wake-up was lost in many rounds");
    }

    #[test]
    fn a_limit_breaks_it_for_all_until_it_is_reset() {
        let barrier = Barrier::new(3).unwrap();
        std::thread::scope(|scope| {
            let patient = scope.spawn(|| barrier.wait_timeout(LONG));
            until_waiting(&barrier, 1);
            assert_eq!(barrier.wait_timeout(SHORT), Err(BarrierError::TimedOut));
            assert_eq!(patient.join().unwrap(), Err(BarrierError::Broken));
        });
        assert!(barrier.is_broken());
        assert_eq!(barrier.wait(), Err(BarrierError::Broken));
        barrier.reset();
        assert!(!barrier.is_broken() && barrier.waiting() == 0);
        assert_eq!(barrier.wait_timeout(SHORT), Err(BarrierError::TimedOut));
    }

    #[test]
    fn abort_and_reset_tell_those_who_wait() {
        let barrier = Barrier::new(3).unwrap();
        for end in [Barrier::abort, Barrier::reset] {
            std::thread::scope(|scope| {
                let waiters = [(); 2].map(|()| scope.spawn(|| barrier.wait_timeout(LONG)));
                until_waiting(&barrier, 2);
                end(&barrier);
                let outcomes = waiters.map(|waiter| waiter.join().unwrap());
                assert_eq!(outcomes, [Err(BarrierError::Broken); 2]);
            });
            barrier.reset();
        }
    }

    /// A thread that ends as if it had been killed in its wait.
    fn die_waiting(barrier: &Barrier) {
        let taken = barrier.arrive(LockTimeout::Forever).unwrap();
        std::mem::forget(taken);
    }

    #[test]
    fn a_death_is_told_at_once_whoever_dies() {
        for first_dies in [true, false] {
            let barrier = Barrier::new(4).unwrap();
            let begun = Instant::now();
            std::thread::scope(|scope| {
                let (die, may_die) = std::sync::mpsc::channel::<()>();
                let barrier = &barrier;
                let victim = move || {
                    die_waiting(barrier);
                    let _ = may_die.recv();
                };
                let patient = || barrier.wait_timeout(LONG);
                let waiters = if first_dies {
                    scope.spawn(victim);
                    until_waiting(barrier, 1);
                    [(); 2].map(|()| scope.spawn(patient))
                } else {
                    let waiters = [(); 2].map(|()| scope.spawn(patient));
                    until_waiting(barrier, 2);
                    scope.spawn(victim);
                    waiters
                };
                until_waiting(barrier, 3);
                drop(die);
                let outcomes = waiters.map(|waiter| waiter.join().unwrap());
                assert_eq!(outcomes, [Err(BarrierError::Broken); 2]);
            });
            assert!(begun.elapsed() < LONG / 2);
        }
    }

    #[test]
    fn one_party_never_waits_and_a_number_that_cannot_be_is_refused() {
        assert!(Barrier::new(1).unwrap().wait().unwrap().is_leader());
        for parties in [0, Barrier::MAX_PARTIES + 1] {
            assert_eq!(Barrier::new(parties).unwrap_err().kind(), ErrorKind::Setting);
        }
    }
}
