//! The worker's side: takes jobs, and writes results.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use super::layout::{AtomicU32, Awaited, Head, Memory, Rings, SLOTS, observe, publish, read, write};
use super::sleeper;

/// The worker's side of its rings.
#[derive(Debug)]
pub(crate) struct WorkerSide<M> {
    rings: Rings<M>,
    results: u64,
}

impl<M: Memory> WorkerSide<M> {
    pub(crate) fn new(memory: M) -> Self {
        Self { rings: Rings(memory), results: 0 }
    }

    /// Takes the oldest job; its number and its head. The job runs from now on.
    pub(crate) fn take(&self, bytes: &mut Vec<u8>) -> Option<(u64, Head)> {
        loop {
            let taken = observe(self.rings.taken());
            if observe(self.rings.jobs_tail()) == taken {
                return None;
            }
            let head = read(self.rings.job(taken), bytes);
            // After the copy: a slot is not written again before its job is taken.
            if self.rings.taken().compare_exchange(taken, taken + 1, AcqRel, Acquire).is_ok() {
                return head.map(|head| (taken, head));
            }
        }
    }

    /// How many jobs are out of the ring: taken, or revoked by the parent.
    pub(crate) fn taken(&self) -> u64 {
        observe(self.rings.taken())
    }

    pub(crate) fn has_job(&self) -> bool {
        observe(self.rings.jobs_tail()) != observe(self.rings.taken())
    }

    pub(crate) fn has_room(&self) -> bool {
        self.results - observe(self.rings.results_head()) < SLOTS
    }

    /// Writes a result, for which there must be [room](Self::has_room); whether the parent is to be woken.
    #[must_use = "the parent may be asleep"]
    pub(crate) fn push(&mut self, head: Head, bytes: &[u8]) -> bool {
        write(self.rings.result(self.results), head, bytes);
        self.results += 1;
        publish(self.rings.results_tail(), self.results);
        sleeper::must_wake(self.rings.parent_sleeps(), |awaited| self.results >= awaited)
    }

    /// Sleeps until the parent wakes this side, unless `is_ready`. `wait` is the system call, which returns at once if
    /// the word has changed.
    pub(crate) fn sleep_unless(
        &self,
        awaited: Awaited,
        is_ready: impl Fn(&Self) -> bool,
        wait: impl FnOnce(&AtomicU32, u32),
    ) {
        let word = self.rings.0.sleep_word();
        let before = word.load(Acquire);
        sleeper::announce(self.rings.worker_sleeps(), awaited as u64);
        if !is_ready(self) {
            wait(word, before);
        }
        sleeper::withdraw(self.rings.worker_sleeps());
    }

    /// Notes when the job began, on the monotonic clock in nanoseconds.
    pub(crate) fn note_began(&self, time: u64) {
        self.rings.began().store(time, Relaxed);
    }

    /// Whether the job of this number is cancelled.
    pub(crate) fn is_cancelled(&self, number: u64) -> bool {
        self.rings.cancelled().load(Relaxed) > number
    }
}
