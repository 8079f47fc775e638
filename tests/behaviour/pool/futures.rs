//! Jobs as futures, and pools and jobs in use by several threads at once.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use offspring::{Job, JoinError, JoinErrorKind, Pool, StartMethod, child_task};
use offspring_tests::{cases, sys, wait};

use super::{count, counts, event, failure, now, outcome, pool, running, square, value, wait_for};
use crate::futures::block_on;

cases! {
    alone a_value_and_failures;
    alone many_at_once;
    alone the_first_of_two;
    alone a_backlog_is_moved_on_by_the_pool_alone;
    alone a_later_waker_replaces_the_first;
    alone a_job_that_was_polled_can_be_waited_for;
    alone a_dropped_future_runs_all_the_same;
    alone of_a_pool_that_is_dropped;
    alone wakers_that_use_the_pool;
    alone a_waker_that_panics;
    alone a_pool_that_threads_share;
    alone jobs_that_other_threads_wait_for;
    alone looks_from_outside_keep_no_thread_waiting;
    alone a_short_wait_ends_although_another_thread_waits;
}

#[child_task]
fn die(signal: i32) {
    sys::die_by(signal)
}

fn a_value_and_failures(method: StartMethod) {
    let pool = pool(method, 2);
    assert_eq!(block_on(pool.submit(square::call(3))).unwrap(), 9);
    let error = block_on(pool.submit(die::call(libc::SIGKILL))).unwrap_err();
    assert!(matches!(error.kind(), JoinErrorKind::Signaled(libc::SIGKILL)), "{error:?}");
    let mut job = pool.submit(square::call(4));
    assert_eq!(block_on(&mut job).unwrap(), 16);
    let error = block_on(&mut job).unwrap_err();
    assert!(matches!(error.kind(), JoinErrorKind::AlreadyTaken), "{error:?}");
}

/// Awaits all jobs. `between` runs after each poll.
fn all<T>(jobs: Vec<Job<T>>, mut between: impl FnMut()) -> Vec<Result<T, JoinError>> {
    let mut slots: Vec<_> = jobs.into_iter().map(|job| (Some(job), None)).collect();
    block_on(std::future::poll_fn(|polling| {
        for (job, result) in &mut slots {
            if let Some(one) = job
                && let Poll::Ready(outcome) = Pin::new(one).poll(polling)
            {
                *result = Some(outcome);
                *job = None;
            }
        }
        between();
        if slots.iter().all(|(job, _)| job.is_none()) { Poll::Ready(()) } else { Poll::Pending }
    }));
    slots.into_iter().filter_map(|(_, result)| result).collect()
}

/// A panicking waker hurts only its own executor, whichever thread wakes.
fn a_waker_that_panics(method: StartMethod) {
    struct Bomb(AtomicUsize);
    impl Wake for Bomb {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
            panic!("woken");
        }
    }
    let pool = pool(method, 2);
    std::panic::set_hook(Box::new(|_| {}));
    let bomb = Arc::new(Bomb(AtomicUsize::new(0)));
    for round in 1..=3 {
        let (mut job, gate) = running(&pool);
        let waker = Waker::from(Arc::clone(&bomb));
        assert!(Pin::new(&mut job).poll(&mut Context::from_waker(&waker)).is_pending());
        gate.set();
        // The supervisor or this thread wakes the waker.
        if round == 2 {
            value(pool.submit(square::call(3)));
        }
        wait::until("it was woken", || bomb.0.load(Ordering::Relaxed) == round);
        value(job);
    }
    // The supervisor is still running.
    sys::kill(super::pids(&pool)[0] as i32, libc::SIGKILL);
    wait::until("it is replaced", || pool.stats().replaced == 1 && super::pids(&pool).len() == 2);
    assert_eq!(block_on(pool.submit(square::call(4))).unwrap(), 16);
}

fn many_at_once(method: StartMethod) {
    let pool = pool(method, 2);
    for count in [1, 2, 100, 1000_u64] {
        let results = all((0..count).map(|n| pool.submit(square::call(n))).collect(), || {});
        assert!(results.into_iter().map(Result::unwrap).eq((0..count).map(|n| n * n)));
    }
}

