//! Further runs of jobs, with pauses, and as their predicates say.

use std::sync::Arc;
use std::time::Duration;

use super::fake::{FakePool, config};
use crate::error::JoinErrorKind::{Exited, Signaled};
use crate::pool::model::PoolConfig;
use crate::task::Retry;

const SHORT: Duration = Duration::from_micros(1);
const SECOND: Duration = Duration::from_secs(1);

/// A pool of one worker whose jobs ask for `times` further runs.
fn asking(times: u32) -> FakePool {
    let mut pool = FakePool::serving(config(1));
    pool.retry = Some(Box::new(Retry { times, predicate: Arc::new(|_| true) }));
    pool
}

impl FakePool {
    /// Asks all predicates. Returns how many were asked.
    fn ask(&mut self) -> usize {
        let undecided = self.scheduler.take_undecided();
        let asked = undecided.len();
        for job in undecided {
            let id = job.id;
            let (outcome, again) = job.ask();
            self.scheduler.decide(id, outcome, again, self.now);
        }
        self.scheduler.dispatch();
        asked
    }

    fn run_and_ask(&mut self) -> usize {
        self.run(1, SHORT);
        self.ask()
    }
}

#[test]
fn a_predicate_has_its_further_runs_and_no_more() {
    let mut pool = asking(2);
    let job = pool.submit();
    for asked in [1, 1, 0] {
        assert_eq!(pool.outcome(job), "-");
        pool.run(1, SHORT);
        assert!(pool.scheduler.has_woken(), "to ask the predicate, or to drop it");
        assert_eq!(pool.ask(), asked);
    }
    assert_eq!(pool.outcome(job), "returned by 1");
    let stats = pool.scheduler.stats();
    assert_eq!((stats.done, stats.failed, stats.retried), (1, 0, 2));
}

#[test]
fn a_predicate_that_refuses_is_asked_once() {
    let mut pool = FakePool::serving(config(1));
    pool.retry = Some(Box::new(Retry { times: 5, predicate: Arc::new(|result| result.is_err()) }));
    let job = pool.submit();
    assert_eq!(pool.run_and_ask(), 1);
    assert_eq!(pool.outcome(job), "returned by 1");
}

#[test]
fn a_predicate_is_asked_of_deaths_and_time_limits_too() {
    for end in [|| Signaled(11), || Exited(3)] {
        let mut pool = asking(1);
        let job = pool.submit();
        pool.begin(1);
        pool.die(1, end());
        assert_eq!((pool.ask(), pool.outcome(job).as_str()), (1, "-"));
        let worker = pool.start();
        pool.ready(worker);
        pool.scheduler.dispatch();
        pool.begin(worker);
        pool.die(worker, end());
        assert_eq!(pool.ask(), 0);
        assert_eq!(pool.outcome(job), format!("Poisoned {{ workers: 2, last: {:?} }}", end()));
    }
    let mut pool = asking(1);
    pool.time_limit = Some(SECOND);
    let job = pool.submit();
    pool.begin(1);
    pool.advance(SECOND);
    pool.die(1, Signaled(9));
    assert_eq!((pool.ask(), pool.outcome(job).as_str()), (1, "-"));
}

#[test]
fn a_cancelled_job_has_no_further_run() {
    // It runs, and is killed.
    let mut pool = asking(5);
    let job = pool.submit();
    pool.begin(1);
    pool.kill(job);
    pool.die(1, Signaled(9));
    assert_eq!((pool.ask(), pool.outcome(job).as_str()), (0, "Cancelled"));
    // It runs, and is told.
    let mut pool = asking(5);
    let job = pool.submit();
    pool.begin(1);
    assert!(!pool.cancel(job));
    pool.finish_unseen(1, SHORT, false);
    pool.collect();
    assert_eq!((pool.ask(), pool.outcome(job).as_str()), (0, "returned by 1"));
    // Its predicate is asked at the moment.
    let mut pool = asking(5);
    let job = pool.submit();
    pool.run(1, SHORT);
    assert!(!pool.cancel(job));
    assert_eq!((pool.ask(), pool.outcome(job).as_str()), (1, "returned by 1"));
}

