//! The parent's side: puts jobs in, takes some back, takes results out, and believes nothing that does not fit.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use super::layout::{Awaited, Head, Memory, Rings, SLOTS, observe, publish, read, write};
use super::sleeper;

/// The worker has written values into the rings that no worker writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Corrupt;

/// The parent's side of one worker's rings.
#[derive(Debug)]
pub(crate) struct ParentSide<M> {
    rings: Rings<M>,
    tail: u64,
    /// The last value of `taken` that was read.
    taken: u64,
    results: u64,
}

impl<M: Memory> ParentSide<M> {
    pub(crate) fn new(memory: M) -> Self {
        Self { rings: Rings(memory), tail: 0, taken: 0, results: 0 }
    }

    /// The number of the next job.
    pub(crate) fn next_number(&self) -> u64 {
        self.tail
    }

    pub(crate) fn has_room(&mut self) -> Result<bool, Corrupt> {
        Ok(self.tail - self.taken < SLOTS || self.tail - self.look_taken()? < SLOTS)
    }

    /// Writes a job into its slot; `false` if there is no room.
    pub(crate) fn push(&mut self, head: Head, bytes: &[u8]) -> Result<bool, Corrupt> {
        if !self.has_room()? {
            return Ok(false);
        }
        write(self.rings.job(self.tail), head, bytes);
        self.tail += 1;
        publish(self.rings.jobs_tail(), self.tail);
        Ok(true)
    }

    /// Whether the worker sleeps, and is to be woken by [`wake`](Self::wake). Called after jobs were written or results
    /// taken.
    pub(crate) fn must_wake_worker(&self) -> bool {
        let has_job = || observe(self.rings.taken()) != self.tail;
        sleeper::must_wake(self.rings.worker_sleeps(), |awaited| awaited != Awaited::Job as u64 || has_job())
    }

    /// Whether the worker sleeps, and was not woken yet.
    pub(crate) fn worker_waits(&self) -> bool {
        sleeper::is_announced(self.rings.worker_sleeps())
    }

    /// Wakes the worker; `signal` is the system call.
    pub(crate) fn wake(&self, signal: impl FnOnce(&super::layout::AtomicU32)) {
        let word = self.rings.0.sleep_word();
        word.fetch_add(1, AcqRel);
        signal(word);
    }

    /// How many jobs are out of the ring: begun by the worker, or revoked.
    pub(crate) fn look_taken(&mut self) -> Result<u64, Corrupt> {
        let taken = observe(self.rings.taken());
        if !(self.taken..=self.tail).contains(&taken) {
            return Err(Corrupt);
        }
        self.taken = taken;
        Ok(taken)
    }

    /// Revokes the oldest job that the worker has not begun; its number.
    pub(crate) fn take_back(&mut self) -> Result<Option<u64>, Corrupt> {
        loop {
            let taken = self.look_taken()?;
            if taken == self.tail {
                return Ok(None);
            }
            if self.rings.taken().compare_exchange(taken, taken + 1, AcqRel, Acquire).is_ok() {
                self.taken = taken + 1;
                return Ok(Some(taken));
            }
        }
    }

    /// Takes the oldest result.
    pub(crate) fn pop(&mut self, bytes: &mut Vec<u8>) -> Result<Option<Head>, Corrupt> {
        let waiting = observe(self.rings.results_tail()).wrapping_sub(self.results);
        if waiting == 0 {
            return Ok(None);
        }
        if waiting > SLOTS {
            return Err(Corrupt);
        }
        let head = read(self.rings.result(self.results), bytes).ok_or(Corrupt)?;
        self.results += 1;
        publish(self.rings.results_head(), self.results);
        Ok(Some(head))
    }

    /// Whether there is a result.
    pub(crate) fn has_result(&self) -> bool {
        self.has_results(1)
    }

    /// Asks the worker to write the eventfd after `results` more results. The caller must look
    /// [once more](Self::has_results) before it sleeps.
    pub(crate) fn listen(&self, results: u64) {
        sleeper::announce(self.rings.parent_sleeps(), self.results + results);
    }

    /// Whether there are so many results, or values that no worker writes.
    pub(crate) fn has_results(&self, results: u64) -> bool {
        observe(self.rings.results_tail()).wrapping_sub(self.results) >= results
    }

    /// Undoes [`listen`](Self::listen).
    pub(crate) fn stop_listening(&self) {
        sleeper::withdraw(self.rings.parent_sleeps());
    }

    /// When the worker began its job, on the monotonic clock in nanoseconds, as the worker claims.
    pub(crate) fn began(&self) -> u64 {
        self.rings.began().load(Relaxed)
    }

    /// Cancels the job of this number, and every job before it.
    pub(crate) fn cancel(&self, number: u64) {
        self.rings.cancelled().fetch_max(number + 1, Relaxed);
    }
}
