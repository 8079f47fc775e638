//! A call that every worker runs: before the jobs in line, never elsewhere, and not after the worker's end.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use offspring::{Job, JoinErrorKind, Pool, StartMethod, child_task};
use offspring_tests::{cases, sys, wait};

use super::{
    Counts, Refusing, add_one, build, builder, counts, event, failure, no_process_is_left, now, outcome, pid, pids,
    pool, running, value, wait_for,
};
use crate::futures::block_on;

cases! {
    alone runs_once_in_each;
    alone runs_before_the_jobs_in_line;
    alone waits_for_its_worker;
    alone the_dead_run_nothing;
    alone runs_no_second_time;
    alone reaches_workers_that_begin;
    alone leaves_out_the_later_ones;
    alone runs_in_workers_that_have_done_their_share;
    alone is_cancelled_as_any_job;
    alone is_a_future;
    alone with_much_to_carry;
    alone comes_to_the_end_of_the_pool;
    alone that_cannot_be_encoded;
}

/// What the last broadcast has set.
static VERSION: AtomicU64 = AtomicU64::new(0);

#[child_task]
fn set_version(version: u64) -> (u64, u32) {
    (VERSION.swap(version, Ordering::Relaxed), std::process::id())
}

#[child_task]
fn version() -> u64 {
    VERSION.load(Ordering::Relaxed)
}

#[track_caller]
fn values<T>(jobs: Vec<(u32, Job<T>)>) -> Vec<(u32, T)> {
    jobs.into_iter().map(|(pid, job)| (pid, value(job))).collect()
}

fn runs_once_in_each(method: StartMethod) {
    let pool = pool(method, 3);
    for round in 0..20 {
        let workers: BTreeSet<u32> = pids(&pool).into_iter().collect();
        let results = values(pool.broadcast(set_version::call(round + 1)));
        assert_eq!(results.len(), 3);
        for (pid, (before, own)) in &results {
            assert_eq!((*before, pid), (round, own), "each time, and in the worker that is named");
        }
        assert_eq!(results.into_iter().map(|(pid, _)| pid).collect::<BTreeSet<_>>(), workers);
    }
    let stats = pool.stats();
    assert_eq!((stats.done, stats.queued), (60, 0), "{stats:?}");
    pool.join().unwrap();
    no_process_is_left();
}

fn runs_before_the_jobs_in_line(method: StartMethod) {
    let pool = pool(method, 2);
    let busy = [running(&pool), running(&pool)];
    let waiting: Vec<Job<u64>> = (0..50).map(|_| pool.submit(version::call())).collect();
    let told = pool.broadcast(set_version::call(1));
    let later: Vec<Job<u64>> = (0..50).map(|_| pool.submit(version::call())).collect();
    for (job, gate) in busy {
        gate.set();
        value(job);
    }
    assert_eq!(values(told).len(), 2);
    for job in waiting.into_iter().chain(later) {
        assert_eq!(value(job), 1);
    }
    pool.join().unwrap();
}

/// Returns a running job, its gate, and its worker.
#[track_caller]
fn running_in(pool: &Pool) -> (Job<u32>, offspring::sync::Event, u32) {
    let assigned = |pid: u32| pool.stats().workers.iter().any(|worker| worker.pid == pid && worker.assigned > 0);
    let (job, gate) = running(pool);
    let worker = pids(pool).into_iter().find(|pid| assigned(*pid)).expect("the worker of the job");
    (job, gate, worker)
}

fn waits_for_its_worker(method: StartMethod) {
    let pool = pool(method, 2);
    let (busy, gate, worker) = running_in(&pool);
    let told = pool.broadcast(pid::call());
    let (mut late, early): (Vec<_>, Vec<_>) = told.into_iter().partition(|(pid, _)| *pid == worker);
    assert_eq!(values(early).len(), 1);
    // The other worker is idle, and does others' work, but not this.
    for _ in 0..100 {
        assert_ne!(value(pool.submit(pid::call())), worker);
    }
    let (_, late) = late.pop().expect("a job of the busy worker");
    let mut late = late;
    assert!(late.wait_timeout(std::time::Duration::from_millis(50)).unwrap().is_none());
    gate.set();
    assert_eq!(value(late), worker);
    assert_eq!(value(busy), worker);
}

#[child_task]
fn note(counts: Counts) -> u32 {
    add_one(&counts, 0);
    std::process::id()
}

fn the_dead_run_nothing(method: StartMethod) {
    let (pool, counts) = (pool(method, 2), counts());
    let (busy, _gate, worker) = running_in(&pool);
    let told = pool.broadcast(note::call(counts.clone()));
    sys::kill(worker as i32, libc::SIGKILL);
    assert!(matches!(failure(busy).kind(), JoinErrorKind::Signaled(libc::SIGKILL)));
    for (pid, job) in told {
        match outcome(job) {
            Ok(ran) => assert!(ran == pid && pid != worker),
            Err(error) => {
                assert!(matches!(error.kind(), JoinErrorKind::Cancelled), "{error:?}");
                assert_eq!((pid, error.pid()), (worker, Some(worker)));
                assert!(error.to_string().contains("its worker came to its end"), "{error}");
            }
        }
    }
    wait::until("it is replaced", || pids(&pool).len() == 2 && !pids(&pool).contains(&worker));
    super::all_serve(&pool, 2);
    assert_eq!(now(&counts)[0], 1, "neither another worker nor the replacement");
}