fn the_first_of_two(method: StartMethod) {
    let pool = pool(method, 2);
    let (gate, other_gate) = (event(), event());
    let (mut one, mut two) =
        (pool.submit(wait_for::call(gate.clone())), pool.submit(wait_for::call(other_gate.clone())));
    let mut opened = false;
    let first = block_on(std::future::poll_fn(|polling| {
        for (number, job) in [(1, &mut one), (2, &mut two)] {
            if let Poll::Ready(result) = pin!(job).poll(polling) {
                return Poll::Ready((number, result.unwrap()));
            }
        }
        if !std::mem::replace(&mut opened, true) {
            other_gate.set();
        }
        Poll::Pending
    }));
    assert_eq!(first.0, 2);
    gate.set();
    assert_ne!(block_on(one).unwrap(), first.1);
}

fn a_backlog_is_moved_on_by_the_pool_alone(method: StartMethod) {
    let pool = pool(method, 2);
    let counts = counts();
    let before: Vec<_> = (0..20 * 32).map(|n| pool.submit(count::call(counts.clone(), n % 32))).collect();
    assert_eq!(block_on(pool.submit(square::call(5))).unwrap(), 25);
    wait::until("the others have run", || now(&counts) == [20; 32]);
    assert_eq!(before.into_iter().map(value).count(), 640);
}

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn a_later_waker_replaces_the_first(method: StartMethod) {
    let pool = pool(method, 1);
    let (mut job, gate) = running(&pool);
    let (first, second) = (Arc::new(Count(AtomicUsize::new(0))), Arc::new(Count(AtomicUsize::new(0))));
    for count in [&first, &second] {
        let waker = Waker::from(Arc::clone(count));
        assert!(Pin::new(&mut job).poll(&mut Context::from_waker(&waker)).is_pending());
    }
    gate.set();
    wait::until("the second waker is woken", || second.0.load(Ordering::SeqCst) == 1);
    assert_eq!(first.0.load(Ordering::SeqCst), 0);
    assert!(Pin::new(&mut job).poll(&mut Context::from_waker(Waker::noop())).is_ready());
    assert_eq!(second.0.load(Ordering::SeqCst), 1, "once");
}

fn is_pending<T>(job: &mut Job<T>) -> bool {
    Pin::new(job).poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

fn a_job_that_was_polled_can_be_waited_for(method: StartMethod) {
    let pool = pool(method, 1);
    let (mut job, gate) = running(&pool);
    assert!(is_pending(&mut job));
    gate.set();
    value(job);
}

fn a_dropped_future_runs_all_the_same(method: StartMethod) {
    let pool = pool(method, 1);
    let (mut first, gate) = running(&pool);
    let counts = counts();
    for n in 0..32 {
        let mut job = pool.submit(count::call(counts.clone(), n));
        assert!(is_pending(&mut job));
    }
    assert!(is_pending(&mut first));
    drop(first);
    gate.set();
    wait::until("all have run", || now(&counts) == [1; 32]);
    assert_eq!(block_on(pool.submit(square::call(6))).unwrap(), 36);
}

fn of_a_pool_that_is_dropped(method: StartMethod) {
    let pool = pool(method, 1);
    let jobs: Vec<_> = (0..10).map(|_| pool.submit(wait_for::call(event()))).collect();
    let mut pool = Some(pool);
    for result in all(jobs, || drop(pool.take())) {
        let error = result.unwrap_err();
        assert!(matches!(error.kind(), JoinErrorKind::PoolClosed), "{error:?}");
    }
}

/// Submits another job when woken, and looks at the pool when dropped.
struct Busybody(Arc<Pool>, mpsc::SyncSender<Job<u64>>);

impl Wake for Busybody {
    fn wake(self: Arc<Self>) {
        self.1.send(self.0.submit(square::call(12))).unwrap();
    }
}

impl Drop for Busybody {
    fn drop(&mut self) {
        self.0.stats();
    }
}

fn wakers_that_use_the_pool(method: StartMethod) {
    let pool = Arc::new(pool(method, 2));
    let (told, jobs) = mpsc::sync_channel(100);
    for _ in 0..20 {
        let waker = Waker::from(Arc::new(Busybody(Arc::clone(&pool), told.clone())));
        let (mut job, gate) = running(&pool);
        assert!(Pin::new(&mut job).poll(&mut Context::from_waker(&waker)).is_pending());
        // The first waker is replaced, and dropped.
        let other = Waker::from(Arc::new(Busybody(Arc::clone(&pool), told.clone())));
        assert!(Pin::new(&mut job).poll(&mut Context::from_waker(&other)).is_pending());
        drop((waker, other));
        gate.set();
        assert_eq!(value(jobs.recv_timeout(wait::LIMIT).expect("the waker is woken")), 144);
        value(job);
    }
}

fn a_pool_that_threads_share(method: StartMethod) {
    let pool = pool(method, 2);
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let pool = &pool;
            scope.spawn(move || {
                for n in 0..200 {
                    assert_eq!(value(pool.submit(square::call(n + thread))), (n + thread) * (n + thread));
                }
                assert!(pool.map((0..2000).map(square::call)).map(Result::unwrap).eq((0..2000).map(|n| n * n)));
                let sum: u64 = pool.map_unordered((0..2000).map(square::call)).map(|(_, value)| value.unwrap()).sum();
                assert_eq!(sum, 2_664_667_000);
                assert_eq!(block_on(pool.submit(square::call(thread))).unwrap(), thread * thread);
            });
        }
    });
    let stats = pool.stats();
    assert_eq!((stats.done, stats.failed, stats.queued, stats.running), (4 * 4201, 0, 0, 0), "{stats:?}");
}

