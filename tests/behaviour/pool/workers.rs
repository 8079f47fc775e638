//! The workers of a pool: their number, their length of life, and their initializer.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use offspring::{ErrorKind, JoinErrorKind, PoolBuilder, Report, StartMethod, child_task, current_process, get_context};
use offspring_tests::{cases, procs, sys, wait};

use crate::tasks::forever;

use super::{
    Counts, add_one, begin_and_wait, build, builder, counts, event, failure, no_process_is_left, now, outcome, pid,
    pids, pool, running, square, value, wait_for,
};

cases! {
    alone less_than_one_is_refused;
    alone as_many_as_processors_by_default;
    alone are_started_by_the_method;
    alone begin_like_the_thread_that_built_the_pool;
    alone have_names;
    alone more_and_less_of_them;
    alone less_of_them_while_they_work;
    alone more_while_the_queue_is_long;
    alone recycled_after_so_many_tasks;
    alone recycled_after_each_task;
    alone recycled_while_the_pool_ends;
    alone recycled_and_kept_from_its_exit;
    alone kept_from_its_exit_while_the_pool_ends;
    alone an_initializer_runs_once_in_each;
    alone an_initializer_that_returns_a_report;
    alone initializers_that_fail;
    alone an_initializer_that_fails_later;
    alone an_initializer_with_descriptors_and_much_to_read;
    alone an_initializer_that_hangs_and_has_a_limit;
    alone die_before_they_serve;
    alone count_what_they_do;
    alone a_pool_in_a_worker;
    alone memory_of_a_hundred_thousand_queued_jobs;
}

fn less_than_one_is_refused(method: StartMethod) {
    let error = builder(method).workers(0).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Setting);
    assert!(error.to_string().contains("at least one"), "{error}");
    let pool = pool(method, 1);
    assert_eq!(pool.resize(0).unwrap_err().kind(), ErrorKind::Setting);
    assert_eq!(value(pool.submit(square::call(2))), 4, "it is as it was");
}

fn as_many_as_processors_by_default(method: StartMethod) {
    let pool = build(builder(method));
    let usable = std::thread::available_parallelism().unwrap().get();
    assert_eq!(pids(&pool).len(), usable, "std knows affinity and quota as well");
}

/// The processors, the blocked signals and the nice value of this process.
#[child_task]
fn traits_of_a_thread() -> (String, String, i32) {
    (procs::status("self", "Cpus_allowed_list"), procs::status("self", "SigBlk"), sys::nice())
}

fn begin_like_the_thread_that_built_the_pool(method: StartMethod) {
    let pool = pool(method, 1);
    let at_build = value(pool.submit(traits_of_a_thread::call()));
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let mut first = nix::sched::CpuSet::new();
            first.set(0).unwrap();
            nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &first).unwrap();
            nix::sys::signal::SigSet::all().thread_block().unwrap();
            sys::set_nice(sys::nice() + 3);
            for _ in 0..3 {
                sys::kill(pids(&pool)[0] as i32, libc::SIGKILL);
                wait::until("it is replaced", || {
                    outcome(pool.submit(traits_of_a_thread::call())).is_ok_and(|later| {
                        assert_eq!(later, at_build);
                        true
                    })
                });
            }
        });
        other.join().unwrap();
    });
    assert_eq!(pool.stats().replaced, 3);
}

/// Set in this process, and so in a copy of this process.
static MARK: AtomicU32 = AtomicU32::new(0);

#[child_task]
fn mark() -> (u32, u32) {
    (MARK.load(Ordering::Relaxed), procs::stat(std::process::id()).unwrap().parent)
}

fn are_started_by_the_method(method: StartMethod) {
    MARK.store(7, Ordering::Relaxed);
    let pool = pool(method, 1);
    for _ in 0..2 {
        let (mark, parent) = value(pool.submit(mark::call()));
        assert_eq!(mark, if method == StartMethod::Fork { 7 } else { 0 });
        assert!(method != StartMethod::Spawn || parent == std::process::id());
        assert_eq!(offspring::active_children()[0].start_method(), Some(method));
        // The same in the next worker.
        let before = pids(&pool);
        sys::kill(before[0] as i32, libc::SIGKILL);
        wait::until("the worker is replaced", || pids(&pool).len() == 1 && pids(&pool) != before);
    }
}

