//! One owner at a time, even if an owner dies.

use std::sync::TryLockError;
use std::time::Instant;

use offspring::sync::Mutex;
use offspring::{StartMethod, child_task};
use offspring_tests::program::say;
use offspring_tests::{build, cases, failure, start, value, wait};

use super::{SHORT, at_once, blocked};
use crate::tasks::{begun, forever};

const NO_COPY: &str = "its children are no copies";

cases! {
    here children_exclude_each_other;
    here a_killed_holder_is_told_to_the_next_with_the_data;
    here a_killed_holder_is_told_at_once_to_one_who_waits.exclusive();
    here a_killed_holder_is_told_to_one_who_waits_with_a_limit;
    here a_kill_outside_of_the_lock_poisons_nothing;
    here a_panic_in_a_child_poisons;
    here a_holder_that_exits_poisons;
    here an_attempt_and_a_limit;
    alone a_lock_that_another_thread_holds.except(StartMethod::Fork, "needs a process with one thread");
    alone threads_of_several_processes;
    here a_copy_of_a_guard_is_harmless.except(StartMethod::Spawn, NO_COPY).except(StartMethod::ForkServer, NO_COPY);
    here a_copy_links_no_locks_with_its_originals.except(StartMethod::Spawn, NO_COPY)
        .except(StartMethod::ForkServer, NO_COPY);
    here a_closure_locks.except(StartMethod::Spawn, NO_COPY).except(StartMethod::ForkServer, NO_COPY);
}

#[child_task]
fn add(pair: Mutex<[u64; 2]>, count: u64) {
    for _ in 0..count {
        let mut pair = pair.lock().unwrap();
        assert_eq!(pair[0], pair[1]);
        pair[0] += 1;
        std::hint::black_box(&mut pair[0]);
        pair[1] += 1;
    }
}

fn children_exclude_each_other(method: StartMethod) {
    let pair = Mutex::new([0; 2]).unwrap();
    let children: Vec<_> = (0..4).map(|_| start(method, add::call(pair.clone(), 3000))).collect();
    add(pair.clone(), 3000);
    children.into_iter().for_each(value);
    assert_eq!(pair.get().unwrap(), [15_000; 2]);
}

/// Locks, changes the value, and never unlocks.
#[child_task]
fn hold(number: Mutex<u64>) {
    let mut guard = number.lock().unwrap();
    *guard = 7;
    say("ready");
    forever()
}

/// Locks, and returns the value and whether the lock is poisoned.
#[child_task]
fn wait_for(number: Mutex<u64>) -> (u64, bool) {
    say("ready");
    match number.lock() {
        Ok(guard) => (*guard, false),
        Err(poisoned) => (*poisoned.into_inner(), true),
    }
}

#[child_task]
fn wait_within(number: Mutex<u64>) -> bool {
    say("ready");
    matches!(number.lock_timeout(wait::LIMIT), Err(TryLockError::Poisoned(guard)) if **guard.get_ref() == 7)
}

fn a_killed_holder_is_told_to_the_next_with_the_data(method: StartMethod) {
    let number = Mutex::new(1).unwrap();
    let holder = begun(method, build(method, hold::call(number.clone())));
    assert!(!number.is_poisoned());
    holder.kill().unwrap();
    failure(holder);
    assert!(matches!(number.try_lock(), Err(TryLockError::Poisoned(guard)) if **guard.get_ref() == 7));
    assert_eq!(value(start(method, wait_for::call(number.clone()))), (7, true), "until somebody clears it");
    *number.lock().unwrap_err().into_inner() = 8;
    number.clear_poison();
    assert_eq!(value(start(method, wait_for::call(number))), (8, false));
}

fn a_killed_holder_is_told_at_once_to_one_who_waits(method: StartMethod) {
    at_once(|| {
        let number = Mutex::new(1).unwrap();
        let holder = begun(method, build(method, hold::call(number.clone())));
        let waiters = [(); 2].map(|()| blocked(method, wait_for::call(number.clone())));
        let killed = Instant::now();
        holder.kill().unwrap();
        assert_eq!(waiters.map(value), [(7, true); 2]);
        failure(holder);
        killed
    });
}

fn a_killed_holder_is_told_to_one_who_waits_with_a_limit(method: StartMethod) {
    let number = Mutex::new(1).unwrap();
    let holder = begun(method, build(method, hold::call(number.clone())));
    let waiter = blocked(method, wait_within::call(number));
    holder.kill().unwrap();
    assert!(value(waiter));
    failure(holder);
}

#[child_task]
fn hold_for_a_moment(number: Mutex<u64>) {
    *number.lock().unwrap() += 1;
    say("ready");
    forever()
}

