//! The end of a pool: in order, at once, with its program, and in a copy of its process.

use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use offspring::{JoinErrorKind, Pool, StartMethod, child_task};
use offspring_tests::{Program, cases, procs, program, sys, wait};

use super::{
    Counts, count, counts, event, failure, no_process_is_left, now, outcome, pid, pids, pool, running, square, value,
    wait_for,
};

cases! {
    alone a_join_waits_for_all;
    alone a_join_minds_no_failures;
    alone a_closed_pool_takes_no_more;
    alone one_that_runs_when_its_pool_ends_says_that_it_had_begun;
    alone terminated_it_waits_for_no_job;
    alone dropped_it_waits_for_no_job;
    alone dropped_while_other_threads_wait;
    alone one_after_the_other;
    alone several_at_once;
    alone nothing_is_left_open;
    alone the_program_ends_with_a_pool;
    alone a_panic_of_main;
    alone an_interrupt_ends_the_program_once;
    alone an_interrupt_that_the_program_survives;
    alone an_interrupt_ends_the_programs_of_tasks;
    alone a_termination_ends_all;
    alone a_termination_of_the_group_ends_the_workers;
    alone a_termination_of_the_group_is_survived_by_choice;
    alone workers_that_survive_a_termination_end_with_the_program;
    alone a_kill_ends_all;
    alone a_copy_of_the_process_cannot_spoil_it;
    alone a_copy_made_while_another_thread_uses_it;
    alone a_pool_outlives_the_thread_that_made_it
        .except(StartMethod::Fork, "a copy of a process that has several threads is refused");
}

#[child_task]
fn count_slowly(counts: Counts, number: u32) -> u32 {
    // Longer than a look at the queue.
    let end = Instant::now() + Duration::from_millis(2);
    while Instant::now() < end {
        std::thread::yield_now();
    }
    super::add_one(&counts, number);
    number
}

fn a_join_waits_for_all(method: StartMethod) {
    let pool = pool(method, 2);
    let counts = counts();
    let kept: Vec<_> = (0..16).map(|n| pool.submit(count_slowly::call(counts.clone(), n))).collect();
    (16..32).for_each(|n| drop(pool.submit(count_slowly::call(counts.clone(), n))));
    pool.join().unwrap();
    assert_eq!(now(&counts), [1; 32]);
    no_process_is_left();
    for (n, job) in kept.into_iter().enumerate() {
        assert_eq!(value(job) as usize, n, "results are there after the pool");
    }
}

#[child_task]
fn bad(n: u32) -> u32 {
    match n % 3 {
        0 => panic!("bad luck"),
        1 => std::process::exit(1),
        _ => n,
    }
}

fn a_join_minds_no_failures(method: StartMethod) {
    let pool = pool(method, 2);
    let jobs: Vec<_> = (0..9).map(|n| pool.submit(bad::call(n))).collect();
    pool.join().unwrap();
    assert_eq!(jobs.into_iter().filter_map(|job| outcome(job).ok()).sum::<u32>(), 2 + 5 + 8);
    no_process_is_left();
}

fn a_closed_pool_takes_no_more(method: StartMethod) {
    let pool = pool(method, 1);
    let (first, gate) = running(&pool);
    let before = pool.submit(square::call(3));
    pool.close();
    pool.close();
    let error = failure(pool.submit(square::call(4)));
    assert!(matches!(error.kind(), JoinErrorKind::PoolClosed), "{error:?}");
    assert!(error.to_string().contains("square") && error.to_string().contains("closed"), "{error}");
    gate.set();
    value(first);
    assert_eq!(value(before), 9);
    pool.resize(3).unwrap();
    pool.join().unwrap();
    no_process_is_left();
}

#[track_caller]
fn ends_at_once(pool: Pool, end: impl FnOnce(Pool)) {
    let jobs: Vec<_> = (0..500).map(|_| pool.submit(wait_for::call(event()))).collect();
    let workers = pids(&pool);
    wait::until("all are busy", || pool.stats().workers.iter().all(|worker| worker.assigned > 0));
    let begun = Instant::now();
    end(pool);
    assert!(begun.elapsed() < wait::LIMIT / 2, "{:?}", begun.elapsed());
    assert!(workers.iter().all(|pid| procs::stat(*pid).is_none()), "they are gone and reaped");
    no_process_is_left();
    for job in jobs {
        let error = failure(job);
        assert!(matches!(error.kind(), JoinErrorKind::PoolClosed), "{error:?}");
    }
}