#[child_task]
fn own_name() -> (String, u32) {
    (current_process().name().to_owned(), std::process::id())
}

fn have_names(method: StartMethod) {
    let pool = pool(method, 3);
    let stats = pool.stats();
    let names: BTreeSet<&str> = stats.workers.iter().map(|worker| &*worker.name).collect();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["PoolWorker-1", "PoolWorker-2", "PoolWorker-3"]);
    for result in pool.map((0..30).map(|_| own_name::call())) {
        let (name, pid) = result.unwrap();
        assert!(stats.workers.iter().any(|worker| worker.name == name && worker.pid == pid), "{name} {pid}");
    }
}

fn more_and_less_of_them(method: StartMethod) {
    let pool = pool(method, 1);
    for wanted in [3, 1, 2, 4, 1] {
        pool.resize(wanted).unwrap();
        wait::until("there are as many as wanted", || pids(&pool).len() == wanted);
        assert_eq!(pool.map((0..100).map(square::call)).filter(Result::is_ok).count(), 100);
        // That many jobs can run at once.
        let gates: Vec<_> = (0..wanted).map(|_| running(&pool)).collect();
        let mut workers = BTreeSet::new();
        for (job, gate) in gates {
            gate.set();
            workers.insert(value(job));
        }
        assert_eq!(workers.len(), wanted);
    }
    let stats = pool.stats();
    assert_eq!(stats.failed, 0, "{stats:?}");
    pool.join().unwrap();
    no_process_is_left();
}

fn less_of_them_while_they_work(method: StartMethod) {
    let pool = pool(method, 3);
    for _ in 0..10 {
        let counts = counts();
        let busy: Vec<_> = (0..3).map(|_| running(&pool)).collect();
        let jobs: Vec<_> = (0..32).map(|n| pool.submit(super::count::call(counts.clone(), n))).collect();
        pool.resize(1).unwrap();
        for (job, gate) in busy {
            gate.set();
            value(job);
        }
        for job in jobs {
            value(job);
        }
        assert_eq!(now(&counts), [1; 32]);
        wait::until("one is left", || pids(&pool).len() == 1);
        pool.resize(3).unwrap();
        wait::until("there are three", || pids(&pool).len() == 3);
    }
    let stats = pool.stats();
    assert_eq!(stats.failed, 0, "{stats:?}");
}

fn more_while_the_queue_is_long(method: StartMethod) {
    let pool = pool(method, 1);
    let (first, gate) = running(&pool);
    let jobs: Vec<_> = (0..32).map(|_| pool.submit(pid::call())).collect();
    pool.resize(2).unwrap();
    let workers: BTreeSet<u32> = jobs.into_iter().map(value).collect();
    gate.set();
    assert!(!workers.contains(&value(first)), "the new one has done them while the first was busy");
}

fn recycled_after_so_many_tasks(method: StartMethod) {
    let pool = build(builder(method).workers(2).max_tasks_per_worker(5));
    let mut done = std::collections::BTreeMap::<u32, u32>::new();
    for result in pool.map((0..60).map(|_| pid::call())) {
        *done.entry(result.unwrap()).or_default() += 1;
    }
    assert!(done.values().all(|tasks| *tasks <= 5), "{done:?}");
    assert!(done.len() >= 12, "{done:?}");
    let stats = pool.stats();
    assert_eq!((stats.done, stats.failed), (60, 0), "{stats:?}");
    pool.join().unwrap();
    no_process_is_left();
}

#[child_task]
fn hang() {
    forever()
}

/// Starts a child that never ends. The exit of this process joins the child. Returns both process ids.
#[child_task]
fn leave_a_child_behind() -> (u32, u32) {
    (std::process::id(), hang::start().unwrap().pid())
}

fn recycled_and_kept_from_its_exit(method: StartMethod) {
    let pool = build(builder(method).workers(1).max_tasks_per_worker(1));
    let (worker, child) = value(pool.submit(leave_a_child_behind::call()));
    assert_eq!(value(pool.submit(square::call(3))), 9, "another worker has the place");
    wait::until("the worker is killed, and its child with it", || [worker, child].map(procs::stat) == [None, None]);
    assert_eq!(pool.stats().failed, 0);
    pool.join().unwrap();
    no_process_is_left();
}

