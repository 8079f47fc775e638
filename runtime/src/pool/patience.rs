//! How long to look for something before going to sleep for it.
//!
//! A sleep and the wake-up that ends it cost ten microseconds on both sides together, and some fifty if the processor has gone to sleep as
//! well; a look costs a few nanoseconds. So whoever waits for
//! what comes soon looks for it, for about as long as a sleep would cost: then a wait costs at most twice what the better way would have
//! (competitive spinning; Karlin, Li, Manasse and Owicki, 1991). Where it does not pay (what comes takes longer, or there is no
//! processor for the other side to run on meanwhile) the looks become fewer; now and then it is tried again.

use std::time::{Duration, Instant};

/// What a sleep costs at most.
const LONGEST: Duration = Duration::from_micros(50);

/// Where looking does not pay, one wait of so many tries it all the same.
const TRIAL: u32 = 32;

#[derive(Debug)]
pub(super) struct Patience {
    /// How long to look.
    limit: Duration,
    /// Waits since the last trial.
    waits: u32,
}

impl Patience {
    pub(super) const fn new() -> Self {
        Self { limit: LONGEST, waits: 0 }
    }

    /// Looks until something is there, or looking would cost more than a sleep; whether it is there.
    pub(super) fn look(&mut self, is_there: impl Fn() -> bool) -> bool {
        if is_there() {
            return true;
        }
        self.waits = (self.waits + 1) % TRIAL;
        let limit = if self.waits == 0 { LONGEST } else { self.limit };
        let found = look_for(limit, is_there);
        self.limit = if found { LONGEST } else { limit / 4 };
        found
    }
}

fn look_for(limit: Duration, is_there: impl Fn() -> bool) -> bool {
    /// Between two looks at the clock, which costs as much as several at the memory.
    const LOOKS: u32 = 8;
    let begun = Instant::now();
    while begun.elapsed() < limit {
        for _ in 0..LOOKS {
            std::hint::spin_loop();
            if is_there() {
                return true;
            }
        }
    }
    false
}
