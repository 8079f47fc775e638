//! Pools. What a case waits for are events and counts in memory that it shares with its tasks.

pub(crate) mod corners;
pub(crate) mod faults;
pub(crate) mod futures;
pub(crate) mod hostile;
pub(crate) mod jobs;
pub(crate) mod life;
pub(crate) mod maps;
pub(crate) mod results;
pub(crate) mod staffing;
pub(crate) mod template;
pub(crate) mod workers;

use offspring::sync::{Event, Mutex};
use offspring::{Job, JoinError, Pool, PoolBuilder, StartMethod, child_task, get_context};
use offspring_tests::wait::outcome;
use offspring_tests::{procs, wait};

/// A pool of `method`.
#[track_caller]
fn pool(method: StartMethod, workers: usize) -> Pool {
    build(builder(method).workers(workers))
}

fn builder(method: StartMethod) -> PoolBuilder {
    get_context(method).expect("a supported method").pool()
}

#[track_caller]
fn build(builder: PoolBuilder) -> Pool {
    builder.build().unwrap_or_else(|error| panic!("no pool: {error:?}"))
}

#[track_caller]
fn value<T>(job: Job<T>) -> T {
    outcome(job).unwrap_or_else(|error| panic!("no value: {error:?}"))
}

#[track_caller]
fn failure<T: std::fmt::Debug>(job: Job<T>) -> JoinError {
    outcome(job).expect_err("a failure")
}

fn event() -> Event {
    Event::new().expect("an event")
}

/// How often each of some tasks has run.
type Counts = Mutex<[u32; 32]>;

fn counts() -> Counts {
    Mutex::new([0; 32]).expect("a mutex")
}

fn add_one(counts: &Counts, number: u32) {
    // Who had it before may have been killed.
    counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner)[number as usize] += 1;
}

fn now(counts: &Counts) -> [u32; 32] {
    *counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The process ids of a pool's workers.
fn pids(pool: &Pool) -> Vec<u32> {
    pool.stats().workers.iter().map(|worker| worker.pid).collect()
}

/// Waits until so many workers serve: all are there, and each runs a job at the same time as the others.
#[track_caller]
fn all_serve(pool: &Pool, workers: usize) {
    let jobs: Vec<_> = (0..workers).map(|_| running(pool)).collect();
    jobs.iter().for_each(|(_, gate)| gate.set());
    let served: std::collections::BTreeSet<u32> = jobs.into_iter().map(|(job, _)| value(job)).collect();
    assert_eq!(served.len(), workers);
}

/// Waits until nobody is left of a pool that was, and nothing runs in this process but its own thread.
#[track_caller]
fn nobody_is_left() {
    wait::until("no worker is left", || offspring::active_children().is_empty());
    wait::until("no thread is left", || procs::status("self", "Threads") == "1");
}

#[child_task]
fn square(n: u64) -> u64 {
    n * n
}

#[child_task]
fn pid() -> u32 {
    std::process::id()
}

#[child_task]
fn reversed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.reverse();
    bytes
}

/// Waits for an event, no longer than anything may take.
#[child_task]
fn wait_for(gate: Event) -> u32 {
    assert!(gate.wait_timeout(2 * wait::LIMIT), "the gate was not opened");
    std::process::id()
}

/// The same, and says when it has begun.
#[child_task]
fn begin_and_wait(begun: Event, gate: Event) -> u32 {
    begun.set();
    wait_for(gate)
}

/// Counts its own run.
#[child_task]
fn count(counts: Counts, number: u32) -> u32 {
    add_one(&counts, number);
    number
}

/// A job that runs, and the event by which it ends.
#[track_caller]
fn running(pool: &Pool) -> (Job<u32>, Event) {
    let (begun, gate) = (event(), event());
    let job = pool.submit(begin_and_wait::call(begun.clone(), gate.clone()));
    assert!(begun.wait_timeout(wait::LIMIT), "a job has not begun: {:?}", pool.stats());
    (job, gate)
}
