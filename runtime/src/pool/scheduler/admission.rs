//! The room for further jobs, and the callers that wait for room, first come first served.
//!
//! A waiting caller keeps its job. When the caller is the first in line and there is room, it leaves the line and
//! submits the job. Until then, no later caller gets the room.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Instant;

use super::{Phase, Scheduler};
use crate::pool::transport::WorkerLink;
use crate::sys::poll::Deadline;

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
    /// In ascending order of their tickets.
    waiters: VecDeque<Waiter>,
    /// Waiters whose deadline has passed.
    late: usize,
    /// Waiters whose deadline has ever passed.
    pub(super) expired: u64,
}

#[derive(Debug)]
struct Waiter {
    ticket: Ticket,
    /// The encoded arguments of the job.
    bytes: usize,
    /// The job is not to wait any longer.
    deadline: Deadline,
    is_late: bool,
    /// The waker of a future.
    waker: Option<Waker>,
}

impl Line {
    fn place(&self, ticket: Ticket) -> Option<usize> {
        self.waiters.binary_search_by_key(&ticket.0, |waiter| waiter.ticket.0).ok()
    }
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
    pub(in crate::pool) fn line_up(&mut self, bytes: usize, deadline: Deadline) -> Ticket {
        self.line.issued += 1;
        let ticket = Ticket(self.line.issued);
        self.limited += usize::from(deadline.is_some());
        self.line.waiters.push_back(Waiter { ticket, bytes, deadline, is_late: false, waker: None });
        ticket
    }

    /// Returns whether the caller may submit the job. A closed pool keeps no caller waiting, and neither does a passed
    /// deadline.
    pub(in crate::pool) fn may_enter(&self, ticket: Ticket) -> bool {
        self.line.place(ticket).is_none_or(|place| self.may_enter_from(place))
    }

    fn may_enter_from(&self, place: usize) -> bool {
        let waiter = &self.line.waiters[place];
        self.phase != Phase::Open || waiter.is_late || (place == 0 && self.has_room(waiter.bytes))
    }

    /// Sets the waker of a caller. Returns the waker before.
    pub(in crate::pool) fn set_waker_in_line(&mut self, ticket: Ticket, waker: Waker) -> Option<Waker> {
        let place = self.line.place(ticket)?;
        self.line.waiters[place].waker.replace(waker)
    }

    /// Takes a caller out of the line. Returns the caller's waker.
    pub(in crate::pool) fn leave_line(&mut self, ticket: Ticket) -> Option<Waker> {
        let place = self.line.place(ticket)?;
        let waiter = self.line.waiters.remove(place)?;
        self.line.late -= usize::from(waiter.is_late);
        self.limited -= usize::from(waiter.deadline.is_some());
        waiter.waker
    }

    /// Returns the number of callers that wait for room.
    pub(in crate::pool) fn waiting(&self) -> usize {
        self.line.waiters.len()
    }

    /// Returns whether a future in the line is to be woken.
    pub(super) fn must_wake_line(&self) -> bool {
        let mut waiters = self.line.waiters.iter().take(self.free_to_enter()).enumerate();
        waiters.any(|(place, waiter)| waiter.waker.is_some() && self.may_enter_from(place))
    }

    /// Takes the wakers of the futures in the line that may submit their jobs.
    pub(super) fn take_woken_of_line(&mut self) -> Vec<Waker> {
        let places = 0..self.free_to_enter().min(self.line.waiters.len());
        let places: Vec<usize> = places.filter(|place| self.may_enter_from(*place)).collect();
        places.into_iter().filter_map(|place| self.line.waiters[place].waker.take()).collect()
    }

    /// Returns how many callers, from the first on, have to be looked at to find those that may enter.
    fn free_to_enter(&self) -> usize {
        if self.phase == Phase::Open && self.line.late == 0 { 1 } else { usize::MAX }
    }

    /// Lets no caller wait whose deadline has passed. Returns the next deadline.
    pub(super) fn expire_in_line(&mut self, now: Instant) -> Deadline {
        for waiter in self.line.waiters.iter_mut().filter(|waiter| !waiter.is_late) {
            waiter.is_late = waiter.deadline.is_some_and(|deadline| deadline <= now);
            self.line.late += usize::from(waiter.is_late);
            self.line.expired += u64::from(waiter.is_late);
        }
        self.line.waiters.iter().filter(|waiter| !waiter.is_late).filter_map(|waiter| waiter.deadline).min()
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
