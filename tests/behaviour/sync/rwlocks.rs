//! Many readers or one writer, even if a process dies.

use std::sync::TryLockError;
use std::time::Instant;

use offspring::sync::RwLock;
use offspring::{StartMethod, child_task};
use offspring_tests::program::say;
use offspring_tests::{build, cases, failure, start, value};

use super::{SHORT, at_once, blocked};
use crate::tasks::{begun, forever};

cases! {
    here half_written_values_are_never_read;
    here several_processes_read_at_once;
    here a_killed_reader_lets_a_writer_in_at_once;
    here a_killed_writer_is_told_at_once_to_one_who_waits.exclusive();
    here a_writer_that_waits_and_is_killed_lets_readers_in;
}

#[child_task]
fn write(pair: RwLock<[u64; 2]>, count: u64) {
    for _ in 0..count {
        let mut pair = pair.write().unwrap();
        pair[0] += 1;
        std::hint::black_box(&mut pair[0]);
        pair[1] += 1;
    }
}

#[child_task]
fn read_until(pair: RwLock<[u64; 2]>, last: u64) -> u64 {
    let mut reads = 0;
    loop {
        let pair = pair.read().unwrap();
        assert_eq!(pair[0], pair[1]);
        reads += 1;
        if pair[0] == last {
            return reads;
        }
    }
}

fn half_written_values_are_never_read(method: StartMethod) {
    let pair = RwLock::new([0; 2]).unwrap();
    let readers = [(); 2].map(|()| start(method, read_until::call(pair.clone(), 3000)));
    let writers = [(); 2].map(|()| start(method, write::call(pair.clone(), 1500)));
    writers.into_iter().for_each(value);
    assert!(readers.map(value).iter().all(|reads| *reads > 0));
    assert_eq!(*pair.read().unwrap(), [3000; 2]);
}

#[child_task]
fn hold_to_read(pair: RwLock<[u64; 2]>) {
    let _guard = pair.read().unwrap();
    say("ready");
    forever()
}

#[child_task]
fn hold_to_write(pair: RwLock<[u64; 2]>) {
    pair.write().unwrap()[0] = 7;
    let _guard = pair.write().unwrap();
    say("ready");
    forever()
}

/// Waits to write, and returns whether the lock was poisoned.
#[child_task]
fn wait_to_write(pair: RwLock<[u64; 2]>) -> bool {
    say("ready");
    pair.write().is_err()
}

#[child_task]
fn wait_to_read(pair: RwLock<[u64; 2]>) -> (u64, bool) {
    say("ready");
    match pair.read() {
        Ok(guard) => (guard[0], false),
        Err(poisoned) => (poisoned.into_inner()[0], true),
    }
}

fn several_processes_read_at_once(method: StartMethod) {
    let pair = RwLock::new([1; 2]).unwrap();
    let readers = [(); 2].map(|()| begun(method, build(method, hold_to_read::call(pair.clone()))));
    assert_eq!(*pair.try_read().unwrap(), [1; 2]);
    assert!(matches!(pair.try_write(), Err(TryLockError::WouldBlock)));
    assert!(matches!(pair.write_timeout(SHORT), Err(TryLockError::WouldBlock)));
    assert_eq!(value(start(method, wait_to_read::call(pair.clone()))), (1, false));
    for reader in readers {
        reader.kill().unwrap();
        failure(reader);
    }
    assert!(pair.try_write().is_ok(), "a dead reader poisons nothing");
}

fn a_killed_reader_lets_a_writer_in_at_once(method: StartMethod) {
    at_once(|| {
        let pair = RwLock::new([1; 2]).unwrap();
        let reader = begun(method, build(method, hold_to_read::call(pair.clone())));
        let writer = blocked(method, wait_to_write::call(pair));
        let killed = Instant::now();
        reader.kill().unwrap();
        assert!(!value(writer));
        failure(reader);
        killed
    });
}

fn a_killed_writer_is_told_at_once_to_one_who_waits(method: StartMethod) {
    at_once(|| {
        let pair = RwLock::new([1; 2]).unwrap();
        let writer = begun(method, build(method, hold_to_write::call(pair.clone())));
        assert!(matches!(pair.try_read(), Err(TryLockError::WouldBlock)));
        assert!(matches!(pair.read_timeout(SHORT), Err(TryLockError::WouldBlock)));
        let (reader, other) =
            (blocked(method, wait_to_read::call(pair.clone())), blocked(method, wait_to_write::call(pair)));
        let killed = Instant::now();
        writer.kill().unwrap();
        assert_eq!((value(reader), value(other)), ((7, true), true));
        failure(writer);
        killed
    });
}

fn a_writer_that_waits_and_is_killed_lets_readers_in(method: StartMethod) {
    let pair = RwLock::new([1; 2]).unwrap();
    let reader = pair.read().unwrap();
    let writer = blocked(method, wait_to_write::call(pair.clone()));
    assert!(matches!(pair.try_read(), Err(TryLockError::WouldBlock)), "a writer that waits keeps readers out");
    writer.kill().unwrap();
    failure(writer);
    assert_eq!(*pair.try_read().unwrap(), [1; 2]);
    drop(reader);
    assert!(!pair.is_poisoned() && pair.try_write().is_ok());
}
