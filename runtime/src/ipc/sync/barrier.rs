//! A rendezvous of so many, which the death of one who waits breaks for all. The README beside this file has the protocol.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{Kind, create, handle, settle, settle_for_good};
use crate::error::{Error, ErrorKind};
use crate::sys::futex::{self, WATCH_MAX, WordWatch};
use crate::sys::robust::{LockFailure, LockTimeout, RobustGuard, acquire_any};
use crate::sys::shared_object::SharedObject;

const SLOTS: usize = WATCH_MAX;

/// How many parties there are.
const PARTIES: usize = 0;
/// Whether it is broken.
const BROKEN: usize = 1;
/// Changes when a round ends; all wait on it but the sentry.
const ENDS: usize = 2;
/// Changes when a party arrives or a round ends; the sentry waits on it.
const ARRIVALS: usize = 3;
/// What the holder of the first slot waits for; one word per slot.
const PLACES: usize = 4;

const WORDS: usize = PLACES + SLOTS;

/// Nobody waits in this place.
const EMPTY: u32 = 0;
/// A party waits here, and watches the sentry.
const WAITING: u32 = 1;
/// A party waits here, and watches all others.
const SENTRY: u32 = 2;
/// The round of the party that waited here is complete.
const PASSED: u32 = 3;
/// The round of the party that waited here is broken.
const CUT_SHORT: u32 = 4;

/// Lets as many threads as it has parties, of any processes, go on together, again and again.
///
/// As [`std::sync::Barrier`], but nobody waits for a party that will never come as long as that is known: a
/// party that dies while it waits, a wait that reaches its limit, or [`abort`](Self::abort) *breaks* the
/// barrier. All who wait are told at once, and so is everyone who comes later, until [`reset`](Self::reset). A
/// party that dies before it waits is not known to the barrier: give the wait a limit.
///
/// # Example
/// ```
/// # offspring::guard();
/// let barrier = offspring::sync::Barrier::new(2)?;
/// let other = barrier.clone();
/// let thread = std::thread::spawn(move || other.wait());
/// let own = barrier.wait()?;
/// let others = thread.join().unwrap()?;
/// assert!(own.is_leader() != others.is_leader());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Barrier {
    shared: Arc<SharedObject<(), SLOTS, WORDS>>,
}

handle!(Barrier);

impl Barrier {
    /// Most parties of one barrier: as many as the kernel can watch at once.
    pub const MAX_PARTIES: usize = SLOTS;

