//! A queue with a limit: callers that block, that wait as futures, and that do not wait.

use std::pin::{Pin, pin};
use std::task::{Context, Waker};
use std::time::Duration;

use futures_core::Stream;
use offspring::{JoinErrorKind, Pool, StartMethod, TrySubmitError, child_task};
use offspring_tests::{cases, wait};

use super::{build, builder, count, counts, event, failure, now, running, square, value, wait_for};
use crate::futures::block_on;

cases! {
    alone without_a_limit_there_is_always_room;
    alone a_full_queue_is_an_error_at_once;
    alone a_closed_pool_is_another_error;
    alone a_thread_waits_for_room;
    alone futures_get_room_in_the_order_of_their_coming;
    alone a_dropped_future_gives_its_place_up;
    alone a_close_wakes_all_that_wait;
    alone bytes_are_counted_and_limited;
    alone maps_keep_to_the_limit;
    alone maps_beside_each_other;
    alone many_threads_and_futures;
}

fn limited(method: StartMethod, workers: usize, limit: usize) -> Pool {
    build(builder(method).workers(workers).queue_limit(limit))
}

/// Waits until `callers` wait for room.
fn all_wait(pool: &Pool, callers: usize) {
    wait::until("all callers wait for room", || pool.stats().waiting == callers);
}

fn without_a_limit_there_is_always_room(method: StartMethod) {
    let pool = build(builder(method).workers(1));
    let (_job, _gate) = running(&pool);
    for n in 0..1000 {
        drop(pool.try_submit(square::call(n)).unwrap());
        drop(block_on(pool.submit_async(square::call(n))));
    }
    assert_eq!(pool.stats().queued, 2000);
}

fn a_full_queue_is_an_error_at_once(method: StartMethod) {
    let pool = limited(method, 1, 2);
    let (job, gate) = running(&pool);
    let queued: Vec<_> = (0..2).map(|n| pool.try_submit(square::call(n)).unwrap()).collect();
    let error = pool.try_submit(square::call(7)).unwrap_err();
    assert_eq!(error.to_string(), "the queue of the pool is full");
    let TrySubmitError::Full(call) = error else { panic!("{error:?}") };
    gate.set();
    value(job);
    assert_eq!(queued.into_iter().map(value).sum::<u64>(), 1);
    assert_eq!(value(pool.try_submit(call).unwrap()), 49);
}

fn a_closed_pool_is_another_error(method: StartMethod) {
    let pool = limited(method, 1, 0);
    let (job, gate) = running(&pool);
    assert!(matches!(pool.try_submit(square::call(7)), Err(TrySubmitError::Full(_))));
    pool.close();
    assert!(matches!(pool.try_submit(square::call(7)), Err(TrySubmitError::Closed(_))));
    let error = failure(pool.submit(square::call(7)));
    assert!(matches!(error.kind(), JoinErrorKind::PoolClosed), "{error:?}");
    gate.set();
    value(job);
}

fn a_thread_waits_for_room(method: StartMethod) {
    let pool = limited(method, 1, 0);
    let (job, gate) = running(&pool);
    std::thread::scope(|scope| {
        let second = scope.spawn(|| value(pool.submit(square::call(7))));
        all_wait(&pool, 1);
        assert!(!second.is_finished());
        gate.set();
        assert_eq!(second.join().unwrap(), 49);
    });
    value(job);
    // One thread alone moves the pool on itself.
    let counts = counts();
    (0..32).for_each(|n| drop(pool.submit(count::call(counts.clone(), n))));
    pool.join().unwrap();
    assert_eq!(now(&counts), [1; 32]);
}

fn futures_get_room_in_the_order_of_their_coming(method: StartMethod) {
    let pool = limited(method, 1, 0);
    let (job, gate) = running(&pool);
    let mut futures: Vec<_> = (0..5).map(|n| Box::pin(pool.submit_async(square::call(n)))).collect();
    let mut polling = Context::from_waker(Waker::noop());
    for future in &mut futures {
        assert!(future.as_mut().poll(&mut polling).is_pending());
    }
    gate.set();
    value(job);
    while !futures.is_empty() {
        for later in &mut futures[1..] {
            assert!(later.as_mut().poll(&mut polling).is_pending(), "it has overtaken another");
        }
        assert!(matches!(pool.try_submit(square::call(1)), Err(TrySubmitError::Full(_))));
        let first = futures.remove(0);
        value(block_on(first));
    }
}

