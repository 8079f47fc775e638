//! Which worker gets which job.

use std::time::Duration;

use super::fake::{FakePool, config};
use crate::pool::scheduler::TICK;

const SHORT: Duration = Duration::from_micros(1);

#[test]
fn each_job_goes_to_the_worker_with_the_fewest() {
    let mut pool = FakePool::serving(config(2));
    pool.submit_many(4);
    assert_eq!(pool.commands(), "1: send 0, 2: send 1, 1: send 2, 2: send 3");
    assert!(!pool.scheduler.has_backlog());
}

#[test]
fn a_worker_has_one_job_ahead_until_jobs_are_known_to_be_short() {
    let mut pool = FakePool::serving(config(1));
    pool.submit_many(6);
    assert_eq!(pool.commands(), "1: send 0, 1: send 1");
    // The mean of durations comes down from a millisecond.
    for _ in 0..64 {
        pool.submit();
        pool.run(1, SHORT);
    }
    assert!(pool.commands().ends_with("1: send 67"));
    assert_eq!(pool.scheduler.stats().workers[0].assigned, 4, "a full window");
}

#[test]
fn outcomes_arrive_at_their_jobs() {
    let mut pool = FakePool::serving(config(2));
    let [first, second] = [pool.submit(), pool.submit()];
    pool.run(2, SHORT);
    assert_eq!(pool.outcome(first), "-");
    assert_eq!(pool.outcome(second), "returned by 2");
    pool.run(1, SHORT);
    assert_eq!(pool.outcome(first), "returned by 1");
}

#[test]
fn an_idle_worker_gets_the_job_behind_a_long_one() {
    let mut pool = FakePool::serving(config(2));
    let jobs = [pool.submit(), pool.submit(), pool.submit()];
    assert_eq!(pool.commands(), "1: send 0, 2: send 1, 1: send 2");
    pool.begin(1);
    pool.run(2, SHORT);
    assert_eq!(pool.commands(), "1: revoke 2, 2: send 2");
    pool.run(2, SHORT);
    assert_eq!(jobs.map(|id| pool.outcome(id)), ["-", "returned by 2", "returned by 2"]);
}

#[test]
fn a_job_without_room_on_one_link_goes_to_another() {
    let mut pool = FakePool::serving(config(2));
    pool.fill_link(1);
    pool.submit();
    assert_eq!(pool.commands(), "2: send 0");
    pool.fill_link(2);
    pool.submit();
    assert_eq!(pool.commands(), "");
    assert!(pool.scheduler.has_backlog());
    // No event tells that there is room again.
    assert_eq!(pool.advance(Duration::ZERO), Some(TICK));
}

#[test]
fn jobs_of_a_stopped_worker_move_to_an_idle_one_after_a_tick() {
    let mut pool = FakePool::serving(config(2));
    pool.stop(1);
    let [first, _] = [pool.submit(), pool.submit()];
    pool.run(2, SHORT);
    assert_eq!(pool.commands(), "1: send 0, 2: send 1");
    assert_eq!(pool.advance(Duration::ZERO), Some(TICK));
    assert_eq!(pool.commands(), "");
    assert_eq!(pool.advance(TICK), Some(TICK));
    assert_eq!(pool.commands(), "1: revoke 0, 2: send 0");
    pool.run(2, SHORT);
    assert_eq!(pool.outcome(first), "returned by 2");

    // It gets jobs again when no other worker has room for them.
    pool.submit_many(3);
    assert_eq!(pool.commands(), "2: send 0, 2: send 2, 1: send 3");
}