#[child_task(idempotent)]
fn crash(counts: Counts) {
    add_one(&counts, 0);
    sys::die_by(libc::SIGKILL);
}

fn runs_no_second_time(method: StartMethod) {
    let counts = counts();
    let pool = build(builder(method).workers(2).retries(3));
    for (pid, job) in pool.broadcast(crash::call(counts.clone())) {
        let error = failure(job);
        assert!(matches!(error.kind(), JoinErrorKind::Signaled(libc::SIGKILL)), "{error:?}");
        assert_eq!(error.pid(), Some(pid));
    }
    super::all_serve(&pool, 2);
    assert_eq!(now(&counts)[0], 2);
}

#[child_task]
fn begin_when(gate: offspring::sync::Event) {
    wait_for(gate);
}

fn reaches_workers_that_begin(method: StartMethod) {
    let gate = event();
    gate.set();
    let pool = build(builder(method).workers(1).initializer(begin_when::call(gate.clone())));
    gate.clear();
    pool.resize(2).unwrap();
    wait::until("the second one begins", || pids(&pool).len() == 2);
    let told = pool.broadcast(set_version::call(1));
    assert_eq!(told.len(), 2);
    gate.set();
    assert!(values(told).into_iter().all(|(_, (before, _))| before == 0));
}

fn leaves_out_the_later_ones(method: StartMethod) {
    let (pool, counts) = (pool(method, 1), counts());
    assert_eq!(values(pool.broadcast(note::call(counts.clone()))).len(), 1);
    pool.resize(2).unwrap();
    super::all_serve(&pool, 2);
    assert_eq!(now(&counts)[0], 1);
    assert_eq!(values(pool.broadcast(note::call(counts.clone()))).len(), 2);
    drop(pool);
    no_process_is_left();
    let pool = build(builder(method).workers(2).min_workers(0));
    assert!(pool.broadcast(pid::call()).is_empty(), "no worker, no job");
    pool.join().unwrap();
}

fn runs_in_workers_that_have_done_their_share(method: StartMethod) {
    let pool = build(builder(method).workers(1).max_tasks_per_worker(1));
    let (busy, gate) = running(&pool);
    let mut told = pool.broadcast(pid::call());
    let next = pool.submit(pid::call());
    gate.set();
    let worker = value(busy);
    assert_eq!(value(told.pop().expect("one worker").1), worker);
    assert_ne!(value(next), worker, "it is recycled then");
    pool.join().unwrap();
}

fn is_cancelled_as_any_job(method: StartMethod) {
    let (pool, counts) = (pool(method, 1), counts());
    let (busy, gate) = running(&pool);
    let (_, first) = pool.broadcast(note::call(counts.clone())).pop().unwrap();
    let (_, second) = pool.broadcast(note::call(counts.clone())).pop().unwrap();
    assert!(first.cancel());
    gate.set();
    value(busy);
    assert!(matches!(failure(first).kind(), JoinErrorKind::Cancelled));
    value(second);
    // A dropped job runs all the same.
    drop(pool.broadcast(note::call(counts.clone())));
    pool.join().unwrap();
    assert_eq!(now(&counts)[0], 2);
}

fn is_a_future(method: StartMethod) {
    let pool = pool(method, 2);
    let told = pool.broadcast(pid::call());
    for (pid, job) in told {
        assert_eq!(block_on(job).unwrap(), pid);
    }
}

fn with_much_to_carry(method: StartMethod) {
    let pool = pool(method, 2);
    for length in [0, 10_000, 3 << 20] {
        let told = pool.broadcast(super::reversed::call(vec![7; length]));
        assert!(values(told).into_iter().all(|(_, bytes)| bytes == vec![7; length]));
    }
}

fn comes_to_the_end_of_the_pool(method: StartMethod) {
    let pool = pool(method, 2);
    let told = pool.broadcast(pid::call());
    pool.join().unwrap();
    assert_eq!(values(told).len(), 2, "the join waits for them");
    no_process_is_left();
    let pool = super::pool(method, 1);
    let (_busy, _gate) = running(&pool);
    let mut told = pool.broadcast(pid::call());
    pool.close();
    let mut late = pool.broadcast(pid::call());
    assert!(matches!(failure(late.pop().unwrap().1).kind(), JoinErrorKind::PoolClosed));
    pool.terminate();
    assert!(matches!(failure(told.pop().unwrap().1).kind(), JoinErrorKind::PoolClosed));
}

fn that_cannot_be_encoded(method: StartMethod) {
    let pool = pool(method, 2);
    for (_, job) in pool.broadcast(refuse::call(Refusing)) {
        assert!(matches!(failure(job).kind(), JoinErrorKind::NotStarted(_)));
    }
    assert_eq!(values(pool.broadcast(pid::call())).len(), 2);
}

#[child_task]
fn refuse(_refusing: Refusing) {}
