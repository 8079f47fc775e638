//! Pools. Cases wait for events and counts in memory shared with the tasks.

pub(crate) mod broadcast;
pub(crate) mod corners;
pub(crate) mod descriptors;
pub(crate) mod faults;
pub(crate) mod finalizers;
pub(crate) mod futures;
pub(crate) mod hostile;
pub(crate) mod jobs;
pub(crate) mod life;
pub(crate) mod maps;
pub(crate) mod options;
pub(crate) mod pressure;
pub(crate) mod results;
pub(crate) mod retries;
pub(crate) mod scaling;
pub(crate) mod sharing;
pub(crate) mod template;
pub(crate) mod urgency;
pub(crate) mod waiting;
pub(crate) mod workers;

use offspring::sync::{Event, Mutex};
use offspring::{Job, JoinError, Pool, PoolBuilder, StartMethod, child_task, get_context};
use offspring_tests::wait::outcome;
use offspring_tests::{procs, wait};

/// Builds a pool of `method`.
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

/// The number of runs of each of some tasks.
type Counts = Mutex<[u32; 32]>;

fn counts() -> Counts {
    Mutex::new([0; 32]).expect("a mutex")
}

fn add_one(counts: &Counts, number: u32) {
    // The owner before may have been killed.
    counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner)[number as usize] += 1;
}

fn now(counts: &Counts) -> [u32; 32] {
    *counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Returns the process ids of a pool's workers.
fn pids(pool: &Pool) -> Vec<u32> {
    pool.stats().workers.iter().map(|worker| worker.pid).collect()
}

/// Waits until `workers` workers serve, each with a job at the same time.
#[track_caller]
fn all_serve(pool: &Pool, workers: usize) {
    let jobs: Vec<_> = (0..workers).map(|_| running(pool)).collect();
    jobs.iter().for_each(|(_, gate)| gate.set());
    let served: std::collections::BTreeSet<u32> = jobs.into_iter().map(|(job, _)| value(job)).collect();
    assert_eq!(served.len(), workers);
}

/// Waits until a dropped pool has no process left, and this process only its own thread.
#[track_caller]
fn no_process_is_left() {
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

/// Waits for an event, within the usual deadline.
#[child_task]
fn wait_for(gate: Event) -> u32 {
    assert!(gate.wait_timeout(2 * wait::LIMIT), "the gate was not opened");
    std::process::id()
}

/// The same, and sets an event at its begin.
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

/// Returns a running job, and the event that ends the job.
#[track_caller]
fn running(pool: &Pool) -> (Job<u32>, Event) {
    let (begun, gate) = (event(), event());
    let job = pool.submit(begin_and_wait::call(begun.clone(), gate.clone()));
    assert!(begun.wait_timeout(wait::LIMIT), "a job has not begun: {:?}", pool.stats());
    (job, gate)
}

/// A value that cannot be encoded.
#[derive(serde::Deserialize)]
struct Refusing;

impl serde::Serialize for Refusing {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("not this one"))
    }
}
