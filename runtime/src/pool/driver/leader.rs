//! The leader: the one thread that moves the scheduler on, until its own condition holds.

use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Link, PoolCore, PoolInner, is_past, is_sooner, source};
use crate::error::Error;
use crate::pool::scheduler::{Scheduler, TICK};
use crate::pool::transport::{StartFailure, StartWorker, WorkerLink};
use crate::sys::eventfd;
use crate::sys::poll::Deadline;

/// The longest time for which a worker's events may wait for further ones.
const LONGEST_GATHERING: Duration = Duration::from_millis(2);

impl PoolCore {
    /// Waits until a condition holds or the deadline has passed: as the leader, or as a follower while another thread
    /// leads.
    pub(super) fn wait_until(
        &self,
        deadline: Deadline,
        condition: impl Fn(&Scheduler<Link>) -> bool,
    ) -> MutexGuard<'_, PoolInner> {
        let mut inner = self.lock();
        // Also before a wait of no time: no other thread may have looked.
        self.collect(&mut inner);
        while !condition(&inner.scheduler) && !is_past(deadline) {
            if inner.scheduler.has_woken() {
                self.release(inner);
                inner = self.lock();
            } else if inner.is_led {
                inner.followers += 1;
                inner = self.follow(inner, deadline);
                inner.followers -= 1;
            } else {
                inner = self.lead(inner, deadline, &condition);
            }
        }
        inner
    }

    /// Sleeps until the leader leaves or has news.
    pub(super) fn follow<'a>(
        &'a self,
        inner: MutexGuard<'a, PoolInner>,
        deadline: Deadline,
    ) -> MutexGuard<'a, PoolInner> {
        match deadline {
            None => self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner),
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                self.changed.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0
            }
        }
    }

    /// Moves the pool on until a condition holds, the deadline has passed, or there are futures to wake. A waker may
    /// wait for the pool, or drop it, which needs a leader in turn.
    pub(super) fn lead<'a>(
        &'a self,
        mut inner: MutexGuard<'a, PoolInner>,
        deadline: Deadline,
        condition: impl Fn(&Scheduler<Link>) -> bool,
    ) -> MutexGuard<'a, PoolInner> {
        inner.is_led = true;
        inner.terms += 1;
        let term = Term { core: self };
        let mut seen = inner.scheduler.version();
        loop {
            let has_moved = inner.scheduler.collect(Instant::now) | inner.scheduler.dispatch();
            // Compared, since a death, a time limit and a failed start end jobs too.
            let version = inner.scheduler.version();
            if version != seen && inner.followers > 0 {
                self.changed.notify_all();
            }
            seen = version;
            if condition(&inner.scheduler) || is_past(deadline) || inner.scheduler.has_woken() {
                break;
            }
            let must_start = inner.scheduler.must_start(Instant::now);
            if must_start && self.is_supervisor() {
                inner = self.start_worker(inner);
                continue;
            }
            if must_start {
                self.wake_supervisor(&mut inner);
            }
            // The workers do without a processor for as long as this thread looks for events.
            let has_processor = inner.scheduler.busy_workers() < inner.processors;
            // Also between events that never cease.
            let must_look = inner.scheduler.has_limits() && inner.looked.elapsed() >= TICK;
            if must_look || !has_processor || !(has_moved || inner.spin_for_event()) {
                inner = self.wait_for_events(inner, deadline);
            }
        }
        term.end(&mut inner);
        inner
    }

    /// Sleeps until a worker has an event or has ended, something is due, or the leader is woken.
    fn wait_for_events<'a>(
        &'a self,
        mut inner: MutexGuard<'a, PoolInner>,
        deadline: Deadline,
    ) -> MutexGuard<'a, PoolInner> {
        let before = inner.scheduler.version();
        let now = Instant::now();
        inner.looked = now;
        let due = inner.scheduler.tick(now);
        let armed = inner.scheduler.arm(inner.expects_more);
        // A job that was about to be ended may have been found done.
        let has_news = armed.has_news || inner.scheduler.version() != before;
        let mut ready = Vec::new();
        if !has_news {
            let look = armed.gathers.then(|| Instant::now() + LONGEST_GATHERING);
            let until = [due, deadline, look].into_iter().flatten().min();
            inner.leader_sleeps = Some(until);
            drop(inner);
            ready = self.events.wait(until).unwrap_or_default();
            inner = self.lock();
            inner.leader_sleeps = None;
        }
        inner.scheduler.links().for_each(WorkerLink::disarm);
        // Before the events are taken in, or a later wake-up would be lost.
        if ready.contains(&source::EVENTS) {
            eventfd::clear(self.starter.event_source());
        }
        inner.expects_more = inner.scheduler.has_event();
        if ready.contains(&source::DEATHS) {
            self.reap(&mut inner);
        }
        inner
    }

    /// Takes out the workers that have ended.
    pub(super) fn reap(&self, inner: &mut PoolInner) {
        // A copy of the process made behind our back may hold the descriptors open, and epoll(7) would report them for
        // ever.
        inner.scheduler.reap(Instant::now, |link| {
            if let Ok(death) = link.death_source() {
                self.deaths.remove(death);
            }
        });
    }

    /// Starts one worker, without the lock. Called by the supervisor alone: a process begins with the processors, the
    /// nice value and the signal mask of the thread that starts it, and the supervisor has those of the thread that
    /// built the pool.
    pub(super) fn start_worker<'a>(&'a self, mut inner: MutexGuard<'a, PoolInner>) -> MutexGuard<'a, PoolInner> {
        let seat = inner.scheduler.begin_start();
        let place = seat.place;
        drop(inner);
        let started = self.starter.start(seat).and_then(|mut link| match self.listen_to(&link) {
            Ok(()) => Ok(link),
            Err(cause) => {
                link.kill();
                Err(StartFailure { cause, is_final: false })
            }
        });
        let mut inner = self.lock();
        inner.scheduler.finish_start(place, started, Instant::now());
        // The leader has to listen to the worker, or to take in that there is none.
        if inner.leader_sleeps.is_some() {
            eventfd::wake(self.starter.event_source());
        }
        inner
    }

    fn listen_to(&self, link: &Link) -> Result<(), Error> {
        let failed = |error| Error::os("cannot wait for a worker", error);
        self.deaths.add(link.death_source()?, source::DEATH).map_err(failed)
    }

    /// Wakes the leader or the supervisor, if there is something to do that it would not see in time.
    pub(super) fn wake_if_needed(&self, inner: &mut PoolInner) {
        if inner.is_led {
            let scheduler = &inner.scheduler;
            let must_wake = |until| scheduler.has_limits() || is_sooner(scheduler.scaling_due(), until);
            if inner.leader_sleeps.is_some_and(must_wake) {
                eventfd::wake(self.starter.event_source());
            }
            if inner.scheduler.must_start(Instant::now) {
                self.wake_supervisor(inner);
            }
        } else {
            self.wake_supervisor_if_needed(inner);
        }
    }
}

impl PoolInner {
    /// Looks for an event for a moment, without a sleep.
    fn spin_for_event(&self) -> bool {
        let has_event = || self.scheduler.has_event();
        has_event() || self.spin.look(has_event)
    }
}

/// The term of a leader, which ends also by a panic.
struct Term<'a> {
    core: &'a PoolCore,
}

impl Term<'_> {
    fn end(self, inner: &mut PoolInner) {
        self.step_down(inner);
        std::mem::forget(self);
    }

    fn step_down(&self, inner: &mut PoolInner) {
        inner.is_led = false;
        if inner.followers > 0 {
            self.core.changed.notify_all();
        }
        self.core.wake_if_needed(inner);
    }
}

impl Drop for Term<'_> {
    fn drop(&mut self) {
        self.step_down(&mut self.core.lock());
    }
}
