//! The end of a pool in order, within a grace.

use std::time::Duration;

use super::fake::{FakePool, config};
use crate::error::JoinErrorKind::{Exited, Signaled};
use crate::pool::model::EXIT_GRACE;
use crate::pool::scheduler::{Milestone, Phase};

const SECOND: Duration = Duration::from_secs(1);
const SHORT: Duration = Duration::from_micros(1);

#[test]
fn workers_exit_after_the_last_job() {
    let mut pool = FakePool::serving(config(2));
    let job = pool.submit();
    pool.begin(1);
    pool.commands();
    pool.scheduler.begin_shutdown(None);
    assert_eq!(pool.advance(60 * SECOND), None, "the job has no limit");
    assert_eq!(pool.commands(), "");
    pool.finish_unseen(1, SHORT, false);
    pool.collect();
    assert_eq!(pool.advance(SHORT), Some(EXIT_GRACE));
    assert_eq!(pool.commands(), "1: shut down, 2: shut down");
    assert_eq!(pool.outcome(job), "returned by 1");
    pool.die(1, Exited(0));
    assert!(!pool.scheduler.has_ended());
    assert_eq!(pool.advance(EXIT_GRACE), None);
    assert_eq!(pool.commands(), "2: kill", "its exit hangs");
    pool.die(2, Signaled(9));
    assert!(pool.scheduler.has_ended() && pool.scheduler.cut_off().is_empty());
}

#[test]
fn jobs_are_cut_off_at_the_end_of_the_grace() {
    let mut pool = FakePool::serving(config(1));
    let [runs, behind, queued] = [pool.submit(), pool.submit(), pool.submit()];
    pool.begin(1);
    pool.commands();
    pool.scheduler.begin_shutdown(Some(pool.now + 10 * SECOND));
    assert_eq!(pool.advance(9 * SECOND), Some(SECOND));
    assert_eq!(pool.commands(), "");
    assert_eq!(pool.advance(SECOND), None);
    assert_eq!(pool.commands(), "1: kill");
    assert_eq!(pool.scheduler.phase(), Phase::Terminated);
    let cut_off = pool.scheduler.cut_off();
    assert_eq!((cut_off.running, cut_off.queued), (vec!["task"], 2));
    assert_eq!([runs, behind, queued].map(|id| pool.outcome(id)), ["PoolClosed"; 3]);
}

#[test]
fn of_several_graces_the_earliest_end_holds() {
    for [first, second] in [[None, Some(3)], [Some(3), None], [Some(3), Some(8)], [Some(8), Some(3)]] {
        let mut pool = FakePool::serving(config(1));
        pool.submit();
        pool.begin(1);
        for grace in [first, second] {
            pool.scheduler.begin_shutdown(grace.map(|grace| pool.now + grace * SECOND));
        }
        assert_eq!(pool.advance(Duration::ZERO), Some(3 * SECOND));
    }
}

#[test]
fn a_worker_that_can_not_be_told_is_killed() {
    let mut pool = FakePool::serving(config(1));
    pool.refuse_shutdown(1);
    pool.scheduler.begin_shutdown(None);
    pool.advance(Duration::ZERO);
    assert_eq!(pool.commands(), "1: kill");
}

#[test]
fn a_pool_without_workers_has_ended_at_once() {
    let mut pool = FakePool::new(crate::pool::model::PoolConfig { min_workers: Some(0), ..config(2) });
    assert!(!pool.scheduler.has_ended());
    pool.scheduler.begin_shutdown(None);
    assert!(pool.scheduler.has_ended());
}

#[test]
fn a_milestone_wakes_its_futures_once() {
    let mut pool = FakePool::new(config(1));
    let waker = std::task::Waker::noop();
    assert!(pool.scheduler.watch(Milestone::Ready, waker.clone()).is_none());
    assert!(pool.scheduler.watch(Milestone::Ready, waker.clone()).is_some(), "the same future");
    assert!(pool.scheduler.watch(Milestone::Ended, waker.clone()).is_none());
    let worker = pool.start();
    assert!(!pool.scheduler.has_woken());
    assert!(pool.scheduler.take_woken().is_empty());
    pool.ready(worker);
    assert!(pool.scheduler.has_woken());
    assert_eq!(pool.scheduler.take_woken().len(), 1);
    assert!(!pool.scheduler.has_woken() && pool.scheduler.has_watchers());
    pool.scheduler.begin_shutdown(None);
    pool.advance(SHORT);
    pool.die(worker, Exited(0));
    assert_eq!(pool.scheduler.take_woken().len(), 1);
    assert!(!pool.scheduler.has_watchers());
}
