//! Jobs that are pinned to a worker: their place in the line, and the end of the worker.

use std::time::Duration;

use super::fake::{FakePool, config};
use crate::error::JoinErrorKind::{Exited, Signaled};
use crate::pool::model::{JobId, PoolConfig};
use crate::pool::scheduler::TICK;

const SHORT: Duration = Duration::from_micros(1);
const ENDED: &str = "Cancelled, its worker came to its end before the job began";

fn busy(config: PoolConfig, workers: usize, jobs: usize) -> FakePool {
    let mut pool = FakePool::serving(config);
    pool.submit_many(jobs);
    for worker in 1..=workers {
        pool.begin(worker);
    }
    pool.commands();
    pool
}

#[test]
fn each_worker_runs_one_before_the_jobs_in_line() {
    let mut pool = busy(config(1), 1, 3);
    let jobs = pool.broadcast();
    assert_eq!(jobs, [(1, JobId(3))]);
    assert_eq!(pool.commands(), "1: revoke 1, 1: send 3");
    pool.finish_unseen(1, SHORT, false);
    pool.collect();
    pool.scheduler.dispatch();
    assert_eq!(pool.commands(), "", "no other job beside it");
    pool.run(1, SHORT);
    assert_eq!(pool.outcome(JobId(3)), "returned by 1");
    assert_eq!(pool.commands(), "1: send 1, 1: send 2");
}

#[test]
fn several_run_in_the_order_of_their_submission() {
    let mut pool = busy(config(1), 1, 2);
    let (first, second) = (pool.broadcast()[0].1, pool.broadcast()[0].1);
    assert_eq!((first, second), (JobId(2), JobId(3)));
    assert_eq!(pool.commands(), "1: revoke 1, 1: send 2, 1: revoke 2, 1: send 2, 1: send 3");
}

#[test]
fn an_idle_worker_takes_none_of_another() {
    let mut pool = busy(config(2), 1, 1);
    let jobs = pool.broadcast();
    assert_eq!(pool.commands(), "1: send 1, 2: send 2");
    pool.run(2, SHORT);
    pool.advance(TICK);
    pool.advance(10 * TICK);
    pool.scheduler.dispatch();
    assert_eq!(pool.commands(), "", "neither stolen nor taken for stalled");
    assert_eq!((pool.outcome(jobs[0].1), pool.outcome(jobs[1].1)), ("-".to_owned(), "returned by 2".to_owned()));
    // The other worker has room for other jobs.
    pool.submit();
    assert_eq!(pool.commands(), "2: send 2");
}

#[test]
fn a_stopped_worker_keeps_its_own() {
    let mut pool = FakePool::serving(config(2));
    pool.stop(1);
    pool.broadcast();
    pool.run(2, SHORT);
    pool.commands();
    for _ in 0..5 {
        pool.advance(TICK);
    }
    assert_eq!(pool.commands(), "", "there is no other worker for it");
    pool.go_on(1);
    pool.run(1, SHORT);
}

#[test]
fn the_end_of_a_worker_is_the_end_of_its_own() {
    for retries in [0, 3] {
        let mut pool = FakePool::serving(config(2));
        pool.retries = retries;
        pool.submit();
        pool.begin(1);
        let jobs = pool.broadcast();
        pool.begin(2);
        pool.die(1, Signaled(9));
        assert_eq!(pool.outcome(jobs[0].1), ENDED);
        pool.die(2, Exited(3));
        assert_eq!(pool.outcome(jobs[1].1), "Exited(3)", "no second run");
        pool.commands();
        let replacement = pool.start();
        pool.ready(replacement);
        pool.scheduler.dispatch();
        let again = if retries > 0 { "3: send 0" } else { "" };
        assert_eq!(pool.commands(), again, "only the other job");
    }
}

#[test]
fn a_worker_that_starts_runs_it_once_it_serves() {
    let mut pool = FakePool::new(config(2));
    pool.start();
    let jobs = pool.broadcast();
    assert_eq!((jobs.len(), &*pool.commands()), (1, ""));
    assert!(pool.scheduler.has_backlog());
    pool.ready(1);
    pool.scheduler.dispatch();
    assert_eq!(pool.commands(), "1: send 0");
    let jobs = pool.broadcast();
    assert_eq!(pool.commands(), "1: revoke 0, 1: send 0, 1: send 1");
    drop(jobs);
    pool.start();
    pool.ready(2);
    assert_eq!(pool.commands(), "", "no worker that came later");
}

#[test]
fn a_start_that_fails_fails_it() {
    let mut pool = FakePool::new(config(1));
    pool.start();
    let job = pool.broadcast()[0].1;
    pool.fail_initializer(1);
    pool.die(1, Signaled(9));
    assert_eq!(pool.outcome(job), ENDED);
}

