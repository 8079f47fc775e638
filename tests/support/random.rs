//! Random moments, repeatable by seed.

use std::time::{Duration, Instant, SystemTime};

use nix::poll::{PollTimeout, poll};

/// A xorshift generator.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// Seeds by `OFFSPRING_TESTS_SEED` or by the clock, and prints the seed.
    pub fn new() -> Self {
        let given = std::env::var("OFFSPRING_TESTS_SEED").ok().and_then(|seed| seed.parse().ok());
        let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let seed = given.unwrap_or_else(|| clock.map_or(1, |time| time.as_nanos() as u64)) | 1;
        eprintln!("seed {seed}");
        Self(seed)
    }

    /// Seeds by a number.
    pub fn seeded(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// Returns a number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    /// Lets a random time pass, up to `limit`, so that other processes reach any state meanwhile.
    pub fn pass_time(&mut self, limit: Duration) {
        let end = Instant::now() + Duration::from_micros(self.below(limit.as_micros() as u64 + 1));
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            if left > Duration::from_millis(1) {
                let _ = poll(&mut [], PollTimeout::from(1_u8));
            } else {
                std::thread::yield_now();
            }
        }
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}
