//! Further runs of calls, as their predicates say.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use offspring::{Fd, JoinErrorKind, Report, StartMethod, child_task};
use offspring_tests::{cases, sys, wait};

use super::{
    Counts, add_one, build, builder, counts, failure, no_process_is_left, now, outcome, pool, running, square, value,
};
use crate::futures::block_on;

cases! {
    alone as_long_as_the_predicate_says;
    alone of_every_kind_of_end;
    alone of_every_way_to_wait;
    alone a_predicate_that_uses_the_pool;
    alone a_predicate_with_the_last_handle;
    alone a_predicate_that_panics;
    alone a_job_that_is_dropped_is_tried_again;
    alone killed_while_it_rests;
    alone open_files_are_not_shown;
    alone other_threads_wait_for_a_job_that_is_tried_again;
}

/// Fails in the first runs.
#[child_task(report)]
fn flaky(counts: Counts, number: u32, failures: u32) -> std::io::Result<u32> {
    add_one(&counts, number);
    let runs = now(&counts)[number as usize];
    if runs > failures { Ok(runs) } else { Err(std::io::Error::other(format!("run {runs}"))) }
}

fn has_failed<T>(result: Result<&Result<T, Report>, &offspring::JoinError>) -> bool {
    matches!(result, Ok(Err(_)))
}

fn as_long_as_the_predicate_says(method: StartMethod) {
    let pool = pool(method, 2);
    let counts = counts();
    assert_eq!(value(pool.submit(flaky::call(counts.clone(), 0, 2).retry_if(5, has_failed))).unwrap(), 3);
    let report = value(pool.submit(flaky::call(counts.clone(), 1, 9).retry_if(3, has_failed))).unwrap_err();
    assert_eq!(report.to_string(), "run 4", "the last result is that of the job");
    assert!(value(pool.submit(flaky::call(counts.clone(), 2, 2))).is_err());
    assert_eq!(now(&counts)[..3], [3, 4, 1]);
    let stats = pool.stats();
    assert_eq!((stats.done, stats.failed, stats.retried), (3, 0, 5), "{stats:?}");
}

/// Ends in another way with each run.
#[child_task]
fn end_anyhow(counts: Counts) -> u32 {
    add_one(&counts, 0);
    match now(&counts)[0] {
        1 => panic!("the first run"),
        2 => std::process::exit(3),
        3 => {
            sys::die_by(libc::SIGSEGV);
            unreachable!()
        }
        4 => loop {
            std::thread::park();
        },
        runs => runs,
    }
}

fn of_every_kind_of_end(method: StartMethod) {
    // The first backtrace of a process may take a second.
    let pool = build(builder(method).workers(1).task_timeout(Duration::from_secs(3)));
    assert_eq!(value(pool.submit(end_anyhow::call(counts()).retry_if(4, |result| result.is_err()))), 5);
    let error = failure(pool.submit(end_anyhow::call(counts()).retry_if(2, |result| result.is_err())));
    let JoinErrorKind::Poisoned { workers: 2, last } = error.kind() else { panic!("{error:?}") };
    assert!(matches!(**last, JoinErrorKind::Signaled(libc::SIGSEGV)));
    // A predicate that names what it knows.
    let is_panic = |result: Result<&u32, &offspring::JoinError>| {
        result.is_err_and(|error| matches!(error.kind(), JoinErrorKind::Panicked(_)))
    };
    let error = failure(pool.submit(end_anyhow::call(counts()).retry_if(9, is_panic)));
    assert!(matches!(error.kind(), JoinErrorKind::Exited(3)), "{error:?}");
}

fn of_every_way_to_wait(method: StartMethod) {
    let pool = build(builder(method).workers(2).retry_backoff(Duration::from_millis(1), Duration::from_millis(4)));
    let counts = counts();
    let call = |number| flaky::call(counts.clone(), number, 3).retry_if(3, has_failed);
    assert_eq!(block_on(pool.submit(call(0))).unwrap().unwrap(), 4);
    let job = pool.submit(call(1));
    wait::until("the job is done", || job.is_done());
    let jobs = [job, pool.submit(call(2))];
    assert!(offspring::as_completed(jobs).all(|(_, runs)| runs.unwrap().unwrap() == 4));
    let job = pool.submit(call(3));
    assert_eq!(offspring::wait(&[&job], Some(wait::LIMIT)).unwrap(), [0]);
    assert!(pool.map((4..8).map(call)).all(|runs| runs.unwrap().unwrap() == 4));
    assert!(pool.map_unordered((8..12).map(call)).all(|(_, runs)| runs.unwrap().unwrap() == 4));
    drop(pool.submit(call(12)));
    pool.join().unwrap();
    assert_eq!(now(&counts)[..13], [4; 13]);
}

