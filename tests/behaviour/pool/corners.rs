//! Rare moments of a pool, in which the available thread has to lead.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use offspring::sync::Event;
use offspring::{ErrorKind, JoinErrorKind, Pool, StartMethod, child_task};
use offspring_tests::{cases, sys, wait};

use super::{build, builder, event, failure, no_process_is_left, pid, pids, pool, running, square, value};

cases! {
    alone no_tasks_per_worker_is_refused;
    alone fewer_workers_while_rings_are_full;
    alone a_waker_that_drops_the_pool_of_who_waits;
    alone an_unwatched_death;
    alone a_worker_is_tried_for_again_while_a_thread_waits;
    alone idle_after_an_unwanted_job;
}

fn no_tasks_per_worker_is_refused(method: StartMethod) {
    let error = builder(method).workers(1).max_tasks_per_worker(0).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Setting, "{error:?}");
}

fn signal(pids: &[u32], signal: i32) {
    pids.iter().for_each(|pid| sys::kill(*pid as i32, signal));
}

fn fewer_workers_while_rings_are_full(method: StartMethod) {
    let pool = pool(method, 2);
    // From now on the pool knows that jobs are short.
    assert_eq!(pool.map((0..5000).map(square::call)).filter(Result::is_ok).count(), 5000);
    let workers = pids(&pool);
    signal(&workers, libc::SIGSTOP);
    let jobs: Vec<_> = (0..400).map(|n| pool.submit(square::call(n))).collect();
    pool.resize(1).unwrap();
    signal(&workers, libc::SIGCONT);
    for (n, job) in jobs.into_iter().enumerate() {
        assert_eq!(value(job), (n * n) as u64);
    }
    wait::until("one has left", || pids(&pool).len() == 1);
}

/// Holds the last handle of a pool until woken.
struct Owner(Mutex<Option<Pool>>, Event);

impl Wake for Owner {
    fn wake(self: Arc<Self>) {
        drop(self.0.lock().unwrap().take());
        self.1.set();
    }
}

fn a_waker_that_drops_the_pool_of_who_waits(method: StartMethod) {
    let pool = pool(method, 2);
    let ((awaited, gate), (hanging, _closed)) = (running(&pool), running(&pool));
    let (waiting, dropped) = (event(), event());
    let waiter = std::thread::spawn({
        let waiting = waiting.clone();
        move || {
            waiting.set();
            failure(hanging)
        }
    });
    assert!(waiting.wait_timeout(wait::LIMIT));
    wait::a_moment();
    let waker = Waker::from(Arc::new(Owner(Mutex::new(Some(pool)), dropped.clone())));
    let mut awaited = awaited;
    assert!(Pin::new(&mut awaited).poll(&mut Context::from_waker(&waker)).is_pending());
    drop(waker);
    gate.set();
    assert!(dropped.wait_timeout(wait::LIMIT), "the waker cannot drop the pool");
    assert!(matches!(waiter.join().unwrap().kind(), JoinErrorKind::PoolClosed));
    drop(awaited);
    no_process_is_left();
}

/// A worker that a since departed thread has started dies while no thread waits.
fn an_unwatched_death(method: StartMethod) {
    let pool = build(builder(method).workers(2).min_workers(1));
    wait::a_moment();
    let (job, gate) = running(&pool);
    let (begun, opened) = (event(), event());
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| value(job));
        wait::a_moment();
        // The second worker has to be started now.
        drop(pool.submit(super::begin_and_wait::call(begun.clone(), opened.clone())));
        assert!(begun.wait_timeout(wait::LIMIT));
        gate.set();
        waiter.join().unwrap();
    });
    let victim = *pids(&pool).last().unwrap();
    sys::kill(victim as i32, libc::SIGKILL);
    wait::until("it is buried", || !pids(&pool).contains(&victim));
}

#[child_task(report)]
fn if_open(gate: Event) -> Result<(), String> {
    if gate.is_set() { Ok(()) } else { Err("closed".to_owned()) }
}

fn a_worker_is_tried_for_again_while_a_thread_waits(method: StartMethod) {
    let gate = event();
    gate.set();
    let pool = build(builder(method).workers(2).min_workers(1).initializer(if_open::call(gate.clone())));
    let (job, end) = running(&pool);
    gate.clear();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| value(job));
        wait::a_moment();
        let in_vain = pool.submit(pid::call());
        let replaced = pool.stats().replaced;
        wait::until("a worker could not be had", || pool.stats().replaced > replaced + 3);
        assert!(in_vain.cancel());
        wait::a_moment();
        gate.set();
        let other = value(pool.submit(pid::call()));
        end.set();
        assert_ne!(waiter.join().unwrap(), other);
    });
}

fn idle_after_an_unwanted_job(method: StartMethod) {
    let pool = build(builder(method).workers(1).min_workers(0).idle_timeout(Duration::from_millis(10)));
    let before = offspring::active_children().len();
    let (job, gate) = running(&pool);
    drop(job);
    wait::a_moment();
    gate.set();
    wait::until("the worker has left", || offspring::active_children().len() == before);
}