fn kept_from_its_exit_while_the_pool_ends(method: StartMethod) {
    let pool = build(builder(method).workers(2));
    let (_, child) = value(pool.submit(leave_a_child_behind::call()));
    pool.join().unwrap();
    wait::until("its child has ended", || procs::stat(child).is_none());
    no_process_is_left();
}

fn recycled_after_each_task(method: StartMethod) {
    let pool = build(builder(method).workers(2).max_tasks_per_worker(1));
    let mut seen = BTreeSet::new();
    let jobs: Vec<_> = (0..20).map(|_| pool.submit(pid::call())).collect();
    for job in jobs {
        assert!(seen.insert(value(job)));
    }
}

/// The pool is closed while workers retire.
fn recycled_while_the_pool_ends(method: StartMethod) {
    for tasks in [1, 2, 7] {
        let pool = build(builder(method).workers(2).max_tasks_per_worker(3));
        let counts = counts();
        (0..tasks).for_each(|n| drop(pool.submit(super::count::call(counts.clone(), n))));
        pool.join().unwrap();
        assert_eq!(now(&counts).iter().sum::<u32>(), tasks);
        no_process_is_left();
    }
}

static STATE: OnceLock<String> = OnceLock::new();
static RUNS: AtomicU32 = AtomicU32::new(0);

#[child_task]
fn set_up(text: String, counts: Counts) {
    add_one(&counts, 0);
    STATE.set(text).unwrap();
}

#[child_task]
fn state() -> (Option<String>, u32, u32) {
    (STATE.get().cloned(), RUNS.fetch_add(1, Ordering::Relaxed), std::process::id())
}

fn an_initializer_runs_once_in_each(method: StartMethod) {
    let counts = counts();
    let pool = build(builder(method).workers(2).initializer(set_up::call("ready".to_owned(), counts.clone())));
    assert_eq!(now(&counts)[0], 2, "all are ready when the pool is");
    for result in pool.map((0..50).map(|_| state::call())) {
        assert_eq!(result.unwrap().0.as_deref(), Some("ready"));
    }
    assert_eq!(now(&counts)[0], 2);
    let runs: BTreeSet<_> =
        pool.map((0..50).map(|_| state::call())).map(|state| state.unwrap()).map(|(_, run, pid)| (run, pid)).collect();
    assert_eq!(runs.len(), 50, "what a task leaves in its worker is there for the next one");
    let worker = pids(&pool)[0];
    sys::kill(worker as i32, libc::SIGKILL);
    wait::until("the worker is replaced", || pids(&pool).len() == 2 && !pids(&pool).contains(&worker));
    wait::until("the next one is ready as well", || now(&counts)[0] == 3);
    assert_eq!(value(pool.submit(state::call())).0.as_deref(), Some("ready"));
    let stats = pool.stats();
    assert_eq!(stats.done, 101, "initializers are no jobs: {stats:?}");
}

#[child_task(report)]
fn set_up_from(path: String) -> std::io::Result<()> {
    STATE.set(std::fs::read_to_string(path)?).unwrap();
    Ok(())
}

fn an_initializer_that_returns_a_report(method: StartMethod) {
    let pool = build(builder(method).workers(1).initializer(set_up_from::call("/proc/self/comm".to_owned())));
    assert!(value(pool.submit(state::call())).0.is_some());
}

#[child_task]
fn failing_deeply() -> Result<(), Report> {
    let cause = "x".parse::<u8>().unwrap_err();
    let texts = ["no table".to_owned(), "cannot read the file".to_owned(), cause.to_string()];
    Err(Report::from(texts.to_vec()))
}

#[child_task]
fn panicking() {
    panic!("no such luck")
}

#[child_task]
fn exiting(code: i32) {
    std::process::exit(code)
}

#[child_task]
fn dying(signal: i32) {
    sys::die_by(signal)
}

#[track_caller]
fn refused(builder: PoolBuilder) -> offspring::Error {
    let begun = Instant::now();
    let error = builder.build().unwrap_err();
    assert!(begun.elapsed() < wait::LIMIT / 2, "at once");
    error
}