/// It is called without the pool's lock.
fn a_predicate_that_uses_the_pool(method: StartMethod) {
    let pool = pool(method, 2);
    let handle = pool.clone();
    let asked = move |result: Result<&u64, &offspring::JoinError>| {
        assert_eq!(result.unwrap(), &9);
        assert!(handle.stats().queued <= 1);
        handle.submit(square::call(4)).wait().unwrap() == 16
    };
    assert_eq!(value(pool.submit(square::call(3).retry_if(3, asked))), 9);
    assert_eq!(pool.stats().retried, 3);
}

/// The drop of the last handle waits for the pool's lock.
fn a_predicate_with_the_last_handle(method: StartMethod) {
    let pool = pool(method, 1);
    let (held, gate) = running(&pool);
    let handle = pool.clone();
    let job = pool.submit(square::call(3).retry_if(1, move |_| handle.stats().retried == 0));
    drop(pool);
    gate.set();
    value(held);
    let _ = outcome(job);
    no_process_is_left();
}

fn a_predicate_that_panics(method: StartMethod) {
    std::panic::set_hook(Box::new(|_| {}));
    let pool = pool(method, 1);
    assert_eq!(value(pool.submit(square::call(3).retry_if(3, |_| panic!("asked")))), 9);
    assert_eq!((pool.stats().retried, value(pool.submit(square::call(4)))), (0, 16));
}

fn a_job_that_is_dropped_is_tried_again(method: StartMethod) {
    let pool = pool(method, 1);
    let counts = counts();
    drop(pool.submit(flaky::call(counts.clone(), 0, 2).retry_if(5, has_failed)));
    pool.join().unwrap();
    assert_eq!(now(&counts)[0], 3);
}

fn killed_while_it_rests(method: StartMethod) {
    let pool = build(builder(method).workers(1).retry_backoff(wait::LIMIT * 100, wait::LIMIT * 100));
    let jobs = [0, 1, 2].map(|n| pool.submit(flaky::call(counts(), n, 9).retry_if(5, has_failed)));
    wait::until("all jobs rest", || pool.stats().retried == 3);
    let [first, second, third] = jobs;
    first.kill();
    assert!(second.cancel());
    for error in [failure(first), failure(second)] {
        assert!(matches!(error.kind(), JoinErrorKind::Cancelled), "{error:?}");
    }
    let begun = Instant::now();
    assert_eq!(pool.shutdown(Duration::from_millis(50)).queued, 1);
    assert!(begun.elapsed() < wait::LIMIT);
    assert!(matches!(failure(third).kind(), JoinErrorKind::PoolClosed));
}

#[child_task(report)]
fn open(path: String) -> std::io::Result<Fd<std::fs::File>> {
    std::fs::File::open(path).map(Fd::new)
}

fn open_files_are_not_shown(method: StartMethod) {
    let pool = pool(method, 1);
    let asked = Arc::new(AtomicUsize::new(0));
    let call = |path: &str| {
        let asked = Arc::clone(&asked);
        open::call(path.to_owned()).retry_if(2, move |_| asked.fetch_add(1, Ordering::Relaxed) < 9)
    };
    let file = value(pool.submit(call("/proc/self/status"))).unwrap();
    assert!(std::io::read_to_string(&*file).unwrap().contains("Name:"));
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    assert!(value(pool.submit(call("/no/such/file"))).is_err());
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

/// One thread leads, another asks, and a third waits for the job that is asked about.
fn other_threads_wait_for_a_job_that_is_tried_again(method: StartMethod) {
    let pool = pool(method, 2);
    let (long, gate) = running(&pool);
    std::thread::scope(|scope| {
        let leader = scope.spawn(|| value(long));
        let followers: Vec<_> = (0..4)
            .map(|n| {
                let pool = &pool;
                scope.spawn(move || {
                    for _ in 0..50 {
                        let call = square::call(n).retry_if(2, |_| true);
                        assert_eq!(outcome(pool.submit(call)).unwrap(), n * n);
                    }
                })
            })
            .collect();
        followers.into_iter().for_each(|follower| follower.join().unwrap());
        gate.set();
        leader.join().unwrap();
    });
    assert_eq!(pool.stats().retried, 400);
}
