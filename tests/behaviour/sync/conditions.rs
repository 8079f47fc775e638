//! Waits for a change of a value by another process.

use std::time::{Duration, Instant};

use offspring::sync::{Condvar, Mutex};
use offspring::{StartMethod, child_task};
use offspring_tests::program::say;
use offspring_tests::{build, cases, failure, start, value, wait};

use super::{SHORT, at_once, blocked};
use crate::tasks::{begun, forever};

cases! {
    here producers_and_consumers;
    here a_notification_is_told_at_once.exclusive();
    here a_killed_waiter_takes_no_notification_along;
    here a_holder_that_dies_is_told_to_those_who_wait;
    here a_limit;
}

const ROOM: usize = 4;
/// The numbers in the buffer, the index of the first, their count, and the count of numbers still to come.
type Buffer = Mutex<[u64; ROOM + 3]>;
const FIRST: usize = ROOM;
const FILLED: usize = ROOM + 1;
const TO_COME: usize = ROOM + 2;

#[child_task]
fn produce(buffer: Buffer, changed: Condvar, numbers: u64) {
    for number in 1..=numbers {
        let guard = buffer.lock().unwrap();
        let mut guard = changed.wait_while(guard, |buffer| buffer[FILLED] == ROOM as u64).unwrap();
        let place = (guard[FIRST] + guard[FILLED]) as usize % ROOM;
        guard[place] = number;
        guard[FILLED] += 1;
        guard[TO_COME] -= 1;
        drop(guard);
        changed.notify_one();
    }
}

#[child_task]
fn consume(buffer: Buffer, changed: Condvar) -> u64 {
    let mut sum = 0;
    loop {
        let guard = buffer.lock().unwrap();
        let is_waiting = |buffer: &mut [u64; ROOM + 3]| buffer[FILLED] == 0 && buffer[TO_COME] > 0;
        let mut guard = changed.wait_while(guard, is_waiting).unwrap();
        if guard[FILLED] == 0 {
            return sum;
        }
        sum += guard[guard[FIRST] as usize];
        guard[FIRST] = (guard[FIRST] + 1) % ROOM as u64;
        guard[FILLED] -= 1;
        drop(guard);
        changed.notify_one();
    }
}

fn producers_and_consumers(method: StartMethod) {
    let (mut buffer, changed) = ([0; ROOM + 3], Condvar::new().unwrap());
    buffer[TO_COME] = 1000;
    let buffer = Mutex::new(buffer).unwrap();
    let producers = [(); 2].map(|()| start(method, produce::call(buffer.clone(), changed.clone(), 500)));
    let consumers = [(); 2].map(|()| start(method, consume::call(buffer.clone(), changed.clone())));
    producers.into_iter().for_each(value);
    assert_eq!(consumers.map(value).iter().sum::<u64>(), 500 * 501);
}

/// Waits for the value to become other than zero.
#[child_task]
fn wait_for(number: Mutex<u64>, changed: Condvar) -> Option<u64> {
    say("ready");
    let guard = number.lock().ok()?;
    let guard = changed.wait_while(guard, |number| *number == 0).ok()?;
    Some(*guard)
}

/// Sets the number. A waiter has released the lock, so the change comes after the begin of its wait.
#[track_caller]
fn set_under_lock(number: &Mutex<u64>, changed: &Condvar) -> Instant {
    *number.lock().unwrap() = 5;
    changed.notify_one();
    Instant::now()
}

fn a_notification_is_told_at_once(method: StartMethod) {
    at_once(|| {
        let (number, changed) = (Mutex::new(0).unwrap(), Condvar::new().unwrap());
        let waiter = blocked(method, wait_for::call(number.clone(), changed.clone()));
        let notified = set_under_lock(&number, &changed);
        assert_eq!(value(waiter), Some(5));
        notified
    });
}

fn a_killed_waiter_takes_no_notification_along(method: StartMethod) {
    at_once(|| {
        let (number, changed) = (Mutex::new(0).unwrap(), Condvar::new().unwrap());
        let victims = [(); 2].map(|()| blocked(method, wait_for::call(number.clone(), changed.clone())));
        let waiter = blocked(method, wait_for::call(number.clone(), changed.clone()));
        // The waiters woken now wait for the lock, and die before they can act.
        let mut guard = number.lock().unwrap();
        *guard = 5;
        changed.notify_one();
        victims.iter().for_each(|victim| victim.kill().unwrap());
        victims.into_iter().for_each(|child| drop(failure(child)));
        let notified = Instant::now();
        drop(guard);
        assert_eq!(value(waiter), Some(5));
        notified
    });
}

#[child_task]
fn hold(number: Mutex<u64>) {
    let mut guard = number.lock().unwrap();
    *guard = 5;
    say("ready");
    forever()
}

/// No notification comes. The waiters check again by themselves.
fn a_holder_that_dies_is_told_to_those_who_wait(method: StartMethod) {
    let (number, changed) = (Mutex::new(0).unwrap(), Condvar::new().unwrap());
    let waiter = blocked(method, wait_for::call(number.clone(), changed));
    let holder = begun(method, build(method, hold::call(number)));
    holder.kill().unwrap();
    assert_eq!(value(waiter), None);
    failure(holder);
}

fn a_limit(method: StartMethod) {
    let (number, changed) = (Mutex::new(0).unwrap(), Condvar::new().unwrap());
    let begun = Instant::now();
    let guard = number.lock().unwrap();
    let (guard, result) = changed.wait_timeout_while(guard, SHORT, |number| *number == 0).unwrap();
    assert!(result.timed_out() && begun.elapsed() >= SHORT);
    drop(guard);
    let child = start(method, wait_for::call(number.clone(), changed.clone()));
    set_under_lock(&number, &changed);
    let guard = number.lock().unwrap();
    let (guard, result) = changed.wait_timeout_while(guard, Duration::ZERO, |number| *number == 0).unwrap();
    assert!(!result.timed_out());
    drop(guard);
    assert_eq!(value(child), Some(5));
    assert!(begun.elapsed() < wait::LIMIT);
}
