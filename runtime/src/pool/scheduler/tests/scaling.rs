//! How many workers there are: starts that fail, workers that come with the work, and workers that retire.

use std::time::Duration;

use super::fake::{FakePool, config};
use crate::error::ErrorKind;
use crate::error::JoinErrorKind::{Exited, Signaled};
use crate::pool::model::{EXIT_GRACE, PoolConfig};

const SHORT: Duration = Duration::from_micros(1);
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_pool_is_ready_when_all_its_workers_serve() {
    let mut pool = FakePool::new(config(2));
    for _ in 0..2 {
        assert!(pool.must_start());
        pool.start();
    }
    assert!(!pool.must_start());
    pool.ready(1);
    assert!(pool.scheduler.is_ready().is_none());
    pool.ready(2);
    assert!(pool.scheduler.is_ready().is_some_and(|ready| ready.is_ok()));
    let names: Vec<String> = pool.scheduler.stats().workers.into_iter().map(|worker| worker.name).collect();
    assert_eq!(names, ["worker-1", "worker-2"]);
}

#[test]
fn starts_that_fail_are_tried_again_with_growing_pauses() {
    let mut pool = FakePool::serving(config(1));
    pool.begin_and_die();
    for pause in [10, 20, 40] {
        assert!(pool.must_start());
        pool.fail_start(ErrorKind::LimitReached, false);
        assert!(!pool.must_start());
        assert_eq!(pool.advance(Duration::ZERO), Some(Duration::from_millis(pause)));
        pool.advance(Duration::from_millis(pause));
    }
}

#[test]
fn queued_jobs_fail_after_three_starts_without_a_worker_and_later_ones_wait_for_the_next() {
    let mut pool = FakePool::serving(config(1));
    pool.begin_and_die();
    let jobs = [pool.submit(), pool.submit()];
    for told in [false, false, true] {
        pool.advance(SECOND);
        pool.fail_start(ErrorKind::LimitReached, false);
        assert_eq!(pool.scheduler.unfinished() == 0, told);
    }
    assert_eq!(jobs.map(|id| pool.outcome(id)), ["not started: no worker"; 2]);
    assert_eq!(pool.scheduler.abandoned().map(ToString::to_string).as_deref(), Some("no worker"));

    let later = pool.submit();
    assert_eq!(pool.outcome(later), "-");
    pool.advance(SECOND);
    let worker = pool.start();
    pool.ready(worker);
    pool.scheduler.dispatch();
    pool.run(worker, SHORT);
    assert_eq!(pool.outcome(later), format!("returned by {worker}"));
}

#[test]
fn no_job_fails_while_another_worker_serves() {
    let mut pool = FakePool::serving(config(2));
    let job = pool.submit();
    pool.begin(1);
    pool.die(2, Exited(1));
    for _ in 0..9 {
        pool.advance(SECOND);
        pool.fail_start(ErrorKind::LimitReached, false);
    }
    let queued = pool.submit();
    assert_eq!([job, queued].map(|id| pool.outcome(id)), ["-", "-"]);
}

#[test]
fn a_pool_begins_with_fewer_workers_at_a_limit_and_not_at_all_with_none() {
    let mut some = FakePool::new(config(2));
    some.start();
    some.ready(1);
    let mut none = FakePool::new(config(2));
    for _ in 0..3 {
        for pool in [&mut some, &mut none] {
            assert!(pool.scheduler.is_ready().is_none());
            pool.advance(SECOND);
            pool.fail_start(ErrorKind::LimitReached, false);
        }
    }
    assert!(some.scheduler.is_ready().is_some_and(|ready| ready.is_ok()));
    assert!(none.scheduler.is_ready().is_some_and(|ready| ready.is_err()));
}