fn one_that_runs_when_its_pool_ends_says_that_it_had_begun(method: StartMethod) {
    let pool = pool(method, 1);
    let worker = pids(&pool)[0];
    let (first, _gate) = running(&pool);
    let second = pool.submit(square::call(2));
    drop(pool);
    let [first, second] = [failure(first), failure(second)];
    assert!(matches!((first.kind(), second.kind()), (JoinErrorKind::PoolClosed, JoinErrorKind::PoolClosed)));
    assert_eq!((first.pid(), second.pid()), (Some(worker), None));
}

fn terminated_it_waits_for_no_job(method: StartMethod) {
    ends_at_once(pool(method, 2), |pool| pool.terminate());
}

fn dropped_it_waits_for_no_job(method: StartMethod) {
    ends_at_once(pool(method, 2), drop);
}

fn dropped_while_other_threads_wait(method: StartMethod) {
    let pool = pool(method, 2);
    let jobs: Vec<_> = (0..4).map(|_| pool.submit(wait_for::call(event()))).collect();
    let all_there = Barrier::new(5);
    std::thread::scope(|scope| {
        let waiting: Vec<_> = jobs
            .into_iter()
            .map(|job| {
                let all_there = &all_there;
                scope.spawn(move || {
                    all_there.wait();
                    failure(job)
                })
            })
            .collect();
        all_there.wait();
        drop(pool);
        for thread in waiting {
            let error = thread.join().unwrap();
            assert!(matches!(error.kind(), JoinErrorKind::PoolClosed), "{error:?}");
        }
    });
    no_process_is_left();
}

fn one_after_the_other(method: StartMethod) {
    for n in 0..15_u64 {
        let pool = pool(method, 1 + n as usize % 3);
        if n % 5 != 0 {
            assert_eq!(value(pool.submit(square::call(n))), n * n);
        }
        match n % 3 {
            0 => pool.join().unwrap(),
            1 => pool.terminate(),
            _ => drop(pool),
        }
        no_process_is_left();
    }
}

fn several_at_once(method: StartMethod) {
    // Only one pool of the fork method is possible, since the pool makes a thread.
    let count = if method == StartMethod::Fork { 1 } else { 3 };
    let pools: Vec<_> = (0..count).map(|_| pool(method, 2)).collect();
    let maps: Vec<_> = pools.iter().map(|pool| pool.map((0..500).map(square::call))).collect();
    for mut map in maps {
        assert!((0..500).all(|n| map.next().unwrap().unwrap() == n * n));
    }
    pools.into_iter().for_each(|pool| pool.join().unwrap());
    no_process_is_left();
}

fn nothing_is_left_open(method: StartMethod) {
    let round = || {
        let pool = pool(method, 2);
        // Through slots, links and memory files. Unoptimised encoding is slow, so few suffice.
        drop(pool.map((0..30).map(|n| super::reversed::call(vec![1; n * 3000]))).map(Result::unwrap).last());
        sys::kill(pids(&pool)[0] as i32, libc::SIGKILL);
        wait::until("it is replaced", || pool.stats().replaced == 1 && pids(&pool).len() == 2);
        drop(running(&pool));
        drop(pool);
        no_process_is_left();
    };
    round();
    let before = procs::lasting_kinds();
    let regions = || std::fs::read_to_string("/proc/self/maps").unwrap().matches("memfd:").count();
    let mapped = regions();
    for _ in 0..3 {
        round();
        assert_eq!(procs::lasting_kinds(), before);
        assert!(regions() <= mapped, "{} mapped regions instead of {mapped}", regions());
    }
}

#[child_task]
fn hang() {
    loop {
        std::thread::park();
    }
}

