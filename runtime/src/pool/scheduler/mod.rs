//! What a pool knows: its jobs, its workers, and who has what. No waiting and no threads: see `dispatcher`.
//!
//! Here is what becomes of jobs; `limits` is about their time; `staffing` is about the workers: how many there are to be, who
//! comes and who goes.

mod backoff;
mod limits;
mod scaling;

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use slab::Slab;

use backoff::Backoff;

use super::stats::{PoolStats, WorkerStats};
use crate::error::{Error, JoinErrorKind};
use crate::pool::job::{Failure, Holder, Outcome, Progress, Record};
use crate::pool::local::handle::WINDOW;
use crate::pool::local::handle::{Departure, Event, Given, Hand, Initializer, Stage, Standing};
use crate::process::Context;
use crate::process::Resource;
use crate::start::Template;
use crate::sys::poll::Deadline;

/// A job's place in the pool's list, for as long as it is there.
pub(in crate::pool) type Key = usize;

/// What a pool was built with.
#[derive(Clone, Debug)]
pub(in crate::pool) struct Plan {
    pub(in crate::pool) context: Context,
    /// Of what the workers are copies, under the start method `fork`.
    pub(in crate::pool) template: Option<Arc<Template>>,
    pub(in crate::pool) workers: usize,
    pub(in crate::pool) max_tasks: Option<u32>,
    pub(in crate::pool) max_memory: Option<u64>,
    pub(in crate::pool) limits: Vec<(Resource, u64)>,
    pub(in crate::pool) limit: Option<Duration>,
    pub(in crate::pool) grace: Duration,
    pub(in crate::pool) retries: u32,
    pub(in crate::pool) initializer: Option<Initializer>,
    /// How few workers there may be; as many as there may be at most, if nothing is said.
    pub(in crate::pool) min_workers: Option<usize>,
    pub(in crate::pool) idle_timeout: Option<Duration>,
    /// What the names of workers begin with.
    pub(in crate::pool) name: String,
}

impl Plan {
    /// So many workers, and nothing else.
    pub(in crate::pool) fn new(context: Context, workers: usize) -> Self {
        Self {
            context,
            template: None,
            workers,
            max_tasks: None,
            max_memory: None,
            limits: Vec::new(),
            limit: None,
            grace: Duration::ZERO,
            retries: 0,
            initializer: None,
            min_workers: None,
            idle_timeout: None,
            name: String::new(),
        }
    }

    /// How many workers there are at least.
    fn least(&self) -> usize {
        self.min_workers.unwrap_or(self.workers).min(self.workers)
    }
}

/// Whether a pool takes jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pool) enum Phase {
    Open,
    /// It finishes those that it has.
    Closed,
    /// It has thrown them away.
    Terminated,
}

pub(in crate::pool) struct State {
    pub(in crate::pool) plan: Plan,
    pub(in crate::pool) phase: Phase,
    jobs: Slab<Record>,
    groups: Slab<VecDeque<Key>>,
    /// Jobs that no worker has, in the order in which they are to be given away.
    queue: VecDeque<Key>,
    pub(in crate::pool) hands: Slab<Hand>,
    /// Workers that are being started at this moment, without the lock.
    pub(in crate::pool) hiring: usize,
    named: usize,
    backoff: Backoff,
    /// Why there were jobs for which no worker could be had.
    pub(in crate::pool) abandoned: Option<Error>,
    /// How long a job takes, in nanoseconds: a mean that forgets.
    mean: f64,
    /// Futures to be woken when the lock is let go of.
    pub(in crate::pool) woken: Vec<Waker>,
    /// Jobs whose futures have been polled.
    futures: usize,
    /// Jobs that are not done and may take so long and no longer.
    limited: usize,
    pub(in crate::pool) unfinished: usize,
    done: u64,
    failed: u64,
    replaced: u64,
    retired: u64,
}

/// After so long, jobs that wait behind others, or for a worker that does not begin them, go to another one.
pub(in crate::pool) const TICK: Duration = Duration::from_millis(5);

/// A worker has jobs for so long in its ring, so that it is not idle while the parent does something else.
const AHEAD: f64 = 1_000_000.0;