#[test]
fn an_initializer_that_fails_is_told_at_once() {
    let mut pool = FakePool::new(config(2));
    let _ = [pool.start(), pool.start()];
    pool.ready(1);
    pool.fail_initializer(2);
    assert_eq!(pool.commands(), "2: kill");
    let error = pool.scheduler.is_ready().expect("it is known").unwrap_err();
    assert_eq!((error.kind(), &*error.to_string()), (ErrorKind::Setting, "it failed"));
}

#[test]
fn after_a_final_failure_there_is_no_other_start() {
    let mut pool = FakePool::serving(config(2));
    let jobs = [pool.submit(), pool.submit()];
    pool.begin(1);
    pool.die(1, Signaled(9));
    pool.fail_start(ErrorKind::ForkServer, true);
    assert!(!pool.must_start());
    assert_eq!(pool.advance(60 * SECOND), None);
    assert!(pool.scheduler.hopeless().is_some());
    // The other worker goes on.
    pool.run(2, SHORT);
    assert_eq!(jobs.map(|id| pool.outcome(id)), ["Signaled(9)", "returned by 2"]);
    let left = pool.submit();
    pool.die(2, Signaled(9));
    assert_eq!(pool.outcome(left), "not started: no worker");
}

#[test]
fn workers_above_the_least_come_with_the_work_and_retire_when_they_are_idle() {
    let limits = PoolConfig { min_workers: Some(1), idle_timeout: Some(10 * SECOND), ..config(3) };
    let mut pool = FakePool::serving(limits);
    assert_eq!(pool.scheduler.stats().workers.len(), 1);
    pool.submit_many(4);
    for worker in 2..=3 {
        assert!(pool.must_start());
        pool.start();
        pool.ready(worker);
        pool.scheduler.dispatch();
    }
    assert!(!pool.must_start(), "there may be three");
    pool.commands();
    for worker in [1, 2, 3, 1] {
        pool.run(worker, SECOND);
    }
    assert_eq!(pool.scheduler.unfinished(), 0);
    // Those that were idle first, and never the last.
    assert_eq!(pool.advance(Duration::ZERO), Some(8 * SECOND));
    pool.advance(8 * SECOND);
    assert_eq!(pool.commands(), "2: shut down");
    pool.die(2, Exited(0));
    pool.advance(60 * SECOND);
    assert_eq!(pool.commands(), "3: shut down");
    pool.die(3, Exited(0));
    assert_eq!(pool.scheduler.stats().retired, 2);
    assert_eq!(pool.advance(60 * SECOND), None);
    assert_eq!(pool.commands(), "");
}

#[test]
fn an_idle_worker_that_cannot_be_told_is_killed() {
    let limits = PoolConfig { min_workers: Some(0), idle_timeout: Some(SECOND), ..config(1) };
    let mut pool = FakePool::new(limits);
    pool.submit();
    let worker = pool.start();
    pool.ready(worker);
    pool.scheduler.dispatch();
    pool.run(worker, SHORT);
    pool.refuse_shutdown(worker);
    pool.commands();
    pool.advance(SECOND);
    assert_eq!(pool.commands(), "1: kill");
}

#[test]
fn a_replacement_has_the_place_of_its_predecessor() {
    let mut pool = FakePool::serving(PoolConfig { max_tasks: Some(1), ..config(3) });
    assert_eq!(pool.places, [0, 1, 2]);
    pool.die(2, Signaled(9));
    pool.start();
    pool.ready(4);
    // The first worker is to exit, and has not ended.
    pool.submit();
    pool.run(1, SHORT);
    pool.advance(SECOND);
    pool.fail_start(ErrorKind::LimitReached, false);
    pool.advance(SECOND);
    pool.start();
    assert_eq!(pool.places, [0, 1, 2, 1, 0]);
    assert!(!pool.must_start());
}