/// A program that ends without a wait for a pool with busy workers.
pub(crate) fn has_a_pool(method: StartMethod, arguments: &[String]) {
    if arguments[0] == "survive" {
        sys::on_signal(libc::SIGINT, sys::Disposition::Nothing);
    }
    let pool = pool(method, 3);
    let jobs = [pool.submit(hang::call()), pool.submit(hang::call())];
    wait::until("two are busy", || pool.stats().running == 2);
    let workers: Vec<String> = pids(&pool).iter().map(ToString::to_string).collect();
    program::say(workers.join(" "));
    match &*arguments[0] {
        "leak" => std::mem::forget((pool, jobs)),
        "panic" => panic!("main panics"),
        "exit" => std::process::exit(7),
        "survive" => {
            let mut input = String::new();
            // Signals interrupt the read again and again.
            while std::io::stdin().read_line(&mut input).is_err() {}
            for round in 0..10 {
                let sum: u64 = pool.map((0..2000).map(square::call)).map(Result::unwrap).sum();
                assert_eq!(sum, 2_664_667_000, "round {round}");
                let calls = (0..2).map(|n| super::reversed::call(vec![n; 200 << 10]));
                assert_eq!(
                    pool.map(calls).filter(|bytes| bytes.as_ref().is_ok_and(|bytes| bytes.len() == 200 << 10)).count(),
                    2
                );
            }
            assert_eq!(pool.stats().replaced, 0);
            program::say("done");
        }
        "map" => {
            let mut results = pool.map((0..).map(square::call));
            loop {
                results.next().unwrap().unwrap();
            }
        }
        _ => {
            let [one, _] = jobs;
            one.wait().unwrap();
        }
    }
}

#[track_caller]
fn are_gone(workers: &[u32]) {
    wait::until("all workers are gone", || workers.iter().all(|pid| !procs::is_alive(*pid)));
}

fn the_program_ends_with_a_pool(method: StartMethod) {
    for (how, code) in [("leak", 0), ("exit", 7)] {
        let mut program = Program::new("pool::life::has_a_pool", method).args([how]).start();
        let workers = program.numbers();
        assert_eq!(workers.len(), 3);
        let ended = program.finish();
        assert_eq!((ended.code(), &*ended.stderr), (code, ""), "{ended:?}");
        are_gone(&workers);
    }
}

fn a_panic_of_main(method: StartMethod) {
    let mut program = Program::new("pool::life::has_a_pool", method).args(["panic"]).start();
    let workers = program.numbers();
    let ended = program.finish();
    assert_eq!(ended.code(), 101, "{ended:?}");
    assert_eq!(ended.stderr.matches("panicked").count(), 1, "{ended:?}");
    are_gone(&workers);
}

/// Plays Ctrl-C, which signals all processes in the terminal's group.
fn an_interrupt_ends_the_program_once(method: StartMethod) {
    for how in ["wait", "map"] {
        let mut program = Program::new("pool::life::has_a_pool", method).args([how]).start();
        let workers = program.numbers();
        sys::kill(-(program.pid() as i32), libc::SIGINT);
        let ended = program.finish();
        assert_eq!((ended.code(), &*ended.stdout, &*ended.stderr), (-libc::SIGINT, "", ""), "{ended:?}");
        are_gone(&workers);
    }
}

/// Runs another program, and prints its process id.
#[child_task]
fn run_a_program() {
    let mut child = std::process::Command::new("/bin/sleep").arg("600").spawn().unwrap();
    program::say(child.id());
    child.wait().unwrap();
}

pub(crate) fn has_a_task_with_a_program(method: StartMethod, _arguments: &[String]) {
    let pool = pool(method, 1);
    pool.submit(run_a_program::call()).wait().unwrap();
}

/// A program that a task runs outlives neither Ctrl-C nor the pool.
fn an_interrupt_ends_the_programs_of_tasks(method: StartMethod) {
    let mut program = Program::new("pool::life::has_a_task_with_a_program", method).start();
    let pids = program.numbers();
    sys::kill(-(program.pid() as i32), libc::SIGINT);
    assert_eq!(program.finish().code(), -libc::SIGINT);
    are_gone(&pids);
}

fn an_interrupt_that_the_program_survives(method: StartMethod) {
    let (input, told) = std::io::pipe().unwrap();
    let mut program = Program::new("pool::life::has_a_pool", method)
        .args(["survive"])
        .stdin(std::os::fd::OwnedFd::from(input))
        .start();
    let workers = program.numbers();
    let group = -(program.pid() as i32);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                sys::kill(group, libc::SIGINT);
                wait::a_moment();
            }
        });
        use std::io::Write;
        (&told).write_all(b"go\n").unwrap();
        assert_eq!(program.line(), "done");
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let ended = program.finish();
    assert_eq!((ended.code(), &*ended.stderr), (0, ""), "{ended:?}");
    are_gone(&workers);
}

