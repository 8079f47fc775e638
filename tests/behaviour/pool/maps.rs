//! Many calls at once: in order or in order of completion, lazily, and without an end.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use offspring::sync::Event;
use offspring::{JoinErrorKind, StartMethod, child_task};
use offspring_tests::{cases, procs, wait};

use super::{count, counts, event, no_process_is_left, now, pids, pool, running, square, value, wait_for};

cases! {
    alone results_come_in_the_order_of_their_calls;
    alone unordered_results_come_as_they_are_done;
    alone an_endless_input_is_taken_as_results_leave;
    alone memory_stays_flat_over_many_calls;
    alone a_result_comes_before_the_input_has_ended;
    alone an_input_that_panics;
    alone an_input_that_uses_the_pool;
    alone maps_of_maps;
    alone maps_side_by_side;
    alone a_dropped_map_cancels_what_has_not_begun;
    alone a_dropped_map_of_which_some_was_taken;
    alone failures_are_in_their_places;
    alone maps_of_a_closed_pool;
    alone a_long_job_holds_up_no_short_one;
    alone a_long_job_holds_up_no_other_while_no_thread_waits;
}

#[child_task]
fn spin(n: u64, time: Duration) -> u64 {
    let end = Instant::now() + time;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
    n
}

/// Returns calls of very different durations.
fn times(count: u64) -> impl Iterator<Item = offspring::Call<u64>> {
    (0..count).map(|n| spin::call(n, Duration::from_micros(if n % 50 == 0 { 3000 } else { n % 7 })))
}

fn results_come_in_the_order_of_their_calls(method: StartMethod) {
    let pool = pool(method, 3);
    let values: Vec<u64> = pool.map(times(2000)).map(Result::unwrap).collect();
    assert!(values.into_iter().eq(0..2000));
}

fn unordered_results_come_as_they_are_done(method: StartMethod) {
    let pool = pool(method, 2);
    let places: BTreeSet<usize> = pool
        .map_unordered(times(2000))
        .map(|(place, value)| {
            assert_eq!(place as u64, value.unwrap());
            place
        })
        .collect();
    assert!(places.into_iter().eq(0..2000), "each once");
    // The first job cannot end before all other results have come.
    let gate = event();
    let calls =
        std::iter::once(wait_then::call(gate.clone(), 0)).chain((1..100).map(|n| spin::call(n, Duration::ZERO)));
    let mut seen = Vec::new();
    for (place, value) in pool.map_unordered(calls) {
        assert_eq!(place as u64, value.unwrap());
        seen.push(place);
        if seen.len() == 99 {
            gate.set();
        }
    }
    assert_eq!((seen.len(), seen.last()), (100, Some(&0)));
}

#[child_task]
fn wait_then(gate: Event, n: u64) -> u64 {
    wait_for(gate);
    n
}

/// The most calls taken ahead of the results: twice the rings of two workers.
const AHEAD: u64 = 2 * 2 * 128;

fn an_endless_input_is_taken_as_results_leave(method: StartMethod) {
    let pool = pool(method, 2);
    let taken = Cell::new(0_u64);
    let input = || (0_u64..).inspect(|_| taken.set(taken.get() + 1)).map(square::call);
    let mut results = pool.map(input());
    assert_eq!(taken.get(), 0, "nothing is taken before a result is asked for");
    for n in 0..10_000_u64 {
        assert_eq!(results.next().unwrap().unwrap(), n * n);
        assert!(taken.get() <= n + 1 + AHEAD, "{} taken for {n} results", taken.get());
    }
    drop(results);
    taken.set(0);
    for (n, (place, value)) in pool.map_unordered(input()).take(10_000).enumerate() {
        assert_eq!(value.unwrap(), (place * place) as u64);
        assert!(taken.get() <= n as u64 + 1 + AHEAD, "{} taken for {n} results", taken.get());
    }
    // Long jobs at the front delay results, which must not pile up either.
    taken.set(0);
    let slow = |n: u64| spin::call(n, Duration::from_micros(if n < 60 { 2000 } else { 0 }));
    let input = || (0_u64..).inspect(|_| taken.set(taken.get() + 1)).map(slow);
    for (n, result) in pool.map(input()).take(2000).enumerate() {
        assert_eq!(result.unwrap(), n as u64);
        assert!(taken.get() <= n as u64 + 1 + AHEAD, "{} taken for {n} results", taken.get());
    }
}

fn resident_bytes() -> u64 {
    let line = procs::status("self", "VmRSS");
    line.trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}

fn memory_stays_flat_over_many_calls(method: StartMethod) {
    let pool = pool(method, 2);
    let run = |count: u64| {
        let sum = pool.map((0..count).map(square::call)).fold(0_u64, |sum, n| sum.wrapping_add(n.unwrap()));
        assert_ne!(sum, 0);
        assert_eq!(pool.map_unordered((0..count).map(square::call)).count() as u64, count);
    };
    run(5_000);
    let before = resident_bytes();
    run(60_000);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 1 << 20, "{grown} bytes more after 120,000 calls");
}