impl State {
    pub(in crate::pool) fn new(plan: Plan) -> Self {
        Self {
            plan,
            phase: Phase::Open,
            jobs: Slab::new(),
            groups: Slab::new(),
            queue: VecDeque::new(),
            hands: Slab::new(),
            hiring: 0,
            named: 0,
            backoff: Backoff::default(),
            abandoned: None,
            mean: AHEAD,
            woken: Vec::new(),
            futures: 0,
            limited: 0,
            unfinished: 0,
            done: 0,
            failed: 0,
            replaced: 0,
            retired: 0,
        }
    }

    /// What a copy of the process has that could not copy the state: jobs that nobody knows are thrown away.
    pub(in crate::pool) fn lost() -> Self {
        Self { phase: Phase::Terminated, ..Self::new(Plan::new(Context::default(), 1)) }
    }

    /// Takes a job in; it is given to a worker by [`dispatch`](Self::dispatch).
    pub(in crate::pool) fn submit(&mut self, mut record: Record) -> Key {
        let refused = match (mem::replace(&mut record.progress, Progress::Queued), self.phase) {
            (Progress::Done(refused), _) => Some(refused),
            (_, Phase::Open) => None,
            _ => Some(Err(Failure::new(JoinErrorKind::PoolClosed, None))),
        };
        record.limit = [record.limit, self.plan.limit].into_iter().flatten().min();
        self.limited += usize::from(record.limit.is_some());
        let key = self.jobs.insert(record);
        self.unfinished += 1;
        match refused {
            Some(refused) => self.finish(key, refused),
            None => self.queue.push_back(key),
        }
        key
    }

    /// How many jobs each worker may have in its ring: more the shorter they are.
    fn depth(&self) -> usize {
        let ahead = (AHEAD / self.mean.max(1.0)) as usize;
        ahead.clamp(2, WINDOW)
    }

    /// How many jobs all workers may have.
    pub(in crate::pool) fn capacity(&self) -> usize {
        // If none can be had, so many are told of it at once.
        let depth = if self.has_one_that_serves() { self.depth() } else { WINDOW };
        self.plan.workers * depth
    }

    pub(in crate::pool) fn unfinished(&self) -> usize {
        self.unfinished
    }

    /// How much has happened that somebody may wait for: jobs that are over, workers that have come or gone.
    pub(in crate::pool) fn events(&self) -> (u64, u64, usize) {
        (self.done + self.failed, self.replaced + self.retired, self.hands.len() + self.hiring)
    }