fn a_termination_ends_all(method: StartMethod) {
    let mut program = Program::new("pool::life::has_a_pool", method).args(["wait"]).start();
    let workers = program.numbers();
    program.signal(libc::SIGTERM);
    let ended = program.finish();
    assert_eq!((ended.code(), &*ended.stderr), (-libc::SIGTERM, ""), "{ended:?}");
    are_gone(&workers);
}

/// Runs another program, and returns the signal that has ended it.
#[child_task]
fn end_of_a_program() -> Option<i32> {
    let mut child = std::process::Command::new("/bin/sleep").arg("600").spawn().unwrap();
    program::say(child.id());
    child.wait().unwrap().signal()
}

/// Survives a termination, and drains its pool when told.
pub(crate) fn drains(method: StartMethod, arguments: &[String]) {
    let pool = super::build(super::builder(method).workers(2).graceful_shutdown(arguments[0] == "graceful"));
    // After the copy that is the template of a fork pool.
    for signal in [libc::SIGTERM, libc::SIGHUP] {
        sys::on_signal(signal, sys::Disposition::Nothing);
    }
    let (job, gate) = running(&pool);
    let tool = pool.submit(end_of_a_program::call());
    wait::until("both are busy", || pool.stats().running == 2);
    let workers: Vec<String> = pids(&pool).iter().map(ToString::to_string).collect();
    program::say(workers.join(" "));
    while std::io::stdin().read_line(&mut String::new()).is_err() {}
    gate.set();
    let how = [outcome(job).map(|_| None), outcome(tool)].map(|outcome| match outcome {
        Ok(signal) => format!("returned {signal:?}"),
        Err(error) => format!("{:?}", error.kind()),
    });
    program::say(how.join(", "));
    let replaced = pool.stats().replaced;
    pool.join().unwrap();
    program::say(format!("joined, {replaced} replaced"));
}

/// Starts [`drains`], sends a signal to all of its processes, and returns its last lines.
#[track_caller]
fn drained_after(method: StartMethod, how: &str, signal: i32) -> String {
    let (input, told) = std::io::pipe().unwrap();
    let mut program =
        Program::new("pool::life::drains", method).args([how]).stdin(std::os::fd::OwnedFd::from(input)).start();
    // The program of the task, and the workers, in any order.
    let pids = [program.numbers(), program.numbers()].concat();
    sys::kill(-(program.pid() as i32), signal);
    std::io::Write::write_all(&mut &told, b"go\n").unwrap();
    let ended = program.finish();
    are_gone(&pids);
    assert_eq!(ended.stderr, "");
    ended.succeeded()
}

/// As the default of systemd is.
fn a_termination_of_the_group_ends_the_workers(method: StartMethod) {
    for signal in [libc::SIGTERM, libc::SIGHUP] {
        let printed = drained_after(method, "default", signal);
        assert_eq!(printed, format!("Signaled({signal}), Signaled({signal})\njoined, 2 replaced\n"));
    }
}

/// Jobs come to their end. The program that a task runs gets the default reaction.
fn a_termination_of_the_group_is_survived_by_choice(method: StartMethod) {
    for signal in [libc::SIGTERM, libc::SIGHUP] {
        let printed = drained_after(method, "graceful", signal);
        assert_eq!(printed, format!("returned None, returned Some({signal})\njoined, 0 replaced\n"));
    }
}

fn workers_that_survive_a_termination_end_with_the_program(method: StartMethod) {
    let program = Program::new("pool::life::drains", method).args(["graceful"]);
    let (input, _told) = std::io::pipe().unwrap();
    let mut program = program.stdin(std::os::fd::OwnedFd::from(input)).start();
    let pids = [program.numbers(), program.numbers()];
    let workers = pids.iter().find(|pids| pids.len() == 2).unwrap();
    sys::kill(-(program.pid() as i32), libc::SIGTERM);
    program.kill();
    are_gone(workers);

    let pool = super::build(super::builder(method).workers(2).graceful_shutdown(true));
    let (job, _gate) = running(&pool);
    let workers = super::pids(&pool);
    workers.iter().for_each(|worker| sys::kill(*worker as i32, libc::SIGTERM));
    job.kill();
    assert!(matches!(failure(job).kind(), JoinErrorKind::Cancelled));
    pool.terminate();
    are_gone(&workers);
}

