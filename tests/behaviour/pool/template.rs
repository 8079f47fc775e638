//! The template of a fork pool: the inherited state of its copies, and its end.

use std::sync::atomic::{AtomicU32, Ordering};

use offspring::{ErrorKind, JoinErrorKind, Pool, RecvErrorKind, StartMethod, child_task};
use offspring_tests::{Program, cases, procs, sys, wait};

use super::{failure, no_process_is_left, pids, pool, value};

const NO_TEMPLATE: &str = "a pool of this method has no template";

cases! {
    alone workers_are_copies_of_the_moment
        .except(StartMethod::Spawn, NO_TEMPLATE).except(StartMethod::ForkServer, NO_TEMPLATE);
    alone keeps_no_end_of_a_channel
        .except(StartMethod::Spawn, NO_TEMPLATE).except(StartMethod::ForkServer, NO_TEMPLATE);
    alone ends_with_its_pool
        .except(StartMethod::Spawn, NO_TEMPLATE).except(StartMethod::ForkServer, NO_TEMPLATE);
    alone ends_with_its_parent
        .except(StartMethod::Spawn, NO_TEMPLATE).except(StartMethod::ForkServer, NO_TEMPLATE);
    alone killed_it_is_missed_by_name
        .except(StartMethod::Spawn, NO_TEMPLATE).except(StartMethod::ForkServer, NO_TEMPLATE);
    alone stopped_it_holds_up_no_end
        .except(StartMethod::Spawn, NO_TEMPLATE).except(StartMethod::ForkServer, NO_TEMPLATE);
    here in_a_child_of_any_method;
    alone a_process_with_threads_is_refused
        .except(StartMethod::Spawn, NO_TEMPLATE).except(StartMethod::ForkServer, NO_TEMPLATE);
}

/// Returns the templates of a process.
fn templates_of(parent: u32) -> Vec<u32> {
    let children = procs::children_of(parent).into_iter();
    children.filter(|child| child.comm == "pool template").map(|child| child.pid).collect()
}

fn own_templates() -> Vec<u32> {
    templates_of(std::process::id())
}

/// Makes the pool replace the only worker.
#[track_caller]
fn replace_worker(pool: &Pool) {
    let before = pids(pool);
    sys::kill(before[0] as i32, libc::SIGKILL);
    wait::until("the worker is replaced", || pids(pool).len() == 1 && pids(pool) != before);
}

static MARK: AtomicU32 = AtomicU32::new(0);

#[child_task]
fn mark() -> (u32, String) {
    (MARK.load(Ordering::Relaxed), procs::stat(std::process::id()).unwrap().comm)
}

#[child_task]
fn square(n: u64) -> u64 {
    n * n
}

/// Runs in a pool of forked workers, and once more in each of the workers.
#[child_task]
fn sum_of_squares(to: u64, levels: u32) -> u64 {
    let pool = pool(StartMethod::Fork, 1);
    let calls = |pool: &Pool| (1..=to).map(|n| pool.submit(square::call(n))).map(value).sum::<u64>();
    if levels == 0 { calls(&pool) } else { calls(&pool) + value(pool.submit(sum_of_squares::call(to, levels - 1))) }
}

/// A template works as a copy of a process that is a copy itself.
fn in_a_child_of_any_method(method: StartMethod) {
    assert_eq!(offspring_tests::value(offspring_tests::start(method, sum_of_squares::call(4, 2))), 90);
}

fn workers_are_copies_of_the_moment(method: StartMethod) {
    MARK.store(1, Ordering::Relaxed);
    let pool = pool(method, 1);
    MARK.store(2, Ordering::Relaxed);
    let (first, name) = value(pool.submit(mark::call()));
    assert_eq!((first, &*name), (1, "PoolWorker-1"));
    replace_worker(&pool);
    let (second, name) = value(pool.submit(mark::call()));
    assert_eq!((second, &*name), (1, "PoolWorker-2"), "like those before it");
}

fn keeps_no_end_of_a_channel(method: StartMethod) {
    let (sender, receiver) = offspring::channel::<u32>().unwrap();
    let pool = pool(method, 1);
    drop(sender);
    let end = receiver.recv_timeout(wait::LIMIT).unwrap_err();
    assert_eq!(end.kind(), RecvErrorKind::Disconnected, "nobody has the other end");
    pool.join().unwrap();
}

fn ends_with_its_pool(method: StartMethod) {
    for end in [drop::<Pool>, |pool: Pool| pool.terminate(), |pool: Pool| pool.join().unwrap()] {
        let pool = pool(method, 2);
        assert_eq!(own_templates().len(), 1);
        let job = pool.submit(mark::call());
        end(pool);
        assert!(own_templates().is_empty(), "gone and reaped");
        no_process_is_left();
        drop(job);
    }
}

fn ends_with_its_parent(method: StartMethod) {
    let mut program = Program::new("pool::life::has_a_pool", method).args(["wait"]).start();
    program.numbers();
    let templates = templates_of(program.pid());
    assert_eq!(templates.len(), 1);
    program.kill();
    wait::until("it is gone", || procs::stat(templates[0]).is_none_or(|template| template.state == 'Z'));
}

fn killed_it_is_missed_by_name(method: StartMethod) {
    let pool = pool(method, 2);
    let template = own_templates()[0];
    sys::kill(template as i32, libc::SIGKILL);
    assert_eq!(value(pool.submit(mark::call())).0, 0, "those that there are go on");
    for pid in pids(&pool) {
        sys::kill(pid as i32, libc::SIGKILL);
    }
    wait::until("both are buried", || pids(&pool).is_empty());
    let error = failure(pool.submit(mark::call()));
    let JoinErrorKind::NotStarted(cause) = error.kind() else { panic!("{error:?}") };
    assert_eq!(cause.kind(), ErrorKind::ForkServer);
    assert!(error.to_string().contains("template") && error.to_string().contains(&template.to_string()), "{error}");
    assert_eq!(pool.resize(3).unwrap_err().kind(), ErrorKind::ForkServer);
    // No job waits for another attempt that would fail too, as attempts in turn would take hours.
    let failed = pool.map((0..100_000).map(|_| mark::call())).filter(Result::is_err).count();
    assert_eq!(failed, 100_000);
    drop(pool);
    no_process_is_left();
}

fn stopped_it_holds_up_no_end(method: StartMethod) {
    let pool = pool(method, 1);
    sys::kill(own_templates()[0] as i32, libc::SIGSTOP);
    sys::kill(pids(&pool)[0] as i32, libc::SIGKILL);
    // From here on the supervisor waits for a worker that does not come.
    wait::until("the worker is buried", || pids(&pool).is_empty());
    drop(pool);
    no_process_is_left();
}

fn a_process_with_threads_is_refused(method: StartMethod) {
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let (has_name, named) = std::sync::mpsc::channel();
    let work = move || {
        has_name.send(()).unwrap();
        let _ = stopped.recv();
    };
    let thread = std::thread::Builder::new().name("by-stander".to_owned()).spawn(work).unwrap();
    named.recv().unwrap();
    let error = super::builder(method).workers(1).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MultiThreadedFork);
    assert!(error.to_string().contains("by-stander") && error.to_string().contains("pool"), "{error}");
    drop(stop);
    let _ = thread.join();
    drop(pool(method, 1));
    no_process_is_left();
}
