//! Time limits of jobs and of initializers.

use std::time::Duration;

use super::fake::{FakePool, config};
use crate::error::JoinErrorKind::Signaled;
use crate::pool::model::PoolConfig;

const SECOND: Duration = Duration::from_secs(1);

fn limited(grace: Duration) -> FakePool {
    FakePool::serving(PoolConfig { task_timeout: Some(10 * SECOND), grace, ..config(1) })
}

#[test]
fn a_job_whose_time_is_over_is_cancelled_and_after_the_grace_killed() {
    let mut pool = limited(2 * SECOND);
    let job = pool.submit();
    pool.begin(1);
    pool.commands();
    assert_eq!(pool.advance(Duration::ZERO), Some(10 * SECOND));
    assert_eq!(pool.advance(9 * SECOND), Some(SECOND));
    assert_eq!(pool.commands(), "");
    assert_eq!(pool.advance(SECOND), Some(2 * SECOND));
    assert_eq!(pool.commands(), "1: cancel 0");
    assert_eq!(pool.advance(2 * SECOND), None);
    assert_eq!(pool.commands(), "1: kill");
    pool.die(1, Signaled(9));
    assert_eq!(pool.outcome(job), "TimedOut");
}

#[test]
fn without_a_grace_it_is_killed_at_once() {
    let mut pool = limited(Duration::ZERO);
    let [job, behind] = [pool.submit(), pool.submit()];
    pool.begin(1);
    pool.commands();
    pool.advance(10 * SECOND);
    assert_eq!(pool.commands(), "1: revoke 1, 1: kill");
    pool.die(1, Signaled(9));
    assert_eq!([job, behind].map(|id| pool.outcome(id)), ["TimedOut", "-"]);
}

#[test]
fn the_time_of_a_job_is_counted_from_its_beginning() {
    let mut pool = limited(Duration::ZERO);
    pool.submit();
    pool.commands();
    // It may begin at any moment, and nothing tells: so there is another look.
    assert_eq!(pool.advance(60 * SECOND), Some(10 * SECOND));
    assert_eq!(pool.commands(), "");
    pool.begin(1);
    assert_eq!(pool.advance(9 * SECOND), Some(SECOND));
    assert_eq!(pool.commands(), "");
}

#[test]
fn the_shorter_limit_counts() {
    for (own, pools, first) in [(3, 10, 3), (30, 10, 10)] {
        let mut pool = FakePool::serving(PoolConfig { task_timeout: Some(pools * SECOND), ..config(1) });
        pool.time_limit = Some(own * SECOND);
        pool.submit();
        pool.begin(1);
        assert_eq!(pool.advance(Duration::ZERO), Some(first * SECOND));
    }
}

#[test]
fn a_job_that_is_done_in_time_is_left_alone() {
    let mut pool = limited(Duration::ZERO);
    let job = pool.submit();
    pool.begin(1);
    pool.commands();
    // The outcome lies in the link when the time is over.
    pool.finish_unseen(1, 10 * SECOND, false);
    pool.collect();
    assert_eq!(pool.advance(Duration::ZERO), None);
    assert_eq!(pool.commands(), "");
    assert_eq!(pool.outcome(job), "returned by 1");
    assert!(!pool.scheduler.has_limits());
}

#[test]
fn an_initializer_whose_time_is_over_is_a_failed_start() {
    let mut pool = FakePool::new(PoolConfig { start_timeout: Some(SECOND), ..config(1) });
    pool.start();
    assert_eq!(pool.advance(Duration::ZERO), Some(SECOND));
    pool.advance(SECOND);
    assert_eq!(pool.commands(), "1: kill");
    pool.die(1, Signaled(9));
    for worker in 2..=3 {
        assert!(pool.scheduler.is_ready().is_none());
        pool.advance(SECOND);
        pool.start();
        pool.advance(SECOND);
        pool.die(worker, Signaled(9));
    }
    let error = pool.scheduler.is_ready().expect("three are enough").unwrap_err();
    assert_eq!(error.to_string(), "no start: TimedOut");
}