fn a_kill_ends_all(method: StartMethod) {
    for how in ["wait", "map"] {
        let mut program = Program::new("pool::life::has_a_pool", method).args([how]).start();
        let workers = program.numbers();
        program.kill();
        are_gone(&workers);
        assert_eq!(program.errors(), "");
    }
}

fn a_copy_of_the_process_cannot_spoil_it(method: StartMethod) {
    let pool = pool(method, 2);
    let workers = pids(&pool);
    let (job, gate) = running(&pool);
    let queued = pool.submit(square::call(3));
    let jobs = std::cell::RefCell::new(Some((job, queued)));
    let pool = std::cell::RefCell::new(Some(pool));
    let copy = |what: u8| {
        let pid = sys::foreign_fork(|| {
            let (pool, (job, queued)) = (pool.take().unwrap(), jobs.take().unwrap());
            match what {
                0 => drop((job, queued)),
                1 => assert!(outcome(job).is_err() && outcome(queued).is_err()),
                2 => drop(pool.stats()),
                3 => {
                    assert!(outcome(pool.submit(square::call(1))).is_err());
                    assert!(pool.map((0..3).map(square::call)).all(|result| result.is_err()));
                }
                4 => {
                    job.kill();
                    queued.cancel();
                    pool.close();
                    drop(pool.resize(1));
                }
                5 => return pool.terminate(),
                6 => return drop(pool.join()),
                _ => {}
            }
            drop(pool);
        });
        let pidfd = sys::open_pid(pid).unwrap();
        let in_time = wait::readable(pidfd.as_fd(), Instant::now() + wait::LIMIT / 4);
        if !in_time {
            sys::kill(pid as i32, libc::SIGKILL);
        }
        assert_eq!((in_time, sys::reap(pid)), (true, 0), "copy {what} has ended in order");
    };
    (0..8).for_each(copy);
    gate.set();
    let (pool, (job, queued)) = (pool.take().unwrap(), jobs.take().unwrap());
    assert!(workers.contains(&value(job)), "the original goes on");
    assert_eq!(value(queued), 9);
    let mut pids = pids(&pool);
    pids.sort_unstable();
    let mut workers = workers;
    workers.sort_unstable();
    assert_eq!(pids, workers, "with the same workers");
    assert_eq!(pool.map((0..300).map(square::call)).filter(Result::is_ok).count(), 300);
    pool.join().unwrap();
}

/// The copy has a lock that no thread will ever release.
fn a_copy_made_while_another_thread_uses_it(method: StartMethod) {
    let pool = pool(method, 2);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (mut job, gate) = running(&pool);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                drop(pool.stats());
            }
        });
        for round in 0..100 {
            let copy = sys::foreign_fork(|| {
                let result = job.wait_timeout(wait::LIMIT);
                assert!(result.is_err_and(|error| matches!(error.kind(), JoinErrorKind::PoolClosed)));
                let later = pool.submit(square::call(1));
                assert!(!later.cancel());
                assert!(outcome(later).is_err());
                assert!(pool.map((0..3).map(square::call)).all(|result| result.is_err()));
                drop(pool.map_unordered((0..3).map(square::call)).last());
                assert_eq!(pool.stats().workers.len(), 0);
            });
            let pidfd = sys::open_pid(copy).unwrap();
            let in_time = wait::readable(pidfd.as_fd(), Instant::now() + wait::LIMIT / 4);
            if !in_time {
                sys::kill(copy as i32, libc::SIGKILL);
            }
            assert_eq!((in_time, sys::reap(copy)), (true, 0), "copy {round} has ended in order");
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    gate.set();
    value(job);
    assert_eq!(pool.map((0..300).map(square::call)).filter(Result::is_ok).count(), 300);
    pool.join().unwrap();
    no_process_is_left();
}

fn a_pool_outlives_the_thread_that_made_it(method: StartMethod) {
    let pool = std::thread::spawn(move || pool(method, 2)).join().unwrap();
    let counts = counts();
    for result in pool.map((0..32).map(|n| count::call(counts.clone(), n))) {
        result.unwrap();
    }
    let (one, two) = (value(pool.submit(pid::call())), pids(&pool));
    assert!(two.contains(&one));
    std::thread::spawn(move || pool.join().unwrap()).join().unwrap();
    no_process_is_left();
}
