//! The numbers of descriptors that a fresh copy of this process closes all at once, whatever objects name them.
//!
//! A forked child finds the objects that own its parent's descriptors in memory that it cannot drop (they are on stacks
//! that it never returns to) and had better not write to: of each page that it writes to, the kernel makes a copy. So the
//! numbers are kept beside the objects, one bit for each, and how often they were closed at once is counted. An object
//! remembers the count that it was entered under; under another it owns nothing any more, and need not be told.
//!
//! | what | in the original | in a fresh copy | in a copy made by others |
//! | --- | --- | --- | --- |
//! | number | noted from `enter` until just before it is closed or given away | taken out, and closed | noted: the copy has it open |
//! | object | owns it | of an earlier count: neither uses nor closes what has the number now | owns the copy's own |
//!
//! - No number that is not noted is closed with others: it is somebody else's, or nobody's yet.
//! - Whoever closes a number strikes it out first: from the close on, another thread may be given it.
//! - A copy of a copy counts on from where it was copied, so that no object of its ancestors' is ever of its own count.

use std::ops::Range;
use std::os::fd::RawFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use super::fork::FreshCopy;

/// Descriptors that are closed at once.
#[derive(Debug)]
pub(super) struct Registry {
    open: Mutex<Numbers>,
    /// How often this process, and those before it whose copy it is, have taken all out.
    count: AtomicU32,
}

impl Registry {
    pub(super) const fn new() -> Self {
        Self { open: Mutex::new(Numbers(Vec::new())), count: AtomicU32::new(0) }
    }

    /// Under what a descriptor is entered that is entered now.
    pub(super) fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// Notes an open descriptor; the count that its owner is to remember.
    pub(super) fn enter(&self, raw: RawFd) -> u32 {
        super::lock(&self.open).insert(raw as usize);
        self.count()
    }

    /// Before a descriptor is closed or given away that was entered under the present count.
    pub(super) fn strike_out(&self, raw: RawFd) {
        super::lock(&self.open).remove(raw as usize);
    }

    /// Takes all out in a copy of the process, whose objects own none of them from here on.
    pub(super) fn take(&self, _copy: &FreshCopy) -> Inherited {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        Inherited { numbers: std::mem::take(&mut *super::lock(&self.open)), count }
    }
}

/// What a fresh copy has taken out, and is to close.
#[derive(Debug)]
#[must_use]
pub(super) struct Inherited {
    numbers: Numbers,
    count: u32,
}

impl Inherited {
    /// Whether a descriptor is among them that was entered under this count. One that is not belonged to the original's
    /// own original, and is closed.
    pub(super) fn has(&self, count: u32) -> bool {
        self.count == count
    }

    /// Closes all but those that the copy has entered anew since it took them out.
    pub(super) fn close_but(mut self, registry: &Registry) {
        self.numbers.subtract(&super::lock(&registry.open));
        for run in self.numbers.runs() {
            // SAFETY: each was owned by an object that, since the count has changed, neither uses nor closes it any more.
            unsafe { super::fd::close_run(run.start as RawFd..run.end as RawFd) };
        }
        // Freeing would write to memory that the copy shares with the original.
        std::mem::forget(self.numbers);
    }
}

/// A set of descriptors, one bit for each number: the kernel gives the lowest that is free, so that they lie close.
#[derive(Debug, Default)]
struct Numbers(Vec<u64>);

const BITS: usize = u64::BITS as usize;

impl Numbers {
    fn insert(&mut self, number: usize) {
        let word = number / BITS;
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (number % BITS);
    }

    fn remove(&mut self, number: usize) {
        self.0[number / BITS] &= !(1 << (number % BITS));
    }

    /// Writes only where there is something to take away: see [`Inherited::close_but`].
    fn subtract(&mut self, others: &Self) {
        for (word, others) in self.0.iter_mut().zip(&others.0).filter(|(word, others)| **word & **others != 0) {
            *word &= !others;
        }
    }

    /// The numbers, lowest first, in runs without a gap.
    fn runs(&self) -> impl Iterator<Item = Range<usize>> {
        let mut from = 0;
        std::iter::from_fn(move || {
            let first = self.seek(from, true)?;
            from = self.seek(first, false).unwrap_or(self.0.len() * BITS);
            Some(first..from)
        })
    }

    /// The first number from `from` on that is in the set, or that is not.
    fn seek(&self, from: usize, is_in: bool) -> Option<usize> {
        let words = self.0.iter().enumerate().skip(from / BITS);
        let ignored = |word: usize| if word == from / BITS { !(!0 << (from % BITS)) } else { 0 };
        words
            .map(|(word, bits)| (word, (if is_in { *bits } else { !*bits }) & !ignored(word)))
            .find_map(|(word, found)| (found != 0).then(|| word * BITS + found.trailing_zeros() as usize))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn ends_of_runs(numbers: impl IntoIterator<Item = usize>) -> Vec<(usize, usize)> {
        let mut set = Numbers::default();
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
    fn what_is_kept_is_in_no_run() {
        let mut set = Numbers::default();
        (3..200).for_each(|number| set.insert(number));
        let mut kept = Numbers::default();
        [0, 3, 70].into_iter().for_each(|number| kept.insert(number));
        set.subtract(&kept);
        assert!(set.runs().eq([4..70, 71..200]));
        kept.subtract(&set);
        assert!(kept.runs().eq([0..1, 3..4, 70..71]));
    }

    #[test]
    fn runs_are_the_set_whatever_comes_and_goes() {
        let (mut set, mut model, mut random) = (Numbers::default(), BTreeSet::new(), 1_u64);
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = (random >> 33) as usize % 300;
            if model.remove(&number) {
                set.remove(number);
            } else {
                model.insert(number);
                set.insert(number);
            }
            if number.is_multiple_of(50) {
                let found: Vec<Range<usize>> = set.runs().collect();
                assert!(found.windows(2).all(|pair| pair[0].end < pair[1].start), "{found:?}");
                assert!(found.into_iter().flatten().eq(model.iter().copied()));
            }
        }
    }
}
