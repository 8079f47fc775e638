//! Results: values unchanged, failures with their names, and workers that outlive failures.

use std::fs::File;
use std::io::{Read, Write};

use offspring::sync::Mutex;
use offspring::{ErrorKind, Fd, JoinErrorKind, Receiver, Report, Sender, StartMethod, channel, child_task};
use offspring_tests::{cases, procs, sys, wait};

use super::{build, builder, failure, no_process_is_left, pid, pids, pool, reversed, running, square, value};
use crate::outcomes::{Fragile, fragile};

cases! {
    alone equal_serial_ones;
    alone of_different_tasks;
    alone lengths;
    alone many_long_ones_at_once;
    alone long_ones_that_were_taken_back_make_room;
    alone long_ones_that_were_taken_back_do_not_mix_up;
    alone far_more_than_a_ring_holds;
    alone open_files;
    alone ends_of_channels;
    alone locks_by_the_hundred;
    alone of_tasks_that_fail;
    alone panics_keep_the_worker;
    alone that_cannot_be_coded;
    alone the_error_names_task_and_worker;
}

fn equal_serial_ones(method: StartMethod) {
    for workers in [1, 3] {
        let pool = pool(method, workers);
        for length in [0, 1, 2, 63, 64, 65, 3000_u64] {
            let serial: Vec<u64> = (0..length).map(|n| n * n).collect();
            let mapped: Vec<u64> = pool.map((0..length).map(square::call)).map(Result::unwrap).collect();
            assert_eq!(mapped, serial, "map");
            let mut unordered: Vec<(usize, u64)> =
                pool.map_unordered((0..length).map(square::call)).map(|(n, value)| (n, value.unwrap())).collect();
            unordered.sort_unstable();
            assert_eq!(unordered, serial.iter().copied().enumerate().collect::<Vec<_>>(), "map_unordered");
            let jobs: Vec<_> = (0..length).map(|n| pool.submit(square::call(n))).collect();
            let submitted: Vec<u64> = jobs.into_iter().map(value).collect();
            assert_eq!(submitted, serial, "submit");
        }
        pool.join().unwrap();
        no_process_is_left();
    }
}

#[child_task]
fn negated(n: i64) -> u64 {
    n.unsigned_abs()
}

#[child_task]
fn length(text: String) -> u64 {
    text.len() as u64
}

fn of_different_tasks(method: StartMethod) {
    let pool = pool(method, 2);
    let calls = (0..300_u64).map(|n| match n % 3 {
        0 => square::call(n),
        1 => negated::call(-(n as i64)),
        _ => length::call("x".repeat(n as usize)),
    });
    let wanted: Vec<u64> = (0..300).map(|n| if n % 3 == 0 { n * n } else { n }).collect();
    assert_eq!(pool.map(calls).collect::<Result<Vec<_>, _>>().unwrap(), wanted);
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8).collect()
}

/// Lengths around the size of a slot, of a frame, and above both.
fn lengths(method: StartMethod) {
    const K: usize = 1024;
    let pool = pool(method, 2);
    let lengths: Vec<usize> =
        (0..8).chain(478..=496).chain([100 * K, 127 * K, 128 * K - 40, 128 * K, 129 * K, 3 << 20]).collect();
    for length in &lengths {
        let mut returned = value(pool.submit(reversed::call(bytes(*length))));
        returned.reverse();
        assert!(returned == bytes(*length), "{length} bytes");
    }
    let calls = lengths.iter().map(|length| reversed::call(bytes(*length)));
    for (returned, length) in pool.map(calls).zip(&lengths) {
        let mut returned = returned.unwrap();
        returned.reverse();
        assert!(returned == bytes(*length), "{length} bytes of a map");
    }
    assert_eq!(pool.stats().replaced, 0);
}

/// More bytes than links hold. Neither side may wait for the other side to receive first.
fn many_long_ones_at_once(method: StartMethod) {
    let pool = pool(method, 2);
    let of = |length: usize, count: usize| {
        // As jobs, whose results are received only after all submissions.
        let jobs: Vec<_> = (0..count).map(|n| pool.submit(reversed::call(bytes(length + n)))).collect();
        for (n, job) in jobs.into_iter().enumerate().rev() {
            assert_eq!(value(job).len(), length + n);
        }
        let lengths: Vec<_> =
            pool.map((0..count).map(|n| reversed::call(bytes(length + n)))).map(|bytes| bytes.unwrap().len()).collect();
        assert_eq!(lengths, (length..length + count).collect::<Vec<_>>());
    };
    of(1000, 1000);
    of(100 << 10, 24);
    of(1 << 20, 4);
    assert_eq!(pool.stats().replaced, 0);
}

