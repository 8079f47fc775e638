//! The workers of a pool: how many there are to be, who comes, and who goes.
//!
//! One that could not be started, or has ended before it served, is not replaced at once (see `backoff`). As long as
//! another one serves, nobody hears of it; if none has served and it has happened several times in a row, those who wait for one are
//! told why. The pool goes on trying all the same, since what was scarce may come back.

use std::time::Instant;

use super::{Key, Phase, State, TICK};
use crate::error::{Error, ErrorKind, JoinErrorKind};
use crate::pool::job::{Failure, Outcome, Progress};
use crate::pool::local::handle::{Departure, Hand, Stage, Standing};
use crate::pool::local::worker;
use crate::sys;
use crate::sys::poll::Deadline;

impl State {
    /// How many workers there are to be at this moment: one for each job, within the pool's limits.
    fn wanted(&self) -> usize {
        let most = self.plan.workers;
        match self.phase {
            Phase::Open => self.unfinished.clamp(self.plan.least(), most),
            Phase::Closed => self.unfinished.min(most),
            Phase::Terminated => 0,
        }
    }

    fn vacancies(&self) -> usize {
        if self.hopeless().is_some() {
            return 0;
        }
        self.wanted().saturating_sub(self.hands.len() + self.hiring)
    }

    /// Whether a worker is to be started now.
    pub(in crate::pool) fn must_hire(&self) -> bool {
        self.vacancies() > 0 && self.backoff.next().is_none_or(|next| Instant::now() >= next)
    }

    /// When there may be something to do about the workers, if nothing happens before.
    pub(in crate::pool) fn staffing_due(&self) -> Deadline {
        let hire = self.backoff.next().filter(|_| self.vacancies() > 0);
        let dismissal = self.idle_for_longest().and_then(|(_, due)| due);
        let starts = self.hands.iter().filter(|(_, hand)| hand.standing == Standing::Good);
        let slow_start = starts.filter_map(|(_, hand)| hand.start_due()).min();
        [hire, dismissal, slow_start].into_iter().flatten().min()
    }

    /// The same for the pool's own thread, which hears of deaths but not of results: if idle workers are to leave, it has to look
    /// whether some have become idle.
    pub(in crate::pool) fn supervision_due(&self) -> Deadline {
        let has_jobs = || self.hands.iter().any(|(_, hand)| !hand.given.is_empty());
        let limit = self.plan.idle_timeout.filter(|_| self.hands.len() > self.plan.least() && has_jobs());
        let look = limit.and_then(|limit| Instant::now().checked_add(limit.max(TICK)));
        [self.staffing_due(), look].into_iter().flatten().min()
    }

    pub(in crate::pool) fn has_one_that_serves(&self) -> bool {
        self.hands.iter().any(|(_, hand)| hand.stage == Stage::Serving && hand.standing == Standing::Good)
    }

    /// Whether the first workers serve; an error if they cannot be had, `None` as long as it is open.
    ///
    /// If it is only that there cannot be so many at the moment, a pool begins with those that there are.
    pub(in crate::pool) fn is_ready(&self) -> Option<Result<(), Error>> {
        match self.backoff.has_begun_badly() {
            Some(error) if error.kind() == ErrorKind::LimitReached && self.has_one_that_serves() => Some(Ok(())),
            Some(error) => Some(Err(error.again())),
            None => {
                let all_serve = self.hands.iter().all(|(_, hand)| hand.stage == Stage::Serving);
                (self.vacancies() == 0 && self.hiring == 0 && all_serve).then_some(Ok(()))
            }
        }
    }

    /// The first word of a worker: its initializer, if it has one, has returned.
    pub(in crate::pool) fn welcome(&mut self, worker: usize, outcome: Outcome) {
        let task = self.plan.initializer.as_ref().map_or(worker::NAME, |initializer| initializer.task);
        let checked = match (outcome, &self.plan.initializer) {
            (Ok(returned), Some(initializer)) => (initializer.check)(returned.payload),
            (Ok(_), None) => Ok(()),
            (Err(failure), _) => Err(failure.of(task).to_string()),
        };
        match checked {
            Ok(()) => self.backoff.note_success(),
            Err(text) => {
                let hand = &mut self.hands[worker];
                hand.stage = Stage::Leaving(Departure::Recycled);
                hand.kill(None);
                let text = format!("the initializer `{task}` of a pool's worker failed: {text}");
                self.note_failed_start(Error::new(ErrorKind::Setting, text));
            }
        }
    }

    /// A worker could not be had. If there is none, those that wait for one are told, but for the first few times.
    pub(in crate::pool) fn note_failed_start(&mut self, cause: Error) {
        if self.plan.template.as_ref().is_some_and(|template| template.has_ended()) {
            return self.backoff.give_up(cause);
        }
        let is_alone = !self.has_one_that_serves();
        self.backoff.note_failure(cause, Instant::now(), is_alone);
        if let Some(cause) = self.backoff.exhausted().map(Error::again) {
            self.abandon_queue(cause);
        }
    }

    /// Why the pool will not get another worker, ever.
    pub(in crate::pool) fn hopeless(&self) -> Option<&Error> {
        self.backoff.hopeless()
    }

    /// Tells those that wait for a worker that there will be none.
    pub(in crate::pool) fn abandon_hope(&mut self) -> bool {
        let is_over = !self.queue.is_empty() && self.hands.is_empty() && self.hiring == 0;
        match self.hopeless().filter(|_| is_over).map(Error::again) {
            Some(cause) => {
                self.abandon_queue(cause);
                true
            }
            None => false,
        }
    }

