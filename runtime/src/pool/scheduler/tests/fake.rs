//! A pool without processes: links note the commands, and the test plays the workers and the clock.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, JoinErrorKind};
use crate::ipc::wire::payload::Payload;
use crate::pool::model::{Failure, GroupId, Holder, JobEntry, JobId, JobState, PoolConfig, Returned, Seat};
use crate::pool::scheduler::Scheduler;
use crate::pool::scheduler::worker::RetireReason;
use crate::pool::transport::{Broken, Death, LinkEvent, Oldest, Sent, StartFailure, WorkerLink};
use crate::task::{EncodedOutput, Origin, Priority, Retry, TaskEntry};

const fn entry(idempotent: bool) -> TaskEntry {
    TaskEntry {
        name: "task",
        signature: "fn()",
        fingerprint: 0,
        origin: Origin { package: None, version: None, binary: None, test: true },
        file: "",
        line: 0,
        start_method: None,
        timeout: None,
        idempotent,
        run: |_| Ok(EncodedOutput(Ok(Payload::EMPTY))),
    }
}

static ONCE: TaskEntry = entry(false);
static IDEMPOTENT: TaskEntry = entry(true);

/// The state of a played worker.
#[derive(Default)]
pub(super) struct FakeWorker {
    /// Jobs not begun.
    waiting: VecDeque<JobId>,
    running: Option<(JobId, Instant)>,
    events: VecDeque<LinkEvent>,
    end: Option<JoinErrorKind>,
    /// The size of the window.
    room: usize,
    is_broken: bool,
    has_unflushed: bool,
    /// Whether the worker waits for jobs. A stopped worker neither begins jobs nor waits again, once woken.
    is_waiting: bool,
    is_stopped: bool,
    takes_no_shutdown: bool,
    has_finalizer: bool,
}

pub(super) struct FakeLink {
    number: usize,
    name: String,
    worker: Rc<RefCell<FakeWorker>>,
    commands: Rc<RefCell<Vec<String>>>,
}

impl FakeLink {
    fn note(&self, command: &str) {
        self.commands.borrow_mut().push(format!("{}: {command}", self.number));
    }
}

impl WorkerLink for FakeLink {
    const WINDOW: usize = 4;
    const BROKEN: &'static str = "it is broken";

    fn name(&self) -> &str {
        &self.name
    }

    fn pid(&self) -> u32 {
        self.number as u32
    }

    fn send(&mut self, id: JobId, _job: &JobEntry) -> Result<Sent, Broken> {
        let mut worker = self.worker.borrow_mut();
        if worker.is_broken {
            return Err(Broken);
        }
        if worker.waiting.len() + usize::from(worker.running.is_some()) >= worker.room {
            return Ok(Sent::NoRoom);
        }
        self.note(&format!("send {}", id.0));
        worker.waiting.push_back(id);
        worker.has_unflushed = true;
        Ok(Sent::Yes)
    }

    fn flush(&self) {
        let mut worker = self.worker.borrow_mut();
        worker.is_waiting &= !worker.has_unflushed;
        worker.has_unflushed = false;
    }

    fn has_event(&self) -> bool {
        let worker = self.worker.borrow();
        worker.is_broken || !worker.events.is_empty()
    }

    fn next_event(&mut self) -> Result<Option<LinkEvent>, Broken> {
        let mut worker = self.worker.borrow_mut();
        if worker.is_broken { Err(Broken) } else { Ok(worker.events.pop_front()) }
    }

    fn oldest(&mut self, _now: Instant) -> Result<Oldest, Broken> {
        let worker = self.worker.borrow();
        Ok(match (worker.running, worker.waiting.front()) {
            _ if worker.is_broken => return Err(Broken),
            (Some((_, since)), _) => Oldest::Running { since },
            (None, Some(_)) => Oldest::NotBegun,
            (None, None) => Oldest::None,
        })
    }

    fn is_waiting(&self) -> bool {
        self.worker.borrow().is_waiting
    }

