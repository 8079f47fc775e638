//! The order of jobs by priority.

use std::time::Duration;

use super::fake::{FakePool, config};
use crate::error::JoinErrorKind::Signaled;
use crate::pool::model::JobId;
use crate::task::Priority::{self, High, Low, Normal};

const SHORT: Duration = Duration::from_micros(1);

impl FakePool {
    fn submit_as(&mut self, priority: Priority) -> JobId {
        self.priority = priority;
        self.submit()
    }

    /// Lets worker 1 run all jobs. Returns the order of their begins.
    fn order(&mut self, count: usize) -> Vec<usize> {
        let mut order = Vec::new();
        for _ in 0..count {
            order.push(self.begin(1).0);
            self.finish_unseen(1, SHORT, false);
            self.collect();
            self.scheduler.dispatch();
        }
        order
    }
}

#[test]
fn higher_before_lower_and_first_come_first_served() {
    let mut pool = FakePool::new(config(1));
    for priority in [Low, Normal, High, Low, Normal, High] {
        pool.submit_as(priority);
    }
    let worker = pool.start();
    pool.ready(worker);
    pool.scheduler.dispatch();
    assert_eq!(pool.order(6), [2, 5, 1, 4, 0, 3]);
}

#[test]
fn a_lower_job_in_the_line_of_a_worker_makes_way() {
    let mut pool = FakePool::serving(config(1));
    pool.submit_as(Normal);
    pool.begin(1);
    pool.submit_as(Low);
    pool.commands();
    pool.submit_as(Normal);
    assert_eq!(pool.commands(), "1: revoke 1, 1: send 2");
    pool.submit_as(High);
    assert_eq!(pool.commands(), "1: revoke 2, 1: send 3");
    // One that is not higher moves nothing.
    pool.submit_as(High);
    assert_eq!(pool.commands(), "");
    pool.finish_unseen(1, SHORT, false);
    pool.collect();
    pool.scheduler.dispatch();
    assert_eq!(pool.order(4), [3, 4, 2, 1]);
}

#[test]
fn jobs_of_one_priority_are_left_where_they_are() {
    for priority in [Low, Normal, High] {
        let mut pool = FakePool::serving(config(1));
        pool.priority = priority;
        pool.submit_many(6);
        assert!(!pool.commands().contains("revoke"));
        assert_eq!(pool.order(6), [0, 1, 2, 3, 4, 5]);
    }
}

#[test]
fn a_job_of_a_dead_worker_comes_back_before_its_equals_only() {
    let mut pool = FakePool::serving(config(1));
    pool.submit_many(4);
    pool.begin(1);
    pool.die(1, Signaled(9));
    pool.submit_as(High);
    let worker = pool.start();
    assert_eq!(worker, 2);
    pool.ready(worker);
    pool.scheduler.dispatch();
    let commands = pool.commands();
    assert!(commands.ends_with("2: send 4, 2: send 1"), "{commands}");
}