#[test]
fn a_worker_that_has_done_its_share_is_replaced() {
    let mut pool = FakePool::serving(PoolConfig { max_tasks: Some(2), ..config(1) });
    pool.submit_many(3);
    assert_eq!(pool.commands(), "1: send 0, 1: send 1");
    pool.run(1, SHORT);
    assert_eq!(pool.commands(), "", "its share is in flight");
    pool.run(1, SHORT);
    assert_eq!(pool.commands(), "1: shut down");
    assert!(pool.must_start(), "it need not have ended");
    let worker = pool.start();
    pool.ready(worker);
    pool.scheduler.dispatch();
    assert_eq!(pool.commands(), "2: send 2");
    pool.die(1, Exited(0));
    assert_eq!(pool.scheduler.stats().replaced, 1);
    assert!(!pool.must_start());
}

type MakePool = fn() -> FakePool;

/// Pools whose first worker has just been told to exit.
const EXITS: [(&str, MakePool); 4] = [
    ("it has done its share", || {
        let mut pool = FakePool::serving(PoolConfig { max_tasks: Some(1), ..config(1) });
        pool.submit();
        pool.run(1, SHORT);
        pool
    }),
    ("it has grown too large", || {
        let mut pool = FakePool::serving(config(1));
        pool.submit();
        pool.begin(1);
        pool.finish_unseen(1, SHORT, true);
        pool.collect();
        pool
    }),
    ("it was idle for too long", || {
        let limits = PoolConfig { min_workers: Some(0), idle_timeout: Some(SECOND), ..config(1) };
        let mut pool = FakePool::new(limits);
        pool.submit();
        pool.start();
        pool.ready(1);
        pool.scheduler.dispatch();
        pool.run(1, SHORT);
        pool.advance(SECOND);
        pool
    }),
    ("there is one too many", || {
        let mut pool = FakePool::serving(config(2));
        pool.resize(1);
        pool
    }),
];

/// An exit handler may hang, a child of the task may keep the worker waiting, and a stopped worker does nothing.
#[test]
fn a_worker_that_is_told_to_exit_and_does_not_is_replaced_at_once_and_killed_after_a_grace() {
    for (reason, told) in EXITS {
        let mut pool = told();
        assert!(pool.commands().ends_with("1: shut down"), "{reason}");
        let job = pool.submit();
        if pool.must_start() {
            let worker = pool.start();
            pool.ready(worker);
            pool.scheduler.dispatch();
        }
        pool.run(2, SHORT);
        assert_eq!(pool.outcome(job), "returned by 2", "{reason}: the job does not wait");
        pool.commands();
        assert_eq!(pool.advance(EXIT_GRACE - 2 * SHORT), Some(SHORT), "{reason}");
        assert!(!pool.commands().contains("1: kill"), "{reason}");
        pool.advance(SHORT);
        assert!(pool.commands().contains("1: kill"), "{reason}");
        pool.die(1, Signaled(9));
    }
}

#[test]
fn the_grace_begins_with_the_end_of_the_last_job() {
    let mut pool = FakePool::serving(config(1));
    pool.submit();
    pool.begin(1);
    pool.shut_down();
    assert_eq!(pool.advance(60 * SECOND), None);
    pool.finish_unseen(1, SHORT, false);
    pool.collect();
    assert_eq!(pool.advance(Duration::ZERO), Some(EXIT_GRACE));
}

#[test]
fn a_worker_that_has_grown_too_large_begins_nothing_more() {
    let mut pool = FakePool::serving(config(1));
    let jobs = [pool.submit(), pool.submit(), pool.submit()];
    pool.begin(1);
    pool.commands();
    pool.finish_unseen(1, SHORT, true);
    pool.collect();
    assert_eq!(pool.commands(), "1: revoke 1, 1: shut down");
    pool.scheduler.dispatch();
    assert_eq!(pool.commands(), "");
    pool.die(1, Exited(0));
    assert!(pool.must_start());
    let worker = pool.start();
    pool.ready(worker);
    pool.scheduler.dispatch();
    pool.run(worker, SHORT);
    pool.run(worker, SHORT);
    assert_eq!(jobs.map(|id| pool.outcome(id)), ["returned by 1", "returned by 2", "returned by 2"]);
}

