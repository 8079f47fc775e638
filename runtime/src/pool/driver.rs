//! Who moves a pool on: whoever waits for it, or else a thread of its own.
//!
//! | what | made by | ends |
//! | --- | --- | --- |
//! | thread `offspring-pool` | the pool's builder | when the pool is joined, terminated or dropped |
//! | poller, kick, alarm | the same | with the last of the pool and its jobs |
//! | rings, bell, pidfd of a worker | its start | when it has been buried |
//!
//! One thread at a time *drives*: takes results in, gives jobs out, buries and replaces workers, and sleeps on the poller when
//! there is nothing to do. It is the thread that waits for a result, if there is one, since then the result is at once where it is
//! wanted; others that wait sleep on a condition variable meanwhile. The pool's own thread drives when nobody waits and
//! there is something to be moved: a backlog, a future, a time limit, a worker to be started. Otherwise it sleeps until a worker dies,
//! the alarm tells it that there is, or it is time for a worker to come or to go.
//!
//! The lock is never held while anybody sleeps, starts a worker, or runs code of the user's.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError, mpsc};
use std::task::Waker;
use std::time::{Duration, Instant};

use super::LONGEST_LOOK;
use super::job::{Outcome, Record};
use super::local::handle::{Hand, watched};
use super::scheduler::{Key, Phase, Plan, State, TICK};
use super::stats::PoolStats;
use crate::error::{Error, ErrorKind};
use crate::ipc::spin::AdaptiveSpin;
use crate::start::POOL_THREAD;
use crate::sys;
use crate::sys::eventfd::{self, Poller};
use crate::sys::fork_generation::ForkGeneration;
use crate::sys::poll::{self, Deadline};

/// A pool, as its handles, its jobs and its thread share it.
pub(super) struct Shared {
    state: Mutex<Board>,
    /// Told when the driver leaves its place, or when a job is done that another thread waits for.
    changed: Condvar,
    poller: Poller,
    /// Wakes the driver out of its sleep.
    kick: OwnedFd,
    /// Wakes the pool's own thread out of its sleep.
    alarm: OwnedFd,
    /// A forked copy of the process has this memory, but neither the thread nor the workers.
    generation: ForkGeneration,
    /// What such a copy has instead of the state, if another thread held the lock when it was made.
    substitute: OnceLock<Option<Box<Mutex<Board>>>>,
}

/// The state, and who is busy with it.
struct Board {
    state: State,
    is_driven: bool,
    /// The driver sleeps, until what it knew of then is due.
    resting: Option<Deadline>,
    /// Threads that sleep until something has changed.
    waiting: usize,
    own_thread: OwnThread,
    /// How often somebody has begun to drive.
    drives: u64,
    /// How many workers there had been when the pool's own thread began to watch for their deaths.
    watched: usize,
    spin: AdaptiveSpin,
}

/// What the pool's own thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OwnThread {
    Awake,
    /// It sleeps until then, or until a worker dies or the alarm rings.
    Asleep {
        until: Deadline,
    },
    /// The same, and looks after [`TICK`] whether jobs wait in line while nobody drives. It is not woken for that each time that
    /// somebody submits two jobs and then waits for one, as that would cost more than it brings.
    Dozing {
        until: Deadline,
    },
    /// It waits for the driver to leave its place.
    Waiting,
}

/// How long workers that have nothing more to do may take to leave; one that was stopped never does.
const LEAVING: Duration = Duration::from_secs(2);

/// The poller's number of the kick; those of workers are twice their own, and one more for their pidfds.
const KICK: u64 = u64::MAX;

