//! A limited number of permits, even if a process dies.

use std::time::Instant;

use offspring::sync::{Mutex, Semaphore};
use offspring::{ErrorKind, StartMethod, child_task};
use offspring_tests::program::say;
use offspring_tests::{build, cases, failure, start, value, wait};

use super::{SHORT, at_once, blocked};
use crate::tasks::{begun, forever};

cases! {
    here no_more_than_there_are_permits;
    here an_attempt_and_a_limit;
    here permits_of_a_killed_holder_come_back;
    here a_kill_is_told_at_once_to_one_who_waits.exclusive();
    here a_release_is_told_at_once_to_one_who_waits.exclusive();
    here a_killed_waiter_holds_up_no_process;
    here a_number_that_cannot_be_is_refused;
}

/// The number of processes inside now, and the maximum so far.
type Gauge = Mutex<[u64; 2]>;

#[child_task]
fn go_in(semaphore: Semaphore, gauge: Gauge, times: u64) {
    for _ in 0..times {
        let permit = semaphore.acquire();
        {
            let mut gauge = gauge.lock().unwrap();
            gauge[0] += 1;
            gauge[1] = gauge[1].max(gauge[0]);
        }
        std::thread::yield_now();
        // No process goes on before two have met inside, however late they start.
        while gauge.lock().unwrap()[1] < 2 {
            std::thread::yield_now();
        }
        gauge.lock().unwrap()[0] -= 1;
        drop(permit);
    }
}

fn no_more_than_there_are_permits(method: StartMethod) {
    let (semaphore, gauge) = (Semaphore::new(2).unwrap(), Mutex::new([0; 2]).unwrap());
    let children = [(); 4].map(|()| start(method, go_in::call(semaphore.clone(), gauge.clone(), 300)));
    children.into_iter().for_each(value);
    assert_eq!(gauge.get().unwrap(), [0, 2]);
    assert_eq!(semaphore.available_permits(), 2);
}

#[child_task]
fn hold(semaphore: Semaphore, count: usize) {
    let _permits: Vec<_> = (0..count).map(|_| semaphore.acquire()).collect();
    say("ready");
    forever()
}

#[child_task]
fn wait_for(semaphore: Semaphore) -> bool {
    say("ready");
    semaphore.acquire_timeout(wait::LIMIT).is_some()
}

fn an_attempt_and_a_limit(method: StartMethod) {
    let semaphore = Semaphore::new(3).unwrap();
    let holder = begun(method, build(method, hold::call(semaphore.clone(), 2)));
    assert_eq!(semaphore.available_permits(), 1);
    let last = semaphore.try_acquire().unwrap();
    assert!(semaphore.try_acquire().is_none());
    let begun = Instant::now();
    assert!(semaphore.acquire_timeout(SHORT).is_none());
    assert!(begun.elapsed() >= SHORT);
    drop(last);
    assert!(semaphore.try_acquire().is_some());
    holder.kill().unwrap();
    failure(holder);
}

fn permits_of_a_killed_holder_come_back(method: StartMethod) {
    let semaphore = Semaphore::new(Semaphore::MAX_PERMITS).unwrap();
    for _ in 0..3 {
        let holder = begun(method, build(method, hold::call(semaphore.clone(), Semaphore::MAX_PERMITS)));
        assert!(semaphore.try_acquire().is_none());
        holder.kill().unwrap();
        failure(holder);
        assert_eq!(semaphore.available_permits(), Semaphore::MAX_PERMITS);
    }
    let all: Vec<_> = (0..Semaphore::MAX_PERMITS).filter_map(|_| semaphore.try_acquire()).collect();
    assert_eq!(all.len(), Semaphore::MAX_PERMITS);
}

fn a_kill_is_told_at_once_to_one_who_waits(method: StartMethod) {
    at_once(|| {
        let semaphore = Semaphore::new(2).unwrap();
        let holders = [(); 2].map(|()| begun(method, build(method, hold::call(semaphore.clone(), 1))));
        let waiters = [(); 2].map(|()| blocked(method, wait_for::call(semaphore.clone())));
        let killed = Instant::now();
        holders.iter().rev().for_each(|holder| holder.kill().unwrap());
        assert_eq!(waiters.map(value), [true; 2]);
        holders.into_iter().for_each(|child| drop(failure(child)));
        killed
    });
}

fn a_release_is_told_at_once_to_one_who_waits(method: StartMethod) {
    at_once(|| {
        let semaphore = Semaphore::new(2).unwrap();
        let _kept = semaphore.acquire();
        let given = semaphore.acquire();
        let waiter = blocked(method, wait_for::call(semaphore.clone()));
        let released = Instant::now();
        drop(given);
        assert!(value(waiter));
        released
    });
}

fn a_killed_waiter_holds_up_no_process(method: StartMethod) {
    let semaphore = Semaphore::new(1).unwrap();
    let permit = semaphore.acquire();
    let first = blocked(method, wait_for::call(semaphore.clone()));
    let second = blocked(method, wait_for::call(semaphore.clone()));
    first.kill().unwrap();
    failure(first);
    drop(permit);
    assert!(value(second));
    assert_eq!(semaphore.available_permits(), 1);
}

fn a_number_that_cannot_be_is_refused(_: StartMethod) {
    assert_eq!(Semaphore::new(0).unwrap_err().kind(), ErrorKind::Setting);
}
