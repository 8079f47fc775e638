//! Elements that are too large for an atomic. No reader sees one half written, even after the death of a writer.
//!
//! Each stripe of neighbouring elements has a lock for its writers, a number that is odd during a write (a *sequence
//! lock*: readers read again if the number has changed meanwhile), and a journal:
//!
//! ```text
//!   writer:  hold the lock · element and its number into the journal · sequence odd
//!            · element into its place · sequence even
//!   reader:  sequence, even? · copy · the same sequence still? done · otherwise again, and soon under the lock
//! ```
//!
//! A killed writer leaves an even sequence, and then nothing was written. Or the writer leaves an odd one, and then the
//! journal is complete: the next holder of the lock writes the element once more from the journal. So a write is done
//! or not, and no process has to be told of a death. A reader holds nothing, and its death has no effect.
//!
//! All words are atomics. A hostile process can make values wrong and keep a lock. Every number here that leads to an
//! address is this process's own or checked.
//!
//! Source: Boehm, "Can seqlocks get along with programming language memory models?" (MSPC 2012).

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use super::cast::padded;
use super::mmap::Region;
use super::word_lock;
pub(crate) use super::word_lock::check_support;

/// Writers of different stripes do not wait for each other.
const STRIPES: usize = 64;

const WORD: usize = size_of::<u64>();

/// Lock, sequence and the element's number come first in a stripe's head; then the journal.
const LOCK: usize = 0;
const SEQUENCE: usize = 1;
const NUMBER: usize = 2;
const ENTRY: usize = 3;

/// Heads begin at cache lines of their own.
const LINE: usize = 64 / WORD;

/// The number of failed reads after which a reader takes the lock.
const TRIES: usize = 16;

/// The places of stripes and elements in a region, in words.
#[derive(Clone, Copy)]
struct StripeLayout {
    length: usize,
    /// Words of one element.
    element: usize,
    head: usize,
    stripes: usize,
}

impl StripeLayout {
    fn new(length: usize, size: usize) -> Self {
        let element = size.div_ceil(WORD);
        Self { length, element, head: (ENTRY + element).next_multiple_of(LINE), stripes: length.min(STRIPES) }
    }

    fn stripe_of(self, index: usize) -> usize {
        index / self.length.div_ceil(STRIPES)
    }

    fn head_of(self, stripe: usize) -> usize {
        stripe * self.head
    }

    fn element_at(self, index: usize) -> usize {
        self.stripes * self.head + index * self.element
    }
}

/// Returns the bytes that so many elements take with their stripes. Returns `None` beyond the range of `usize`.
pub(super) fn bytes(length: usize, size: usize) -> Option<usize> {
    let layout = StripeLayout::new(length, size);
    let heads = layout.stripes.checked_mul(layout.head)?;
    let elements = length.checked_mul(layout.element)?;
    heads.checked_add(elements)?.checked_mul(WORD)
}

/// The elements of a region with their stripes.
pub(super) struct Journal<'a> {
    region: &'a Region,
    layout: StripeLayout,
}

impl<'a> Journal<'a> {
    /// The region must have [`bytes`] for so many elements.
    pub(super) fn new(region: &'a Region, length: usize, size: usize) -> Self {
        Self { region, layout: StripeLayout::new(length, size) }
    }

    /// Returns an element, which must exist, in its stripe.
    pub(super) fn stripe(self, index: usize) -> Stripe<'a> {
        let head = self.layout.head_of(self.layout.stripe_of(index));
        Stripe { journal: self, head, index }
    }

    fn word(&self, at: usize) -> &'a AtomicU64 {
        assert!(at < self.region.len() / WORD, "a word outside of shared memory");
        // SAFETY: the word is inside by the line above; the region begins at a page, so that words are aligned.
        let word = unsafe { self.region.start().cast::<AtomicU64>().add(at) };
        // SAFETY: as above; every process accesses these words by this type alone.
        unsafe { word.as_ref() }
    }

    fn words(&self, at: usize) -> &'a [AtomicU64] {
        let end = at + self.layout.element;
        assert!(end <= self.region.len() / WORD, "words outside of shared memory");
        // SAFETY: as in `word`.
        let first = unsafe { self.region.start().cast::<AtomicU64>().add(at) };
        // SAFETY: as above; a slice of atomics may be shared with writers.
        unsafe { std::slice::from_raw_parts(first.as_ptr(), self.layout.element) }
    }

    fn lock(&self, head: usize) -> &'a AtomicU32 {
        // SAFETY: the lock has a word of its own, of which every process uses just this half.
        unsafe { AtomicU32::from_ptr(self.word(head + LOCK).as_ptr().cast()) }
    }
}

/// One element in its stripe.
pub(super) struct Stripe<'a> {
    journal: Journal<'a>,
    head: usize,
    index: usize,
}