/// Payloads sent ahead for revoked jobs may fill the link, which would block the next payload.
fn long_ones_that_were_taken_back_make_room(method: StartMethod) {
    let pool = pool(method, 1);
    // Short jobs enlarge the window.
    assert!(pool.map((0..1000).map(square::call)).all(|square| square.is_ok()));
    let worker = pids(&pool)[0];
    for _ in 0..3 {
        sys::kill(worker as i32, libc::SIGSTOP);
        wait::until("it is stopped", || procs::stat(worker).is_some_and(|worker| worker.state == 'T'));
        let jobs: Vec<_> = (0..300).map(|_| pool.submit(reversed::call(bytes(1000)))).collect();
        assert!(jobs.iter().all(offspring::Job::cancel), "none has begun");
        sys::kill(worker as i32, libc::SIGCONT);
        assert_eq!(value(pool.submit(reversed::call(bytes(1000)))).len(), 1000);
        // A job without a payload on the link comes through between the large jobs.
        assert_eq!(value(pool.submit(square::call(3))), 9);
    }
    assert_eq!(pids(&pool), [worker]);
}

/// A payload sent ahead for a revoked job stays on the link, before the payload of the next job.
fn long_ones_that_were_taken_back_do_not_mix_up(method: StartMethod) {
    let pool = pool(method, 1);
    for length in [600, 200 << 10] {
        let (first, gate) = running(&pool);
        let mut jobs: Vec<_> = (0..12).map(|n| Some(pool.submit(reversed::call(vec![n; length])))).collect();
        for n in [0, 3, 4, 11] {
            let job = jobs[n].take().unwrap();
            assert!(job.cancel(), "job {n} had not begun");
            assert!(matches!(failure(job).kind(), JoinErrorKind::Cancelled));
        }
        gate.set();
        value(first);
        for (n, job) in jobs.into_iter().enumerate() {
            if let Some(job) = job {
                assert_eq!(value(job), vec![n as u8; length]);
            }
        }
    }
    assert_eq!(pool.stats().replaced, 0);
}

fn far_more_than_a_ring_holds(method: StartMethod) {
    let pool = pool(method, 2);
    let jobs: Vec<_> = (0..5000).map(|n| pool.submit(square::call(n))).collect();
    for (n, job) in jobs.into_iter().enumerate().rev() {
        assert_eq!(value(job), (n * n) as u64);
    }
}

#[child_task(report)]
fn open(path: String) -> std::io::Result<Fd<File>> {
    File::open(path).map(Fd::new)
}

#[child_task]
fn write(file: Fd<File>, text: String) {
    file.into_inner().write_all(text.as_bytes()).unwrap();
}

fn open_files(method: StartMethod) {
    let pool = pool(method, 2);
    let file = value(pool.submit(open::call("/proc/self/comm".to_owned()))).unwrap();
    let mut text = String::new();
    file.into_inner().read_to_string(&mut text).unwrap();
    assert!(!text.is_empty());
    // Each call has a descriptor, together more than links and tables hold, unless closed again.
    let (mut reader, writer) = std::io::pipe().unwrap();
    let calls = (0..2000).map(|n| {
        let copy = File::from(std::os::fd::OwnedFd::from(writer.try_clone().unwrap()));
        write::call(Fd::new(copy), format!("{}\n", n % 10))
    });
    for written in pool.map(calls) {
        written.unwrap();
    }
    drop(writer);
    pool.join().unwrap();
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text.lines().count(), 2000, "and nobody holds the pipe any more");
}

#[child_task]
fn feed(sender: Sender<u64>, count: u64) {
    (0..count).for_each(|n| sender.send(n).unwrap());
}

#[child_task]
fn total(receiver: Receiver<u64>) -> u64 {
    receiver.iter().map(Result::unwrap).sum()
}

#[child_task]
fn make_channel() -> (Sender<u64>, Receiver<u64>) {
    channel().unwrap()
}

fn ends_of_channels(method: StartMethod) {
    let pool = pool(method, 2);
    let (sender, receiver) = channel().unwrap();
    let sum = pool.submit(total::call(receiver));
    let fed = pool.submit(feed::call(sender, 1000));
    value(fed);
    assert_eq!(value(sum), 499_500, "both ends are closed here, and in the worker that is done with one");
    let (sender, receiver) = value(pool.submit(make_channel::call()));
    sender.send(7).unwrap();
    assert_eq!(receiver.recv().unwrap(), 7);
}

#[child_task]
fn add(total: Mutex<u64>, n: u64) -> Mutex<u64> {
    *total.lock().unwrap() += n;
    total
}

fn locks_by_the_hundred(method: StartMethod) {
    let pool = pool(method, 2);
    let total = Mutex::new(0_u64).unwrap();
    let returned: Vec<Mutex<u64>> =
        pool.map((0..300).map(|n| add::call(total.clone(), n))).map(Result::unwrap).collect();
    assert!(returned.iter().all(|same| *same.lock().unwrap() == 44_850));
}