impl Shared {
    pub(super) fn new(plan: Plan) -> io::Result<Self> {
        let (poller, kick, alarm) = (Poller::new()?, eventfd::create()?, eventfd::create()?);
        poller.add(&kick, KICK)?;
        Ok(Self {
            state: Mutex::new(Board::new(State::new(plan))),
            changed: Condvar::new(),
            poller,
            kick,
            alarm,
            generation: ForkGeneration::current(),
            substitute: OnceLock::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Board> {
        if self.is_of_other_process() { self.lock_copy() } else { sys::lock(&self.state) }
    }

    /// The same in a copy of the process. The workers are somebody else's children, and their rings are shared: a copy must not
    /// even look into them. Nobody will ever unlock what another thread had locked.
    #[cold]
    fn lock_copy(&self) -> MutexGuard<'_, Board> {
        let substitute = self.substitute.get_or_init(|| {
            let mut board = match self.state.try_lock() {
                Ok(board) => board,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return Some(Box::new(Mutex::new(Board::new(State::lost())))),
            };
            board.state.disown();
            (board.is_driven, board.waiting) = (false, 0);
            None
        });
        sys::lock(substitute.as_deref().unwrap_or(&self.state))
    }

    /// Lets go of the lock, and then wakes the futures whose jobs are done: that runs code of executors.
    fn release(&self, mut board: MutexGuard<'_, Board>) {
        let woken = std::mem::take(&mut board.state.woken);
        drop(board);
        for waker in woken {
            // A waker that panics has told so, and is no matter of the thread that happens to be here.
            let _ = panic::catch_unwind(AssertUnwindSafe(|| waker.wake()));
        }
    }

    /// Takes jobs in and gives them out as far as workers have room.
    pub(super) fn submit(&self, records: impl IntoIterator<Item = Record>, mut keys: impl FnMut(Key)) {
        let mut board = self.lock();
        for record in records {
            keys(board.state.submit(record));
        }
        board.state.dispatch();
        self.rouse(&mut board);
        self.release(board);
    }

    /// Wakes the pool's own thread if there is something for it to do, or the driver if it has to start a worker or to look at
    /// the clock sooner.
    fn rouse(&self, board: &mut Board) {
        if board.is_driven {
            let state = &board.state;
            let is_sooner = |until| is_sooner(state.staffing_due(), until);
            if board.resting.is_some_and(|until| state.must_hire() || state.has_limits() || is_sooner(until)) {
                eventfd::wake(self.kick.as_fd());
            }
            return;
        }
        let is_needed = match board.own_thread {
            OwnThread::Awake => false,
            OwnThread::Waiting => true,
            OwnThread::Asleep { .. } if board.state.has_jobs_in_line() => true,
            OwnThread::Asleep { until } | OwnThread::Dozing { until } => {
                // A worker that came while another thread drove is not watched yet.
                needs_driver(&board.state)
                    || is_sooner(board.state.supervision_due(), until)
                    || board.state.named() != board.watched
            }
        };
        match board.own_thread {
            _ if !is_needed => return,
            OwnThread::Waiting => self.changed.notify_all(),
            _ => eventfd::wake(self.alarm.as_fd()),
        }
        board.own_thread = OwnThread::Awake;
    }

    /// Takes in what has come. The driver would not see that something has, and tell those who wait; nor would the pool's own
    /// thread see that a worker is idle.
    fn collect(&self, board: &mut Board) {
        if board.state.collect() {
            if board.waiting > 0 {
                self.changed.notify_all();
            }
            self.rouse(board);
        }
    }

    /// How many jobs more somebody may submit who has so many under way or done, before they queue up or pile up.
    pub(super) fn room(&self, pending: usize) -> usize {
        let board = self.lock();
        let capacity = board.state.capacity();
        capacity.saturating_sub(board.state.unfinished()).min((2 * capacity).saturating_sub(pending))
    }

    /// Waits for a job; takes its outcome.
    pub(super) fn wait(&self, key: Key, deadline: Deadline) -> Option<Outcome> {
        let mut board = self.until(deadline, |state| state.is_done(key));
        let taken = board.state.take(key);
        self.release(board);
        taken
    }

    /// Waits for the first of several jobs in their order, and takes it with those behind it that are done as well.
    pub(super) fn wait_in_order(&self, keys: &mut std::collections::VecDeque<Key>, mut found: impl FnMut(Outcome)) {
        let Some(first) = keys.front().copied() else { return };
        let mut board = self.until(None, |state| state.is_done(first));
        while let Some(outcome) = keys.front().and_then(|key| board.state.take(*key)) {
            keys.pop_front();
            found(outcome);
        }
        self.release(board);
    }

    /// Waits for any jobs of a group, and takes all that are done.
    pub(super) fn wait_for_any(&self, group: usize, mut found: impl FnMut(Key, Outcome)) {
        let mut board = self.until(None, |state| state.has_next_of_group(group));
        while let Some(key) = board.state.next_of_group(group) {
            if let Some(outcome) = board.state.take(key) {
                found(key, outcome);
            }
        }
        self.release(board);
    }

    /// Waits until there is nothing to do any more.
    pub(super) fn wait_until_done(&self) {
        let board = self.until(None, |state| state.unfinished() == 0);
        self.release(board);
    }

    /// Waits until the first workers serve.
    ///
    /// # Errors
    /// If they cannot be had.
    pub(super) fn wait_until_ready(&self) -> Result<(), Error> {
        let board = self.until(None, |state| state.is_ready().is_some());
        let ready = board.state.is_ready();
        self.release(board);
        ready.unwrap_or(Ok(()))
    }

    /// Waits until every worker has left.
    ///
    /// # Errors
    /// If there were jobs that no worker could be had for.
    pub(super) fn wait_until_gone(&self) -> Result<(), Error> {
        let is_gone = |state: &State| state.hands.is_empty() && state.hiring == 0;
        let mut board = self.until(poll::deadline_in(LEAVING), is_gone);
        if !is_gone(&board.state) {
            board.state.kill_all();
            drop(board);
            board = self.until(None, is_gone);
        }
        let abandoned = board.state.abandoned.as_ref().map(Error::again);
        self.release(board);
        abandoned.map_or(Ok(()), Err)
    }

    /// Waits until something is so, or the deadline has passed: drives, or sleeps while another thread drives.
    fn until(&self, deadline: Deadline, is_so: impl Fn(&State) -> bool) -> MutexGuard<'_, Board> {
        let mut board = self.lock();
        // Also for those who do not wait: nobody else may have looked.
        self.collect(&mut board);
        while !is_so(&board.state) && !is_past(deadline) {
            if !board.state.woken.is_empty() {
                self.release(board);
                board = self.lock();
            } else if board.is_driven {
                board.waiting += 1;
                board = self.await_change(board, deadline);
                board.waiting -= 1;
            } else {
                board = self.drive(board, deadline, &is_so);
            }
        }
        board
    }

    pub(super) fn is_of_other_process(&self) -> bool {
        !self.generation.is_current()
    }

    fn await_change<'a>(&'a self, board: MutexGuard<'a, Board>, deadline: Deadline) -> MutexGuard<'a, Board> {
        match deadline {
            None => self.changed.wait(board).unwrap_or_else(PoisonError::into_inner),
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                self.changed.wait_timeout(board, left).unwrap_or_else(PoisonError::into_inner).0
            }
        }
    }

