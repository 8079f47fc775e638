//! The options of the workers' processes: those of a single process, for each worker and each replacement.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use offspring::{Context, ErrorKind, Pool, PoolBuilder, ProcessBuilder, Resource, StartMethod, Stdio, child_task};
use offspring_tests::{cases, procs, sys, wait};

use super::{build, builder, event, no_process_is_left, pids, running, value};
use crate::tasks::nothing;

const ONLY_COPIED: &str = "only a fork pool copies this process";

cases! {
    alone environment_of_each;
    alone directory_of_each;
    alone output_of_all_in_one_pipe;
    alone input_from_a_file;
    alone numbers_of_each;
    alone groups_of_their_own;
    alone several_calls_add_up;
    alone without_meaning_for_a_worker;
    alone that_cannot_be;
    alone one_processor_each;
    alone recycled_ones_hand_their_processor_on;
    alone a_copy_despite_threads
        .except(StartMethod::Spawn, ONLY_COPIED)
        .except(StartMethod::ForkServer, ONLY_COPIED);
}

type Worker = ProcessBuilder<()>;
type Edit = fn(Worker) -> Worker;

/// Builds a pool of one worker with options.
#[track_caller]
fn with(method: StartMethod, set: impl FnOnce(Worker) -> Worker) -> Pool {
    build(builder(method).workers(1).worker_options(set))
}

fn refused(builder: PoolBuilder) -> offspring::Error {
    let error = builder.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Setting, "{error:?}");
    no_process_is_left();
    error
}

/// Kills a worker, and waits until another has its place.
#[track_caller]
fn replace(pool: &Pool, worker: u32) {
    let count = pids(pool).len();
    sys::kill(worker as i32, libc::SIGKILL);
    wait::until("the worker is replaced", || pids(pool).len() == count && !pids(pool).contains(&worker));
}

/// Runs the check with the first worker of a pool, and with its replacement.
#[track_caller]
fn for_two_workers(pool: &Pool, check: impl Fn()) {
    check();
    replace(pool, pids(pool)[0]);
    check();
}

#[child_task]
fn environment() -> BTreeMap<String, String> {
    std::env::vars().collect()
}

fn environment_of_each(method: StartMethod) {
    sys::set_variable("KEPT", "at build");
    let own: BTreeMap<String, String> = std::env::vars().collect();
    let pool = with(method, |worker| worker.env("OMP_NUM_THREADS", "1").env_remove("PATH"));
    // The thread of the pool sleeps.
    sys::set_variable("KEPT", "later");
    let mut wanted = own;
    wanted.insert("OMP_NUM_THREADS".into(), "1".into());
    wanted.remove("PATH");
    for_two_workers(&pool, || assert_eq!(value(pool.submit(environment::call())), wanted));
    drop(pool);
    no_process_is_left();
    let pool = with(method, |worker| worker.env_clear().env("ONLY", "this"));
    for_two_workers(&pool, || {
        assert_eq!(value(pool.submit(environment::call())), BTreeMap::from([("ONLY".into(), "this".into())]));
    });
}

#[child_task]
fn where_am_i() -> String {
    std::fs::read_link("/proc/self/cwd").unwrap().display().to_string()
}

fn directory_of_each(method: StartMethod) {
    std::env::set_current_dir("/usr").unwrap();
    let pool = with(method, |worker| worker.current_dir("bin"));
    let wanted = std::fs::canonicalize("/usr/bin").unwrap().display().to_string();
    std::env::set_current_dir("/").unwrap();
    for_two_workers(&pool, || assert_eq!(value(pool.submit(where_am_i::call())), wanted));
}

#[child_task]
fn say(text: String) {
    println!("{text}");
    eprintln!("{text} again");
}

fn output_of_all_in_one_pipe(method: StartMethod) {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let both = writer.try_clone().unwrap();
    let pool = build(builder(method).workers(2).worker_options(|worker| worker.stdout(writer).stderr(both)));
    value(pool.submit(say::call("one".to_owned())));
    let first = pids(&pool);
    first.into_iter().for_each(|worker| replace(&pool, worker));
    // A job that is kept does not keep the pipe.
    let kept = pool.submit(say::call("two".to_owned()));
    pool.join().unwrap();
    assert_eq!(wait::rest(&mut reader), "one\none again\ntwo\ntwo again\n", "no process holds the pipe");
    value(kept);
}

