//! Many large arguments and results at once: the descriptors of the parent do not depend on their number.

use std::fs::File;
use std::os::fd::OwnedFd;

use offspring::{ErrorKind, Job, StartMethod, child_task};
use offspring_tests::{cases, procs, sys, wait};
use serde_bytes::ByteBuf;

use super::{all_serve, build, builder, failure, pool, running, value};

cases! {
    alone large_results_that_are_taken_late;
    alone a_map_over_large_results;
    alone large_arguments_in_the_queue;
    alone calls_with_large_arguments_made_in_advance;
    alone without_a_descriptor_left;
    alone arguments_that_cannot_be_sent;
    alone an_argument_above_a_limit;
    alone a_worker_costs_three;
    alone no_start_takes_the_last_ones;
}

/// More bytes than travel in a datagram.
const LARGE: usize = 150_000;

#[child_task]
fn numbered(number: usize) -> ByteBuf {
    ByteBuf::from(vec![number as u8; LARGE])
}

#[child_task]
fn length_of(bytes: ByteBuf) -> usize {
    bytes.len()
}

fn large(more: usize) -> ByteBuf {
    ByteBuf::from(vec![7; LARGE + more])
}

fn let_open(descriptors: u64) {
    let (_, hard) = sys::limit(libc::RLIMIT_NOFILE);
    assert!(sys::set_limit(libc::RLIMIT_NOFILE, descriptors, hard));
}

/// Opens files until this process may open no more.
fn open_all() -> Vec<File> {
    std::iter::from_fn(|| File::open("/proc/self/status").ok()).collect()
}

fn are_numbered(jobs: Vec<Job<ByteBuf>>) {
    for (number, job) in jobs.into_iter().enumerate() {
        assert_eq!(value(job), vec![number as u8; LARGE], "job {number}");
    }
}

fn large_results_that_are_taken_late(method: StartMethod) {
    let pool = pool(method, 2);
    let_open(100);
    let before = procs::descriptors().len();
    let jobs: Vec<_> = (0..300).map(|number| pool.submit(numbered::call(number))).collect();
    wait::until("all are done", || pool.stats().done == 300);
    let after = procs::descriptors();
    assert!(after.len() <= before + 8, "{before}, then {after:?}");
    are_numbered(jobs);
}

fn a_map_over_large_results(method: StartMethod) {
    let pool = pool(method, 2);
    let_open(48);
    for (number, result) in pool.map((0..1000).map(numbered::call)).enumerate() {
        assert_eq!(result.unwrap(), vec![number as u8; LARGE]);
    }
}

fn large_arguments_in_the_queue(method: StartMethod) {
    let pool = pool(method, 1);
    let (busy, gate) = running(&pool);
    let_open(100);
    let before = procs::descriptors().len();
    let jobs: Vec<_> = (0..300).map(|number| pool.submit(length_of::call(large(number)))).collect();
    let queued = procs::descriptors();
    assert!(queued.len() <= before + 24, "{before}, then {queued:?}");
    gate.set();
    value(busy);
    for (number, job) in jobs.into_iter().enumerate() {
        assert_eq!(value(job), LARGE + number);
    }
}

fn calls_with_large_arguments_made_in_advance(method: StartMethod) {
    let pool = pool(method, 2);
    let_open(100);
    let calls: Vec<_> = (0..300).map(|number| length_of::call(large(number))).collect();
    drop(File::open("/proc/self/status").expect("a descriptor is left"));
    let lengths: Vec<usize> = pool.map(calls).map(Result::unwrap).collect();
    assert_eq!(lengths, (LARGE..LARGE + 300).collect::<Vec<_>>());
}

fn without_a_descriptor_left(method: StartMethod) {
    let pool = pool(method, 2);
    all_serve(&pool, 2);
    let_open(100);
    let opened = open_all();
    assert!(!opened.is_empty());
    let jobs: Vec<_> = (0..50).map(|number| pool.submit(numbered::call(number))).collect();
    wait::until("all are done", || pool.stats().done >= 52);
    are_numbered(jobs);
    let jobs: Vec<_> = (0..50).map(|number| pool.submit(length_of::call(large(number)))).collect();
    for (number, job) in jobs.into_iter().enumerate() {
        assert_eq!(value(job), LARGE + number);
    }
    assert_eq!(pool.stats().replaced, 0);
}

fn arguments_that_cannot_be_sent(method: StartMethod) {
    let pool = pool(method, 1);
    let_open(100);
    let opened = open_all();
    // In memory, as there is no descriptor for a file.
    let call = length_of::call(large(0));
    drop(opened);
    let (soft, hard) = sys::limit(libc::RLIMIT_FSIZE);
    sys::on_signal(libc::SIGXFSZ, sys::Disposition::Ignore);
    assert!(sys::set_limit(libc::RLIMIT_FSIZE, 1000, hard));
    let error = failure(pool.submit(call));
    assert!(sys::set_limit(libc::RLIMIT_FSIZE, soft, hard));
    let offspring::JoinErrorKind::NotStarted(cause) = error.kind() else { panic!("{error:?}") };
    assert_eq!(cause.kind(), ErrorKind::LimitReached, "{error:?}");
    assert_eq!(value(pool.submit(length_of::call(large(0)))), LARGE);
    assert_eq!(pool.stats().replaced, 0);
}

fn a_worker_costs_three(method: StartMethod) {
    let one = pool(method, 1);
    all_serve(&one, 1);
    let before = procs::descriptors();
    one.resize(5).unwrap();
    all_serve(&one, 5);
    let after = procs::descriptors();
    // A spare may have come or gone.
    assert!(after.len() <= before.len() + 4 * 3 + 3, "{before:?}, then {after:?}");
}

fn no_start_takes_the_last_ones(method: StartMethod) {
    let_open(60);
    // Without enough for all of them.
    let pool = build(builder(method).workers(40));
    let left: Vec<OwnedFd> = open_all().into_iter().map(OwnedFd::from).collect();
    assert!(left.len() >= 8, "{} are left", left.len());
    drop(left);
    assert!((2..20).contains(&pool.stats().workers.len()), "{:?}", pool.stats());
    assert_eq!(value(pool.submit(length_of::call(large(0)))), LARGE);
}

fn an_argument_above_a_limit(method: StartMethod) {
    let pool = pool(method, 1);
    let (soft, hard) = sys::limit(libc::RLIMIT_FSIZE);
    assert!(sys::set_limit(libc::RLIMIT_FSIZE, 1000, hard));
    let call = length_of::call(large(0));
    assert!(sys::set_limit(libc::RLIMIT_FSIZE, soft, hard));
    let error = failure(pool.submit(call));
    let offspring::JoinErrorKind::NotStarted(cause) = error.kind() else { panic!("{error:?}") };
    assert_eq!(cause.kind(), ErrorKind::LimitReached, "{error:?}");
    assert!(cause.to_string().contains("length_of") && cause.to_string().contains("file sizes"), "{cause}");
}