fn a_result_comes_before_the_input_has_ended(method: StartMethod) {
    let pool = pool(method, 2);
    let jobs_done = counts();
    let seen = Cell::new(false);
    let input = (0..300_u32).map(|n| {
        assert!(n < 299 || seen.get(), "the whole input was taken before the first result was given");
        count::call(jobs_done.clone(), n % 32)
    });
    let mut given = 0;
    for result in pool.map(input) {
        result.unwrap();
        seen.set(true);
        given += 1;
    }
    assert_eq!((given, now(&jobs_done).iter().sum()), (300, 300));
}

fn an_input_that_panics(method: StartMethod) {
    let pool = pool(method, 2);
    for bad in [0, 1, 70, 1000_u64] {
        let input = || (0..).map(|n| if n == bad { panic!("input {bad}") } else { square::call(n) });
        let message = |panic: Box<dyn std::any::Any + Send>| panic.downcast_ref::<String>().cloned();
        let mut given = 0;
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            for (n, result) in pool.map(input()).enumerate() {
                assert_eq!(result.unwrap(), (n * n) as u64);
                given += 1;
            }
        }));
        assert_eq!(message(panicked.unwrap_err()), Some(format!("input {bad}")));
        assert!(given <= bad && given + AHEAD >= bad, "{given} results before {bad}");
        let panicked = catch_unwind(AssertUnwindSafe(|| pool.map_unordered(input()).count()));
        assert_eq!(message(panicked.unwrap_err()), Some(format!("input {bad}")));
        assert_eq!(value(pool.submit(square::call(5))), 25, "the pool is as it was");
    }
    wait::until("all jobs of both maps are over", || pool.stats().workers.iter().all(|worker| worker.assigned == 0));
    let stats = pool.stats();
    assert_eq!((stats.queued, stats.running), (0, 0), "{stats:?}");
}

fn an_input_that_uses_the_pool(method: StartMethod) {
    for workers in [1, 2] {
        let pool = pool(method, workers);
        let input = |count: u64| (0..count).map(|n| square::call(value(pool.submit(square::call(n)))));
        let values: Vec<u64> = pool.map(input(300)).map(Result::unwrap).collect();
        assert!(values.into_iter().eq((0..300).map(|n| n * n * n * n)));
        assert_eq!(pool.map_unordered(input(300)).count(), 300);
    }
}

fn maps_of_maps(method: StartMethod) {
    for workers in [1, 2] {
        let pool = pool(method, workers);
        let inner = pool.map((0..500_u64).map(square::call));
        let outer = pool.map(inner.map(|n| square::call(n.unwrap() % 1000)));
        let last = pool.map_unordered(outer.map(|n| square::call(n.unwrap() % 1000)));
        let wanted = |n: u64| [n, n, n].iter().fold(n, |value, _| (value * value) % 1000);
        for (place, value) in last {
            assert_eq!(value.unwrap() % 1000, wanted(place as u64));
        }
    }
}

fn maps_side_by_side(method: StartMethod) {
    let pool = pool(method, 2);
    let one = pool.map((0..2000).map(square::call));
    let two = pool.map((0..2000).map(|n| square::call(n + 1)));
    let three = pool.map_unordered((0..2000).map(square::call));
    let mut places = BTreeSet::new();
    for (n, ((one, two), (place, three))) in one.zip(two).zip(three).enumerate() {
        assert_eq!((one.unwrap(), two.unwrap()), ((n * n) as u64, ((n + 1) * (n + 1)) as u64));
        assert_eq!(three.unwrap(), (place * place) as u64);
        places.insert(place);
    }
    assert_eq!(places.len(), 2000);
}

fn a_dropped_map_cancels_what_has_not_begun(method: StartMethod) {
    let pool = pool(method, 1);
    let counts = counts();
    let (first, gate) = running(&pool);
    for unordered in [false, true] {
        let calls = (0..).map(|n| count::call(counts.clone(), n % 32));
        // No job of the second map can end before the gate is open, so its jobs are queued, and then dropped.
        if unordered {
            let mut results = pool.map_unordered(std::iter::once(count::call(counts.clone(), 0)).chain(calls));
            let polled = std::thread::scope(|scope| {
                let waits = scope.spawn(|| catch_unwind(AssertUnwindSafe(|| results.next())));
                wait::until("the map has submitted", || pool.stats().queued > 0);
                assert!(!waits.is_finished());
                gate.set();
                waits.join().unwrap()
            });
            polled.unwrap().unwrap().1.unwrap();
            drop(results);
        } else {
            drop(pool.map(calls));
        }
    }
    let ran = now(&counts).iter().sum::<u32>();
    value(first);
    let stats = pool.stats();
    assert_eq!(stats.queued, 0, "{stats:?}");
    // One job may have been running when the map was dropped.
    value(pool.submit(square::call(3)));
    assert!(now(&counts).iter().sum::<u32>() <= ran + 1, "what had not begun was run");
}

