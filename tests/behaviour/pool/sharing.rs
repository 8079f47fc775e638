//! A pool with several handles, in an executor, and shut down within a grace.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_core::Stream;
use offspring::{ErrorKind, JoinErrorKind, Pool, StartMethod, Task, child_task};
use offspring_tests::{cases, sys, wait};

use super::{
    begin_and_wait, builder, count, counts, event, failure, no_process_is_left, now, pool, running, square, value,
    wait_for,
};
use crate::futures::block_on;

cases! {
    alone the_last_handle_ends_the_pool;
    alone a_join_by_one_handle_ends_the_pool_for_all;
    alone joins_of_several_threads;
    alone a_shutdown_lets_jobs_finish;
    alone a_shutdown_cuts_off_what_takes_too_long;
    alone a_shutdown_beside_a_join;
    alone a_grace_holds_while_jobs_come_to_their_end;
    alone built_joined_and_shut_down_by_an_executor;
    alone a_dropped_shutdown_goes_on;
    alone a_dropped_build_leaves_nothing;
    alone a_build_that_fails_in_an_executor;
    alone a_stream_has_all_results_in_order;
    alone a_stream_takes_only_what_workers_can_have;
    alone a_dropped_stream_cancels_its_calls;
}

fn the_last_handle_ends_the_pool(method: StartMethod) {
    let first = pool(method, 1);
    let second = first.clone();
    drop(first);
    assert_eq!(value(second.submit(square::call(3))), 9);
    let (job, _gate) = running(&second);
    drop(second);
    let error = failure(job);
    assert!(matches!(error.kind(), JoinErrorKind::PoolClosed), "{error:?}");
    no_process_is_left();
}

fn a_join_by_one_handle_ends_the_pool_for_all(method: StartMethod) {
    let first = pool(method, 2);
    let second = first.clone();
    let job = first.submit(square::call(3));
    first.join().unwrap();
    assert_eq!(value(job), 9);
    let late = failure(second.submit(square::call(4)));
    assert!(matches!(late.kind(), JoinErrorKind::PoolClosed), "{late:?}");
    second.join().unwrap();
    second.terminate();
    assert!(second.stats().workers.is_empty());
    no_process_is_left();
}

fn is_closed(pool: &Pool) -> bool {
    pool.submit(square::call(1)).wait_timeout(Duration::ZERO).is_err()
}

fn joins_of_several_threads(method: StartMethod) {
    let pool = pool(method, 2);
    let counts = counts();
    let (job, gate) = running(&pool);
    (0..32).for_each(|n| drop(pool.submit(count::call(counts.clone(), n))));
    std::thread::scope(|scope| {
        let joins: Vec<_> = (0..4).map(|_| scope.spawn(|| pool.join())).collect();
        wait::until("the pool is closed", || is_closed(&pool));
        gate.set();
        joins.into_iter().for_each(|join| join.join().unwrap().unwrap());
    });
    assert_eq!(now(&counts), [1; 32]);
    value(job);
    no_process_is_left();
}

fn a_shutdown_lets_jobs_finish(method: StartMethod) {
    let pool = pool(method, 2);
    let counts = counts();
    (0..32).for_each(|n| drop(pool.submit(count::call(counts.clone(), n))));
    let unfinished = pool.shutdown(wait::LIMIT);
    assert!(unfinished.is_empty(), "{unfinished:?}");
    assert_eq!(now(&counts), [1; 32]);
    no_process_is_left();
}

fn a_shutdown_cuts_off_what_takes_too_long(method: StartMethod) {
    let pool = pool(method, 2);
    let done = pool.submit(square::call(3));
    let long: Vec<_> = (0..2).map(|_| running(&pool).0).collect();
    let queued: Vec<_> = (0..5).map(|n| pool.submit(square::call(n))).collect();
    let begun = Instant::now();
    let unfinished = pool.shutdown(Duration::from_millis(100));
    assert!(begun.elapsed() >= Duration::from_millis(100));
    assert_eq!((unfinished.running, unfinished.queued), (vec![begin_and_wait::NAME; 2], 5));
    assert_eq!(value(done), 9);
    for error in long.into_iter().map(failure) {
        assert!(matches!(error.kind(), JoinErrorKind::PoolClosed) && error.pid().is_some(), "{error:?}");
    }
    for error in queued.into_iter().map(failure) {
        assert!(matches!(error.kind(), JoinErrorKind::PoolClosed) && error.pid().is_none(), "{error:?}");
    }
    no_process_is_left();
}

