//! Barriers, and their ways to break.

use std::time::Instant;

use offspring::sync::{Barrier, BarrierError, Mutex};
use offspring::{StartMethod, child_task};
use offspring_tests::program::say;
use offspring_tests::{build, cases, failure, start, value, wait};

use super::{SHORT, at_once, blocked};
use crate::tasks::begun;

cases! {
    here a_thousand_rounds;
    here a_killed_waiter_breaks_it_at_once_for_all;
    here the_first_waiter_killed_breaks_it_at_once_for_all;
    here a_limit_breaks_it_for_all;
    here abort_and_reset_by_another_process;
    here a_stopped_party_does_not_spoil_the_next_round;
}

/// Returns the number of rounds in which the child came last. After each wait, all parties have come equally often.
#[child_task]
fn rounds(barrier: Barrier, arrivals: Mutex<u64>, parties: u64, count: u64) -> u64 {
    let mut leads = 0;
    for round in 1..=count {
        *arrivals.lock().unwrap() += 1;
        leads += u64::from(barrier.wait_timeout(wait::LIMIT).unwrap().is_leader());
        assert!(*arrivals.lock().unwrap() >= parties * round);
    }
    leads
}

fn a_thousand_rounds(method: StartMethod) {
    let (barrier, arrivals) = (Barrier::new(4).unwrap(), Mutex::new(0).unwrap());
    let begun = Instant::now();
    let children = [(); 3].map(|()| start(method, rounds::call(barrier.clone(), arrivals.clone(), 4, 1000)));
    let own = rounds(barrier.clone(), arrivals.clone(), 4, 1000);
    assert_eq!(own + children.map(value).iter().sum::<u64>(), 1000);
    assert_eq!(arrivals.get().unwrap(), 4000);
    eprintln!("1000 rounds in {:?}", begun.elapsed());
}

#[child_task]
fn wait_at(barrier: Barrier) -> String {
    say("ready");
    match barrier.wait_timeout(wait::LIMIT) {
        Ok(result) => format!("passed {}", result.is_leader()),
        Err(BarrierError::Broken) => "broken".to_owned(),
        Err(other) => format!("{other:?}"),
    }
}

fn broken_by_the(victim: usize, method: StartMethod) {
    at_once(|| {
        let barrier = Barrier::new(4).unwrap();
        let mut waiters: Vec<_> = (0..3).map(|_| blocked(method, wait_at::call(barrier.clone()))).collect();
        assert_eq!(barrier.waiting(), 3);
        let victim = waiters.remove(victim);
        let killed = Instant::now();
        victim.kill().unwrap();
        for waiter in waiters {
            assert_eq!(value(waiter), "broken");
        }
        failure(victim);
        assert_eq!(barrier.wait(), Err(BarrierError::Broken));
        barrier.reset();
        assert_eq!((barrier.is_broken(), barrier.waiting()), (false, 0));
        killed
    });
}

fn a_killed_waiter_breaks_it_at_once_for_all(method: StartMethod) {
    broken_by_the(2, method);
}

fn the_first_waiter_killed_breaks_it_at_once_for_all(method: StartMethod) {
    broken_by_the(0, method);
}

fn a_limit_breaks_it_for_all(method: StartMethod) {
    let barrier = Barrier::new(3).unwrap();
    let waiter = blocked(method, wait_at::call(barrier.clone()));
    let begun = Instant::now();
    assert_eq!(barrier.wait_timeout(SHORT), Err(BarrierError::TimedOut));
    assert!(begun.elapsed() >= SHORT);
    assert_eq!(value(waiter), "broken");
    assert!(barrier.is_broken());
    let late = barrier.wait().unwrap_err();
    assert!(late.to_string().contains("`reset`"), "{late}");
}

fn abort_and_reset_by_another_process(method: StartMethod) {
    let barrier = Barrier::new(3).unwrap();
    for end in [Barrier::abort, Barrier::reset] {
        let waiters = [(); 2].map(|()| blocked(method, wait_at::call(barrier.clone())));
        end(&barrier);
        assert_eq!(waiters.map(value), ["broken", "broken"]);
        barrier.reset();
    }
    let waiters = [(); 2].map(|()| blocked(method, wait_at::call(barrier.clone())));
    assert!(barrier.wait().unwrap().is_leader());
    assert_eq!(waiters.map(value), ["passed false", "passed false"], "it is as new");
}

#[child_task]
fn wait_as_first(barrier: Barrier) {
    say("ready");
    barrier.wait().unwrap();
}

/// A party that has not left yet does not delay the next round of the other parties.
fn a_stopped_party_does_not_spoil_the_next_round(method: StartMethod) {
    let barrier = Barrier::new(2).unwrap();
    let stopped = begun(method, build(method, wait_as_first::call(barrier.clone())));
    wait::until("it waits", || barrier.waiting() == 1);
    stopped.signal(libc::SIGSTOP).unwrap();
    wait::until("it is stopped", || offspring_tests::procs::stat(stopped.pid()).is_some_and(|stat| stat.state == 'T'));
    assert!(barrier.wait_timeout(wait::LIMIT).unwrap().is_leader());
    let other = blocked(method, wait_at::call(barrier.clone()));
    assert!(barrier.wait_timeout(wait::LIMIT).unwrap().is_leader());
    assert_eq!(value(other), "passed false");
    stopped.signal(libc::SIGCONT).unwrap();
    value(stopped);
}