#[test]
fn a_job_has_a_tick_to_begin_also_with_the_id_of_an_earlier_one() {
    let mut pool = FakePool::serving(config(2));
    for _ in 0..3 {
        let job = pool.submit();
        assert_eq!((job.0, &*pool.commands()), (0, "1: send 0"));
        assert_eq!(pool.advance(Duration::ZERO), Some(TICK));
        pool.now += TICK / 2;
        pool.run(1, SHORT);
        assert_eq!(pool.outcome(job), "returned by 1");
        pool.now += TICK;
    }
    pool.stop(1);
    let job = pool.submit();
    assert_eq!(pool.advance(Duration::ZERO), Some(TICK));
    pool.advance(TICK);
    assert_eq!(pool.commands(), "1: send 0, 1: revoke 0, 2: send 0");
    pool.run(2, SHORT);
    assert_eq!(pool.outcome(job), "returned by 2");
    // The first worker goes on, and is sent a job with the id of the one that it did not begin.
    pool.go_on(1);
    let job = pool.submit();
    assert_eq!((job.0, &*pool.commands()), (0, "1: send 0"));
    assert_eq!(pool.advance(Duration::ZERO), Some(TICK));
    assert_eq!(pool.commands(), "");
}

#[test]
fn a_worker_that_goes_on_is_looked_for_while_there_is_work() {
    let mut pool = FakePool::serving(config(1));
    pool.stop(1);
    pool.submit();
    assert_eq!(pool.advance(Duration::ZERO), None, "no other worker could have the job");
    pool.go_on(1);
    pool.run(1, SHORT);
    assert_eq!(pool.scheduler.unfinished(), 0);
}

#[test]
fn a_worker_that_lies_is_killed_and_heard_no_more() {
    for lie in ["of another job", "of no job", "nonsense"] {
        let mut pool = FakePool::serving(config(1));
        let job = pool.submit();
        pool.begin(1);
        match lie {
            "of another job" => {
                let behind = pool.submit();
                pool.commands();
                pool.lie(1, behind);
            }
            "of no job" => {
                pool.finish_unseen(1, SHORT, false);
                pool.collect();
                pool.commands();
                pool.lie(1, job);
            }
            _ => {
                pool.commands();
                pool.break_link(1);
                pool.collect();
            }
        }
        assert_eq!(pool.commands(), "1: kill", "{lie}");
        let next = pool.submit();
        assert_eq!(pool.commands(), "", "{lie}: it gets no more jobs");
        assert_eq!(pool.outcome(next), "-");
    }
}

#[test]
fn a_link_that_breaks_at_a_send_costs_its_worker_alone() {
    let mut pool = FakePool::serving(config(2));
    pool.break_link(1);
    let job = pool.submit();
    assert_eq!(pool.commands(), "1: kill, 2: send 0");
    pool.run(2, SHORT);
    assert_eq!(pool.outcome(job), "returned by 2");
}

#[test]
fn a_group_has_its_outcomes_in_the_order_in_which_they_come() {
    let mut pool = FakePool::serving(config(2));
    let group = pool.scheduler.new_group();
    assert!(!pool.scheduler.has_next_of_group(group));
    let [first, second] = [pool.submit_for(group), pool.submit_for(group)];
    pool.run(2, SHORT);
    pool.run(1, SHORT);
    assert_eq!(pool.scheduler.next_of_group(group), Some(second));
    assert_eq!(pool.scheduler.next_of_group(group), Some(first));
    assert_eq!(pool.scheduler.next_of_group(group), None);
}

#[test]
fn a_worker_with_many_jobs_reports_after_half_of_them() {
    let mut pool = FakePool::serving(config(2));
    let armed = |pool: &FakePool, may_gather| {
        pool.commands();
        let armed = pool.scheduler.arm(may_gather);
        (pool.commands(), armed.gathers, armed.has_news)
    };
    // The mean of durations comes down, and with it the window grows.
    for _ in 0..64 {
        pool.submit();
        pool.run(1, SHORT);
    }
    pool.submit_many(7);
    assert_eq!(pool.scheduler.stats().workers.iter().map(|worker| worker.assigned).collect::<Vec<_>>(), [4, 3]);
    assert_eq!(armed(&pool, true), ("1: arm 2, 2: arm 1".to_owned(), true, false));
    pool.begin(1);
    pool.finish_unseen(1, SHORT, false);
    assert!(!armed(&pool, true).2, "one of two");
    pool.begin(1);
    pool.finish_unseen(1, SHORT, false);
    assert!(armed(&pool, true).2);
    // A sleep that brought nothing: each event counts.
    pool.collect();
    assert_eq!(armed(&pool, false), ("1: arm 1, 2: arm 1".to_owned(), false, false));
}