#[test]
fn a_pool_made_smaller_retires_idle_workers_first_and_takes_the_jobs_of_full_ones() {
    let mut pool = FakePool::serving(config(3));
    pool.submit_many(2);
    pool.begin(1);
    pool.begin(2);
    pool.commands();
    pool.resize(2);
    assert_eq!(pool.commands(), "3: shut down");
    pool.submit();
    pool.commands();
    pool.refuse_shutdown(2);
    pool.resize(1);
    pool.scheduler.dispatch();
    assert_eq!(pool.commands(), "", "worker 2 cannot be told as yet");
    pool.resize(4);
    assert!(pool.must_start());
}

#[test]
fn a_worker_that_retires_while_it_starts_is_no_liar() {
    let mut pool = FakePool::new(config(2));
    let _ = [pool.start(), pool.start()];
    pool.resize(1);
    assert_eq!(pool.commands(), "1: shut down");
    pool.ready(1);
    pool.ready(2);
    assert_eq!(pool.commands(), "");
    pool.die(1, Exited(0));
    assert_eq!(pool.scheduler.stats().retired, 1);
    assert!(pool.scheduler.is_ready().is_some_and(|ready| ready.is_ok()));
}

#[test]
fn a_second_first_event_is_a_lie() {
    let mut pool = FakePool::serving(config(1));
    pool.ready(1);
    assert_eq!(pool.commands(), "1: kill");
}

/// A pool of two workers with finalizers, of which the second does not end in the test.
fn finalizing(config: PoolConfig) -> FakePool {
    let mut pool = FakePool::serving(config);
    pool.set_finalizer(1);
    pool.set_finalizer(2);
    pool.commands();
    pool
}

#[test]
fn the_first_failure_of_a_finalizer_is_kept() {
    let mut pool = finalizing(config(2));
    pool.shut_down();
    pool.finalize(1, Err("first"));
    pool.finalize(2, Err("second"));
    pool.die(1, Exited(0));
    pool.die(2, Exited(0));
    assert_eq!(pool.exit_error().as_deref(), Some("first"));
}

#[test]
fn a_worker_that_ends_before_its_finalizer_has_is_a_failure() {
    for end in [Exited(3), Signaled(11)] {
        let mut pool = finalizing(config(2));
        let told = format!("no end: {end:?}");
        pool.shut_down();
        pool.die(1, end);
        assert_eq!(pool.exit_error(), Some(told));
    }
    let mut pool = finalizing(PoolConfig { exit_grace: SECOND, ..config(2) });
    pool.shut_down();
    assert_eq!(pool.advance(Duration::ZERO), Some(SECOND), "the grace of the configuration");
    pool.finalize(2, Ok(()));
    pool.commands();
    pool.advance(SECOND);
    assert_eq!(pool.commands(), "1: kill, 2: kill");
    pool.die(1, Signaled(9));
    pool.die(2, Signaled(9));
    assert_eq!(pool.exit_error().as_deref(), Some("no end: TimedOut"), "the second had only to exit");
}

#[test]
fn no_finalizer_is_missed_after_other_ends() {
    // It was not told to exit.
    let mut pool = finalizing(config(2));
    pool.die(1, Signaled(9));
    assert_eq!(pool.exit_error(), None);
    // The failure is the job's.
    let mut pool = finalizing(config(2));
    pool.submit();
    pool.begin(1);
    pool.shut_down();
    pool.die(1, Signaled(9));
    assert_eq!(pool.exit_error(), None);
    // The initializer has not succeeded.
    let mut pool = FakePool::new(config(1));
    pool.start();
    pool.set_finalizer(1);
    pool.shut_down();
    pool.fail_initializer(1);
    pool.die(1, Exited(0));
    assert_eq!(pool.exit_error(), None);
    // It was killed for a job, which was done by then.
    let mut pool = finalizing(config(2));
    let job = pool.submit();
    pool.begin(1);
    pool.shut_down();
    pool.kill(job);
    pool.finish_unseen(1, SHORT, false);
    pool.collect();
    assert_eq!(pool.outcome(job), "returned by 1");
    pool.die(1, Signaled(9));
    assert_eq!(pool.exit_error(), None);
    // The pool was terminated.
    let mut pool = finalizing(config(2));
    pool.shut_down();
    pool.scheduler.terminate(pool.now);
    pool.die(1, Signaled(9));
    assert_eq!(pool.exit_error(), None);
}