    fn abandon_queue(&mut self, cause: Error) {
        for key in std::mem::take(&mut self.queue) {
            self.finish(key, Err(Failure::new(JoinErrorKind::NotStarted(cause.again()), None)));
            self.abandoned.get_or_insert_with(|| cause.again());
        }
    }

    /// Buries the workers that have ended.
    pub(in crate::pool) fn bury(&mut self) {
        let ended: Vec<usize> =
            self.hands.iter().filter(|(_, hand)| hand.has_ended()).map(|(worker, _)| worker).collect();
        for worker in ended {
            self.collect_from(worker);
            let hand = self.hands.remove(worker);
            self.part_with(hand);
        }
    }

    /// What a worker that has ended was running has failed, and what it had not begun runs elsewhere.
    fn part_with(&mut self, mut hand: Hand) {
        let (stage, is_unused) = (hand.stage, hand.served == 0);
        let estate = hand.leave_behind();
        for key in estate.waiting.into_iter().rev() {
            self.queue_first(key);
        }
        match stage {
            Stage::Leaving(Departure::Surplus) => self.retired += 1,
            _ => self.replaced += 1,
        }
        match (estate.running, stage) {
            (Some(key), _) => self.retry_or_finish(key, estate.failure),
            (None, Stage::Starting) => self.note_failed_start(self.too_early(estate.failure)),
            (None, Stage::Serving) if is_unused => self.backoff.note_setback(Instant::now()),
            _ => {}
        }
    }

    /// A job that a worker had is to go to the next one that is free.
    pub(in crate::pool) fn queue_first(&mut self, key: Key) {
        self.jobs[key].progress = Progress::Queued;
        self.queue.push_front(key);
    }

    pub(in crate::pool) fn resize(&mut self, workers: usize) {
        self.plan.workers = workers;
        self.dismiss_surplus();
    }

    /// Lets workers go, if there are more than there may be.
    pub(in crate::pool) fn dismiss_surplus(&mut self) {
        let mut idle_first: Vec<(usize, usize)> = self
            .hands
            .iter()
            .filter(|(_, hand)| !matches!(hand.stage, Stage::Leaving(_)))
            .map(|(worker, hand)| (hand.given.len(), worker))
            .collect();
        idle_first.sort_unstable();
        let surplus = idle_first.len().saturating_sub(self.plan.workers);
        for (_, worker) in idle_first.into_iter().take(surplus) {
            if !self.hands[worker].dismiss(Departure::Surplus) {
                // Its ring is full: others do what it has not begun.
                self.take_from(worker, None);
                self.hands[worker].dismiss(Departure::Surplus);
            }
        }
    }

    /// Lets workers go that have had nothing to do for so long, as long as there are more than there have to be.
    pub(in crate::pool) fn dismiss_idle(&mut self) {
        let now = Instant::now();
        while let Some((worker, Some(due))) = self.idle_for_longest()
            && due <= now
        {
            let hand = &mut self.hands[worker];
            if !hand.dismiss(Departure::Surplus) {
                hand.kill(None);
            }
        }
    }

    /// The worker that has been idle for longest, if one may leave, and when it has to.
    fn idle_for_longest(&self) -> Option<(usize, Deadline)> {
        let limit = self.plan.idle_timeout?;
        let stays = |hand: &&Hand| !matches!(hand.stage, Stage::Leaving(_)) && hand.standing == Standing::Good;
        if self.hands.iter().map(|(_, hand)| hand).filter(stays).count() <= self.plan.least() {
            return None;
        }
        let idle = self.hands.iter().filter_map(|(worker, hand)| Some((worker, hand.idle_since()?)));
        idle.min_by_key(|(_, since)| *since).map(|(worker, since)| (worker, since.checked_add(limit)))
    }

    /// Lets every worker go that has nothing to do any more.
    pub(in crate::pool) fn dismiss(&mut self) {
        for (_, hand) in &mut self.hands {
            hand.dismiss(Departure::Surplus);
        }
    }

    /// Why a worker that has ended before it did anything was no good.
    fn too_early(&self, failure: Failure) -> Error {
        match (failure.kind, &self.plan.initializer) {
            (JoinErrorKind::NotStarted(cause), _) => cause,
            (kind, Some(initializer)) => {
                // What the system kills for want of memory may do better another time.
                let is_killed = matches!(kind, JoinErrorKind::Signaled(sys::signal::KILL));
                let error_kind = if is_killed { ErrorKind::LimitReached } else { ErrorKind::Setting };
                let how = Failure { kind, ..failure }.of(initializer.task);
                Error::new(error_kind, format!("the initializer of a pool's worker did not return: {how}"))
            }
            (kind, None) => {
                let how = Failure { kind, ..failure }.of(worker::NAME);
                Error::new(ErrorKind::LimitReached, format!("a pool's worker has ended before it could serve: {how}"))
            }
        }
    }

    /// Kills workers whose initializer takes longer than it may.
    pub(in crate::pool) fn end_slow_starts(&mut self) {
        let now = Instant::now();
        for (_, hand) in &mut self.hands {
            if hand.start_due().is_some_and(|due| due <= now) && hand.standing == Standing::Good {
                hand.kill(Some(JoinErrorKind::TimedOut));
            }
        }
    }

    /// How many workers there have been, with those that are being started.
    pub(in crate::pool) fn named(&self) -> usize {
        self.named
    }

    /// The name of the next worker.
    pub(in crate::pool) fn next_name(&mut self) -> String {
        self.named += 1;
        format!("{}-{}", self.plan.name, self.named)
    }
}