    fn revoke(&mut self) -> Result<Option<JobId>, Broken> {
        let mut worker = self.worker.borrow_mut();
        if worker.is_broken {
            return Err(Broken);
        }
        let revoked = worker.waiting.pop_front();
        if let Some(id) = revoked {
            self.note(&format!("revoke {}", id.0));
        }
        Ok(revoked)
    }

    fn cancel(&self, id: JobId) {
        self.note(&format!("cancel {}", id.0));
    }

    fn shut_down(&mut self) -> bool {
        if self.worker.borrow().takes_no_shutdown {
            return false;
        }
        self.note("shut down");
        true
    }

    fn kill(&mut self) {
        self.note("kill");
    }

    fn has_ended(&self) -> bool {
        self.worker.borrow().end.is_some()
    }

    fn death(&mut self) -> Death {
        let mut worker = self.worker.borrow_mut();
        let kind = worker.end.take().expect("it has ended");
        Death { has_begun: worker.running.is_some(), failure: Failure::new(kind, Some(self.pid())) }
    }

    fn startup_error(&self, failure: Failure) -> Error {
        Error::new(ErrorKind::LimitReached, format!("no start: {:?}", failure.kind))
    }

    fn exit_error(&self, failure: Failure) -> Option<Error> {
        let has_finalizer = self.worker.borrow().has_finalizer;
        has_finalizer.then(|| Error::new(ErrorKind::Setting, format!("no end: {:?}", failure.kind)))
    }

    fn arm(&self, events: usize) -> bool {
        self.note(&format!("arm {events}"));
        let worker = self.worker.borrow();
        worker.is_broken || worker.events.len() >= events
    }

    fn disarm(&self) {}

    fn death_source(&self) -> Result<BorrowedFd<'_>, Error> {
        unreachable!("the scheduler does no I/O")
    }
}

/// A scheduler, its workers (numbered from 1), and the time.
pub(super) struct FakePool {
    pub(super) scheduler: Scheduler<FakeLink>,
    pub(super) now: Instant,
    pub(super) retries: u32,
    pub(super) retry: Option<Box<Retry>>,
    /// The time limit of the next jobs.
    pub(super) time_limit: Option<Duration>,
    /// The place of each worker.
    pub(super) places: Vec<usize>,
    /// The deadline and the priority of the next jobs.
    pub(super) deadline: Option<Instant>,
    pub(super) priority: Priority,
    /// The size of the next jobs' arguments.
    pub(super) bytes: usize,
    workers: Vec<Rc<RefCell<FakeWorker>>>,
    commands: Rc<RefCell<Vec<String>>>,
}

pub(super) fn config(max_workers: usize) -> PoolConfig {
    PoolConfig { name: "worker".to_owned(), ..PoolConfig::new(max_workers) }
}

impl FakePool {
    /// Makes a pool with all workers started and idle.
    pub(super) fn serving(config: PoolConfig) -> Self {
        let mut pool = Self::new(config);
        while pool.must_start() {
            let worker = pool.start();
            pool.ready(worker);
        }
        pool
    }

    pub(super) fn new(config: PoolConfig) -> Self {
        Self {
            scheduler: Scheduler::new(config),
            now: Instant::now(),
            retries: 0,
            retry: None,
            time_limit: None,
            places: Vec::new(),
            deadline: None,
            priority: Priority::Normal,
            bytes: 0,
            workers: Vec::new(),
            commands: Rc::default(),
        }
    }

    pub(super) fn must_start(&self) -> bool {
        self.scheduler.must_start(|| self.now)
    }

    /// Starts a worker. Returns the worker's number.
    pub(super) fn start(&mut self) -> usize {
        let seat = self.scheduler.begin_start();
        self.finish_start(seat)
    }

    /// Finishes the start of a worker. Returns the worker's number.
    pub(super) fn finish_start(&mut self, Seat { name, place }: Seat) -> usize {
        let worker = Rc::new(RefCell::new(FakeWorker { room: 4, is_waiting: true, ..FakeWorker::default() }));
        self.workers.push(Rc::clone(&worker));
        self.places.push(place);
        let number = self.workers.len();
        let link = FakeLink { number, name, worker, commands: Rc::clone(&self.commands) };
        self.scheduler.finish_start(place, Ok(link), self.now);
        number
    }