    /// Whether jobs wait that no worker has.
    pub(in crate::pool) fn has_backlog(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether a worker has a job behind another, which may have to be taken back from it.
    pub(in crate::pool) fn has_jobs_in_line(&self) -> bool {
        self.hands.iter().any(|(_, hand)| hand.given.len() > 1)
    }

    /// Whether a job has to be ended when its time is over.
    pub(in crate::pool) fn has_limits(&self) -> bool {
        self.limited > 0
    }

    /// Whether somebody awaits a job as a future.
    pub(in crate::pool) fn has_futures(&self) -> bool {
        self.futures > 0
    }

    /// Gives jobs to workers: to the one that has the fewest, as long as one has less than it may have.
    pub(in crate::pool) fn dispatch(&mut self) -> bool {
        if self.abandon_hope() {
            return true;
        }
        let depth = self.depth();
        let (mut touched, mut full) = (false, Vec::new());
        while let Some(key) = self.queue.front().copied() {
            let plan = &self.plan;
            let may_have = |(worker, hand): &(usize, &mut Hand)| is_free(hand, plan, depth) && !full.contains(worker);
            let free = self.hands.iter_mut().filter(may_have);
            let Some((worker, hand)) = free.min_by_key(|(_, hand)| (hand.is_stalled(), hand.given.len())) else {
                break;
            };
            let record = &mut self.jobs[key];
            match hand.give(key, record.place, &record.arguments) {
                Ok(Given::Yes) => {
                    record.progress = Progress::With(worker);
                    self.queue.pop_front();
                    touched = true;
                }
                // Its link is full; another's may not be.
                Ok(Given::NoRoom) => full.push(worker),
                Err(_) => hand.kill(None),
            }
        }
        if touched {
            self.hands.iter().for_each(|(_, hand)| hand.wake());
        } else {
            self.share_out();
        }
        touched
    }

    /// Lets an idle worker have what another has not begun, so that no job waits behind a long one.
    fn share_out(&mut self) {
        let Some(idle) = self.idle_worker() else { return };
        let busiest = self.hands.iter_mut().filter(|(other, hand)| *other != idle && hand.given.len() > 1);
        let Some((_, hand)) = busiest.max_by_key(|(_, hand)| hand.given.len()) else { return };
        match hand.take_back() {
            Ok(Some(key)) => {
                self.queue_first(key);
                self.dispatch();
            }
            Ok(None) => {}
            Err(_) => hand.kill(None),
        }
    }

    /// A worker that could begin a job at once.
    fn idle_worker(&self) -> Option<usize> {
        let is_idle = |hand: &Hand| hand.given.is_empty() && is_free(hand, &self.plan, 1) && !hand.is_stalled();
        self.hands.iter().find(|(_, hand)| is_idle(hand)).map(|(worker, _)| worker)
    }

    /// Lets idle workers have what others do not begin, as one that was stopped; when to look next.
    pub(in crate::pool) fn share_stalled(&mut self, now: Instant) -> Deadline {
        if self.idle_worker().is_none() {
            return self.may_return().then(|| now + TICK);
        }
        // Jobs that an idle worker could not be given: if too many descriptors are under way, nobody tells when they are fewer.
        let (mut next, mut stalled) = (self.has_backlog().then(|| now + TICK), Vec::new());
        for (worker, hand) in self.hands.iter_mut().filter(|(_, hand)| hand.standing == Standing::Good) {
            match hand.unbegun_since(now) {
                Ok(Some(since)) if now >= since + TICK => stalled.push(worker),
                Ok(Some(since)) => next = next.into_iter().chain([since + TICK]).min(),
                Ok(None) => {}
                Err(_) => hand.kill(None),
            }
        }
        for worker in &stalled {
            self.take_from(*worker, None);
            self.hands[*worker].note_stalled();
        }
        if stalled.is_empty() {
            return next;
        }
        self.dispatch();
        // Those that have it now may be no better.
        Some(now + TICK)
    }

    /// Whether there is work for a worker that did not begin what it had: it may be there again at any moment, and does not tell.
    fn may_return(&self) -> bool {
        let is_idle = |hand: &Hand| hand.is_stalled() && hand.given.is_empty();
        (self.has_jobs_in_line() || self.has_backlog()) && self.hands.iter().any(|(_, hand)| is_idle(hand))
    }

    /// Takes in every result that has come; whether there was one.
    pub(in crate::pool) fn collect(&mut self) -> bool {
        let workers: Vec<usize> =
            self.hands.iter().filter(|(_, hand)| hand.has_result()).map(|(worker, _)| worker).collect();
        for worker in &workers {
            self.collect_from(*worker);
        }
        !workers.is_empty()
    }

    fn collect_from(&mut self, worker: usize) {
        loop {
            let hand = &mut self.hands[worker];
            match hand.next_event() {
                Ok(Some(Event::Done(key, outcome, spent))) => {
                    self.mean += (spent.as_nanos() as f64 - self.mean) / 16.0;
                    self.finish(key, outcome);
                }
                Ok(Some(Event::Ready(outcome))) => self.welcome(worker, outcome),
                Ok(None) => break,
                Err(_) => return hand.distrust(),
            }
        }
        let hand = &mut self.hands[worker];
        // It may have waited for room.
        hand.wake();
        if self.plan.idle_timeout.is_some() && hand.given.is_empty() {
            hand.note_idle();
        }
        if hand.stage == Stage::Leaving(Departure::Outgrown) {
            self.take_from(worker, None);
            return self.hands[worker].confirm_departure();
        }
        if self.plan.max_tasks.is_some_and(|max| hand.served >= max) {
            hand.dismiss(Departure::Recycled);
        }
    }

    /// A job whose worker has died under it.
    fn retry_or_finish(&mut self, key: Key, failure: Failure) {
        let record = &mut self.jobs[key];
        let died =
            matches!(failure.kind, JoinErrorKind::Signaled(_) | JoinErrorKind::Exited(_) | JoinErrorKind::Unknown);
        if died && record.entry.idempotent && record.retries > 0 {
            record.retries -= 1;
            self.queue_first(key);
        } else {
            self.finish(key, Err(failure));
        }
    }

    pub(in crate::pool) fn finish(&mut self, key: Key, outcome: Outcome) {
        match &outcome {
            Ok(_) => self.done += 1,
            Err(_) => self.failed += 1,
        }
        self.unfinished -= 1;
        let record = &mut self.jobs[key];
        self.limited -= usize::from(record.limit.is_some());
        record.arguments = crate::ipc::wire::payload::Payload::EMPTY;
        record.progress = Progress::Done(outcome);
        match &mut record.holder {
            Holder::Nobody => drop(self.jobs.remove(key)),
            Holder::Job(waker) => {
                self.futures -= usize::from(waker.is_some());
                self.woken.extend(waker.take());
            }
            Holder::Group(group) => self.groups[*group].push_back(key),
        }
    }

    pub(in crate::pool) fn is_done(&self, key: Key) -> bool {
        self.jobs.get(key).is_none_or(|record| matches!(record.progress, Progress::Done(_)))
    }

    /// Takes the outcome of a job that is done, which then is no more.
    pub(in crate::pool) fn take(&mut self, key: Key) -> Option<Outcome> {
        if !self.is_done(key) {
            return None;
        }
        match self.jobs.try_remove(key).map(|record| record.progress) {
            Some(Progress::Done(outcome)) => Some(outcome),
            _ => Some(Err(Failure::new(JoinErrorKind::PoolClosed, None))),
        }
    }

    pub(in crate::pool) fn note_undecodable(&mut self) {
        self.done -= 1;
        self.failed += 1;
    }

    pub(in crate::pool) fn set_waker(&mut self, key: Key, waker: Waker) -> Option<Waker> {
        let Holder::Job(slot) = &mut self.jobs.get_mut(key)?.holder else { return None };
        let before = slot.replace(waker);
        self.futures += usize::from(before.is_none());
        before
    }

    /// Nobody wants the result any more.
    pub(in crate::pool) fn forget(&mut self, key: Key) -> (Option<Record>, Holder) {
        if self.is_done(key) {
            return (self.jobs.try_remove(key), Holder::Nobody);
        }
        let holder = mem::replace(&mut self.jobs[key].holder, Holder::Nobody);
        self.futures -= usize::from(matches!(holder, Holder::Job(Some(_))));
        (None, holder)
    }

    /// Takes a job away from where it waits; whether it did.
    pub(in crate::pool) fn cancel(&mut self, key: Key) -> bool {
        // It may be done already, and its worker busy with another one.
        self.collect();
        let Some(record) = self.jobs.get_mut(key) else { return false };
        match record.progress {
            Progress::Done(_) => return false,
            Progress::Queued => self.queue.retain(|known| *known != key),
            Progress::With(worker) => {
                // Whoever cancels it does not want to have it again, should its worker die.
                record.retries = 0;
                if !self.take_from(worker, Some(key)) {
                    self.hands[worker].tell_to_end(key);
                    return false;
                }
            }
        }
        self.finish(key, Err(Failure::new(JoinErrorKind::Cancelled, None)));
        true
    }

    /// Takes a job back from its worker, if it has not begun, or all such; others that come along go elsewhere.
    fn take_from(&mut self, worker: usize, wanted: Option<Key>) -> bool {
        let mut taken = Vec::new();
        while wanted.is_none() || taken.last().copied() != wanted {
            match self.hands[worker].take_back() {
                Ok(Some(key)) => taken.push(key),
                Ok(None) => break,
                Err(_) => {
                    self.hands[worker].kill(None);
                    break;
                }
            }
        }
        let found = wanted.is_some() && taken.pop_if(|last| Some(*last) == wanted).is_some();
        for key in taken.into_iter().rev() {
            self.queue_first(key);
        }
        found
    }

    /// Ends a job wherever it is.
    pub(in crate::pool) fn kill(&mut self, key: Key) {
        if !self.cancel(key) {
            self.kill_running(key, JoinErrorKind::Cancelled);
        }
    }

    /// Kills the worker of a job that runs, unless that is done by now.
    fn kill_running(&mut self, key: Key, reason: JoinErrorKind) {
        let Some(Record { progress: Progress::With(worker), .. }) = self.jobs.get(key) else { return };
        let worker = *worker;
        // The worker must not go over to its next job before the signal reaches it.
        self.take_from(worker, None);
        self.collect_from(worker);
        let hand = &mut self.hands[worker];
        match hand.given.front() {
            Some((_, running)) if *running == key => hand.kill(Some(reason)),
            // It says that it runs two at once.
            Some(_) if hand.given.iter().any(|(_, given)| *given == key) => {
                hand.distrust();
                hand.given.retain(|(_, given)| *given != key);
                self.finish(key, Err(Failure::new(reason, None)));
            }
            _ => {}
        }
    }

    /// Throws everything away.
    pub(in crate::pool) fn terminate(&mut self) {
        self.phase = Phase::Terminated;
        self.queue.clear();
        self.kill_all();
        if let Some(template) = &self.plan.template {
            template.kill();
        }
        let now = Instant::now();
        let running: Vec<(Key, u32)> = self.hands.iter_mut().filter_map(|(_, hand)| hand.running_by(now)).collect();
        for (key, pid) in running {
            self.finish(key, Err(Failure::new(JoinErrorKind::PoolClosed, Some(pid))));
        }
        self.hands.iter_mut().for_each(|(_, hand)| hand.given.clear());
        let unfinished: Vec<Key> = self.jobs.iter().map(|(key, _)| key).filter(|key| !self.is_done(*key)).collect();
        for key in unfinished {
            self.finish(key, Err(Failure::new(JoinErrorKind::PoolClosed, None)));
        }
    }

    pub(in crate::pool) fn kill_all(&mut self) {
        self.hands.iter_mut().for_each(|(_, hand)| hand.kill(None));
    }

    /// In a forked copy of the process: forgets the workers, without a trace in what it shares with them.
    pub(in crate::pool) fn disown(&mut self) {
        self.hands.clear();
        self.hiring = 0;
        self.terminate();
    }

    pub(in crate::pool) fn new_group(&mut self) -> usize {
        self.groups.insert(VecDeque::new())
    }

    /// The next job of a group that is done.
    pub(in crate::pool) fn next_of_group(&mut self, group: usize) -> Option<Key> {
        self.groups.get_mut(group)?.pop_front()
    }

    pub(in crate::pool) fn has_next_of_group(&self, group: usize) -> bool {
        self.groups.get(group).is_none_or(|done| !done.is_empty())
    }

    pub(in crate::pool) fn forget_group(&mut self, group: usize) {
        self.groups.try_remove(group);
    }

    pub(in crate::pool) fn stats(&self) -> PoolStats {
        let worker = |hand: &Hand| WorkerStats {
            name: hand.name().to_owned(),
            pid: hand.pid(),
            assigned: hand.given.len(),
            done: hand.served,
        };
        let running: usize = self.hands.iter().filter(|(_, hand)| !hand.given.is_empty()).count();
        PoolStats {
            queued: self.unfinished - running,
            running,
            done: self.done,
            failed: self.failed,
            replaced: self.replaced,
            retired: self.retired,
            max_workers: self.plan.workers,
            workers: self.hands.iter().map(|(_, hand)| worker(hand)).collect(),
        }
    }
}

/// Whether a worker may have one more job.
fn is_free(hand: &Hand, plan: &Plan, depth: usize) -> bool {
    let left = plan.max_tasks.map_or(usize::MAX, |max| max.saturating_sub(hand.served) as usize);
    hand.stage == Stage::Serving && hand.standing == Standing::Good && hand.given.len() < depth.min(left)
}
