//! Sets of descriptor numbers, one bit for each number.
//!
//! The kernel gives the lowest number that is free, so the numbers of a process lie close together: a set of all
//! numbers below 512 takes 64 bytes.

use std::ops::Range;
use std::os::fd::RawFd;

/// A set of descriptor numbers.
#[derive(Debug, Default)]
pub(super) struct FdBitSet(Vec<u64>);

const BITS: usize = u64::BITS as usize;

impl FdBitSet {
    pub(super) const EMPTY: Self = Self(Vec::new());

    pub(super) fn insert(&mut self, number: RawFd) {
        let (word, bit) = position(number);
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= bit;
    }

    /// Removes a number. Returns whether the number was in the set.
    pub(super) fn remove(&mut self, number: RawFd) -> bool {
        let (word, bit) = position(number);
        let was_in = self.0.get(word).is_some_and(|bits| bits & bit != 0);
        if was_in {
            self.0[word] &= !bit;
        }
        was_in
    }

    /// Returns the numbers, lowest first, in runs without a gap.
    pub(super) fn runs(&self) -> impl Iterator<Item = Range<RawFd>> {
        let mut from = 0;
        std::iter::from_fn(move || {
            let first = self.seek(from, true)?;
            from = self.seek(first, false).unwrap_or(self.0.len() * BITS);
            Some(first as RawFd..from as RawFd)
        })
    }

    /// Finds the first number from `from` on that is in the set, or that is not in the set.
    fn seek(&self, from: usize, is_in: bool) -> Option<usize> {
        let words = self.0.iter().enumerate().skip(from / BITS);
        let ignored = |word: usize| if word == from / BITS { !(!0 << (from % BITS)) } else { 0 };
        words
            .map(|(word, bits)| (word, (if is_in { *bits } else { !*bits }) & !ignored(word)))
            .find_map(|(word, found)| (found != 0).then(|| word * BITS + found.trailing_zeros() as usize))
    }
}

/// Returns the word of a number, and the number's bit in the word.
fn position(number: RawFd) -> (usize, u64) {
    // An open descriptor's number is never negative.
    let number = number as usize;
    (number / BITS, 1 << (number % BITS))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn ends_of_runs(numbers: impl IntoIterator<Item = RawFd>) -> Vec<(RawFd, RawFd)> {
        let mut set = FdBitSet::default();
        numbers.into_iter().for_each(|number| set.insert(number));
        set.runs().map(|run| (run.start, run.end)).collect()
    }

    #[test]
    fn runs_have_no_gaps_and_go_over_the_words() {
        assert_eq!(ends_of_runs([]), []);
        assert_eq!(ends_of_runs([5]), [(5, 6)]);
        assert_eq!(ends_of_runs([0, 63, 64, 65, 127, 128, 200]), [(0, 1), (63, 66), (127, 129), (200, 201)]);
        assert_eq!(ends_of_runs(3..640), [(3, 640)]);
        assert_eq!(ends_of_runs(64..192), [(64, 192)]);
    }

    #[test]
    fn a_removed_number_is_in_no_run() {
        let mut set = FdBitSet::default();
        (3..200).for_each(|number| set.insert(number));
        assert_eq!([0, 3, 70, 70, 4000].map(|number| set.remove(number)), [false, true, true, false, false]);
        assert!(set.runs().eq([4..70, 71..200]));
    }

    #[test]
    fn runs_are_the_set_after_any_inserts_and_removals() {
        let (mut set, mut model, mut random) = (FdBitSet::default(), BTreeSet::new(), 1_u64);
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = (random >> 33) as RawFd % 300;
            assert_eq!(set.remove(number), model.remove(&number));
            if random & 1 << 32 != 0 {
                model.insert(number);
                set.insert(number);
            }
            if number % 50 == 0 {
                let found: Vec<Range<RawFd>> = set.runs().collect();
                assert!(found.windows(2).all(|pair| pair[0].end < pair[1].start), "{found:?}");
                assert!(found.into_iter().flatten().eq(model.iter().copied()));
            }
        }
    }
}
