//! The driver: the lock around the scheduler, and the threads that move it on.
//!
//! | object | created by | gone |
//! | --- | --- | --- |
//! | thread `offspring-pool`, the *supervisor* | the pool's builder | when the pool is joined, terminated or dropped |
//! | two epoll sets, two eventfds | the same | with the last handle of the pool and its jobs |
//! | rings, link, pidfd of a worker | its start | when the worker is reaped |
//!
//! One thread at a time is the *leader*: it takes events in, dispatches jobs, reaps workers, and sleeps in `events`
//! when there is nothing to do. A thread that waits for an outcome becomes the leader, since the outcome is
//! then at once in the thread that wants it. Other threads that wait are *followers*: they sleep on a condition
//! variable until the leader has news or leaves. The supervisor leads while no other thread waits and there is
//! something to move: a backlog, a future, a time limit. It starts all workers, whichever thread leads. Else it sleeps
//! until a worker dies, another thread wakes it, or a worker is to be started or retired.
//!
//! (Leader and followers: Schmidt and others, *Leader/Followers*, 2000.)
//!
//! **Invariant:** the lock is not held during a sleep, a start of a worker, or a call to code of the user.
//!
//! `leader` has the leader's loop, `supervisor` that of the pool's own thread. `submission` waits for room in the
//! queue, `milestones` for the pool as a whole.

mod leader;
mod milestones;
mod submission;
mod supervisor;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
#[cfg(feature = "stream")]
use std::task::Poll;
use std::task::Waker;
use std::thread::ThreadId;
use std::time::Instant;

use super::local::{LocalLink, LocalStart};
use super::model::{GroupId, JobEntry, JobId, LONGEST_SPIN, Outcome, PoolConfig};
use super::scheduler::{Phase, Scheduler};
use super::stats::PoolStats;
use super::transport::StartWorker;
use crate::error::Error;
use crate::ipc::spin::AdaptiveSpin;
use crate::sys;
use crate::sys::eventfd::{self, Poller};
use crate::sys::fork_generation::ForkGeneration;
use crate::sys::poll::Deadline;
pub(super) use submission::InLine;
use submission::fail_if_late;
use supervisor::SupervisorState;
pub(super) use supervisor::start_supervisor;

/// The transport of this pool's jobs. Another transport takes its place here and in the builder.
type Link = LocalLink;
type Starter = LocalStart;

/// A pool, shared by its handle, its jobs and its supervisor.
pub(super) struct PoolCore {
    inner: Mutex<PoolInner>,
    /// Signalled when the leader leaves, or has news for a follower.
    changed: Condvar,
    starter: Starter,
    /// The starter's event source, and `deaths`.
    events: Poller,
    /// The death sources of the workers.
    deaths: Poller,
    supervisor_waker: OwnedFd,
    supervisor: OnceLock<ThreadId>,
    /// A forked copy of the process has this memory, but neither the supervisor nor the workers.
    fork_generation: ForkGeneration,
    /// The scheduler of such a copy, if another thread held the lock when the copy was made.
    substitute: OnceLock<Option<Box<Mutex<PoolInner>>>>,
}

/// The scheduler, and the threads that are busy with it.
struct PoolInner {
    scheduler: Scheduler<Link>,
    is_led: bool,
    /// The leader sleeps, until this time.
    leader_sleeps: Option<Deadline>,
    /// Threads that wait for `changed`.
    followers: usize,
    supervisor: SupervisorState,
    /// How many leaders there were.
    terms: u64,
    spin: AdaptiveSpin,
    /// The processors that the pool may use.
    processors: usize,
    /// Whether events came at the last sleep, so that more are likely to come soon.
    expects_more: bool,
    /// The last look for what is due.
    looked: Instant,
}

/// A job needs no waker.
pub(super) struct IsDone;

/// The numbers of the sources in `events`.
mod source {
    pub(super) const EVENTS: u64 = 0;
    pub(super) const DEATHS: u64 = 1;
    pub(super) const DEATH: u64 = 2;
}

