//! The parent's side: puts jobs in, takes some back, takes results out, and believes nothing that does not fit.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use super::layout::{Head, Memory, Rings, SLOTS, observe, publish, read, write};
use super::sleeper;

/// The worker has written into the rings what it never would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Corrupt;

/// The parent's side of one worker's rings.
#[derive(Debug)]
pub(crate) struct ParentSide<M> {
    rings: Rings<M>,
    tail: u64,
    /// `taken` as it was last seen.
    taken: u64,
    results: u64,
}

impl<M: Memory> ParentSide<M> {
    pub(crate) fn new(memory: M) -> Self {
        Self { rings: Rings(memory), tail: 0, taken: 0, results: 0 }
    }

    /// The number that the next job gets.
    pub(crate) fn next_number(&self) -> u64 {
        self.tail
    }

    pub(crate) fn has_room(&mut self) -> Result<bool, Corrupt> {
        Ok(self.tail - self.taken < SLOTS || self.tail - self.look_taken()? < SLOTS)
    }

    /// Puts a job in; `false` if there is no room.
    pub(crate) fn push(&mut self, head: Head, bytes: &[u8]) -> Result<bool, Corrupt> {
        if !self.has_room()? {
            return Ok(false);
        }
        write(self.rings.job(self.tail), head, bytes);
        self.tail += 1;
        publish(self.rings.jobs_tail(), self.tail);
        Ok(true)
    }

    /// Whether the worker sleeps, and is to be woken by [`wake`](Self::wake). To be asked after jobs were put in or results
    /// taken out.
    pub(crate) fn must_wake_worker(&self) -> bool {
        sleeper::must_wake(self.rings.worker_sleeps())
    }

    /// Whether the worker sleeps, and nobody has woken it yet.
    pub(crate) fn worker_waits(&self) -> bool {
        sleeper::is_announced(self.rings.worker_sleeps())
    }

    /// Wakes the worker; `signal` is the system call.
    pub(crate) fn wake(&self, signal: impl FnOnce(&super::layout::AtomicU32)) {
        let word = self.rings.0.sleep_word();
        word.fetch_add(1, AcqRel);
        signal(word);
    }

    /// How many jobs are out of the ring: begun by the worker, or taken back.
    pub(crate) fn look_taken(&mut self) -> Result<u64, Corrupt> {
        let taken = observe(self.rings.taken());
        if !(self.taken..=self.tail).contains(&taken) {
            return Err(Corrupt);
        }
        self.taken = taken;
        Ok(taken)
    }

    /// Takes the oldest job back that the worker has not begun; its number.
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

    /// Takes the oldest result out.
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
        observe(self.rings.results_tail()) != self.results
    }

    /// Asks the worker to ring the bell after its next result. Results must be looked for once more before the parent sleeps.
    pub(crate) fn listen(&self) {
        sleeper::announce(self.rings.parent_sleeps());
    }

    /// Takes that back.
    pub(crate) fn stop_listening(&self) {
        sleeper::withdraw(self.rings.parent_sleeps());
    }

    /// When the worker began what it is running, on the monotonic clock in nanoseconds: the worker's word.
    pub(crate) fn began(&self) -> u64 {
        self.rings.began().load(Relaxed)
    }

    /// Asks the job of this number, and those before it, to end.
    pub(crate) fn cancel(&self, number: u64) {
        self.rings.cancelled().fetch_max(number + 1, Relaxed);
    }
}