#[test]
fn no_worker_is_started_for_it() {
    let mut pool = FakePool::new(PoolConfig { min_workers: Some(1), ..config(4) });
    pool.start();
    pool.ready(1);
    pool.submit();
    pool.begin(1);
    pool.broadcast();
    assert!(!pool.must_start());
    pool.submit();
    assert!(pool.must_start());
}

#[test]
fn a_worker_that_has_done_its_share_runs_it_before_it_exits() {
    let mut pool = busy(PoolConfig { max_tasks: Some(1), ..config(1) }, 1, 1);
    let job = pool.broadcast()[0].1;
    pool.finish_unseen(1, SHORT, false);
    pool.collect();
    assert_eq!(pool.commands(), "1: send 1");
    pool.run(1, SHORT);
    assert_eq!(pool.outcome(job), "returned by 1");
    assert_eq!(pool.commands(), "1: shut down");
    assert!(pool.broadcast().is_empty(), "it is to exit");
}

#[test]
fn a_worker_that_has_done_its_share_exits_when_its_own_is_cancelled() {
    let mut pool = busy(PoolConfig { max_tasks: Some(1), ..config(1) }, 1, 1);
    let job = pool.broadcast()[0].1;
    pool.finish_unseen(1, SHORT, false);
    pool.collect();
    pool.commands();
    assert!(pool.cancel(job));
    pool.advance(Duration::ZERO);
    assert_eq!(pool.commands(), "1: revoke 1, 1: shut down");
}

#[test]
fn a_worker_that_outgrows_runs_it_no_more() {
    let mut pool = busy(config(1), 1, 1);
    let job = pool.broadcast()[0].1;
    pool.finish_unseen(1, SHORT, true);
    pool.collect();
    assert_eq!(pool.outcome(job), ENDED);
    pool.die(1, Exited(0));
}

#[test]
fn a_surplus_worker_runs_it_before_it_exits() {
    let mut pool = busy(config(2), 2, 2);
    let jobs = pool.broadcast();
    pool.resize(1);
    let retired = if pool.commands().contains("1: shut down") { 1 } else { 2 };
    pool.finish_unseen(retired, SHORT, false);
    pool.collect();
    pool.run(retired, SHORT);
    assert_eq!(pool.outcome(jobs[retired - 1].1), format!("returned by {retired}"));
    pool.die(retired, Exited(0));
    assert_eq!(pool.scheduler.stats().retired, 1);
}

#[test]
fn it_can_be_cancelled_and_killed() {
    let mut pool = busy(config(1), 1, 1);
    let (first, second) = (pool.broadcast()[0].1, pool.broadcast()[0].1);
    pool.commands();
    assert!(pool.cancel(second));
    assert_eq!(pool.commands(), "1: revoke 1, 1: revoke 2, 1: send 1", "the other is sent again");
    pool.finish_unseen(1, SHORT, false);
    pool.collect();
    pool.begin(1);
    assert!(!pool.cancel(first));
    pool.kill(first);
    assert_eq!(pool.commands(), "1: cancel 1, 1: cancel 1, 1: kill");
    pool.die(1, Signaled(9));
    assert_eq!((pool.outcome(first), pool.outcome(second)), ("Cancelled".to_owned(), "Cancelled".to_owned()));
    // Before it is sent.
    let mut pool = FakePool::new(config(1));
    pool.start();
    let job = pool.broadcast()[0].1;
    assert!(pool.cancel(job));
    pool.ready(1);
    pool.scheduler.dispatch();
    assert_eq!(pool.commands(), "");
    pool.submit();
    assert_eq!(pool.commands(), "1: send 1");
}

#[test]
fn a_worker_without_room_gets_it_later() {
    let mut pool = FakePool::serving(config(1));
    pool.fill_link(1);
    let job = pool.broadcast()[0].1;
    pool.submit();
    assert_eq!((&*pool.commands(), pool.scheduler.has_backlog()), ("", true));
    pool.die(1, Signaled(9));
    assert_eq!(pool.outcome(job), ENDED);
}

#[test]
fn the_end_of_the_pool_is_the_end_of_all() {
    let mut pool = busy(config(2), 1, 1);
    pool.start();
    let jobs = pool.broadcast();
    pool.scheduler.terminate(pool.now);
    for (_, job) in jobs {
        assert_eq!(pool.outcome(job), "PoolClosed");
    }
    for worker in 1..=3 {
        pool.die(worker, Signaled(9));
    }
    assert!(pool.scheduler.is_empty());
    let mut pool = FakePool::serving(config(1));
    pool.scheduler.close();
    let job = pool.broadcast()[0].1;
    assert_eq!(pool.outcome(job), "PoolClosed", "closed");
}
