//! The finalizer: a call of each worker after its last job, if the worker exits in order.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use offspring::sync::Event;
use offspring::{ErrorKind, RecvErrorKind, Report, Sender, StartMethod, channel, child_task};
use offspring_tests::{cases, sys, wait};

use super::{
    Counts, Refusing, add_one, all_serve, build, builder, counts, event, failure, no_process_is_left, now, outcome,
    pid, pids, running, square, value,
};

cases! {
    alone runs_once_in_each_at_the_join;
    alone runs_when_workers_are_replaced;
    alone runs_when_workers_are_too_many;
    alone does_not_run_in_the_killed;
    alone does_not_run_after_a_failed_initializer;
    alone with_descriptors_and_much_to_read;
    alone that_sends_to_a_channel;
    alone that_fails;
    alone that_fails_before_the_join;
    alone is_not_cancelled;
    alone that_hangs_is_killed;
    alone that_takes_its_time;
    alone that_cannot_be_encoded;
}

/// The jobs of this worker.
static JOBS: AtomicU32 = AtomicU32::new(0);

#[child_task]
fn job() -> u32 {
    JOBS.fetch_add(1, Ordering::Relaxed);
    std::process::id()
}

/// Adds the number of jobs of this worker to a count, and 1 to another.
#[child_task]
fn note_jobs(counts: Counts) {
    let mut counts = counts.lock().unwrap();
    counts[0] += JOBS.load(Ordering::Relaxed);
    counts[1] += 1;
}

fn runs_once_in_each_at_the_join(method: StartMethod) {
    let counts = counts();
    let pool = build(builder(method).workers(3).finalizer(note_jobs::call(counts.clone())));
    all_serve(&pool, 3);
    assert!(pool.map((0..100).map(|_| job::call())).all(|result| result.is_ok()));
    assert_eq!(now(&counts)[..2], [0, 0], "not before the end");
    pool.join().unwrap();
    assert_eq!(now(&counts)[..2], [100, 3], "after the last job");
    no_process_is_left();
}

fn runs_when_workers_are_replaced(method: StartMethod) {
    let counts = counts();
    let finalizer = note_jobs::call(counts.clone());
    let pool = build(builder(method).workers(1).max_tasks_per_worker(2).finalizer(finalizer.clone()));
    let jobs: Vec<u32> = pool.map((0..10).map(|_| job::call())).map(Result::unwrap).collect();
    wait::until("the replaced ones have finished", || now(&counts)[1] == 5);
    assert_eq!((jobs.len(), now(&counts)[0]), (10, 10));
    drop(pool);
    no_process_is_left();
    // One byte is too little for each.
    let pool = build(builder(method).workers(1).max_worker_memory_bytes(1).finalizer(finalizer));
    for _ in 0..3 {
        value(pool.submit(job::call()));
    }
    wait::until("the outgrown ones have finished", || now(&counts)[..2] == [13, 8]);
    pool.join().unwrap();
}

fn runs_when_workers_are_too_many(method: StartMethod) {
    let counts = counts();
    let finalizer = note_jobs::call(counts.clone());
    let pool = build(builder(method).workers(3).finalizer(finalizer.clone()));
    pool.resize(1).unwrap();
    wait::until("the surplus ones have finished", || now(&counts)[1] == 2);
    pool.join().unwrap();
    assert_eq!(now(&counts)[1], 3);
    no_process_is_left();
    let idle = Duration::from_millis(20);
    let pool = build(builder(method).workers(1).min_workers(0).idle_timeout(idle).finalizer(finalizer));
    value(pool.submit(job::call()));
    wait::until("the idle one has finished", || now(&counts)[..2] == [1, 4]);
    pool.join().unwrap();
}

