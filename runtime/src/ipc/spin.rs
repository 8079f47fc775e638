//! How long to look for something before going to sleep for it.
//!
//! A sleep and the wake-up that ends it cost ten microseconds on both sides together, and some fifty if the processor has gone to
//! sleep as well; a look costs a few nanoseconds. So whoever waits for what comes soon looks for it first: for about as long as a sleep
//! would cost, and then a wait costs at most twice what the better way would have (competitive spinning; Karlin, Li, Manasse and
//! Owicki, 1991). Where it does not pay (what comes takes longer, or there is no processor for the other side to run on
//! meanwhile) the looks become shorter until there are none; now and then it is tried again.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Where looking does not pay, one wait of so many tries it all the same.
const TRIAL: u32 = 32;

/// What is looked at, and what has been learned of it.
#[derive(Debug)]
pub(crate) struct AdaptiveSpin {
    longest: Duration,
    source: Source,
    /// How long to look, in nanoseconds.
    limit: AtomicU32,
    waits: AtomicU32,
}

/// Who makes it come.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// Another processor, by a write to memory.
    Memory,
    /// Another process, which may need this very processor.
    Process,
}

impl AdaptiveSpin {
    /// For what another processor writes to memory.
    pub(crate) const fn for_memory(longest: Duration) -> Self {
        Self::new(longest, Source::Memory)
    }

    /// For what another process does; it, and whoever else waits for this processor, has it between two looks.
    pub(crate) const fn for_process(longest: Duration) -> Self {
        Self::new(longest, Source::Process)
    }

    const fn new(longest: Duration, source: Source) -> Self {
        Self { longest, source, limit: AtomicU32::new(longest.as_nanos() as u32), waits: AtomicU32::new(0) }
    }

    /// Looks until something is there, or looking would cost more than a sleep; whether it is there.
    pub(crate) fn look(&self, is_there: impl Fn() -> bool) -> bool {
        let is_trial = self.waits.fetch_add(1, Ordering::Relaxed) % TRIAL == TRIAL - 1;
        let learned = Duration::from_nanos(self.limit.load(Ordering::Relaxed).into());
        let limit = if is_trial { self.longest } else { learned };
        if limit.is_zero() {
            return false;
        }
        let begun = Instant::now();
        let found = self.look_for(begun, limit, is_there);
        // If others had the processor for longer than that, a sleep would have been better, whatever is found.
        let has_paid = found && begun.elapsed() <= self.longest;
        let next = if has_paid { self.longest } else { limit / 4 };
        self.limit.store(next.as_nanos() as u32, Ordering::Relaxed);
        found
    }

    fn look_for(&self, begun: Instant, limit: Duration, is_there: impl Fn() -> bool) -> bool {
        // Between two looks at the clock, which costs as much as several at the memory.
        let looks = if let Source::Memory = self.source { 8 } else { 1 };
        while begun.elapsed() < limit {
            for _ in 0..looks {
                match self.source {
                    Source::Memory => std::hint::spin_loop(),
                    Source::Process => std::thread::yield_now(),
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

    /// How many looks there are at what never comes.
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
