//! The number of workers: the minimum, as many as there is work for, and failures to start any.

use std::collections::BTreeSet;
use std::time::Duration;

use offspring::sync::Event;
use offspring::{ErrorKind, JoinErrorKind, Pool, ProcessBuilder, Resource, StartMethod, child_task};
use offspring_tests::{cases, procs, sys, wait};

use super::{
    Counts, add_one, all_serve, build, builder, counts, event, failure, no_process_is_left, now, outcome, pid, pids,
    running, square, value,
};

cases! {
    alone as_few_as_there_is_work_for;
    alone none_until_there_is_work;
    alone one_more_while_a_thread_waits;
    alone more_than_there_may_be_is_refused;
    alone idle_ones_leave;
    alone idle_ones_that_have_to_be_there_stay;
    alone names_of_ones_own;
    alone recycled_when_they_have_grown;
    alone recycled_with_jobs_in_line;
    alone too_large_from_the_beginning;
    alone limits_of_each;
    alone a_limit_that_cannot_be.as_root();
    alone told_when_none_can_be_had_and_back_when_one_can;
    alone no_message_of_it_while_another_serves;
    alone the_dead_and_the_dismissed_are_counted_apart;
}

#[track_caller]
fn so_many(pool: &Pool, workers: usize) {
    wait::until("there are as many as expected", || pids(pool).len() == workers);
}

fn as_few_as_there_is_work_for(method: StartMethod) {
    let pool = build(builder(method).workers(3).min_workers(1));
    assert_eq!((pids(&pool).len(), pool.stats().max_workers), (1, 3));
    let worker = value(pool.submit(pid::call()));
    for _ in 0..20 {
        assert_eq!(value(pool.submit(pid::call())), worker, "one after the other is work for one");
    }
    assert_eq!(pids(&pool), [worker]);
    let jobs: Vec<_> = (0..2).map(|_| running(&pool)).collect();
    assert_eq!(pids(&pool).len(), 2);
    jobs.iter().for_each(|(_, gate)| gate.set());
    assert!(jobs.into_iter().all(|(job, _)| pids(&pool).contains(&value(job))));
    assert_eq!(pool.map((0..2000).map(square::call)).filter(Result::is_ok).count(), 2000);
    all_serve(&pool, 3);
    assert_eq!(pids(&pool).len(), 3, "and no more");
    pool.join().unwrap();
    no_process_is_left();
}

fn none_until_there_is_work(method: StartMethod) {
    let pool = build(builder(method).workers(2).min_workers(0));
    assert_eq!(pids(&pool).len(), 0);
    // No thread waits for the job.
    let counts = counts();
    drop(pool.submit(super::count::call(counts.clone(), 3)));
    wait::until("it has run", || now(&counts)[3] == 1);
    assert_eq!(value(pool.submit(square::call(3))), 9);
    // A second worker starts if the first was not known to be idle when the second job came, perhaps only now.
    wait::until("all are dead", || {
        let pids = pids(&pool);
        pids.iter().for_each(|pid| sys::kill(*pid as i32, libc::SIGKILL));
        pids.is_empty()
    });
    assert_eq!(value(pool.submit(square::call(4))), 16);
    pool.join().unwrap();
    no_process_is_left();
    build(builder(method).workers(2).min_workers(0)).join().unwrap();
}

/// Another thread leads the pool, and sleeps.
fn one_more_while_a_thread_waits(method: StartMethod) {
    let pool = build(builder(method).workers(2).min_workers(1));
    let (first, gate) = running(&pool);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(move || value(first));
        assert_eq!(value(pool.submit(square::call(4))), 16, "by another worker");
        gate.set();
        waiting.join().unwrap();
    });
    assert_eq!(pids(&pool).len(), 2);
}

fn more_than_there_may_be_is_refused(method: StartMethod) {
    let error = builder(method).workers(2).min_workers(3).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Setting);
    assert!(error.to_string().contains("at most 2") && error.to_string().contains("at least 3"), "{error}");
}

fn idle_ones_leave(method: StartMethod) {
    let pool = build(builder(method).workers(3).min_workers(1).idle_timeout(Duration::from_millis(30)));
    for round in 1..=3 {
        all_serve(&pool, 3);
        so_many(&pool, 1);
        assert_eq!(pool.map((0..50).map(square::call)).filter(Result::is_ok).count(), 50);
        wait::until("the others are counted", || pool.stats().retired >= 2 * round);
    }
    let stats = pool.stats();
    assert_eq!((stats.replaced, stats.failed), (0, 0), "{stats:?}");
    pool.join().unwrap();
    no_process_is_left();
}