#[child_task]
fn read_a_line() -> String {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    line
}

fn input_from_a_file(method: StartMethod) {
    let mut file = sys::temporary_file();
    file.write_all(b"from a file\n").unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let pool = with(method, |worker| worker.stdin(file).stdout(Stdio::null()));
    assert_eq!(value(pool.submit(read_a_line::call())), "from a file\n");
    replace(&pool, pids(&pool)[0]);
    assert_eq!(value(pool.submit(read_a_line::call())), "", "the workers share one file, which is read");
}

#[child_task]
fn numbers() -> (u32, i32, (u64, u64), String) {
    let umask = sys::umask(0);
    sys::umask(umask);
    (umask, sys::nice(), sys::limit(libc::RLIMIT_NOFILE), procs::status("self", "Cpus_allowed_list"))
}

fn numbers_of_each(method: StartMethod) {
    let nice = sys::nice() + 2;
    let pool = with(method, |worker| worker.umask(0o137).nice(nice).limit(Resource::OpenFiles, 77).cpu_affinity([0]));
    for_two_workers(&pool, || {
        assert_eq!(value(pool.submit(numbers::call())), (0o137, nice, (77, 77), "0".to_owned()));
    });
    assert_eq!(sys::nice() + 2, nice, "this process is as it was");
}

#[child_task]
fn own_group() -> bool {
    procs::stat(std::process::id()).unwrap().group == std::process::id() as i32
}

fn groups_of_their_own(method: StartMethod) {
    let pool = with(method, |worker| worker.process_group(0));
    for_two_workers(&pool, || assert!(value(pool.submit(own_group::call()))));
    drop(pool);
    no_process_is_left();
    let pool = with(method, |worker| worker);
    assert!(!value(pool.submit(own_group::call())));
}

fn several_calls_add_up(method: StartMethod) {
    let builder = builder(method).workers(1).worker_options(|worker| worker.env("ONE", "1").umask(0o70));
    let pool = build(builder.worker_options(|worker| worker.env("TWO", "2").umask(0o77)));
    let environment = value(pool.submit(environment::call()));
    assert_eq!((&*environment["ONE"], &*environment["TWO"]), ("1", "2"));
    assert_eq!(value(pool.submit(numbers::call())).0, 0o77);
}

fn without_meaning_for_a_worker(method: StartMethod) {
    let long = std::time::Duration::from_secs(60);
    let rejected: [(&str, Edit); 6] = [
        ("name", |worker| worker.name("worker")),
        ("daemon", |worker| worker.daemon(true)),
        ("kill_on_drop", |worker| worker.kill_on_drop(true)),
        ("stdin", |worker| worker.stdin(Stdio::piped())),
        ("stdout", |worker| worker.stdout(Stdio::piped())),
        ("stderr", |worker| worker.stderr(Stdio::piped())),
    ];
    for (option, set) in rejected {
        let error = refused(builder(method).workers(1).worker_options(set));
        assert!(error.to_string().contains(&format!("`{option}`")), "{error}");
    }
    let error = refused(builder(method).workers(1).worker_options(|worker| worker.timeout(long)));
    assert!(error.to_string().contains("task_timeout"), "{error}");
    let mut started = None;
    drop(builder(method).worker_options(|worker| {
        started = Some(worker.start());
        Context::default().process(nothing::call())
    }));
    let error = started.unwrap().unwrap_err();
    assert!(error.to_string().contains("`PoolBuilder::build`"), "{error}");
}