    /// Moves the pool on until something is so, the deadline has passed, or there are futures to be woken: what their wakers run
    /// may wait for the pool, or drop it, which needs somebody who drives.
    fn drive<'a>(
        &'a self,
        mut board: MutexGuard<'a, Board>,
        deadline: Deadline,
        is_so: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, Board> {
        board.is_driven = true;
        board.drives += 1;
        let place = Place { shared: self };
        let mut seen = board.state.events();
        loop {
            let progress = board.state.collect() | board.state.dispatch();
            // Not only by these two: a burial, a time limit and a failed start bring jobs to their end as well.
            let now = board.state.events();
            if now != seen && board.waiting > 0 {
                self.changed.notify_all();
            }
            seen = now;
            if is_so(&board.state) || is_past(deadline) || !board.state.woken.is_empty() {
                break;
            }
            if board.state.must_hire() {
                board = self.hire(board);
            } else if !progress && !board.look_for_result() {
                board = self.rest(board, deadline);
            }
        }
        place.leave(&mut board);
        board
    }

    /// Sleeps until a worker has a result or has ended.
    fn rest<'a>(&'a self, mut board: MutexGuard<'a, Board>, deadline: Deadline) -> MutexGuard<'a, Board> {
        let before = board.state.events();
        board.state.dismiss_idle();
        board.state.end_slow_starts();
        let now = Instant::now();
        let stalled = board.state.share_stalled(now);
        let due = [board.state.enforce_limits(now), board.state.staffing_due(), stalled];
        board.state.hands.iter().for_each(|(_, hand)| hand.listen());
        let has_result = board.state.hands.iter().any(|(_, hand)| hand.has_result());
        // A job that was about to be ended may have been found done.
        let is_late = board.state.events() != before;
        let mut events = Vec::new();
        if !has_result && !is_late {
            let until = due.into_iter().chain([deadline]).flatten().min();
            board.resting = Some(until);
            drop(board);
            events = self.poller.wait(until).unwrap_or_default();
            board = self.lock();
            board.resting = None;
        }
        board.state.hands.iter().for_each(|(_, hand)| hand.stop_listening());
        if events.contains(&KICK) {
            eventfd::clear(self.kick.as_fd());
        }
        if events.iter().any(|number| *number != KICK && number % 2 == 1) {
            board.state.bury();
        }
        board
    }

    /// Starts one worker that is missing. Without the lock: that takes about a millisecond.
    fn hire<'a>(&'a self, mut board: MutexGuard<'a, Board>) -> MutexGuard<'a, Board> {
        board.state.hiring += 1;
        let (plan, name) = (board.state.plan.clone(), board.state.next_name());
        drop(board);
        let hired = Hand::start(&plan, name);
        let mut board = self.lock();
        board.state.hiring -= 1;
        if let Err(error) = hired.and_then(|hand| self.enter(&mut board.state, hand)) {
            board.state.note_failed_start(error);
        }
        board
    }