fn initializers_that_fail(method: StartMethod) {
    let two = || builder(method).workers(2);
    let error = refused(two().initializer(panicking::call()));
    assert_eq!(error.kind(), ErrorKind::Setting, "{error:?}");
    assert!(error.to_string().contains("panicking") && error.to_string().contains("no such luck"), "{error}");
    no_process_is_left();
    let error = refused(two().initializer(set_up_from::call("/no/such/file".to_owned())));
    assert_eq!(error.kind(), ErrorKind::Setting, "{error:?}");
    assert!(error.to_string().contains("set_up_from"), "{error}");
    let cause = error.source().unwrap().downcast_ref::<Report>().unwrap();
    assert!(cause.to_string().contains("No such file"), "{cause}");
    no_process_is_left();
    let error = refused(two().initializer(failing_deeply::call()));
    assert!(error.to_string().contains("failing_deeply"), "{error}");
    let report = error.source().unwrap().downcast_ref::<Report>().unwrap();
    let causes: Vec<String> = report.chain().map(ToString::to_string).collect();
    assert_eq!(causes, ["no table", "cannot read the file", "invalid digit found in string"]);
    assert!(
        format!("{error:?}").ends_with("caused by: cannot read the file\ncaused by: invalid digit found in string")
    );
    no_process_is_left();
    for error in [refused(two().initializer(exiting::call(4))), refused(two().initializer(dying::call(libc::SIGKILL)))]
    {
        assert!(matches!(error.kind(), ErrorKind::LimitReached | ErrorKind::Setting), "{error:?}");
        no_process_is_left();
    }
    let pool = pool(method, 1);
    assert_eq!(value(pool.submit(square::call(2))), 4, "other pools have nothing to do with it");
}

#[child_task]
fn only_so_often(counts: Counts, times: u32) {
    add_one(&counts, 0);
    assert!(now(&counts)[0] <= times, "no more of them");
}

fn an_initializer_that_fails_later(method: StartMethod) {
    let counts = counts();
    let pool = build(builder(method).workers(2).initializer(only_so_often::call(counts.clone(), 2)));
    let workers = pids(&pool);
    let (job, gate) = running(&pool);
    workers.iter().for_each(|pid| sys::kill(*pid as i32, libc::SIGKILL));
    gate.set();
    let behind: Vec<_> = (0..10).map(|n| pool.submit(square::call(n))).collect();
    drop(outcome(job));
    for job in behind {
        // No worker is left and none will come, so the job fails without a wait.
        let Err(error) = outcome(job) else { continue };
        assert!(matches!(error.kind(), JoinErrorKind::NotStarted(_) | JoinErrorKind::Signaled(_)), "{error:?}");
    }
    let error = failure(pool.submit(square::call(1)));
    let JoinErrorKind::NotStarted(cause) = error.kind() else { panic!("{error:?}") };
    assert!(cause.to_string().contains("only_so_often") && cause.to_string().contains("no more of them"), "{cause}");
    assert!(pool.join().is_err(), "jobs were not run");
    no_process_is_left();
}

#[child_task]
fn keep(text: String, gate: offspring::sync::Event) {
    gate.set();
    STATE.set(text).unwrap();
}

fn an_initializer_with_descriptors_and_much_to_read(method: StartMethod) {
    for length in [600, 100 << 10, 3 << 20] {
        let gate = event();
        let pool = build(builder(method).workers(2).initializer(keep::call("x".repeat(length), gate.clone())));
        assert!(gate.is_set());
        assert_eq!(value(pool.submit(state::call())).0.unwrap().len(), length);
        drop(pool);
        no_process_is_left();
    }
}

#[child_task]
fn never_return() {
    wait_for(event());
}

fn an_initializer_that_hangs_and_has_a_limit(method: StartMethod) {
    let limit = Duration::from_millis(50);
    let error = builder(method).workers(2).initializer(never_return::call().timeout(limit)).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Setting);
    assert!(error.to_string().contains("never_return") && error.to_string().contains("out of time"), "{error}");
    no_process_is_left();
}