fn a_dropped_future_gives_its_place_up(method: StartMethod) {
    let pool = limited(method, 1, 0);
    let (job, gate) = running(&pool);
    let counts = counts();
    let mut first = Box::pin(pool.submit_async(count::call(counts.clone(), 0)));
    assert!(first.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    std::thread::scope(|scope| {
        let second = scope.spawn(|| value(pool.submit(square::call(7))));
        all_wait(&pool, 2);
        gate.set();
        value(job);
        drop(first);
        assert_eq!(second.join().unwrap(), 49);
    });
    assert_eq!(now(&counts), [0; 32], "a future that was dropped in the line has run");
}

fn a_close_wakes_all_that_wait(method: StartMethod) {
    let pool = limited(method, 1, 0);
    let (_job, _gate) = running(&pool);
    std::thread::scope(|scope| {
        let pool = &pool;
        let blocked = (0..3).map(|n| scope.spawn(move || failure(pool.submit(square::call(n)))));
        let all: Vec<_> = blocked.collect();
        let awaited = (0..3).map(|n| scope.spawn(move || failure(block_on(pool.submit_async(square::call(n))))));
        let all: Vec<_> = all.into_iter().chain(awaited).collect();
        all_wait(pool, 6);
        pool.close();
        for error in all {
            let error = error.join().unwrap();
            assert!(matches!(error.kind(), JoinErrorKind::PoolClosed), "{error:?}");
        }
    });
    assert_eq!(pool.stats().waiting, 0);
}

/// Waits for an event, with an argument of some size.
#[child_task]
fn keep(gate: offspring::sync::Event, bytes: Vec<u8>) -> usize {
    wait_for(gate);
    bytes.len()
}

fn bytes_are_counted_and_limited(method: StartMethod) {
    for size in [1000, 300_000] {
        let pool = build(builder(method).workers(2).queue_limit_bytes(5 * size + size / 2));
        let gate = event();
        let call = |factor: usize| keep::call(gate.clone(), vec![7; factor * size]);
        let mut jobs: Vec<_> = (0..5).map(|_| pool.try_submit(call(1)).unwrap()).collect();
        let bytes = pool.stats().queued_bytes;
        assert!((5 * size..5 * size + 500).contains(&bytes), "{bytes}");
        assert!(matches!(pool.try_submit(call(1)), Err(TrySubmitError::Full(_))));
        std::thread::scope(|scope| {
            let large = scope.spawn(|| value(pool.submit(call(50))));
            all_wait(&pool, 1);
            gate.set();
            assert_eq!(large.join().unwrap(), 50 * size);
        });
        jobs.drain(..).for_each(|job| assert_eq!(value(job), size));
        assert_eq!(pool.stats().queued_bytes, 0);
    }
}

fn maps_keep_to_the_limit(method: StartMethod) {
    for (workers, jobs, bytes) in [(2, 3, usize::MAX), (1, 0, usize::MAX), (2, usize::MAX, 20)] {
        let pool = build(builder(method).workers(workers).queue_limit(jobs).queue_limit_bytes(bytes));
        let checked = |n| {
            let stats = pool.stats();
            let unfinished = stats.queued + stats.running;
            assert!(unfinished <= jobs.saturating_add(workers) && stats.queued_bytes <= bytes, "{stats:?}");
            square::call(n)
        };
        assert!(pool.map((0..500).map(checked)).map(Result::unwrap).eq((0..500).map(|n| n * n)));
        let mut seen = vec![false; 500];
        for (n, square) in pool.map_unordered((0..500).map(checked)) {
            assert_eq!(square.unwrap(), (n * n) as u64);
            seen[n] = true;
        }
        assert!(seen.into_iter().all(|seen| seen));
        assert_eq!(pool.stats().waiting, 0);
        pool.terminate();
    }
}

/// Maps share the room with each other and with streams, though each has a call in the line.
fn maps_beside_each_other(method: StartMethod) {
    let pool = limited(method, 1, 0);
    let (job, gate) = running(&pool);
    std::thread::scope(|scope| {
        let sums: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| pool.map((0..100).map(square::call)).sum::<Result<u64, _>>().unwrap()))
            .collect();
        let mut stream = pin!(pool.map_stream((0..100).map(square::call)));
        assert!(stream.as_mut().poll_next(&mut Context::from_waker(Waker::noop())).is_pending());
        let mut dropped = pool.map_stream((0..100).map(square::call));
        assert!(Pin::new(&mut dropped).poll_next(&mut Context::from_waker(Waker::noop())).is_pending());
        all_wait(&pool, 5);
        drop(dropped);
        gate.set();
        let sum = block_on(async {
            let mut sum = 0;
            while let Some(square) = std::future::poll_fn(|polling| stream.as_mut().poll_next(polling)).await {
                sum += square.unwrap();
            }
            sum
        });
        assert_eq!(sum, 328_350);
        sums.into_iter().for_each(|sum| assert_eq!(sum.join().unwrap(), 328_350));
    });
    value(job);
}

fn many_threads_and_futures(method: StartMethod) {
    let pool = limited(method, 2, 2);
    std::thread::scope(|scope| {
        let sums = (0..8).map(|thread| {
            let pool = &pool;
            scope.spawn(move || {
                let submit = |n| match thread % 3 {
                    0 => pool.submit(square::call(n)),
                    1 => block_on(pool.submit_async(square::call(n))),
                    _ => loop {
                        match pool.try_submit(square::call(n)) {
                            Ok(job) => break job,
                            Err(_) => std::thread::yield_now(),
                        }
                    },
                };
                // Some keep their jobs, and some take the result at once.
                let jobs: Vec<_> = (0..100).map(submit).collect();
                jobs.into_iter().map(value).sum::<u64>()
            })
        });
        sums.collect::<Vec<_>>().into_iter().for_each(|sum| assert_eq!(sum.join().unwrap(), 328_350));
    });
    let stats = pool.stats();
    assert_eq!((stats.done, stats.queued, stats.queued_bytes, stats.waiting), (800, 0, 0, 0));
    assert_eq!(pool.shutdown(Duration::from_secs(10)).queued, 0);
}