    fn enter(&self, state: &mut State, hand: Hand) -> Result<(), Error> {
        let worker = state.hands.insert(hand);
        let hand = &mut state.hands[worker];
        let is_too_late = match state.phase {
            Phase::Open => false,
            Phase::Closed => state.unfinished == 0,
            Phase::Terminated => true,
        };
        if is_too_late {
            // The others have been told to leave already; it is buried like them.
            hand.kill(None);
        }
        let number = worker as u64 * 2;
        let added = watched(hand).and_then(|(bell, pidfd)| {
            let added = self.poller.add_eventfd(bell, number).and_then(|()| self.poller.add(pidfd, number + 1));
            added.map_err(|error| Error::os("cannot wait for a worker", error))
        });
        added.inspect_err(|_| state.hands.remove(worker).kill(None))?;
        // There may be less of them to be by now.
        state.dismiss_surplus();
        Ok(())
    }

    pub(super) fn poll(&self, key: Key, waker: &Waker) -> Option<Outcome> {
        // Without the lock: it is code of an executor, as is what drops it.
        let mut waker = Some(waker.clone());
        let mut board = self.lock();
        self.collect(&mut board);
        let taken = board.state.take(key);
        if taken.is_none() {
            waker = waker.and_then(|waker| board.state.set_waker(key, waker));
        }
        self.rouse(&mut board);
        self.release(board);
        drop(waker);
        taken
    }

    pub(super) fn cancel(&self, key: Key) -> bool {
        let mut board = self.lock();
        let cancelled = board.state.cancel(key);
        board.state.dispatch();
        self.tell(&board);
        self.release(board);
        cancelled
    }

    pub(super) fn kill(&self, key: Key) {
        let mut board = self.lock();
        board.state.kill(key);
        board.state.dispatch();
        self.tell(&board);
        self.release(board);
    }

    pub(super) fn forget(&self, key: Key) {
        let mut board = self.lock();
        let dropped = board.state.forget(key);
        self.release(board);
        drop(dropped);
    }

    pub(super) fn forget_all(&self, keys: impl IntoIterator<Item = Key>) {
        let mut board = self.lock();
        let dropped: Vec<_> = keys
            .into_iter()
            .map(|key| {
                board.state.cancel(key);
                board.state.forget(key)
            })
            .collect();
        board.state.dispatch();
        self.tell(&board);
        self.release(board);
        drop(dropped);
    }

    /// What a job has returned could not be decoded.
    pub(super) fn note_undecodable(&self) {
        self.lock().state.note_undecodable();
    }

    pub(super) fn new_group(&self) -> usize {
        self.lock().state.new_group()
    }

    pub(super) fn forget_group(&self, group: usize) {
        self.lock().state.forget_group(group);
    }

    /// No more jobs; those that there are are done.
    pub(super) fn close(&self) {
        let mut board = self.lock();
        if board.state.phase == Phase::Open {
            board.state.phase = Phase::Closed;
        }
        self.tell(&board);
    }

    /// Lets every worker leave.
    pub(super) fn dismiss(&self) {
        let mut board = self.lock();
        board.state.dismiss();
        self.tell(&board);
    }

    /// Throws everything away.
    pub(super) fn terminate(&self) {
        if self.is_of_other_process() {
            return;
        }
        let mut board = self.lock();
        board.state.terminate();
        self.tell(&board);
        self.release(board);
    }

    /// Ends the process of which the workers were copies: there will be no more.
    pub(super) fn release_template(&self) {
        let template = self.lock().state.plan.template.take();
        // Without the lock, as it waits for the end.
        drop(template);
    }

    pub(super) fn resize(&self, workers: usize) -> Result<(), Error> {
        let mut board = self.lock();
        if let Some(cause) = board.state.hopeless() {
            return Err(cause.again());
        }
        board.state.resize(workers);
        self.rouse(&mut board);
        self.tell(&board);
        Ok(())
    }

    /// Tells every thread that something has changed.
    fn tell(&self, board: &Board) {
        self.changed.notify_all();
        if board.is_driven {
            eventfd::wake(self.kick.as_fd());
        } else {
            eventfd::wake(self.alarm.as_fd());
        }
    }

    pub(super) fn stats(&self) -> PoolStats {
        let mut board = self.lock();
        self.collect(&mut board);
        let stats = board.state.stats();
        self.release(board);
        stats
    }

