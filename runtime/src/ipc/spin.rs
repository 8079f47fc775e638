//! Adaptive spinning: how long to look for an event before sleeping.
//!
//! A sleep with the wake-up costs 10 µs on both sides together, and about 50 µs if the processor has gone to sleep as
//! well. A look costs a few nanoseconds. So a wait looks first, for about the cost of a sleep. Then a wait costs at
//! most twice the cost of the better choice (competitive spinning: Karlin, Li, Manasse and Owicki, 1991).
//!
//! Looking does not pay if the event takes longer, or if the other side has no processor to run on meanwhile. Then
//! looks become shorter down to none, with a trial now and then.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The number of waits from one trial to the next, while looking does not pay.
const TRIAL: u32 = 32;

/// The time to look for one event, as learned from earlier waits.
#[derive(Debug)]
pub(crate) struct AdaptiveSpin {
    longest: Duration,
    awaited: Awaited,
    /// The time to look, in nanoseconds.
    limit: AtomicU32,
    waits: AtomicU32,
}

/// The cause of the event.
#[derive(Clone, Copy, Debug)]
enum Awaited {
    /// A write to memory by another processor.
    Memory,
    /// An action of another process, which may need this processor.
    Process,
}

impl AdaptiveSpin {
    /// For a write to memory by another processor.
    pub(crate) const fn for_memory(longest: Duration) -> Self {
        Self::new(longest, Awaited::Memory)
    }

    /// For an action of another process. Gives the processor away between two looks.
    pub(crate) const fn for_process(longest: Duration) -> Self {
        Self::new(longest, Awaited::Process)
    }

    const fn new(longest: Duration, awaited: Awaited) -> Self {
        Self { longest, awaited, limit: AtomicU32::new(longest.as_nanos() as u32), waits: AtomicU32::new(0) }
    }

    /// Looks until `is_there` returns `true`, or until a sleep would cost less. Returns whether the event is there.
    pub(crate) fn look(&self, is_there: impl Fn() -> bool) -> bool {
        let is_trial = self.waits.fetch_add(1, Ordering::Relaxed) % TRIAL == TRIAL - 1;
        let learned = Duration::from_nanos(self.limit.load(Ordering::Relaxed).into());
        let limit = if is_trial { self.longest } else { learned };
        if limit.is_zero() {
            return false;
        }
        let begun = Instant::now();
        let found = self.look_for(begun, limit, is_there);
        // A longer look, with the processor given to other threads, costs more than a sleep, even if successful.
        let has_paid = found && begun.elapsed() <= self.longest;
        let next = if has_paid { self.longest } else { limit / 4 };
        self.limit.store(next.as_nanos() as u32, Ordering::Relaxed);
        found
    }

    fn look_for(&self, begun: Instant, limit: Duration, is_there: impl Fn() -> bool) -> bool {
        // The looks between two reads of the clock. A read costs as much as several looks at memory.
        let looks = if let Awaited::Memory = self.awaited { 8 } else { 1 };
        while begun.elapsed() < limit {
            for _ in 0..looks {
                match self.awaited {
                    Awaited::Memory => std::hint::spin_loop(),
                    Awaited::Process => std::thread::yield_now(),
                }
                if is_there() {
                    return true;
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const LONGEST: Duration = Duration::from_millis(20);

    /// Counts the looks for an event that never comes.
    fn looks(spin: &AdaptiveSpin) -> u32 {
        let looks = Cell::new(0);
        assert!(!spin.look(|| {
            looks.set(looks.get() + 1);
            false
        }));
        looks.get()
    }

    fn loses_it_and_tries_again(spin: &AdaptiveSpin) {
        let waits: Vec<u32> = (0..TRIAL).map(|_| looks(spin)).collect();
        assert!(waits[0] > 0);
        assert_eq!(waits[20], 0);
        assert!(waits[TRIAL as usize - 1] > 0, "{waits:?}");
        // Forgotten again, until something is found.
        for _ in 0..TRIAL - 1 {
            looks(spin);
        }
        assert!(spin.look(|| true));
        assert!(looks(spin) > 0);
    }

    #[test]
    fn looks_that_do_not_pay_become_rare() {
        loses_it_and_tries_again(&AdaptiveSpin::for_memory(LONGEST));
        loses_it_and_tries_again(&AdaptiveSpin::for_process(LONGEST));
    }
}