fn a_kill_outside_of_the_lock_poisons_nothing(method: StartMethod) {
    let number = Mutex::new(1).unwrap();
    let child = begun(method, build(method, hold_for_a_moment::call(number.clone())));
    child.kill().unwrap();
    failure(child);
    assert_eq!(number.get().unwrap(), 2);
}

#[child_task]
fn panic_holding(number: Mutex<u64>) {
    let mut guard = number.lock().unwrap();
    *guard = 7;
    panic!("on purpose");
}

#[child_task]
fn exit_holding(number: Mutex<u64>) {
    let mut guard = number.lock().unwrap();
    *guard = 7;
    std::process::exit(3);
}

fn a_panic_in_a_child_poisons(method: StartMethod) {
    let number = Mutex::new(1).unwrap();
    failure(start(method, panic_holding::call(number.clone())));
    assert!(number.is_poisoned());
    assert_eq!(**number.lock().unwrap_err().get_ref(), 7);
}

fn a_holder_that_exits_poisons(method: StartMethod) {
    let number = Mutex::new(1).unwrap();
    failure(start(method, exit_holding::call(number.clone())));
    assert_eq!(**number.lock().unwrap_err().get_ref(), 7);
}

fn an_attempt_and_a_limit(method: StartMethod) {
    let number = Mutex::new(1).unwrap();
    let holder = begun(method, build(method, hold::call(number.clone())));
    assert!(matches!(number.try_lock(), Err(TryLockError::WouldBlock)));
    let begun = Instant::now();
    assert!(matches!(number.lock_timeout(SHORT), Err(TryLockError::WouldBlock)));
    assert!(begun.elapsed() >= SHORT);
    holder.kill().unwrap();
    failure(holder);
}

#[child_task]
fn is_locked(number: Mutex<u64>) -> bool {
    matches!(number.lock_timeout(SHORT), Err(TryLockError::WouldBlock))
}

/// The child starts well, and finds the lock in its true state.
fn a_lock_that_another_thread_holds(method: StartMethod) {
    let number = Mutex::new(1).unwrap();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (locked, is_held) = std::sync::mpsc::channel();
    let own = number.clone();
    let holder = std::thread::spawn(move || {
        let _guard = own.lock().unwrap();
        locked.send(()).unwrap();
        let _ = released.recv();
    });
    is_held.recv().unwrap();
    assert!(value(start(method, is_locked::call(number.clone()))));
    drop(release);
    holder.join().unwrap();
    assert!(!value(start(method, is_locked::call(number))));
}

#[child_task]
fn add_by_threads(pair: Mutex<[u64; 2]>) {
    let threads = [(); 2].map(|()| {
        let pair = pair.clone();
        std::thread::spawn(move || add(pair, 1000))
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

fn threads_of_several_processes(method: StartMethod) {
    let pair = Mutex::new([0; 2]).unwrap();
    let children = [(); 2].map(|()| start(method, add_by_threads::call(pair.clone())));
    children.into_iter().for_each(value);
    add_by_threads(pair.clone());
    assert_eq!(pair.get().unwrap(), [6000; 2]);
}

fn a_copy_of_a_guard_is_harmless(_: StartMethod) {
    let number = Mutex::new(1_u64).unwrap();
    let mut held = Some(number.lock().unwrap());
    let child = offspring::fork(|| {
        let copy = held.take().unwrap();
        let is_refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| *copy)).is_err();
        drop(copy);
        let is_held = matches!(number.try_lock(), Err(TryLockError::WouldBlock));
        (is_refused, is_held, number.is_poisoned())
    });
    assert_eq!(value(child.unwrap()), (true, true, false));
    let mut guard = held.unwrap();
    *guard = 2;
    drop(guard);
    assert_eq!(number.get().unwrap(), 2);
}

/// A thread's held locks form a list with links inside the locks. A copy must not write addresses of its own memory
/// into its original's list.
fn a_copy_links_no_locks_with_its_originals(_: StartMethod) {
    let number = Mutex::new(0_u64).unwrap();
    let held = number.lock().unwrap();
    let child = offspring::fork(|| {
        // The first locks may lie where the original has memory as well. The child ends while it holds the last lock.
        let own = [(); 100].map(|()| Mutex::new(0_u64).unwrap());
        std::mem::forget(own[99].lock().unwrap());
        std::mem::forget(own);
    });
    value(child.unwrap());
    drop(held);
    assert!(number.try_lock().is_ok());
}

fn a_closure_locks(_: StartMethod) {
    let number = Mutex::new(0_u64).unwrap();
    let children = [(); 3].map(|()| {
        offspring::fork(|| {
            for _ in 0..1000 {
                *number.lock().unwrap() += 1;
            }
        })
    });
    children.into_iter().for_each(|child| value(child.unwrap()));
    assert_eq!(number.get().unwrap(), 3000);
}