fn a_dropped_map_of_which_some_was_taken(method: StartMethod) {
    let pool = pool(method, 2);
    let workers = pids(&pool);
    for n in 0..200 {
        let mut results = pool.map((0..).map(square::call));
        assert!(results.by_ref().take(n).map(Result::unwrap).eq((0..n as u64).map(|n| n * n)));
        drop(results);
        let results = pool.map_unordered((0..).map(square::call));
        assert!(results.take(n).all(|(place, value)| value.unwrap() == (place * place) as u64));
    }
    wait::until("nothing is under way", || {
        let stats = pool.stats();
        (stats.queued, stats.running) == (0, 0)
    });
    assert_eq!(pids(&pool), workers, "nobody was killed for it");
    let stats = pool.stats();
    assert_eq!(stats.replaced, 0);
    assert!(stats.done + stats.failed >= 2 * (0..200).sum::<u64>());
}

#[child_task]
fn fails(n: u64) -> u64 {
    match n % 20 {
        3 => panic!("panic {n}"),
        11 => std::process::exit(n as i32 % 200),
        _ => n,
    }
}

fn failures_are_in_their_places(method: StartMethod) {
    let pool = pool(method, 2);
    let check = |n: u64, result: Result<u64, offspring::JoinError>| match (n % 20, result) {
        (3, Err(error)) => {
            let JoinErrorKind::Panicked(panic) = error.kind() else { panic!("{error:?}") };
            assert_eq!(panic.message(), format!("panic {n}"));
        }
        (11, Err(error)) => {
            assert!(matches!(error.kind(), JoinErrorKind::Exited(code) if *code == n as i32 % 200), "{n}: {error:?}");
        }
        (_, result) => assert_eq!(result.unwrap(), n),
    };
    let mut given = 0;
    for (n, result) in pool.map((0..200).map(fails::call)).enumerate() {
        check(n as u64, result);
        given += 1;
    }
    for (n, result) in pool.map_unordered((0..200).map(fails::call)) {
        check(n as u64, result);
        given += 1;
    }
    assert_eq!(given, 400);
    let stats = pool.stats();
    assert_eq!((stats.done, stats.failed), (360, 40), "{stats:?}");
    pool.join().unwrap();
    no_process_is_left();
}

fn maps_of_a_closed_pool(method: StartMethod) {
    let pool = pool(method, 1);
    let mut results = pool.map((0..3_u64).chain(10..).map(square::call));
    results.next().unwrap().unwrap();
    pool.close();
    // Jobs already taken are done, and all later jobs are refused.
    let error = results.find_map(Result::err).unwrap();
    assert!(matches!(error.kind(), JoinErrorKind::PoolClosed), "{error:?}");
    assert!(results.by_ref().take(1000).all(|result| result.is_err()));
    drop(results);
    assert_eq!(pool.map((0..5).map(square::call)).filter(Result::is_err).count(), 5);
    let places: BTreeSet<usize> = pool.map_unordered((0..5).map(square::call)).map(|(place, _)| place).collect();
    assert_eq!(places.len(), 5);
    pool.join().unwrap();
}

/// Runs enough short jobs to make the windows large.
#[track_caller]
fn with_deep_rings(method: StartMethod) -> offspring::Pool {
    let pool = pool(method, 2);
    assert!(pool.map((0..5000).map(square::call)).all(|result| result.is_ok()));
    pool
}

fn a_long_job_holds_up_no_short_one(method: StartMethod) {
    let pool = with_deep_rings(method);
    let gate = event();
    // The jobs go into both rings before the pool knows that one will take long.
    let mut jobs: Vec<_> = (0..50).map(|n| pool.submit(square::call(n))).collect();
    let long = pool.submit(wait_for::call(gate.clone()));
    jobs.extend((50..200).map(|n| pool.submit(square::call(n))));
    for (n, job) in jobs.into_iter().enumerate() {
        assert_eq!(value(job), (n * n) as u64);
    }
    gate.set();
    value(long);
}

fn a_long_job_holds_up_no_other_while_no_thread_waits(method: StartMethod) {
    let pool = with_deep_rings(method);
    for _ in 0..10 {
        let (counts, gate) = (counts(), event());
        let long = pool.submit(wait_for::call(gate.clone()));
        (0..32).for_each(|n| drop(pool.submit(count::call(counts.clone(), n))));
        wait::until("all short ones have run", || now(&counts) == [1; 32]);
        gate.set();
        value(long);
    }
}
