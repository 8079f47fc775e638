//! The supervisor: the pool's own thread. It starts all workers, and leads when there is something to move and no other
//! thread waits.

use std::os::fd::AsFd;
use std::sync::{Arc, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::{Link, PoolCore, PoolInner, is_sooner, needs_leader};
use crate::error::{Error, ErrorKind};
use crate::pool::scheduler::{Phase, Scheduler, TICK};
use crate::start::POOL_THREAD;
use crate::sys::eventfd;
use crate::sys::poll::{self, Deadline};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SupervisorState {
    Busy,
    /// It sleeps until this time, a death, or a wake-up.
    Sleeping(Deadline),
    /// It waits for the leader to leave.
    Following,
}

impl PoolCore {
    /// Wakes the supervisor if there is something to do that it would not see in time.
    pub(super) fn wake_supervisor_if_needed(&self, inner: &mut PoolInner) {
        match inner.supervisor {
            SupervisorState::Sleeping(until) if !is_needed_before(&inner.scheduler, until) => {}
            _ => self.wake_supervisor(inner),
        }
    }

    pub(super) fn wake_supervisor(&self, inner: &mut PoolInner) {
        match inner.supervisor {
            SupervisorState::Busy => {}
            SupervisorState::Sleeping(_) => eventfd::wake(self.supervisor_waker.as_fd()),
            SupervisorState::Following => self.changed.notify_all(),
        }
        inner.supervisor = SupervisorState::Busy;
    }

    /// Whether this thread is the supervisor.
    pub(in crate::pool) fn is_supervisor(&self) -> bool {
        self.supervisor.get() == Some(&thread::current().id())
    }

    /// Runs until the pool is terminated and its last worker is reaped.
    fn supervise(&self) {
        let mut inner = self.lock();
        while inner.scheduler.phase() != Phase::Terminated || !inner.scheduler.is_empty() {
            inner = if inner.scheduler.must_start(Instant::now) {
                self.start_worker(inner)
            } else if inner.is_led {
                inner.supervisor = SupervisorState::Following;
                let mut inner = self.follow(inner, None);
                inner.supervisor = SupervisorState::Busy;
                inner
            } else if needs_leader(&inner.scheduler) {
                self.lead(inner, None, |scheduler| !needs_leader(scheduler))
            } else {
                self.watch(inner)
            };
            if inner.scheduler.has_woken() {
                self.release(inner);
                inner = self.lock();
            }
        }
    }

    /// Sleeps until a worker dies, the supervisor is woken, or something is due.
    ///
    /// A thread that submits jobs and then waits for one will lead in a moment. So jobs in line alone are left to it
    /// for one [`TICK`], and the supervisor leads if no thread has led meanwhile.
    fn watch<'a>(&'a self, mut inner: MutexGuard<'a, PoolInner>) -> MutexGuard<'a, PoolInner> {
        inner.scheduler.scale(Instant::now());
        let has_line = inner.scheduler.has_jobs_in_line();
        let line = has_line.then(|| Instant::now() + TICK);
        let until = [inner.scheduler.supervision_due(Instant::now), line].into_iter().flatten().min();
        inner.supervisor = SupervisorState::Sleeping(until);
        let terms = inner.terms;
        drop(inner);
        let sources = [self.supervisor_waker.as_fd(), self.deaths.as_fd()];
        let [_, is_death] = poll::readable(sources, until).unwrap_or_default();
        let mut inner = self.lock();
        inner.supervisor = SupervisorState::Busy;
        eventfd::clear(self.supervisor_waker.as_fd());
        // No other thread may have, and only then are idle workers known.
        self.collect(&mut inner);
        if is_death && !inner.is_led {
            self.reap(&mut inner);
            self.changed.notify_all();
        }
        if has_line && !inner.is_led && inner.terms == terms {
            inner = self.lead(inner, None, |scheduler| !scheduler.has_jobs_in_line() && !needs_leader(scheduler));
        }
        inner
    }
}

/// Whether the supervisor is needed before the end of its sleep.
fn is_needed_before(scheduler: &Scheduler<Link>, until: Deadline) -> bool {
    let sleeps_too_long = || until.is_none_or(|until| until > Instant::now() + TICK);
    needs_leader(scheduler)
        || is_sooner(scheduler.supervision_due(Instant::now), until)
        || (scheduler.has_jobs_in_line() && sleeps_too_long())
}

/// Starts the supervisor.
pub(in crate::pool) fn start_supervisor(core: &Arc<PoolCore>) -> Result<JoinHandle<()>, Error> {
    let core = Arc::clone(core);
    let supervise = move || {
        let _ = core.supervisor.set(thread::current().id());
        core.supervise();
    };
    let started = thread::Builder::new().name(POOL_THREAD.to_owned()).spawn(supervise);
    started.map_err(|error| Error::with_source(ErrorKind::LimitReached, "cannot start the thread of a pool", error))
}