fn that_cannot_be(method: StartMethod) {
    let wrong: [Edit; 6] = [
        |worker| worker.env("A=B", ""),
        |worker| worker.current_dir("/no/such/directory"),
        |worker| worker.cpu_affinity([]),
        |worker| worker.nice(20),
        |worker| worker.umask(0o1000),
        |worker| worker.process_group(-1),
    ];
    for set in wrong {
        refused(builder(method).workers(1).worker_options(set));
    }
    let error = refused(builder(method).workers(1).worker_options(|worker| worker.current_dir("/no/such/directory")));
    assert!(error.to_string().contains("a worker of a pool") && error.to_string().contains("/no/such"), "{error}");
    // Only the worker finds out.
    for set in [|worker: Worker| worker.process_group(i32::MAX), |worker: Worker| worker.cpu_affinity([1000])] {
        refused(builder(method).workers(2).worker_options(set));
    }
    refused(builder(method).workers(2).worker_options(|worker| worker.cpu_affinity([1000])).pin_workers(true));
}

fn processors_of_each(pool: &Pool) -> Vec<String> {
    let mut pids = pids(pool);
    pids.sort_unstable();
    pids.into_iter().map(|pid| procs::status(&pid.to_string(), "Cpus_allowed_list")).collect()
}

/// The processors of this process, by number.
fn usable() -> Vec<String> {
    let own = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0)).unwrap();
    let all = 0..nix::sched::CpuSet::count();
    all.filter(|processor| own.is_set(*processor).unwrap()).map(|processor| processor.to_string()).collect()
}

fn one_processor_each(method: StartMethod) {
    let usable = usable();
    let count = usable.len();
    let pool = build(builder(method).pin_workers(true));
    let wanted: BTreeSet<String> = usable.iter().cloned().collect();
    assert_eq!(processors_of_each(&pool).into_iter().collect::<BTreeSet<_>>(), wanted);
    for worker in pids(&pool) {
        let before = procs::status(&worker.to_string(), "Cpus_allowed_list");
        let others = pids(&pool);
        replace(&pool, worker);
        let mut new = 0;
        wait::until("another worker has come", || {
            let found = pids(&pool).into_iter().find(|pid| !others.contains(pid));
            new = found.unwrap_or_default();
            found.is_some()
        });
        // A worker pins itself before it serves.
        wait::until("it has the place of the dead one", || {
            procs::status(&new.to_string(), "Cpus_allowed_list") == before
        });
    }
    drop(pool);
    no_process_is_left();
    let pool = build(builder(method).workers(2 * count + 1).pin_workers(true));
    let mut found = processors_of_each(&pool);
    found.sort_unstable();
    let mut wanted: Vec<String> = [usable.clone(), usable.clone(), vec![usable[0].clone()]].concat();
    wanted.sort_unstable();
    assert_eq!(found, wanted, "the others share");
    drop(pool);
    no_process_is_left();
    let last: usize = usable[count - 1].parse().unwrap();
    let pool = build(builder(method).workers(2).pin_workers(true).worker_options(|worker| worker.cpu_affinity([last])));
    assert_eq!(processors_of_each(&pool), [&*usable[count - 1]; 2], "only of those that are chosen");
}

#[child_task]
fn own_processors() -> String {
    procs::status("self", "Cpus_allowed_list")
}

/// One worker is busy and keeps its processor. The short jobs run one after the other on the second processor, although
/// a worker that is to exit may not have ended when its successor begins.
fn recycled_ones_hand_their_processor_on(method: StartMethod) {
    let pool = build(builder(method).workers(2).max_tasks_per_worker(1).pin_workers(true));
    let (busy, gate) = running(&pool);
    let found: BTreeSet<String> = (0..8).map(|_| value(pool.submit(own_processors::call()))).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    gate.set();
    value(busy);
    pool.join().unwrap();
}

#[expect(unsafe_code, reason = "the opt-out is unsafe: the other thread waits for an event and holds no lock")]
fn a_copy_despite_threads(method: StartMethod) {
    let done = event();
    std::thread::scope(|scope| {
        scope.spawn(|| done.wait());
        let error = builder(method).workers(1).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MultiThreadedFork);
        // SAFETY: the other thread waits for an event, which takes no lock that a worker needs.
        let promise = |worker: Worker| unsafe { worker.fork_despite_threads() };
        let pool = with(method, promise);
        for_two_workers(&pool, || assert_eq!(value(pool.submit(super::square::call(3))), 9));
        pool.join().unwrap();
        done.set();
    });
}
