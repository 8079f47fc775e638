//! The room for further jobs, and the callers that wait for room, first come first served.
//!
//! A waiting caller keeps its job. When the caller is the first in line and there is room, it leaves the line and
//! submits the job. Until then, no later caller gets the room.

use std::collections::VecDeque;
use std::task::Waker;

use super::{Phase, Scheduler};
use crate::pool::transport::WorkerLink;

/// The place of a caller in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pool) struct Ticket(u64);

/// Why a job cannot be submitted now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pool) enum NoEntry {
    Full,
    Closed,
}

/// The callers that wait for room.
#[derive(Debug, Default)]
pub(super) struct Line {
    issued: u64,
    waiters: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    ticket: Ticket,
    /// The encoded arguments of the job.
    bytes: usize,
    /// The waker of a future.
    waker: Option<Waker>,
}

impl<L: WorkerLink> Scheduler<L> {
    /// Returns whether there is room for a job of `bytes`. A job of any size has room beside no other.
    fn has_room(&self, bytes: usize) -> bool {
        let places = self.config.queue_limit.map(|limit| limit.saturating_add(self.config.max_workers));
        let most_bytes = self.config.queue_limit_bytes;
        places.is_none_or(|places| self.unfinished < places)
            && most_bytes.is_none_or(|most| self.queued_bytes == 0 || self.queued_bytes.saturating_add(bytes) <= most)
    }

    /// Checks that a job of `bytes` can be submitted now, before all callers that would have to wait.
    pub(in crate::pool) fn try_enter(&self, bytes: usize) -> Result<(), NoEntry> {
        match self.phase {
            Phase::Open if self.line.waiters.is_empty() && self.has_room(bytes) => Ok(()),
            Phase::Open => Err(NoEntry::Full),
            Phase::Closed | Phase::Terminated => Err(NoEntry::Closed),
        }
    }

    /// Puts a caller at the end of the line.
    pub(in crate::pool) fn line_up(&mut self, bytes: usize) -> Ticket {
        self.line.issued += 1;
        let ticket = Ticket(self.line.issued);
        self.line.waiters.push_back(Waiter { ticket, bytes, waker: None });
        ticket
    }

    /// Returns whether the caller may submit the job. A closed pool keeps no caller waiting.
    pub(in crate::pool) fn may_enter(&self, ticket: Ticket) -> bool {
        self.phase != Phase::Open
            || self.line.waiters.front().is_none_or(|first| first.ticket == ticket && self.has_room(first.bytes))
    }

    /// Sets the waker of a caller. Returns the waker before.
    pub(in crate::pool) fn set_waker_in_line(&mut self, ticket: Ticket, waker: Waker) -> Option<Waker> {
        let waiter = self.line.waiters.iter_mut().find(|waiter| waiter.ticket == ticket)?;
        waiter.waker.replace(waker)
    }

    /// Takes a caller out of the line. Returns the caller's waker.
    pub(in crate::pool) fn leave_line(&mut self, ticket: Ticket) -> Option<Waker> {
        let place = self.line.waiters.iter().position(|waiter| waiter.ticket == ticket)?;
        self.line.waiters.remove(place)?.waker
    }

    /// Returns the number of callers that wait for room.
    pub(in crate::pool) fn waiting(&self) -> usize {
        self.line.waiters.len()
    }

    /// Returns whether a future in the line is to be woken.
    pub(super) fn must_wake_line(&self) -> bool {
        let is_woken = |waiter: &Waiter| waiter.waker.is_some() && self.may_enter(waiter.ticket);
        match self.phase {
            Phase::Open => self.line.waiters.front().is_some_and(is_woken),
            Phase::Closed | Phase::Terminated => self.line.waiters.iter().any(is_woken),
        }
    }

    /// Takes the wakers of the futures in the line that may submit their jobs.
    pub(super) fn take_woken_of_line(&mut self) -> Vec<Waker> {
        let first = usize::from(self.must_wake_line());
        let woken = if self.phase == Phase::Open { first } else { self.line.waiters.len() };
        self.line.waiters.iter_mut().take(woken).filter_map(|waiter| waiter.waker.take()).collect()
    }

    /// Returns how many jobs a map with `pending` jobs may submit, done or not, before they pile up. None before a
    /// caller that waits.
    pub(in crate::pool) fn room_for_map(&self, pending: usize) -> usize {
        if !self.line.waiters.is_empty() || !self.has_room(0) {
            return 0;
        }
        let capacity = self.capacity();
        capacity.saturating_sub(self.unfinished).min((2 * capacity).saturating_sub(pending))
    }
}