fn idle_ones_that_have_to_be_there_stay(method: StartMethod) {
    let pool = build(builder(method).workers(2).idle_timeout(Duration::from_nanos(1)));
    let workers: BTreeSet<u32> = pids(&pool).into_iter().collect();
    for n in 0..50 {
        assert_eq!(value(pool.submit(square::call(n))), n * n);
    }
    all_serve(&pool, 2);
    assert!(pids(&pool).into_iter().eq(workers), "{:?}", pool.stats());
    // A limit of infinite length is no limit.
    drop(pool);
    let pool = build(builder(method).workers(2).min_workers(0).idle_timeout(Duration::MAX));
    all_serve(&pool, 2);
    assert_eq!(pids(&pool).len(), 2);
}

fn names_of_ones_own(method: StartMethod) {
    let pool = build(builder(method).workers(2).worker_name("resize"));
    let names: BTreeSet<String> = pool.stats().workers.into_iter().map(|worker| worker.name).collect();
    assert!(names.iter().eq(["resize-1", "resize-2"]));
    for pid in pids(&pool) {
        // The name in `ps`.
        assert!(procs::stat(pid).unwrap().comm.starts_with("resize-"));
    }
}

/// Keeps memory for the life of its worker.
#[child_task]
fn keep(bytes: usize) -> u32 {
    std::mem::forget(std::hint::black_box(vec![1_u8; bytes]));
    std::process::id()
}

#[child_task]
fn begin_and_keep(begun: Event, gate: Event) -> u32 {
    super::begin_and_wait(begun, gate);
    keep(260 * MIB)
}

/// Needs memory while it runs.
#[child_task]
fn use_and_free(bytes: usize) -> u32 {
    drop(std::hint::black_box(vec![1_u8; bytes]));
    std::process::id()
}

const MIB: usize = 1 << 20;

/// Above the size of an idle worker, with all code of this program.
const LARGE: u64 = 256 * MIB as u64;

fn recycled_when_they_have_grown(method: StartMethod) {
    let pool = build(builder(method).workers(1).max_worker_memory_bytes(LARGE));
    let worker = value(pool.submit(pid::call()));
    assert_eq!(value(pool.submit(use_and_free::call(300 * MIB))), worker);
    assert_eq!(value(pool.submit(pid::call())), worker, "what was given back does not count");
    assert_eq!(value(pool.submit(keep::call(MIB))), worker);
    assert_eq!(value(pool.submit(keep::call(260 * MIB))), worker, "its job is done, and has its value");
    let next = value(pool.submit(pid::call()));
    assert_ne!(next, worker, "and it is its last");
    assert_eq!(value(pool.submit(pid::call())), next);
    let stats = pool.stats();
    assert_eq!((stats.done, stats.failed, stats.replaced), (7, 0, 1), "{stats:?}");
    pool.join().unwrap();
    no_process_is_left();
}

/// A recycled worker begins none of the jobs in its window.
fn recycled_with_jobs_in_line(method: StartMethod) {
    let pool = build(builder(method).workers(2).max_worker_memory_bytes(LARGE));
    for _ in 0..3 {
        all_serve(&pool, 2);
        let (busy, gate) = running(&pool);
        let (begun, go) = (event(), event());
        let large = pool.submit(begin_and_keep::call(begun.clone(), go.clone()));
        assert!(begun.wait_timeout(wait::LIMIT));
        let jobs: Vec<_> = (0..50).map(|_| pool.submit(pid::call())).collect();
        go.set();
        let large = value(large);
        gate.set();
        value(busy);
        assert!(jobs.into_iter().all(|job| value(job) != large));
    }
    assert_eq!(pool.stats().failed, 0);
    pool.join().unwrap();
    no_process_is_left();
}

fn too_large_from_the_beginning(method: StartMethod) {
    let pool = build(builder(method).workers(2).max_worker_memory_bytes(1));
    let pids: BTreeSet<u32> = pool.map((0..8).map(|_| pid::call())).map(Result::unwrap).collect();
    assert_eq!(pids.len(), 8, "each has done one");
    pool.join().unwrap();
    no_process_is_left();
}

