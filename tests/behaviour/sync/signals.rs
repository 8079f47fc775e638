//! Events, and code that runs once.

use std::time::Instant;

use offspring::sync::{Event, Mutex, Once};
use offspring::{JoinErrorKind, StartMethod, child_task};
use offspring_tests::program::say;
use offspring_tests::{build, cases, failure, start, value, wait};

use super::{SHORT, at_once, blocked, blocked_by};
use crate::tasks::{begun, forever};

cases! {
    here an_event_wakes_all_at_once;
    here an_event_stays_until_it_is_cleared;
    here a_killed_waiter_or_setter_holds_up_no_process;
    here once_for_all_processes;
    here a_killed_run_is_told_at_once_to_one_who_waits.exclusive();
    here a_panicking_run_poisons;
}

#[child_task]
fn wait_for(event: Event) -> bool {
    say("ready");
    event.wait_timeout(wait::LIMIT)
}

#[child_task]
fn set(event: Event) {
    event.set();
    say("ready");
    forever()
}

fn an_event_wakes_all_at_once(method: StartMethod) {
    at_once(|| {
        let event = Event::new().unwrap();
        let waiters = [(); 3].map(|()| blocked(method, wait_for::call(event.clone())));
        let set = Instant::now();
        event.set();
        event.clear();
        assert_eq!(waiters.map(value), [true; 3], "also if it is cleared before they have woken up");
        set
    });
}

fn an_event_stays_until_it_is_cleared(method: StartMethod) {
    let event = Event::new().unwrap();
    let begun_at = Instant::now();
    assert!(!event.is_set() && !event.wait_timeout(SHORT));
    assert!(begun_at.elapsed() >= SHORT);
    let setter = begun(method, build(method, set::call(event.clone())));
    assert!(event.is_set());
    event.wait();
    assert!(value(start(method, wait_for::call(event.clone()))));
    event.clear();
    assert!(!event.is_set() && !event.wait_timeout(SHORT));
    setter.kill().unwrap();
    failure(setter);
}

fn a_killed_waiter_or_setter_holds_up_no_process(method: StartMethod) {
    let event = Event::new().unwrap();
    let victim = blocked(method, wait_for::call(event.clone()));
    let waiter = blocked(method, wait_for::call(event.clone()));
    victim.kill().unwrap();
    failure(victim);
    let setter = begun(method, build(method, set::call(event.clone())));
    setter.kill().unwrap();
    failure(setter);
    assert!(value(waiter) && event.is_set());
}

#[child_task]
fn do_once(once: Once, runs: Mutex<u64>) -> u64 {
    once.call_once(|| *runs.lock().unwrap() += 1);
    runs.get().unwrap()
}

fn once_for_all_processes(method: StartMethod) {
    let (once, runs) = (Once::new().unwrap(), Mutex::new(0).unwrap());
    let waiter = start(method, wait_for_completion::call(once.clone()));
    let children = [(); 4].map(|()| start(method, do_once::call(once.clone(), runs.clone())));
    assert_eq!(children.map(value), [1; 4]);
    value(waiter);
    assert!(once.is_completed());
    once.wait();
}

#[child_task]
fn wait_for_completion(once: Once) {
    say("ready");
    once.wait();
}

#[child_task]
fn never_finish(once: Once) {
    once.call_once(|| {
        say("ready");
        forever()
    });
}

#[child_task]
fn call(once: Once) {
    say("ready");
    once.call_once(|| unreachable!("it is poisoned"));
}

/// Returns whether the state tells of the interrupted run.
#[child_task]
fn call_all_the_same(once: Once) -> bool {
    say("ready");
    let mut is_told = false;
    once.call_once_force(|state| is_told = state.is_poisoned());
    is_told
}

fn a_killed_run_is_told_at_once_to_one_who_waits(method: StartMethod) {
    at_once(|| {
        let once = Once::new().unwrap();
        let run = begun(method, build(method, never_finish::call(once.clone())));
        let (caller, waiter) = (call::call(once.clone()), wait_for_completion::call(once.clone()));
        // A backtrace would take longer than the event.
        let [caller, waiter] =
            [caller, waiter].map(|call| blocked_by(method, build(method, call).env("RUST_BACKTRACE", "0")));
        let killed = Instant::now();
        run.kill().unwrap();
        for told in [failure(caller), failure(waiter)] {
            assert!(
                matches!(told.kind(), JoinErrorKind::Panicked(panic) if panic.message().contains("poisoned")),
                "{told:?}"
            );
        }
        failure(run);
        assert!(value(start(method, call_all_the_same::call(once.clone()))));
        assert!(once.is_completed());
        once.wait();
        killed
    });
}

#[child_task]
fn panic_in_it(once: Once) {
    once.call_once(|| panic!("on purpose"));
}

fn a_panicking_run_poisons(method: StartMethod) {
    let once = Once::new().unwrap();
    let waiter = blocked(method, wait_for_completion::call(once.clone()));
    failure(start(method, panic_in_it::call(once.clone())));
    failure(start(method, call::call(once.clone())));
    failure(waiter);
    assert!(!once.is_completed());
    assert!(value(start(method, call_all_the_same::call(once.clone()))));
    assert!(once.is_completed());
}