    /// Makes one for so many parties.
    ///
    /// # Errors
    /// - [`InvalidInput`](ErrorKind::InvalidInput): no parties, or more than [`MAX_PARTIES`](Self::MAX_PARTIES).
    /// - [`LimitReached`](ErrorKind::LimitReached): no more descriptors or memory.
    pub fn new(parties: usize) -> Result<Self, Error> {
        if parties == 0 || parties > Self::MAX_PARTIES {
            let text = format!("a barrier has 1 to {} parties, not {parties}", Self::MAX_PARTIES);
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        let barrier = Self { shared: create(Kind::Barrier, ())? };
        barrier.word(PARTIES).store(parties as u32, Ordering::Release);
        Ok(barrier)
    }

    /// Waits until all parties wait.
    ///
    /// # Errors
    /// [`Broken`](BarrierError::Broken): a party has died, has waited too long, or has called [`abort`](Self::abort).
    pub fn wait(&self) -> Result<BarrierWaitResult, BarrierError> {
        self.wait_for(LockTimeout::Forever)
    }

    /// The same, no longer than `limit`.
    ///
    /// # Errors
    /// [`TimedOut`](BarrierError::TimedOut): the time is over, and the barrier is broken. [`Broken`](BarrierError::Broken): as for [`wait`](Self::wait).
    pub fn wait_timeout(&self, limit: Duration) -> Result<BarrierWaitResult, BarrierError> {
        self.wait_for(LockTimeout::within(limit))
    }

    /// Breaks it: for those who wait, and for those who come until it is reset.
    pub fn abort(&self) {
        let _gate = self.enter();
        self.break_round();
    }

    /// Makes it as new. For those who wait it is broken.
    pub fn reset(&self) {
        let _gate = self.enter();
        self.break_round();
        self.word(BROKEN).store(0, Ordering::Release);
    }

    /// Whether it is broken.
    pub fn is_broken(&self) -> bool {
        self.word(BROKEN).load(Ordering::Acquire) != 0
    }

    /// How many wait at this moment.
    pub fn waiting(&self) -> usize {
        self.waiters().count()
    }

    fn wait_for(&self, patience: LockTimeout) -> Result<BarrierWaitResult, BarrierError> {
        let Some((place, slot)) = self.arrive(patience)? else {
            return Ok(BarrierWaitResult(true));
        };
        let outcome = self.stay(place, patience);
        self.place(place).store(EMPTY, Ordering::Release);
        drop(slot);
        outcome
    }

    /// Takes a place; `None` if the round is complete with this party.
    fn arrive(&self, patience: LockTimeout) -> Result<Option<(usize, RobustGuard<'_>)>, BarrierError> {
        loop {
            let gate = self.enter();
            if self.is_broken() {
                return Err(BarrierError::Broken);
            }
            if self.waiting() + 1 >= self.word(PARTIES).load(Ordering::Acquire) as usize {
                self.end_round(PASSED);
                return Ok(None);
            }
            if let Some(taken) = settle(acquire_any(self.shared.slots(), LockTimeout::Never)) {
                if !self.take(taken.0) {
                    self.break_round();
                    return Err(BarrierError::Broken);
                }
                drop(gate);
                futex::wake_all(self.word(ARRIVALS));
                return Ok(Some(taken));
            }
            drop(gate);
            self.wait_for_a_slot(patience)?;
        }
    }

    /// Parties of rounds that are over have not left yet, for instance as they are stopped: more than there are parties, since groups take turns here.
    fn wait_for_a_slot(&self, patience: LockTimeout) -> Result<(), BarrierError> {
        match acquire_any(self.shared.slots(), patience) {
            Err(LockFailure::Busy) => {
                let _gate = self.enter();
                self.break_round();
                Err(BarrierError::TimedOut)
            }
            other => {
                settle_for_good(other);
                Ok(())
            }
        }
    }

    /// The first of a round is its sentry. `false` if the last one in this place has died in its wait, just now.
    fn take(&self, place: usize) -> bool {
        if self.waiters().any(|waiter| waiter == place) {
            return false;
        }
        let role = if self.waiting() == 0 { SENTRY } else { WAITING };
        self.place(place).store(role, Ordering::Release);
        self.word(ARRIVALS).fetch_add(1, Ordering::Release);
        true
    }

    /// Waits in a place until the round ends.
    fn stay(&self, place: usize, patience: LockTimeout) -> Result<BarrierWaitResult, BarrierError> {
        loop {
            // Read before the place is: whoever ends the round changes places first, and these words then.
            let (ends, arrivals) = (self.watch(ENDS), self.watch(ARRIVALS));
            let watched = match self.place(place).load(Ordering::Acquire) {
                PASSED => return Ok(BarrierWaitResult(false)),
                SENTRY => self.watch_others(arrivals, |other| other != place),
                WAITING => self.watch_others(ends, |other| self.place(other).load(Ordering::Acquire) == SENTRY),
                _ => return Err(BarrierError::Broken),
            };
            match watched {
                Some(watched) if !self.shared.is_abandoned() && !patience.is_over() => {
                    futex::wait_any(&watched, patience.deadline());
                }
                Some(_) if patience.is_over() => self.give_up(place)?,
                // Somebody is dead, or has just left.
                _ => drop(self.enter()),
            }
        }
    }

    /// The word, and the slots of those who wait and are to be watched; `None` if one of those is gone.
    fn watch_others<'a>(
        &'a self,
        word: WordWatch<'a>,
        is_watched: impl Fn(usize) -> bool,
    ) -> Option<Vec<WordWatch<'a>>> {
        let slots = self.waiters().filter(|other| is_watched(*other)).map(|other| self.shared.slots()[other].watch());
        std::iter::once(Some(word)).chain(slots).collect()
    }

    /// Breaks the round, unless it has ended meanwhile.
    fn give_up(&self, place: usize) -> Result<(), BarrierError> {
        let _gate = self.enter();
        if self.waiters().all(|other| other != place) {
            return Ok(());
        }
        self.break_round();
        Err(BarrierError::TimedOut)
    }

    /// Passes the gate, and breaks the round if anybody has died in it.
    #[track_caller]
    fn enter(&self) -> RobustGuard<'_> {
        let gate = settle_for_good(self.shared.enter(LockTimeout::Forever));
        let is_dead = |place: usize| self.shared.slots()[place].is_free();
        if gate.after_death() && self.waiting() > 0 || self.waiters().any(is_dead) {
            self.break_round();
        }
        gate
    }

    fn break_round(&self) {
        self.word(BROKEN).store(1, Ordering::Release);
        self.end_round(CUT_SHORT);
    }

    /// With the gate held. Should this party die before it has told all, the next who looks at the gate breaks the round for the rest.
    fn end_round(&self, outcome: u32) {
        for place in self.waiters() {
            self.place(place).store(outcome, Ordering::Release);
        }
        for word in [ENDS, ARRIVALS] {
            self.word(word).fetch_add(1, Ordering::Release);
            futex::wake_all(self.word(word));
        }
    }

    /// The places where somebody waits, dead or alive.
    fn waiters(&self) -> impl Iterator<Item = usize> {
        (0..SLOTS).filter(|place| matches!(self.place(*place).load(Ordering::Acquire), WAITING | SENTRY))
    }

    fn place(&self, place: usize) -> &AtomicU32 {
        self.word(PLACES + place)
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

/// What a party learns of its round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarrierWaitResult(bool);

impl BarrierWaitResult {
    /// Whether this party came last; one of each round is.
    pub fn is_leader(&self) -> bool {
        self.0
    }
}

/// Why a party does not wait any longer.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarrierError {
    /// Another party has died while it waited, has waited too long, or has called [`Barrier::abort`] or [`Barrier::reset`].
    Broken,
    /// This party has waited as long as it was willing to, and has so broken the barrier.
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
            assert_eq!(Barrier::new(parties).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }
}