#[test]
fn a_worker_that_claims_to_have_finalized_before_its_time_is_killed() {
    let mut pool = finalizing(config(2));
    pool.finalize(1, Ok(()));
    assert_eq!(pool.commands(), "1: kill");
    pool.shut_down();
    pool.commands();
    pool.finalize(2, Ok(()));
    assert_eq!(pool.commands(), "");
    pool.finalize(2, Ok(()));
    assert_eq!(pool.commands(), "2: kill", "twice");
}

/// The job behind the last one goes elsewhere although the worker was told to exit before.
#[test]
fn a_worker_that_outgrows_while_it_retires_gives_its_jobs_back() {
    let mut pool = FakePool::serving(config(1));
    pool.set_finalizer(1);
    pool.submit_many(2);
    pool.begin(1);
    pool.shut_down();
    pool.commands();
    pool.finish_unseen(1, SHORT, true);
    pool.collect();
    assert_eq!(pool.commands(), "1: revoke 1, 1: shut down");
    pool.finalize(1, Ok(()));
    assert_eq!(pool.commands(), "");
    pool.die(1, Exited(0));
    assert_eq!(pool.exit_error(), None);
    assert!(pool.must_start(), "the job is queued");
}

#[test]
fn a_worker_that_comes_when_all_is_done_exits_in_order() {
    let mut pool = FakePool::serving(PoolConfig { min_workers: Some(1), ..config(2) });
    pool.submit_many(2);
    assert!(pool.must_start());
    let seat = pool.scheduler.begin_start();
    pool.run(1, SHORT);
    pool.run(1, SHORT);
    pool.scheduler.close();
    pool.shut_down();
    pool.commands();
    let late = pool.finish_start(seat);
    pool.set_finalizer(late);
    assert_eq!(pool.commands(), "2: shut down");
    pool.ready(late);
    pool.finalize(late, Ok(()));
    pool.die(late, Exited(0));
    assert_eq!(pool.exit_error(), None);
}

/// Its exit may take as long as the grace.
#[test]
fn no_more_workers_exit_at_a_time_than_there_may_be() {
    let mut pool = FakePool::serving(PoolConfig { max_tasks: Some(1), ..config(2) });
    pool.submit_many(8);
    for worker in 1..=2 {
        pool.run(worker, SHORT);
        let other = pool.start();
        pool.ready(other);
        pool.scheduler.dispatch();
    }
    // Two exit, two serve.
    pool.run(3, SHORT);
    assert!(!pool.must_start());
    pool.die(1, Exited(0));
    assert!(pool.must_start(), "one exit less");
}

#[test]
fn no_job_fails_for_want_of_a_worker_while_an_exit_may_make_room() {
    let mut pool = FakePool::serving(PoolConfig { max_tasks: Some(1), ..config(1) });
    pool.submit_many(2);
    pool.run(1, SHORT);
    for _ in 0..9 {
        pool.advance(SECOND / 4);
        pool.fail_start(ErrorKind::LimitReached, false);
    }
    assert!(pool.scheduler.has_backlog());
    pool.die(1, Exited(0));
    for _ in 0..3 {
        pool.advance(2 * SECOND);
        pool.fail_start(ErrorKind::LimitReached, false);
    }
    assert!(!pool.scheduler.has_backlog(), "no worker is left");
}