/// Three early deaths in a row show that further workers would die too.
fn die_before_they_serve(method: StartMethod) {
    let counts = counts();
    let pool = build(builder(method).workers(1).initializer(die_after_the_first::call(counts.clone())));
    let first = pids(&pool)[0];
    sys::kill(first as i32, libc::SIGKILL);
    let error = loop {
        match outcome(pool.submit(square::call(2))) {
            Ok(value) => assert_eq!(value, 4),
            Err(error) => match error.kind() {
                JoinErrorKind::NotStarted(cause) => break format!("{cause}"),
                _ => assert_eq!(error.pid(), Some(first), "{error:?}"),
            },
        }
    };
    assert!(error.contains("did not return") && error.contains("die_after_the_first"), "{error}");
    let tries = now(&counts)[0];
    assert!((2..=10).contains(&tries), "{tries} tries");
    drop(pool);
    no_process_is_left();
}

#[child_task]
fn die_after_the_first(counts: Counts) {
    add_one(&counts, 0);
    if now(&counts)[0] > 1 {
        sys::die_by(libc::SIGKILL);
    }
}

fn count_what_they_do(method: StartMethod) {
    let pool = pool(method, 2);
    let (one, gate) = running(&pool);
    let (two, other_gate) = running(&pool);
    let queued: Vec<_> = (0..10).map(|n| pool.submit(square::call(n))).collect();
    let stats = pool.stats();
    assert_eq!((stats.queued, stats.running, stats.done, stats.failed), (10, 2, 0, 0), "{stats:?}");
    assert!(stats.workers.iter().all(|worker| worker.assigned >= 1 && worker.done == 0), "{stats:?}");
    assert!(format!("{pool:?}").contains("queued: 10"), "{pool:?}");
    assert!(queued[3].cancel());
    gate.set();
    other_gate.set();
    value(one);
    value(two);
    assert_eq!(queued.into_iter().filter_map(|job| outcome(job).ok()).count(), 9);
    let stats = pool.stats();
    assert_eq!((stats.queued, stats.running, stats.done, stats.failed, stats.replaced), (0, 0, 11, 1, 0), "{stats:?}");
    assert_eq!(stats.workers.iter().map(|worker| worker.done).sum::<u32>(), 11, "{stats:?}");
}

#[child_task(report)]
fn nested(method: StartMethod) -> Result<u64, Box<dyn std::error::Error>> {
    let pool = get_context(method)?.pool().workers(2).build()?;
    let sum = pool.map((0..100).map(square::call)).sum::<Result<u64, _>>()?;
    pool.join()?;
    Ok(sum)
}

fn a_pool_in_a_worker(method: StartMethod) {
    let pool = pool(method, 2);
    for result in pool.map((0..4).map(|_| nested::call(method))) {
        match result.unwrap() {
            Ok(sum) => assert_eq!(sum, 328_350),
            Err(report) => panic!("refused: {report:?}"),
        }
    }
    pool.join().unwrap();
    no_process_is_left();
}

fn resident_bytes() -> u64 {
    let line = procs::status("self", "VmRSS");
    line.trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}

/// The most memory of a queued job, in bytes.
const BYTES_PER_JOB: u64 = 400;

fn memory_of_a_hundred_thousand_queued_jobs(method: StartMethod) {
    const JOBS: u64 = 100_000;
    let pool = pool(method, 2);
    let busy = [event(), event()].map(|gate| {
        let begun = event();
        let job = pool.submit(begin_and_wait::call(begun.clone(), gate.clone()));
        assert!(begun.wait_timeout(wait::LIMIT));
        (job, gate)
    });
    let descriptors = procs::descriptors().len();
    let before = resident_bytes();
    let jobs: Vec<_> = (0..JOBS).map(|n| pool.submit(square::call(n))).collect();
    let grown = resident_bytes().saturating_sub(before);
    eprintln!("{} bytes per queued job", grown / JOBS);
    assert!(grown < JOBS * BYTES_PER_JOB, "{} bytes per job", grown / JOBS);
    // The supervisor may have duplicates at this moment.
    assert!(procs::descriptors().len() <= descriptors + 3, "and no descriptor");
    assert_eq!(pool.stats().queued as u64, JOBS);
    for (job, gate) in busy {
        gate.set();
        value(job);
    }
    let sum: u64 = jobs.into_iter().map(value).sum();
    assert_eq!(sum, (0..JOBS).map(|n| n * n).sum::<u64>());
}