fn jobs_that_other_threads_wait_for(method: StartMethod) {
    let pool = pool(method, 2);
    for _ in 0..20 {
        let gate = event();
        let all_there = Barrier::new(5);
        std::thread::scope(|scope| {
            let waiting: Vec<_> = (0..4)
                .map(|_| {
                    let job = pool.submit(wait_for::call(gate.clone()));
                    let all_there = &all_there;
                    scope.spawn(move || {
                        all_there.wait();
                        outcome(job)
                    })
                })
                .collect();
            all_there.wait();
            gate.set();
            assert!(waiting.into_iter().all(|thread| thread.join().unwrap().is_ok()));
        });
    }
    assert_eq!(pool.stats().done, 80);
}

/// A look at the pool receives results, and has to wake the threads that wait for the results.
fn looks_from_outside_keep_no_thread_waiting(method: StartMethod) {
    let pool = pool(method, 2);
    let gate = event();
    let long = pool.submit(wait_for::call(gate.clone()));
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| value(long));
        // The long job has a deadline of its own.
        let end = Instant::now() + wait::LIMIT / 4;
        for _ in (0..300).take_while(|_| Instant::now() < end) {
            let (short, told) = running(&pool);
            let waits = scope.spawn(|| value(short));
            wait::a_moment();
            told.set();
            while !waits.is_finished() {
                pool.stats();
            }
            waits.join().unwrap();
        }
        gate.set();
        waits.join().unwrap();
    });
}

/// One thread leads for all. When the leader is done, another thread has to lead.
fn a_short_wait_ends_although_another_thread_waits(method: StartMethod) {
    let pool = pool(method, 2);
    let gate = event();
    let long = pool.submit(wait_for::call(gate.clone()));
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| value(long));
        let end = Instant::now() + wait::LIMIT / 4;
        for n in (0..500).take_while(|_| Instant::now() < end) {
            assert_eq!(value(pool.submit(square::call(n))), n * n);
        }
        let mut never = pool.submit(wait_for::call(gate.clone()));
        assert!(never.wait_timeout(std::time::Duration::from_millis(5)).unwrap().is_none());
        assert!(!waits.is_finished());
        let (one, two) = (pool.submit(square::call(1)), pool.submit(square::call(2)));
        gate.set();
        waits.join().unwrap();
        assert_eq!((value(one), value(two)), (1, 4));
        value(never);
    });
    drop(failure::<u32>(pool_closed(pool)));
}

fn pool_closed(pool: Pool) -> Job<u32> {
    pool.close();
    pool.submit(wait_for::call(event()))
}