#[child_task]
fn limits() -> [(u64, u64); 2] {
    [sys::limit(libc::RLIMIT_CORE), sys::limit(libc::RLIMIT_NOFILE)]
}

fn limits_of_each(method: StartMethod) {
    let limited = |worker: ProcessBuilder<()>| worker.limit(Resource::CoreDump, 0).limit(Resource::OpenFiles, 99);
    let pool = build(builder(method).workers(2).worker_options(limited));
    for _ in 0..2 {
        assert_eq!(value(pool.submit(limits::call())), [(0, 0), (99, 99)]);
        let before = pids(&pool);
        before.iter().for_each(|pid| sys::kill(*pid as i32, libc::SIGKILL));
        wait::until("they are replaced", || {
            let now = pids(&pool);
            now.len() == 2 && !now.iter().any(|pid| before.contains(pid))
        });
    }
}

fn a_limit_that_cannot_be(method: StartMethod) {
    let (_, hard) = sys::limit(libc::RLIMIT_NOFILE);
    assert!(sys::set_limit(libc::RLIMIT_NOFILE, 256, 256.min(hard)));
    sys::become_user(61_000);
    let too_many = |worker: ProcessBuilder<()>| worker.limit(Resource::OpenFiles, 300);
    let error = builder(method).workers(2).worker_options(too_many).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Setting, "{error:?}");
    no_process_is_left();
}

#[child_task]
fn begin_if(allowed: Counts) {
    add_one(&allowed, 1);
    assert!(now(&allowed)[0] != 0, "not allowed to begin");
}

fn allow(allowed: &Counts, is_allowed: bool) {
    allowed.lock().unwrap()[0] = u32::from(is_allowed);
}

fn told_when_none_can_be_had_and_back_when_one_can(method: StartMethod) {
    let allowed = counts();
    allow(&allowed, true);
    let pool = build(builder(method).workers(2).initializer(begin_if::call(allowed.clone())));
    allow(&allowed, false);
    pids(&pool).iter().for_each(|pid| sys::kill(*pid as i32, libc::SIGKILL));
    so_many(&pool, 0);
    for _ in 0..2 {
        let jobs = [3, 4].map(|n| pool.submit(square::call(n)));
        for job in jobs {
            let error = failure(job);
            let JoinErrorKind::NotStarted(cause) = error.kind() else { panic!("{error:?}") };
            assert_eq!(cause.kind(), ErrorKind::Setting);
            assert!(cause.to_string().contains("begin_if") && cause.to_string().contains("not allowed"), "{cause}");
        }
    }
    let tries = now(&allowed)[1];
    assert!((3..30).contains(&tries), "{tries} tries: not one after the other without a pause");
    allow(&allowed, true);
    so_many(&pool, 2);
    wait::until("jobs are done again", || outcome(pool.submit(square::call(3))).is_ok());
    all_serve(&pool, 2);
    pool.join().unwrap_err();
    no_process_is_left();
}

fn no_message_of_it_while_another_serves(method: StartMethod) {
    let allowed = counts();
    allow(&allowed, true);
    let pool = build(builder(method).workers(2).initializer(begin_if::call(allowed.clone())));
    allow(&allowed, false);
    let kept = pids(&pool)[0];
    sys::kill(pids(&pool)[1] as i32, libc::SIGKILL);
    wait::until("it has been tried again and again", || {
        assert_eq!(value(pool.submit(square::call(3))), 9);
        now(&allowed)[1] >= 7
    });
    allow(&allowed, true);
    all_serve(&pool, 2);
    assert!(pids(&pool).contains(&kept));
    pool.join().unwrap();
    no_process_is_left();
}

fn the_dead_and_the_dismissed_are_counted_apart(method: StartMethod) {
    let pool = build(builder(method).workers(3).max_tasks_per_worker(100));
    pool.resize(1).unwrap();
    wait::until("two have left", || pool.stats().retired == 2);
    sys::kill(pids(&pool)[0] as i32, libc::SIGKILL);
    wait::until("it is replaced", || pool.stats().replaced == 1 && pids(&pool).len() == 1);
    assert_eq!(pool.map((0..100).map(square::call)).filter(Result::is_ok).count(), 100);
    wait::until("it is recycled", || pool.stats().replaced == 2);
    assert_eq!((pool.stats().retired, pool.stats().max_workers), (2, 1));
}