impl Stripe<'_> {
    fn sequence(&self) -> &AtomicU64 {
        self.journal.word(self.head + SEQUENCE)
    }

    fn place(&self) -> &[AtomicU64] {
        self.journal.words(self.journal.layout.element_at(self.index))
    }

    fn entry(&self) -> &[AtomicU64] {
        self.journal.words(self.head + ENTRY)
    }

    pub(super) fn load(&self, out: &mut [u8]) {
        for _ in 0..TRIES {
            let before = self.sequence().load(Ordering::Acquire);
            if before.is_multiple_of(2) {
                copy_out(self.place(), out);
                fence(Ordering::Acquire);
                if self.sequence().load(Ordering::Relaxed) == before {
                    return;
                }
            }
            std::hint::spin_loop();
        }
        self.change(|_, read| read(out));
    }

    /// Does `work` under the lock. The arguments of `work` write the element and read the element.
    pub(super) fn change<R>(&self, work: impl FnOnce(&dyn Fn(&[u8]), &dyn Fn(&mut [u8])) -> R) -> R {
        word_lock::hold(self.journal.lock(self.head), || {
            self.finish_what_was_begun();
            work(&|new| self.write(new), &|out| copy_out(self.place(), out))
        })
    }

    fn write(&self, new: &[u8]) {
        copy_in(new, self.entry());
        self.journal.word(self.head + NUMBER).store(self.index as u64, Ordering::Relaxed);
        let sequence = self.sequence().load(Ordering::Relaxed);
        self.sequence().store(sequence.wrapping_add(1), Ordering::Release);
        fence(Ordering::Release);
        copy_in(new, self.place());
        self.sequence().store(sequence.wrapping_add(2), Ordering::Release);
    }

    /// Completes the write of a holder that has died in the write.
    fn finish_what_was_begun(&self) {
        let sequence = self.sequence().load(Ordering::Acquire);
        if sequence.is_multiple_of(2) {
            return;
        }
        let number = self.journal.word(self.head + NUMBER).load(Ordering::Relaxed);
        if let Some(index) = usize::try_from(number).ok().filter(|index| *index < self.journal.layout.length) {
            let place = self.journal.words(self.journal.layout.element_at(index));
            for (from, to) in self.entry().iter().zip(place) {
                to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        }
        self.sequence().store(sequence.wrapping_add(1), Ordering::Release);
    }
}

fn copy_out(words: &[AtomicU64], out: &mut [u8]) {
    for (word, bytes) in words.iter().zip(out.chunks_mut(WORD)) {
        bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes()[..bytes.len()]);
    }
}

fn copy_in(bytes: &[u8], words: &[AtomicU64]) {
    for (word, bytes) in words.iter().zip(bytes.chunks(WORD)) {
        word.store(u64::from_ne_bytes(padded(bytes)), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 20;

    fn region(length: usize) -> Region {
        Region::create(bytes(length, SIZE).unwrap()).unwrap()
    }

    fn stripe(region: &Region, length: usize, index: usize) -> Stripe<'_> {
        Journal::new(region, length, SIZE).stripe(index)
    }

    fn loaded(stripe: &Stripe<'_>) -> [u8; SIZE] {
        let mut out = [0; SIZE];
        stripe.load(&mut out);
        out
    }

    #[test]
    fn every_element_has_a_place_of_its_own() {
        for length in [1, 2, 63, 64, 65, 1000] {
            let region = region(length);
            for index in 0..length {
                stripe(&region, length, index).change(|write, _| write(&[index as u8 ^ 85; SIZE]));
            }
            for index in 0..length {
                assert_eq!(loaded(&stripe(&region, length, index)), [index as u8 ^ 85; SIZE], "{index} of {length}");
            }
        }
    }

    #[test]
    fn a_write_that_was_begun_is_finished_by_the_next_reader() {
        let region = region(100);
        let (written, reader) = (stripe(&region, 100, 1), stripe(&region, 100, 0));
        // As a writer leaves the memory that dies when one word of the element is in its place.
        copy_in(&[9; SIZE], written.entry());
        written.journal.word(written.head + NUMBER).store(1, Ordering::Relaxed);
        written.sequence().store(1, Ordering::Relaxed);
        copy_in(&[9; WORD], written.place());
        assert_eq!(loaded(&reader), [0; SIZE]);
        assert_eq!(loaded(&written), [9; SIZE]);
        assert_eq!(written.sequence().load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_write_that_has_only_its_journal_was_not() {
        let region = region(100);
        let written = stripe(&region, 100, 99);
        copy_in(&[9; SIZE], written.entry());
        assert_eq!(loaded(&written), [0; SIZE]);
        written.change(|_, _| ());
        assert_eq!(loaded(&written), [0; SIZE]);
    }

    #[test]
    fn a_forged_journal_changes_nothing_outside() {
        let region = region(100);
        let forged = stripe(&region, 100, 50);
        for number in [100, u64::MAX, u64::MAX / 8] {
            forged.journal.word(forged.head + NUMBER).store(number, Ordering::Relaxed);
            forged.sequence().store(u64::MAX, Ordering::Relaxed);
            assert_eq!(loaded(&forged), [0; SIZE]);
            assert_eq!(forged.sequence().load(Ordering::Relaxed), 0);
        }
    }

    #[test]
    fn lengths_that_cannot_be_are_told() {
        assert_eq!(bytes(0, SIZE), Some(0));
        assert!(bytes(usize::MAX, SIZE).is_none() && bytes(usize::MAX / 8, SIZE).is_none());
        assert!(bytes(2, usize::MAX / 2).is_none() && bytes(1, usize::MAX).is_none());
    }
}