#[test]
fn a_pool_that_ends_while_a_predicate_is_asked() {
    let mut pool = asking(5);
    let job = pool.submit();
    pool.run(1, SHORT);
    let undecided = pool.scheduler.take_undecided();
    pool.scheduler.terminate(pool.now);
    assert_eq!(pool.outcome(job), "PoolClosed");
    // The id may be that of another job by now.
    pool.retry = None;
    let later = pool.submit();
    assert_eq!(later, job);
    for undecided in undecided {
        let id = undecided.id;
        let (outcome, again) = undecided.ask();
        pool.scheduler.decide(id, outcome, again, pool.now);
    }
    assert_eq!(pool.outcome(later), "PoolClosed");
}

fn resting(times: u32) -> FakePool {
    let mut pool = FakePool::serving(PoolConfig { retry_backoff: (SECOND, 3 * SECOND), ..config(1) });
    pool.retry = Some(Box::new(Retry { times, predicate: Arc::new(|_| true) }));
    pool
}

#[test]
fn pauses_grow_and_other_jobs_use_them() {
    let mut pool = resting(4);
    let job = pool.submit();
    for pause in [1, 2, 3, 3] {
        assert_eq!(pool.run_and_ask(), 1);
        assert_eq!(pool.commands().matches("send 0").count(), 1);
        let retry = pool.retry.take();
        let other = pool.submit();
        pool.run(1, SHORT);
        assert_eq!(pool.outcome(other), "returned by 1");
        pool.retry = retry;
        pool.commands();
        assert_eq!(pool.advance(Duration::ZERO), Some(pause * SECOND - SHORT));
        assert_eq!(pool.advance(pause * SECOND - 2 * SHORT), Some(SHORT));
        assert_eq!(pool.commands(), "");
        pool.advance(SHORT);
    }
    assert_eq!(pool.commands(), "1: send 0");
    pool.run(1, SHORT);
    assert_eq!(pool.outcome(job), "returned by 1");
    assert!(!pool.scheduler.has_limits());
}

#[test]
fn deaths_of_idempotent_tasks_have_pauses_too() {
    let mut pool = FakePool::serving(PoolConfig { retry_backoff: (SECOND, SECOND), ..config(1) });
    pool.retries = 1;
    let job = pool.submit();
    pool.begin(1);
    pool.die(1, Signaled(11));
    let worker = pool.start();
    pool.ready(worker);
    pool.commands();
    assert_eq!(pool.advance(Duration::ZERO), Some(SECOND));
    pool.advance(SECOND);
    assert_eq!(pool.commands(), "2: send 0");
    pool.run(2, SHORT);
    assert_eq!(pool.outcome(job), "returned by 2");
}

#[test]
fn a_job_that_rests_can_be_cancelled_and_expires_and_ends_with_the_pool() {
    let mut pool = resting(1);
    let job = pool.submit();
    pool.run_and_ask();
    assert!(pool.cancel(job));
    assert_eq!(pool.outcome(job), "Cancelled");
    assert!(!pool.scheduler.has_limits());

    let mut pool = resting(1);
    pool.deadline = Some(pool.now + SECOND / 2);
    let job = pool.submit();
    pool.run_and_ask();
    pool.advance(SECOND / 2);
    assert_eq!(pool.outcome(job), "Expired, runs before: 1");
    assert!(!pool.scheduler.has_limits());

    let mut pool = resting(1);
    let job = pool.submit();
    pool.run_and_ask();
    pool.scheduler.begin_shutdown(None);
    assert_eq!(pool.advance(Duration::ZERO), Some(SECOND), "a shutdown waits for it");
    pool.scheduler.terminate(pool.now);
    assert_eq!(pool.outcome(job), "PoolClosed");
    assert!(!pool.scheduler.has_limits());
}