#[child_task]
fn checked(n: u64) -> Result<u64, String> {
    if n.is_multiple_of(2) { Ok(n) } else { Err(format!("{n} is odd")) }
}

#[child_task(report)]
fn number(text: String) -> Result<u8, std::num::ParseIntError> {
    text.parse()
}

fn of_tasks_that_fail(method: StartMethod) {
    let pool = pool(method, 2);
    assert_eq!(value(pool.submit(checked::call(2))), Ok(2));
    assert_eq!(value(pool.submit(checked::call(3))), Err("3 is odd".to_owned()));
    let joined = |text: &str| -> Result<u8, offspring::JoinError> {
        Ok(super::outcome(pool.submit(number::call(text.into())))??)
    };
    assert_eq!(joined("7").unwrap(), 7);
    let error = joined("x").unwrap_err();
    let JoinErrorKind::Failed(report) = error.kind() else { panic!("{error:?}") };
    assert_eq!(report.to_string(), "invalid digit found in string");
    let _: &Report = report;
    assert_eq!(pool.stats().failed, 0, "they have returned");
}

#[child_task]
fn panic(text: String) -> u32 {
    panic!("{text}")
}

fn panics_keep_the_worker(method: StartMethod) {
    let pool = pool(method, 1);
    let worker = value(pool.submit(pid::call()));
    for text in ["boom".to_owned(), "long ".repeat(1000)] {
        let error = failure(pool.submit(panic::call(text.clone())));
        let JoinErrorKind::Panicked(panic) = error.kind() else { panic!("{error:?}") };
        assert_eq!(panic.message(), text);
        assert!(panic.location().unwrap().contains("pool/results.rs:"), "{panic:?}");
        assert_eq!(error.pid(), Some(worker));
    }
    let results: Vec<_> =
        pool.map((0..10).map(|n| if n % 2 == 0 { pid::call() } else { panic::call("x".into()) })).collect();
    for (n, result) in results.into_iter().enumerate() {
        match result {
            Ok(pid) => assert!(n % 2 == 0 && pid == worker),
            Err(error) => assert!(n % 2 == 1 && matches!(error.kind(), JoinErrorKind::Panicked(_)), "{error:?}"),
        }
    }
    assert_eq!(pids(&pool), [worker]);
}

#[child_task]
fn takes_fragile(given: Fragile) -> bool {
    given.encodable
}

fn that_cannot_be_coded(method: StartMethod) {
    let pool = pool(method, 1);
    let worker = value(pool.submit(pid::call()));
    for _ in 0..3 {
        let error = failure(pool.submit(fragile::call(false)));
        assert!(matches!(error.kind(), JoinErrorKind::Unencodable), "{error:?}");
        assert!(error.to_string().contains("fragile") && error.pid() == Some(worker), "{error}");
        let error = failure(pool.submit(fragile::call(true)));
        assert!(matches!(error.kind(), JoinErrorKind::Undecodable), "{error:?}");
        assert_eq!(error.pid(), Some(worker));
        let error = failure(pool.submit(takes_fragile::call(Fragile { encodable: false })));
        let JoinErrorKind::NotStarted(cause) = error.kind() else { panic!("{error:?}") };
        assert_eq!(cause.kind(), ErrorKind::Encode);
        assert!(error.to_string().contains("argument `given`"), "{error}");
        let error = failure(pool.submit(takes_fragile::call(Fragile { encodable: true })));
        let JoinErrorKind::NotStarted(cause) = error.kind() else { panic!("{error:?}") };
        assert_eq!(cause.kind(), ErrorKind::Decode);
        assert!(error.to_string().contains("argument `given`"), "{error}");
    }
    let calls = [fragile::call(false), fragile::call(true), fragile::call(false)];
    assert_eq!(pool.map(calls).filter(Result::is_err).count(), 3);
    let calls = (0..4).map(|n| takes_fragile::call(Fragile { encodable: n % 2 == 0 }));
    assert_eq!(pool.map_unordered(calls).filter(|(_, result)| result.is_err()).count(), 4);
    assert_eq!(value(pool.submit(pid::call())), worker, "the worker lives on");
    let stats = pool.stats();
    assert_eq!((stats.done, stats.failed, stats.replaced), (2, 19, 0), "{stats:?}");
}

#[child_task]
fn kill_self(signal: i32) {
    sys::die_by(signal)
}

fn the_error_names_task_and_worker(method: StartMethod) {
    let pool = build(builder(method).workers(1));
    let worker = value(pool.submit(pid::call()));
    let error = failure(pool.submit(kill_self::call(libc::SIGKILL)));
    assert_eq!((error.task(), error.pid()), ("behaviour::pool::results::kill_self", Some(worker)));
    assert_eq!(
        error.to_string(),
        format!("`behaviour::pool::results::kill_self` (pid {worker}) was killed by signal 9 (SIGKILL)")
    );
}
