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

fn with_deadline(seconds: u32) -> FakePool {
    let mut pool = FakePool::serving(PoolConfig { grace: 2 * SECOND, ..config(1) });
    pool.deadline = Some(pool.now + seconds * SECOND);
    pool
}

#[test]
fn a_job_that_has_not_begun_at_its_deadline_fails_wherever_it_is() {
    let mut pool = with_deadline(10);
    pool.deadline = None;
    let runs = pool.submit();
    pool.begin(1);
    pool.deadline = Some(pool.now + 10 * SECOND);
    let [in_line, queued] = [pool.submit(), pool.submit()];
    pool.deadline = None;
    let behind = pool.submit();
    pool.commands();
    assert_eq!(pool.advance(9 * SECOND), Some(SECOND));
    assert_eq!([in_line, queued].map(|id| pool.outcome(id)), ["-", "-"]);
    pool.advance(SECOND);
    assert_eq!(pool.commands(), "1: revoke 1, 1: send 3");
    assert_eq!([runs, in_line, queued, behind].map(|id| pool.outcome(id)), ["-", "Expired", "Expired", "-"]);
    assert!(!pool.scheduler.has_limits());
}

#[test]
fn a_job_that_runs_at_its_deadline_is_out_of_time() {
    let mut pool = with_deadline(10);
    pool.time_limit = Some(8 * SECOND);
    let job = pool.submit();
    pool.deadline = None;
    let behind = pool.submit();
    pool.commands();
    // It waits for five seconds, and has five left.
    pool.advance(5 * SECOND);
    pool.begin(1);
    assert_eq!(pool.advance(Duration::ZERO), Some(5 * SECOND));
    assert_eq!(pool.advance(5 * SECOND), Some(2 * SECOND));
    assert_eq!(pool.commands(), "1: cancel 0", "the job behind it stays");
    pool.advance(2 * SECOND);
    assert_eq!(pool.commands(), "1: revoke 1, 1: kill");
    pool.die(1, Signaled(9));
    assert_eq!([job, behind].map(|id| pool.outcome(id)), ["TimedOut", "-"]);
}

#[test]
fn the_shorter_of_limit_and_deadline_counts() {
    for (limit, deadline, first) in [(3, 10, 3), (30, 10, 10)] {
        let mut pool = with_deadline(deadline);
        pool.time_limit = Some(limit * SECOND);
        pool.submit();
        pool.begin(1);
        assert_eq!(pool.advance(Duration::ZERO), Some(first * SECOND));
    }
}

#[test]
fn a_job_is_not_tried_again_after_its_deadline() {
    let mut pool = with_deadline(10);
    pool.retries = 1;
    let job = pool.submit();
    pool.begin(1);
    pool.advance(11 * SECOND);
    pool.die(1, Signaled(11));
    assert_eq!(pool.outcome(job), "-");
    pool.advance(Duration::ZERO);
    assert_eq!(pool.outcome(job), "Expired, runs before: 1");
}

#[test]
fn a_job_that_is_done_before_its_deadline_leaves_no_limit() {
    let mut pool = with_deadline(10);
    let job = pool.submit();
    pool.run(1, SECOND);
    assert!(!pool.scheduler.has_limits());
    assert_eq!(pool.advance(20 * SECOND), None);
    assert_eq!(pool.outcome(job), "returned by 1");
}

#[test]
fn the_wait_for_room_ends_at_the_deadline() {
    let mut pool = FakePool::serving(PoolConfig { queue_limit: Some(0), ..config(1) });
    pool.submit();
    let first = pool.scheduler.line_up(0, None);
    let second = pool.scheduler.line_up(0, Some(pool.now + 10 * SECOND));
    assert_eq!(pool.advance(9 * SECOND), Some(SECOND));
    assert!(!pool.scheduler.may_enter(second));
    pool.scheduler.set_waker_in_line(second, std::task::Waker::noop().clone());
    pool.advance(SECOND);
    assert!(pool.scheduler.may_enter(second) && !pool.scheduler.may_enter(first));
    assert_eq!(pool.scheduler.take_woken().len(), 1);
    pool.scheduler.leave_line(second);
    assert!(!pool.scheduler.has_limits());
}