/// A join has no limit, and the shutdown of another thread sets one.
fn a_shutdown_beside_a_join(method: StartMethod) {
    let pool = pool(method, 1);
    let (job, _gate) = running(&pool);
    std::thread::scope(|scope| {
        let join = scope.spawn(|| pool.join());
        wait::until("the pool is closed", || is_closed(&pool));
        assert_eq!(pool.shutdown(Duration::from_millis(20)).running, [begin_and_wait::NAME]);
        join.join().unwrap().unwrap();
    });
    failure(job);
    no_process_is_left();
}

#[child_task]
fn work_briefly() {
    let end = Instant::now() + Duration::from_micros(30);
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

fn a_grace_holds_while_jobs_come_to_their_end(method: StartMethod) {
    let pool = pool(method, 2);
    (0..500_000).for_each(|_| drop(pool.submit(work_briefly::call())));
    let unfinished = pool.shutdown(Duration::from_millis(20));
    assert!(unfinished.queued > 0, "{unfinished:?}");
    no_process_is_left();
}

fn built_joined_and_shut_down_by_an_executor(method: StartMethod) {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    for workers in [0, 2] {
        let pool = block_on(is_send(builder(method).workers(2).min_workers(workers).build_async())).unwrap();
        assert_eq!(pool.stats().workers.len(), workers);
        let job = pool.submit(square::call(3));
        block_on(is_send(pool.join_async())).unwrap();
        assert_eq!(value(job), 9);
        drop(pool);
        no_process_is_left();
    }
    let pool = block_on(builder(method).workers(1).build_async()).unwrap();
    let (_long, _gate) = running(&pool);
    let unfinished = block_on(is_send(pool.shutdown_async(Duration::from_millis(20))));
    assert_eq!((unfinished.running, unfinished.queued), (vec![begin_and_wait::NAME], 0));
    drop(pool);
    no_process_is_left();
}

fn a_dropped_shutdown_goes_on(method: StartMethod) {
    let pool = pool(method, 1);
    let (job, _gate) = running(&pool);
    {
        let mut shutdown = pin!(pool.shutdown_async(Duration::from_millis(20)));
        assert!(shutdown.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    let error = failure(job);
    assert!(matches!(error.kind(), JoinErrorKind::PoolClosed), "{error:?}");
    wait::until("no worker is left", || pool.stats().workers.is_empty());
}

#[child_task]
fn hold(gate: offspring::sync::Event) {
    wait_for(gate);
}

fn a_dropped_build_leaves_nothing(method: StartMethod) {
    let gate = event();
    {
        let mut build = pin!(builder(method).workers(2).initializer(hold::call(gate.clone())).build_async());
        assert!(build.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    no_process_is_left();
}

#[child_task]
fn give_up() {
    sys::die_by(libc::SIGSEGV);
}

fn a_build_that_fails_in_an_executor(method: StartMethod) {
    let error = block_on(builder(method).workers(2).initializer(give_up::call()).build_async()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Setting, "{error:?}");
    assert!(error.to_string().contains("SIGSEGV"), "{error}");
    no_process_is_left();
}

fn a_stream_has_all_results_in_order(method: StartMethod) {
    let pool = pool(method, 2);
    let mut squares = pool.map_stream((0..5000).map(square::call));
    drop(pool);
    assert_eq!(squares.size_hint(), (5000, Some(5000)));
    let squares = block_on(async {
        let mut all = Vec::new();
        while let Some(square) = poll_fn(|polling| Pin::new(&mut squares).poll_next(polling)).await {
            all.push(square.unwrap());
        }
        drop(squares);
        all
    });
    assert_eq!(squares, (0..5000).map(|n| n * n).collect::<Vec<u64>>());
    no_process_is_left();
}

fn a_stream_takes_only_what_workers_can_have(method: StartMethod) {
    let pool = pool(method, 1);
    let gate = event();
    let mut taken = 0;
    let calls = std::iter::repeat_with(|| {
        taken += 1;
        wait_for::call(gate.clone())
    });
    let mut stream = pool.map_stream(calls);
    for _ in 0..10 {
        assert!(Pin::new(&mut stream).poll_next(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    gate.set();
    assert!(matches!(block_on(poll_fn(|polling| Pin::new(&mut stream).poll_next(polling))), Some(Ok(_))));
    drop(stream);
    assert!(taken < 1000, "{taken} calls are under way");
}

fn a_dropped_stream_cancels_its_calls(method: StartMethod) {
    let pool = pool(method, 1);
    let (job, gate) = running(&pool);
    let counts = counts();
    {
        let mut stream = pool.map_stream((0..2).map(|n| count::call(counts.clone(), n)));
        let first = Pin::new(&mut stream).poll_next(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(first, Poll::Pending));
    }
    gate.set();
    value(job);
    pool.join().unwrap();
    assert_eq!(now(&counts), [0; 32]);
}