    pub(super) fn fail_start(&mut self, kind: ErrorKind, is_final: bool) {
        let Seat { place, .. } = self.scheduler.begin_start();
        let cause = Error::new(kind, "no worker");
        self.scheduler.finish_start(place, Err(StartFailure { cause, is_final }), self.now);
    }

    pub(super) fn worker(&self, number: usize) -> std::cell::RefMut<'_, FakeWorker> {
        self.workers[number - 1].borrow_mut()
    }

    pub(super) fn ready(&mut self, worker: usize) {
        self.worker(worker).events.push_back(LinkEvent::Ready(Ok(())));
        self.collect();
    }

    /// Lets a worker have a finalizer.
    pub(super) fn set_finalizer(&mut self, worker: usize) {
        self.worker(worker).has_finalizer = true;
    }

    pub(super) fn finalize(&mut self, worker: usize, finalized: Result<(), &str>) {
        let finalized = finalized.map_err(|text| Error::new(ErrorKind::Setting, text));
        self.worker(worker).events.push_back(LinkEvent::Finalized(finalized));
        self.collect();
    }

    /// The error of the first worker that did not exit in order.
    pub(super) fn exit_error(&self) -> Option<String> {
        self.scheduler.exit_error().map(ToString::to_string)
    }

    pub(super) fn fail_initializer(&mut self, worker: usize) {
        let error = Error::new(ErrorKind::Setting, "it failed");
        self.worker(worker).events.push_back(LinkEvent::Ready(Err(error)));
        self.collect();
    }

    pub(super) fn collect(&mut self) {
        let now = self.now;
        self.scheduler.collect(|| now);
    }

    /// Submits a job, and dispatches.
    pub(super) fn submit(&mut self) -> JobId {
        let id = self.queue(Holder::Job(None));
        self.scheduler.dispatch();
        id
    }

    pub(super) fn submit_many(&mut self, count: usize) {
        for _ in 0..count {
            self.submit();
        }
    }

    /// Submits a job of a group.
    pub(super) fn submit_for(&mut self, group: GroupId) -> JobId {
        let id = self.queue(Holder::Group(group));
        self.scheduler.dispatch();
        id
    }

    fn queue(&mut self, holder: Holder) -> JobId {
        let job = self.entry(holder);
        self.scheduler.submit(job)
    }

    fn entry(&self, holder: Holder) -> JobEntry {
        JobEntry {
            entry: if self.retries > 0 { &IDEMPOTENT } else { &ONCE },
            task_index: 0,
            arguments: Payload::local(&vec![0; self.bytes]),
            state: JobState::Queued,
            holder,
            time_limit: self.time_limit,
            deadline: self.deadline,
            priority: self.priority,
            retries: self.retries,
            retry: self.retry.clone(),
            runs: 0,
            deaths: 0,
            rests: false,
            pin: None,
        }
    }

    /// Submits a job for each present worker, and dispatches. Returns the workers with the jobs.
    pub(super) fn broadcast(&mut self) -> Vec<(usize, JobId)> {
        let mut jobs: Vec<JobEntry> = (0..self.workers.len()).map(|_| self.entry(Holder::Job(None))).collect();
        let submitted = self.scheduler.broadcast(|| jobs.pop().expect("no more than there were workers"));
        self.scheduler.dispatch();
        submitted.into_iter().map(|(pid, id)| (pid as usize, id)).collect()
    }

    /// Lets a worker begin the oldest job. Returns the job.
    pub(super) fn begin(&mut self, worker: usize) -> JobId {
        let now = self.now;
        let mut worker = self.worker(worker);
        assert!(!worker.has_unflushed, "it sleeps");
        assert!(worker.running.is_none() && !worker.is_stopped, "it runs one already, or is stopped");
        let id = worker.waiting.pop_front().expect("it has a job");
        worker.running = Some((id, now));
        id
    }

    /// Lets a worker send the outcome of the running job, after `duration`. The scheduler does not look.
    pub(super) fn finish_unseen(&mut self, worker: usize, duration: Duration, is_last: bool) {
        self.now += duration;
        let pid = worker as u32;
        let mut worker = self.worker(worker);
        let (id, _) = worker.running.take().expect("it runs a job");
        worker.is_waiting = worker.waiting.is_empty();
        let outcome = Ok(Returned { payload: Payload::EMPTY, pid });
        worker.events.push_back(LinkEvent::Done { id, outcome, duration, is_last });
    }

    /// Lets a worker run the oldest job for `duration`.
    pub(super) fn run(&mut self, worker: usize, duration: Duration) {
        self.begin(worker);
        self.finish_unseen(worker, duration, false);
        self.collect();
        self.scheduler.dispatch();
    }

    /// Lets a worker send the outcome of a job that does not run.
    pub(super) fn lie(&mut self, worker: usize, id: JobId) {
        let outcome = Ok(Returned { payload: Payload::EMPTY, pid: 0 });
        let event = LinkEvent::Done { id, outcome, duration: Duration::ZERO, is_last: false };
        self.worker(worker).events.push_back(event);
        self.collect();
    }

    pub(super) fn break_link(&mut self, worker: usize) {
        self.worker(worker).is_broken = true;
    }

    pub(super) fn fill_link(&mut self, worker: usize) {
        self.worker(worker).room = 0;
    }

    pub(super) fn refuse_shutdown(&mut self, worker: usize) {
        self.worker(worker).takes_no_shutdown = true;
    }

    pub(super) fn stop(&mut self, worker: usize) {
        self.worker(worker).is_stopped = true;
    }

    pub(super) fn go_on(&mut self, worker: usize) {
        let mut worker = self.worker(worker);
        worker.is_stopped = false;
        worker.is_waiting = worker.waiting.is_empty();
    }

    /// Ends a worker, and reaps the worker.
    pub(super) fn die(&mut self, worker: usize, kind: JoinErrorKind) {
        self.worker(worker).end = Some(kind);
        let now = self.now;
        self.scheduler.reap(|| now, |_| {});
        self.scheduler.dispatch();
    }

    /// Lets the only worker die under a job.
    pub(super) fn begin_and_die(&mut self) {
        let job = self.submit();
        self.begin(1);
        self.die(1, JoinErrorKind::Signaled(9));
        drop(self.scheduler.take(job));
    }

    /// Lets time pass, and calls `tick`. Returns the time until the next call.
    pub(super) fn advance(&mut self, duration: Duration) -> Option<Duration> {
        self.now += duration;
        let due = self.scheduler.tick(self.now);
        due.map(|due| due.saturating_duration_since(self.now))
    }

    pub(super) fn cancel(&mut self, id: JobId) -> bool {
        let now = self.now;
        let is_cancelled = self.scheduler.cancel(id, || now);
        self.scheduler.dispatch();
        is_cancelled
    }

    pub(super) fn kill(&mut self, id: JobId) {
        let now = self.now;
        self.scheduler.kill(id, || now);
        self.scheduler.dispatch();
    }

    /// Tells every worker to exit after its jobs.
    pub(super) fn shut_down(&mut self) {
        for (_, worker) in &mut self.scheduler.workers {
            worker.retire(RetireReason::Surplus, self.now);
        }
    }

    pub(super) fn resize(&mut self, max_workers: usize) {
        self.scheduler.resize(max_workers, self.now);
    }

    /// The commands since the last call, as `1: send 0, 2: kill`.
    pub(super) fn commands(&self) -> String {
        self.commands.borrow_mut().drain(..).collect::<Vec<_>>().join(", ")
    }

    /// A job's outcome in one word, or `-` as long as there is none.
    pub(super) fn outcome(&mut self, id: JobId) -> String {
        match self.scheduler.take(id) {
            None => "-".to_owned(),
            Some(Ok(Returned { pid, .. })) => format!("returned by {pid}"),
            Some(Err(failure)) => failed(&failure),
        }
    }
}

fn failed(failure: &Failure) -> String {
    let kind = match &failure.kind {
        JoinErrorKind::NotStarted(cause) => format!("not started: {cause}"),
        kind => format!("{kind:?}"),
    };
    if failure.detail.is_empty() { kind } else { format!("{kind}, {}", failure.detail) }
}