    /// What the pool's own thread does, until there are no workers and will be none.
    pub(super) fn supervise(&self) {
        let mut board = self.lock();
        loop {
            if board.state.phase == Phase::Terminated && board.state.hands.is_empty() && board.state.hiring == 0 {
                break;
            }
            board = if board.is_driven {
                board.own_thread = OwnThread::Waiting;
                board = self.await_change(board, None);
                board.own_thread = OwnThread::Awake;
                board
            } else if needs_driver(&board.state) {
                self.drive(board, None, |state| !needs_driver(state))
            } else {
                self.watch_for_deaths(board)
            };
            if !board.state.woken.is_empty() {
                self.release(board);
                board = self.lock();
            }
        }
    }

    /// Sleeps until a worker dies or the alarm rings, jobs wait in line and nobody moves them, or a worker is to come or to go.
    fn watch_for_deaths<'a>(&'a self, mut board: MutexGuard<'a, Board>) -> MutexGuard<'a, Board> {
        board.state.dismiss_idle();
        board.state.end_slow_starts();
        let is_dozing = board.state.has_jobs_in_line();
        let until = board.state.supervision_due();
        board.watched = board.state.named();
        board.own_thread = if is_dozing { OwnThread::Dozing { until } } else { OwnThread::Asleep { until } };
        let drives = board.drives;
        let pidfds: Vec<OwnedFd> = board.state.hands.iter().filter_map(|(_, hand)| hand.sentinel().ok()).collect();
        drop(board);
        let watched: Vec<_> = std::iter::once(self.alarm.as_fd()).chain(pidfds.iter().map(AsFd::as_fd)).collect();
        let limit = [is_dozing.then(|| Instant::now() + TICK), until].into_iter().flatten().min();
        let ready = poll::readable_many(&watched, limit).unwrap_or_default();
        let mut board = self.lock();
        board.own_thread = OwnThread::Awake;
        eventfd::clear(self.alarm.as_fd());
        // Nobody else may have, and only then is it known who is idle.
        self.collect(&mut board);
        if ready.iter().skip(1).any(|ended| *ended) && !board.is_driven {
            board.state.bury();
            self.changed.notify_all();
        }
        if is_dozing && !board.is_driven && board.drives == drives {
            board = self.drive(board, None, |state| !state.has_jobs_in_line() && !needs_driver(state));
        }
        board
    }
}

/// Whether a pool has to be moved on also when nobody waits for it.
fn needs_driver(state: &State) -> bool {
    state.must_hire()
        || (state.unfinished() > 0 && (state.has_backlog() || state.has_futures() || state.has_limits()))
        || (state.phase != Phase::Open && !state.hands.is_empty())
}

fn is_sooner(one: Deadline, other: Deadline) -> bool {
    one.is_some_and(|one| other.is_none_or(|other| one < other))
}

fn is_past(deadline: Deadline) -> bool {
    deadline.is_some_and(|deadline| Instant::now() >= deadline)
}

/// The driver's place, which is free again also after a panic.
struct Place<'a> {
    shared: &'a Shared,
}

impl Place<'_> {
    fn leave(self, board: &mut Board) {
        self.vacate(board);
        std::mem::forget(self);
    }

    fn vacate(&self, board: &mut Board) {
        board.is_driven = false;
        if board.waiting > 0 {
            self.shared.changed.notify_all();
        }
        self.shared.rouse(board);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.vacate(&mut self.shared.lock());
    }
}

impl Board {
    fn new(state: State) -> Self {
        Self {
            state,
            is_driven: false,
            resting: None,
            waiting: 0,
            own_thread: OwnThread::Awake,
            drives: 0,
            watched: 0,
            spin: AdaptiveSpin::for_memory(LONGEST_LOOK),
        }
    }

    /// Looks for a result without sleeping.
    fn look_for_result(&self) -> bool {
        let hands = &self.state.hands;
        let has_result = || hands.iter().any(|(_, hand)| hand.has_result());
        has_result() || self.spin.look(has_result)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let board = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        for (_, hand) in &mut board.state.hands {
            hand.kill(None);
        }
    }
}

/// Starts the pool's own thread, which begins when it is told to, and ends if nobody is left who could.
pub(super) fn start_thread(shared: &Arc<Shared>) -> Result<(std::thread::JoinHandle<()>, mpsc::Sender<()>), Error> {
    let own = Arc::clone(shared);
    let (begin, told) = mpsc::channel();
    let supervise = move || {
        if told.recv().is_ok() {
            own.supervise();
        }
    };
    let thread = std::thread::Builder::new().name(POOL_THREAD.to_owned()).spawn(supervise);
    thread
        .map(|thread| (thread, begin))
        .map_err(|error| Error::with_source(ErrorKind::LimitReached, "cannot start the thread of a pool", error))
}