fn does_not_run_in_the_killed(method: StartMethod) {
    let counts = counts();
    let with = || builder(method).workers(2).finalizer(note_run::call(counts.clone()));
    let pool = build(with());
    pids(&pool).into_iter().for_each(|worker| sys::kill(worker as i32, libc::SIGKILL));
    wait::until("they are replaced", || pool.stats().replaced == 2 && pids(&pool).len() == 2);
    let (job, _gate) = running(&pool);
    job.kill();
    failure(job);
    wait::until("it is replaced", || pool.stats().replaced == 3);
    pool.terminate();
    no_process_is_left();
    drop(build(with()));
    no_process_is_left();
    assert_eq!(now(&counts)[0], 0);
    let pool = build(with());
    sys::kill(pids(&pool)[0] as i32, libc::SIGKILL);
    wait::until("it is replaced", || pool.stats().replaced == 1);
    all_serve(&pool, 2);
    pool.join().expect("a killed worker is no failure of a finalizer");
    assert_eq!(now(&counts)[0], 2);
}

#[child_task]
fn note_run(counts: Counts) {
    add_one(&counts, 0);
}

#[child_task]
fn fail_to_begin() {
    panic!("no beginning");
}

fn does_not_run_after_a_failed_initializer(method: StartMethod) {
    let counts = counts();
    let builder = builder(method).workers(1).initializer(fail_to_begin::call());
    let error = builder.finalizer(note_run::call(counts.clone())).build().unwrap_err();
    assert!(error.to_string().contains("no beginning"), "{error}");
    no_process_is_left();
    assert_eq!(now(&counts)[0], 0);
}

#[child_task]
fn note_length(text: String, counts: Counts) -> Result<(), Report> {
    counts.lock().unwrap()[0] += text.len() as u32;
    Err(Report::from(vec![text.clone(), text]))
}

fn with_descriptors_and_much_to_read(method: StartMethod) {
    let (counts, length) = (counts(), 3 << 20);
    let finalizer = note_length::call("x".repeat(length), counts.clone());
    let pool = build(builder(method).workers(2).finalizer(finalizer));
    assert_eq!(value(pool.submit(square::call(2))), 4);
    let error = pool.join().unwrap_err();
    assert_eq!(now(&counts)[0] as usize, 2 * length);
    let causes = error.source().unwrap().downcast_ref::<Report>().unwrap();
    assert!(causes.chain().map(|cause| cause.to_string().len()).eq([length; 2]), "and much to say");
}

#[child_task]
fn send_pid(sender: Sender<u32>) {
    sender.send(std::process::id()).unwrap();
}

/// A job that is kept does not keep the pool's end of the channel.
fn that_sends_to_a_channel(method: StartMethod) {
    let (sender, receiver) = channel().unwrap();
    let pool = build(builder(method).workers(2).finalizer(send_pid::call(sender)));
    let workers = pids(&pool);
    let kept = pool.submit(square::call(2));
    pool.join().unwrap();
    let sent = [receiver.recv().unwrap(), receiver.recv().unwrap()];
    assert_eq!(BTreeSet::from(sent), workers.into_iter().collect());
    let error = receiver.recv_timeout(wait::LIMIT).unwrap_err();
    assert!(matches!(error.kind(), RecvErrorKind::Disconnected), "{error:?}");
    value(kept);
}

#[child_task(report)]
fn flush(path: String) -> std::io::Result<()> {
    std::fs::File::open(path).map(drop)
}

#[child_task]
fn panicking() {
    panic!("no such luck")
}

#[child_task]
fn exiting(code: i32) {
    std::process::exit(code)
}

fn that_fails(method: StartMethod) {
    let pool = build(builder(method).workers(2).finalizer(flush::call("/no/such/file".to_owned())));
    let results: Vec<u64> = pool.map((0..10).map(square::call)).map(Result::unwrap).collect();
    assert_eq!(results[9], 81);
    let error = pool.join().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Setting);
    assert!(error.to_string().contains("the finalizer") && error.to_string().contains("flush"), "{error}");
    assert!(error.source().unwrap().to_string().contains("No such file"), "{error:?}");
    no_process_is_left();
    for (finalizer, text) in [
        (panicking::call(), "no such luck"),
        (exiting::call(4), "did not return: `behaviour::pool::finalizers::exiting`"),
        (exiting::call(0), "code 0"),
    ] {
        // The first backtrace of a process may take longer than the grace.
        let pool = build(builder(method).workers(2).finalizer(finalizer.timeout(wait::LIMIT)));
        let job = pool.submit(square::call(3));
        let error = pool.join().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Setting);
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!(value(job), 9);
        no_process_is_left();
    }
}