impl PoolCore {
    pub(super) fn new(config: PoolConfig, starter: Starter) -> io::Result<Self> {
        let (events, deaths) = (Poller::new()?, Poller::new()?);
        let supervisor_waker = eventfd::create()?;
        events.add(&deaths, source::DEATHS)?;
        events.add(starter.event_source(), source::EVENTS)?;
        Ok(Self {
            inner: Mutex::new(PoolInner::new(Scheduler::new(config))),
            changed: Condvar::new(),
            starter,
            events,
            deaths,
            supervisor_waker,
            supervisor: OnceLock::new(),
            fork_generation: ForkGeneration::current(),
            substitute: OnceLock::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, PoolInner> {
        if self.is_forked_copy() { self.lock_in_copy() } else { sys::lock(&self.inner) }
    }

    /// Locks the scheduler of a forked copy of the process. The workers are children of the original, and the copy must
    /// not even read their rings. A lock that another thread of the original held is never released in the copy.
    #[cold]
    fn lock_in_copy(&self) -> MutexGuard<'_, PoolInner> {
        let substitute = self.substitute.get_or_init(|| {
            let mut inner = match self.inner.try_lock() {
                Ok(inner) => inner,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {
                    return Some(Box::new(Mutex::new(PoolInner::new(Scheduler::lost()))));
                }
            };
            inner.scheduler.disown(Instant::now());
            (inner.is_led, inner.followers) = (false, 0);
            None
        });
        sys::lock(substitute.as_deref().unwrap_or(&self.inner))
    }

    /// Releases the lock, and then wakes the futures whose jobs are done, and asks the predicates of jobs: both are
    /// code of users.
    fn release<'a>(&'a self, mut inner: MutexGuard<'a, PoolInner>) {
        loop {
            let (woken, undecided) = (inner.scheduler.take_woken(), inner.scheduler.take_undecided());
            let spent = inner.scheduler.take_spent();
            drop(inner);
            drop(spent);
            for waker in woken {
                // A waker's panic has been printed, and is not this thread's.
                let _ = panic::catch_unwind(AssertUnwindSafe(|| waker.wake()));
            }
            if undecided.is_empty() {
                return;
            }
            let decided: Vec<_> = undecided.into_iter().map(|job| (job.id, job.ask())).collect();
            inner = self.lock();
            for (id, (outcome, again)) in decided {
                inner.scheduler.decide(id, outcome, again, Instant::now());
            }
            inner.scheduler.dispatch();
            // Other threads may wait for a job that is done by now.
            self.wake_all(&inner);
        }
    }

    /// Submits jobs, and dispatches as many as workers have room for.
    pub(super) fn submit(&self, jobs: impl IntoIterator<Item = JobEntry>, mut submitted: impl FnMut(JobId)) {
        let mut inner = self.lock();
        for mut job in jobs {
            fail_if_late(&mut job);
            submitted(inner.scheduler.submit(job));
        }
        inner.scheduler.dispatch();
        self.wake_if_needed(&mut inner);
        self.release(inner);
    }

    /// Submits a job for each present worker. Returns the workers' pids with the jobs.
    pub(super) fn broadcast(&self, job: impl FnMut() -> JobEntry) -> Vec<(u32, JobId)> {
        let mut inner = self.lock();
        // A worker may have begun a job that is not known to be done.
        self.collect(&mut inner);
        let submitted = inner.scheduler.broadcast(job);
        inner.scheduler.dispatch();
        self.wake_if_needed(&mut inner);
        self.release(inner);
        submitted
    }

    /// How many more jobs a map may submit that has `pending` jobs, done or not.
    pub(super) fn room(&self, pending: usize) -> usize {
        self.lock().scheduler.room_for_map(pending)
    }

    /// Waits for a job, and takes its outcome.
    pub(super) fn wait(&self, id: JobId, deadline: Deadline) -> Option<Outcome> {
        let mut inner = self.wait_until(deadline, |scheduler| scheduler.is_done(id));
        let outcome = inner.scheduler.take(id);
        self.release(inner);
        outcome
    }

    /// Waits for the first job, and takes its outcome and those of the jobs behind it that are done.
    pub(super) fn wait_in_order(&self, ids: &mut VecDeque<JobId>, mut take: impl FnMut(Outcome)) {
        let Some(first) = ids.front().copied() else { return };
        let mut inner = self.wait_until(None, |scheduler| scheduler.is_done(first));
        while let Some(outcome) = ids.front().and_then(|id| inner.scheduler.take(*id)) {
            ids.pop_front();
            take(outcome);
        }
        self.release(inner);
    }

    /// The same for a future, which `waker` wakes.
    #[cfg(feature = "stream")]
    pub(super) fn poll_in_order(
        &self,
        ids: &mut VecDeque<JobId>,
        waker: &Waker,
        mut take: impl FnMut(Outcome),
    ) -> Poll<()> {
        let Some(first) = ids.front().copied() else { return Poll::Ready(()) };
        let Some(outcome) = self.poll(first, waker) else { return Poll::Pending };
        ids.pop_front();
        take(outcome);
        let mut inner = self.lock();
        while let Some(outcome) = ids.front().and_then(|id| inner.scheduler.take(*id)) {
            ids.pop_front();
            take(outcome);
        }
        self.release(inner);
        Poll::Ready(())
    }

    /// Waits for any job of a group, and takes the outcomes of all that are done.
    pub(super) fn wait_for_any(&self, group: GroupId, mut take: impl FnMut(JobId, Outcome)) {
        let mut inner = self.wait_until(None, |scheduler| scheduler.has_next_of_group(group));
        while let Some(id) = inner.scheduler.next_of_group(group) {
            if let Some(outcome) = inner.scheduler.take(id) {
                take(id, outcome);
            }
        }
        self.release(inner);
    }

    /// Takes a job's outcome, or sets the waker of its future.
    pub(super) fn poll(&self, id: JobId, waker: &Waker) -> Option<Outcome> {
        // Cloned and dropped without the lock: both are code of an executor.
        let mut waker = Some(waker.clone());
        let mut inner = self.lock();
        self.collect(&mut inner);
        let outcome = inner.scheduler.take(id);
        if outcome.is_none() {
            waker = waker.and_then(|waker| inner.scheduler.set_waker(id, waker));
        }
        self.wake_if_needed(&mut inner);
        self.release(inner);
        drop(waker);
        outcome
    }

    pub(super) fn is_done(&self, id: JobId) -> bool {
        let mut inner = self.lock();
        self.collect(&mut inner);
        let is_done = inner.scheduler.is_done(id);
        self.release(inner);
        is_done
    }

    /// Returns the process that runs or has run a job.
    pub(super) fn pid_of(&self, id: JobId) -> Option<u32> {
        let mut inner = self.lock();
        self.collect(&mut inner);
        let pid = inner.scheduler.pid_of(id, Instant::now());
        self.release(inner);
        pid
    }

    /// Sets the waker of a job, unless the job is done. Returns the waker before, or an error if the job is done.
    pub(super) fn register(&self, id: JobId, waker: &Waker) -> Result<Option<Waker>, IsDone> {
        let waker = waker.clone();
        let mut inner = self.lock();
        self.collect(&mut inner);
        let registered = match inner.scheduler.is_done(id) {
            true => Err(IsDone),
            false => Ok(inner.scheduler.set_waker(id, waker)),
        };
        self.wake_if_needed(&mut inner);
        self.release(inner);
        registered
    }

    /// Takes the waker of a job out, if it is `waker`.
    pub(super) fn unregister(&self, id: JobId, waker: &Waker) {
        let mut inner = self.lock();
        let taken = inner.scheduler.clear_waker(id, waker);
        self.release(inner);
        drop(taken);
    }

    pub(super) fn cancel(&self, id: JobId) -> bool {
        let mut inner = self.lock();
        let is_cancelled = inner.scheduler.cancel(id, Instant::now);
        inner.scheduler.dispatch();
        self.wake_all(&inner);
        self.release(inner);
        is_cancelled
    }

    pub(super) fn kill(&self, id: JobId) {
        let mut inner = self.lock();
        inner.scheduler.kill(id, Instant::now);
        inner.scheduler.dispatch();
        self.wake_all(&inner);
        self.release(inner);
    }

    /// Lets go of a job whose outcome will not be taken.
    pub(super) fn release_job(&self, id: JobId) {
        let mut inner = self.lock();
        let dropped = inner.scheduler.release(id);
        self.release(inner);
        drop(dropped);
    }

    /// Kills a job, and lets go of it.
    pub(super) fn kill_and_release(&self, id: JobId) {
        self.kill(id);
        self.release_job(id);
    }

    /// Cancels jobs and lets go of them.
    pub(super) fn cancel_and_release(&self, ids: impl IntoIterator<Item = JobId>) {
        let mut inner = self.lock();
        let mut dropped = Vec::new();
        for id in ids {
            inner.scheduler.cancel(id, Instant::now);
            dropped.push(inner.scheduler.release(id));
        }
        inner.scheduler.dispatch();
        self.wake_all(&inner);
        self.release(inner);
        drop(dropped);
    }

    /// Counts a job as failed whose result could not be decoded.
    pub(super) fn note_undecodable(&self) {
        self.lock().scheduler.note_undecodable();
    }

    pub(super) fn new_group(&self) -> GroupId {
        self.lock().scheduler.new_group()
    }

    pub(super) fn release_group(&self, group: GroupId) {
        self.lock().scheduler.release_group(group);
    }

    /// Takes no more jobs.
    pub(super) fn close(&self) {
        let mut inner = self.lock();
        inner.scheduler.close();
        self.wake_all(&inner);
        self.release(inner);
    }

    /// Fails every job and kills every worker. Does nothing in a forked copy of the process.
    pub(super) fn terminate(&self) {
        if self.is_forked_copy() {
            return;
        }
        let mut inner = self.lock();
        inner.scheduler.terminate(Instant::now());
        self.starter.kill_template();
        self.wake_all(&inner);
        self.release(inner);
    }

    /// Lets go of all that is needed to start workers: no other worker is started.
    pub(super) fn release_starter(&self) {
        self.starter.release();
    }

    pub(super) fn resize(&self, max_workers: usize) -> Result<(), Error> {
        let mut inner = self.lock();
        if let Some(cause) = inner.scheduler.hopeless() {
            return Err(cause.again());
        }
        inner.scheduler.resize(max_workers, Instant::now());
        self.wake_if_needed(&mut inner);
        self.wake_all(&inner);
        self.release(inner);
        Ok(())
    }

    pub(super) fn stats(&self) -> PoolStats {
        let mut inner = self.lock();
        self.collect(&mut inner);
        let stats = inner.scheduler.stats();
        self.release(inner);
        stats
    }

    pub(super) fn is_forked_copy(&self) -> bool {
        !self.fork_generation.is_current()
    }

    /// Takes events in, for the leader would not see them again, and nor would the supervisor see that a worker is
    /// idle.
    fn collect(&self, inner: &mut PoolInner) {
        if inner.scheduler.collect(Instant::now) {
            if inner.followers > 0 {
                self.changed.notify_all();
            }
            self.wake_if_needed(inner);
        }
    }

    /// Wakes every thread of the pool.
    fn wake_all(&self, inner: &PoolInner) {
        self.changed.notify_all();
        let waker = if inner.is_led { self.starter.event_source() } else { self.supervisor_waker.as_fd() };
        eventfd::wake(waker);
    }
}

impl PoolInner {
    fn new(scheduler: Scheduler<Link>) -> Self {
        Self {
            scheduler,
            is_led: false,
            leader_sleeps: None,
            followers: 0,
            supervisor: SupervisorState::Busy,
            terms: 0,
            spin: AdaptiveSpin::for_memory(LONGEST_SPIN),
            processors: sys::sched::usable_processors(),
            expects_more: false,
            looked: Instant::now(),
        }
    }
}

impl Drop for PoolCore {
    fn drop(&mut self) {
        let inner = self.inner.get_mut().unwrap_or_else(PoisonError::into_inner);
        inner.scheduler.kill_all();
    }
}

/// Whether a pool has to be moved on although no thread waits for an outcome.
fn needs_leader(scheduler: &Scheduler<Link>) -> bool {
    let has_more = || scheduler.has_backlog() || scheduler.has_futures() || scheduler.has_limits();
    scheduler.must_start(Instant::now)
        || scheduler.has_watchers()
        || (scheduler.unfinished() > 0 && has_more())
        || (scheduler.phase() != Phase::Open && scheduler.has_workers())
}

fn is_sooner(one: Deadline, other: Deadline) -> bool {
    one.is_some_and(|one| other.is_none_or(|other| one < other))
}

fn is_past(deadline: Deadline) -> bool {
    deadline.is_some_and(|deadline| Instant::now() >= deadline)
}
