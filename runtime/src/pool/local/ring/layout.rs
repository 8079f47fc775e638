//! The layout of the memory, and the access to slots: by words, atomically.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

#[cfg(not(loom))]
pub(super) use std::sync::atomic::{AtomicU32, AtomicU64, fence};

#[cfg(loom)]
pub(super) use loom::sync::atomic::{AtomicU32, AtomicU64, fence};

/// The memory of one worker's rings. In a model it is no shared memory but a pair of vectors.
pub(crate) trait Memory {
    /// [`WORDS`] words.
    fn words(&self) -> &[AtomicU64];
    /// The word that the worker sleeps on.
    fn sleep_word(&self) -> &AtomicU32;
}

/// Slots of each ring.
pub(crate) const SLOTS: u64 = if cfg!(loom) { 2 } else { 128 };

/// Words of a slot: a head, and the rest for bytes.
const SLOT_WORDS: usize = if cfg!(loom) { HEAD_WORDS + 1 } else { 64 };
const HEAD_WORDS: usize = 3;

/// Most bytes of a payload in a slot. A longer payload goes over the worker's link.
pub(crate) const INLINE_BYTES: usize = (SLOT_WORDS - HEAD_WORDS) * 8;

/// Counters that different sides write are on different cache lines.
const LINE: usize = if cfg!(loom) { 1 } else { 8 };

const JOBS_TAIL: usize = 0;
const TAKEN: usize = LINE;
const RESULTS_TAIL: usize = 2 * LINE;
const RESULTS_HEAD: usize = 3 * LINE;
const WORKER_SLEEPS: usize = 4 * LINE;
const PARENT_SLEEPS: usize = 5 * LINE;
const BEGAN: usize = 6 * LINE;
const CANCELLED: usize = 7 * LINE;
const JOBS: usize = 8 * LINE;
const RESULTS: usize = JOBS + SLOTS as usize * SLOT_WORDS;

/// Words of the memory of one worker's rings.
pub(crate) const WORDS: usize = RESULTS + SLOTS as usize * SLOT_WORDS;

/// One side's view of the memory.
#[derive(Debug)]
pub(super) struct Rings<M>(pub(super) M);

impl<M: Memory> Rings<M> {
    fn word(&self, index: usize) -> &AtomicU64 {
        &self.0.words()[index]
    }

    pub(super) fn jobs_tail(&self) -> &AtomicU64 {
        self.word(JOBS_TAIL)
    }

    pub(super) fn taken(&self) -> &AtomicU64 {
        self.word(TAKEN)
    }

    pub(super) fn results_tail(&self) -> &AtomicU64 {
        self.word(RESULTS_TAIL)
    }

    pub(super) fn results_head(&self) -> &AtomicU64 {
        self.word(RESULTS_HEAD)
    }

    pub(super) fn worker_sleeps(&self) -> &AtomicU64 {
        self.word(WORKER_SLEEPS)
    }

    pub(super) fn parent_sleeps(&self) -> &AtomicU64 {
        self.word(PARENT_SLEEPS)
    }

    /// When the worker began its job, on the monotonic clock in nanoseconds.
    pub(super) fn began(&self) -> &AtomicU64 {
        self.word(BEGAN)
    }

    /// Jobs below this number are cancelled.
    pub(super) fn cancelled(&self) -> &AtomicU64 {
        self.word(CANCELLED)
    }

    pub(super) fn job(&self, number: u64) -> &[AtomicU64] {
        self.slot(JOBS, number)
    }

    pub(super) fn result(&self, number: u64) -> &[AtomicU64] {
        self.slot(RESULTS, number)
    }

    fn slot(&self, ring: usize, number: u64) -> &[AtomicU64] {
        let start = ring + (number % SLOTS) as usize * SLOT_WORDS;
        &self.0.words()[start..start + SLOT_WORDS]
    }
}

/// What a worker sleeps for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// The next job.
    Job = 1,
    /// Room for a result.
    Room = 2,
}

/// The head of a slot. The length of the slot's bytes is part of the second word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// In a job, the task's index in the registry; in an outcome, the number of the job's slot.
    pub(crate) about: u64,
    pub(crate) kind: u8,
    /// In an outcome, how long the task ran, in nanoseconds.
    pub(crate) spent: u64,
}

pub(super) fn write(slot: &[AtomicU64], head: Head, bytes: &[u8]) {
    debug_assert!(bytes.len() <= INLINE_BYTES, "{} bytes in a slot", bytes.len());
    slot[0].store(head.about, Relaxed);
    slot[1].store(u64::from(head.kind) << 32 | bytes.len() as u64, Relaxed);
    slot[2].store(head.spent, Relaxed);
    let mut words = slot[HEAD_WORDS..].iter();
    let (whole, rest) = bytes.as_chunks::<8>();
    for (chunk, word) in whole.iter().zip(&mut words) {
        word.store(u64::from_ne_bytes(*chunk), Relaxed);
    }
    if let (false, Some(word)) = (rest.is_empty(), words.next()) {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        word.store(u64::from_ne_bytes(last), Relaxed);
    }
}

/// Copies a slot out; `None` if its length is more than a slot has.
pub(super) fn read(slot: &[AtomicU64], bytes: &mut Vec<u8>) -> Option<Head> {
    let second = slot[1].load(Relaxed);
    let length = (second & u64::from(u32::MAX)) as usize;
    if length > INLINE_BYTES {
        return None;
    }
    bytes.clear();
    for word in &slot[HEAD_WORDS..HEAD_WORDS + length.div_ceil(8)] {
        bytes.extend_from_slice(&word.load(Relaxed).to_ne_bytes());
    }
    bytes.truncate(length);
    Some(Head { about: slot[0].load(Relaxed), kind: (second >> 32) as u8, spent: slot[2].load(Relaxed) })
}

/// Moves a counter of this side, after the slots that it counts were written.
pub(super) fn publish(counter: &AtomicU64, value: u64) {
    counter.store(value, Release);
}

/// Reads a counter of the other side. The slots that it counts can be read then.
pub(super) fn observe(counter: &AtomicU64) -> u64 {
    counter.load(Acquire)
}