#[child_task]
fn fail_the_first_time(counts: Counts) -> Result<(), Report> {
    add_one(&counts, 0);
    if now(&counts)[0] == 1 { Err(Report::msg("only once")) } else { Ok(()) }
}

fn that_fails_before_the_join(method: StartMethod) {
    let counts = counts();
    let finalizer = fail_the_first_time::call(counts.clone());
    let pool = build(builder(method).workers(1).max_tasks_per_worker(1).finalizer(finalizer));
    for _ in 0..3 {
        value(pool.submit(pid::call()));
    }
    wait::until("three have finished", || now(&counts)[0] == 3);
    assert_eq!(pool.stats().failed, 0, "no job has failed");
    let error = pool.join().unwrap_err();
    assert_eq!(error.source().unwrap().to_string(), "only once");
}

#[child_task]
fn run_until_cancelled(begun: Event) {
    begun.set();
    let deadline = Instant::now() + 2 * wait::LIMIT;
    while !offspring::is_cancelled() {
        assert!(Instant::now() < deadline, "not cancelled");
        std::hint::spin_loop();
    }
}

#[child_task]
fn check_uncancelled() {
    assert!(!offspring::is_cancelled(), "the last job was");
}

fn is_not_cancelled(method: StartMethod) {
    let pool = build(builder(method).workers(1).finalizer(check_uncancelled::call()));
    let begun = event();
    let job = pool.submit(run_until_cancelled::call(begun.clone()));
    assert!(begun.wait_timeout(wait::LIMIT));
    assert!(!job.cancel(), "it runs");
    outcome(job).unwrap();
    pool.join().unwrap();
}

#[child_task]
fn hang() {
    loop {
        std::thread::park();
    }
}

/// The time that a worker has for its exit.
const GRACE: Duration = Duration::from_secs(2);

fn that_hangs_is_killed(method: StartMethod) {
    let pool = build(builder(method).workers(1).max_tasks_per_worker(1).finalizer(hang::call()));
    let (first, second) = (pool.submit(pid::call()), pool.submit(pid::call()));
    assert_ne!(value(first), value(second), "a successor does not wait");
    let begun = Instant::now();
    let error = pool.join().unwrap_err();
    assert!(begun.elapsed() < wait::LIMIT / 2, "{:?}", begun.elapsed());
    assert!(error.to_string().contains("ran out of time"), "{error}");
    no_process_is_left();
    // Its own limit is added.
    let limit = Duration::from_millis(300);
    let pool = build(builder(method).workers(1).finalizer(hang::call().timeout(limit)));
    let begun = Instant::now();
    pool.join().unwrap_err();
    assert!(begun.elapsed() >= GRACE + limit, "{:?}", begun.elapsed());
}

/// Takes longer than a worker without a finalizer may take.
#[child_task]
fn take_time() {
    let begun = Instant::now();
    while begun.elapsed() < GRACE + Duration::from_millis(200) {
        std::thread::yield_now();
    }
}

fn that_takes_its_time(method: StartMethod) {
    let pool = build(builder(method).workers(1).finalizer(take_time::call().timeout(2 * wait::LIMIT)));
    pool.join().unwrap();
}

fn that_cannot_be_encoded(method: StartMethod) {
    let error = builder(method).workers(1).finalizer(refuse::call(Refusing)).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Encode);
    assert!(error.to_string().contains("finalizers::refuse"), "{error}");
}

#[child_task]
fn refuse(_refusing: Refusing) {}
