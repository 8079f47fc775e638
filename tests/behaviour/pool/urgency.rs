//! Deadlines and priorities of calls.

use std::time::{Duration, Instant};

use offspring::{JoinErrorKind, Priority, StartMethod, child_task, get_context, is_cancelled};
use offspring_tests::{cases, wait};

use super::{Counts, build, builder, count, counts, event, failure, now, pool, running, square, value, wait_for};
use crate::futures::block_on;

cases! {
    alone a_deadline_that_passes_in_the_queue;
    alone a_deadline_that_passes_in_the_task;
    alone a_deadline_that_has_passed_before;
    alone a_deadline_that_passes_in_the_wait_for_room;
    alone a_deadline_that_is_kept;
    alone a_deadline_of_a_child;
    alone higher_priorities_come_first;
    alone a_higher_priority_overtakes_what_waits_at_a_worker;
}

const MOMENT: Duration = Duration::from_millis(30);

fn a_deadline_that_passes_in_the_queue(method: StartMethod) {
    let pool = pool(method, 1);
    let (job, gate) = running(&pool);
    let counts = counts();
    let deadline = Instant::now() + MOMENT;
    let jobs: Vec<_> = (0..20).map(|n| pool.submit(count::call(counts.clone(), n).deadline(deadline))).collect();
    let late = pool.submit(square::call(5));
    for error in jobs.into_iter().map(failure) {
        assert!(matches!(error.kind(), JoinErrorKind::Expired), "{error:?}");
        assert!(Instant::now() >= deadline && error.pid().is_none());
        assert!(error.to_string().ends_with("did not begin before its deadline"), "{error}");
    }
    // As a future too, which no thread waits for.
    let error = block_on(pool.submit(square::call(1).deadline(Instant::now() + MOMENT))).unwrap_err();
    assert!(matches!(error.kind(), JoinErrorKind::Expired), "{error:?}");
    gate.set();
    assert_eq!((value(late), now(&counts)), (25, [0; 32]));
    value(job);
}

#[child_task]
fn until_cancelled(counts: Counts) -> bool {
    super::add_one(&counts, 0);
    let end = Instant::now() + 2 * wait::LIMIT;
    while !is_cancelled() && Instant::now() < end {
        std::thread::yield_now();
    }
    is_cancelled()
}

fn a_deadline_that_passes_in_the_task(method: StartMethod) {
    let pool = pool(method, 1);
    let error = failure(pool.submit(wait_for::call(event()).deadline(Instant::now() + MOMENT)));
    assert!(matches!(error.kind(), JoinErrorKind::TimedOut), "{error:?}");
    assert!(error.pid().is_some());
    pool.terminate();
    let pool = build(builder(method).workers(1).grace(wait::LIMIT));
    assert!(value(pool.submit(until_cancelled::call(counts()).deadline(Instant::now() + MOMENT))));
}

fn a_deadline_that_has_passed_before(method: StartMethod) {
    let pool = pool(method, 1);
    let counts = counts();
    let error = failure(pool.submit(count::call(counts.clone(), 1).deadline(Instant::now())));
    assert!(matches!(error.kind(), JoinErrorKind::Expired), "{error:?}");
    let results = pool.map((0..32).map(|n| count::call(counts.clone(), n).deadline(Instant::now())));
    assert!(results.map(Result::unwrap_err).all(|error| matches!(error.kind(), JoinErrorKind::Expired)));
    assert_eq!(now(&counts), [0; 32]);
}

fn a_deadline_that_passes_in_the_wait_for_room(method: StartMethod) {
    let pool = build(builder(method).workers(1).queue_limit(0));
    let (job, gate) = running(&pool);
    let call = || square::call(1).deadline(Instant::now() + MOMENT);
    let error = failure(pool.submit(call()));
    assert!(matches!(error.kind(), JoinErrorKind::Expired), "{error:?}");
    let error = failure(block_on(pool.submit_async(call())));
    assert!(matches!(error.kind(), JoinErrorKind::Expired), "{error:?}");
    // Behind a caller that may wait for longer.
    std::thread::scope(|scope| {
        let ahead = scope.spawn(|| value(pool.submit(square::call(3))));
        wait::until("a caller waits", || pool.stats().waiting == 1);
        let error = failure(pool.submit(call()));
        assert!(matches!(error.kind(), JoinErrorKind::Expired), "{error:?}");
        assert!(!ahead.is_finished());
        gate.set();
        assert_eq!(ahead.join().unwrap(), 9);
    });
    assert_eq!(pool.stats().waiting, 0);
    value(job);
}

fn a_deadline_that_is_kept(method: StartMethod) {
    let pool = pool(method, 2);
    let squares = pool.map((0..500).map(|n| square::call(n).deadline(Instant::now() + 2 * wait::LIMIT)));
    assert_eq!(squares.sum::<Result<u64, _>>().unwrap(), 41_541_750);
    // Far beyond the range of the clock's arithmetic.
    let far = Instant::now() + Duration::from_secs(u64::from(u32::MAX));
    assert_eq!(value(pool.submit(square::call(3).deadline(far))), 9);
}

fn a_deadline_of_a_child(method: StartMethod) {
    let context = get_context(method).unwrap();
    for deadline in [Instant::now() + MOMENT, Instant::now()] {
        let child = context.start(wait_for::call(event()).deadline(deadline)).unwrap();
        let error = child.join().unwrap_err();
        assert!(matches!(error.kind(), JoinErrorKind::TimedOut), "{error:?}");
    }
    // The shorter one holds.
    let far = Instant::now() + 2 * wait::LIMIT;
    let child = context.process(wait_for::call(event()).deadline(far)).timeout(MOMENT).start().unwrap();
    assert!(matches!(child.join().unwrap_err().kind(), JoinErrorKind::TimedOut));
    let child = context.process(wait_for::call(event()).deadline(Instant::now() + MOMENT)).timeout(2 * wait::LIMIT);
    assert!(matches!(child.start().unwrap().join().unwrap_err().kind(), JoinErrorKind::TimedOut));
}

/// Returns the number of earlier runs.
#[child_task]
fn place(counts: Counts) -> u32 {
    super::add_one(&counts, 0);
    super::now(&counts)[0] - 1
}

fn higher_priorities_come_first(method: StartMethod) {
    let pool = pool(method, 1);
    let (job, gate) = running(&pool);
    let counts = counts();
    let priorities = [Priority::Low, Priority::Normal, Priority::High];
    let jobs: Vec<_> = (0..300).map(|n| pool.submit(place::call(counts.clone()).priority(priorities[n % 3]))).collect();
    gate.set();
    value(job);
    for (n, place) in jobs.into_iter().map(value).enumerate() {
        let level = [200, 100, 0][n % 3];
        assert_eq!(place, level + n as u32 / 3, "job {n}");
    }
}

/// One job lies at each worker behind the job that runs.
fn a_higher_priority_overtakes_what_waits_at_a_worker(method: StartMethod) {
    let pool = pool(method, 2);
    let running: Vec<_> = (0..2).map(|_| running(&pool)).collect();
    let gate = event();
    let low: Vec<_> = (0..4).map(|_| pool.submit(wait_for::call(gate.clone()).priority(Priority::Low))).collect();
    let high = pool.submit(square::call(7).priority(Priority::High));
    running[0].1.set();
    assert_eq!(value(high), 49, "a job of low priority runs for ever before it");
    running[1].1.set();
    gate.set();
    low.into_iter().for_each(|job| assert!(value(job) > 0));
}
