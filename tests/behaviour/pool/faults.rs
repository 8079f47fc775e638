//! Workers that die. Only the job that the worker was running is lost.

use std::time::Duration;

use offspring::sync::Event;
use offspring::{JoinErrorKind, Pool, StartMethod, child_task};
use offspring_tests::{cases, procs, sys, wait};

use super::{
    Counts, add_one, all_serve, begin_and_wait, build, builder, count, counts, event, failure, no_process_is_left, now,
    outcome, pid, pids, pool, square, value,
};
use crate::outcomes::panic_in_a_panic;
use crate::tasks::{come_back_twice, execute, execute_idler};

cases! {
    alone each_death_costs_the_job_that_ran;
    alone memory_runs_out;
    alone idle_workers_are_replaced;
    alone deaths_while_no_thread_waits;
    alone idempotent_tasks_are_tried_again;
    alone other_tasks_are_not;
    alone tries_come_to_an_end;
    alone a_stopped_worker_is_killed;
    alone a_stopped_worker_holds_up_no_job;
    alone an_exit_by_another_thread;
    alone a_worker_whose_children_live_on;
    alone a_copy_of_a_worker_that_comes_back_ends;
    alone a_worker_that_becomes_another_program;
    alone statuses_taken_by_foreign_code;
    alone all_workers_at_once;
}

#[child_task]
fn end(how: String, begun: Event, gate: Event) {
    begun.set();
    assert!(gate.wait_timeout(wait::LIMIT));
    match &*how {
        "segfault" => sys::segfault(),
        "abort" => std::process::abort(),
        "overflow" => overflow(0),
        "exit" => std::process::exit(3),
        "two panics" => panic_in_a_panic(),
        _ => sys::die_by(libc::SIGKILL),
    }
}

#[expect(unconditional_recursion, reason = "the stack is to overflow")]
fn overflow(depth: u64) {
    let page = std::hint::black_box([depth; 500]);
    overflow(page[3] + 1);
}

#[track_caller]
fn was_killed(error: &offspring::JoinError, by: i32) {
    assert!(matches!(error.kind(), JoinErrorKind::Signaled(signal) if *signal == by), "{error:?}");
}

fn each_death_costs_the_job_that_ran(method: StartMethod) {
    let deaths = [
        ("segfault", libc::SIGSEGV),
        ("abort", libc::SIGABRT),
        ("overflow", sys::STACK_OVERFLOW),
        ("two panics", libc::SIGABRT),
        ("kill", libc::SIGKILL),
        ("exit", 0),
    ];
    for workers in [1, 2] {
        let pool = pool(method, workers);
        for (how, signal) in deaths {
            let (counts, begun, gate) = (counts(), event(), event());
            let victims = pids(&pool);
            let bad = pool.submit(end::call(how.to_owned(), begun.clone(), gate.clone()));
            assert!(begun.wait_timeout(wait::LIMIT));
            // Jobs behind the fatal job, in the worker's ring and in the queue.
            let jobs: Vec<_> = (0..32).map(|n| pool.submit(count::call(counts.clone(), n))).collect();
            gate.set();
            let error = failure(bad);
            match error.kind() {
                JoinErrorKind::Exited(3) => assert_eq!(how, "exit"),
                JoinErrorKind::Signaled(by) => assert_eq!(*by, signal, "{how}"),
                _ => panic!("{how}: {error:?}"),
            }
            assert_eq!(error.task(), "behaviour::pool::faults::end");
            let pid = error.pid().unwrap();
            assert!(victims.contains(&pid), "{how}");
            for (n, job) in jobs.into_iter().enumerate() {
                assert_eq!(value(job) as usize, n, "{how}");
            }
            assert_eq!(now(&counts), [1; 32], "{how}: each has run once");
            // The remaining workers may have run all jobs before the replacement was ready.
            wait::until("the worker is replaced", || pids(&pool).len() == workers && !pids(&pool).contains(&pid));
        }
        let stats = pool.stats();
        assert_eq!((stats.failed, stats.replaced), (6, 6), "{stats:?}");
        pool.join().unwrap();
        no_process_is_left();
    }
}

#[child_task]
fn allocate(bytes: usize) -> u8 {
    // The task leaves little room above the memory that this process has now.
    let pages: u64 = std::fs::read_to_string("/proc/self/statm").unwrap().split(' ').next().unwrap().parse().unwrap();
    let (_, hard) = sys::limit(libc::RLIMIT_AS);
    assert!(sys::set_limit(libc::RLIMIT_AS, pages * 4096 + (64 << 20), hard));
    let zeros = std::hint::black_box(vec![1_u8; bytes]);
    assert!(sys::set_limit(libc::RLIMIT_AS, hard, hard));
    zeros[bytes / 2]
}

fn memory_runs_out(method: StartMethod) {
    let pool = pool(method, 1);
    let worker = value(pool.submit(pid::call()));
    assert_eq!(value(pool.submit(allocate::call(1 << 20))), 1);
    let bad = pool.submit(allocate::call(1 << 30));
    let next = pool.submit(pid::call());
    let error = failure(bad);
    was_killed(&error, libc::SIGABRT);
    assert_eq!(error.pid(), Some(worker));
    assert_ne!(value(next), worker);
}

fn idle_workers_are_replaced(method: StartMethod) {
    let pool = pool(method, 2);
    for _ in 0..5 {
        let before = pids(&pool);
        sys::kill(before[0] as i32, libc::SIGKILL);
        // No thread waits for a job, so the supervisor has to replace the worker.
        wait::until("the worker is replaced", || pids(&pool).len() == 2 && !pids(&pool).contains(&before[0]));
        assert!(pids(&pool).contains(&before[1]), "the other one stays");
        assert!(procs::stat(before[0]).is_none(), "it was reaped");
        // Three workers that die before they serve would end the pool.
        all_serve(&pool, 2);
        assert_eq!(pool.map((0..50).map(square::call)).filter(Result::is_ok).count(), 50);
    }
    assert_eq!(pool.stats().failed, 0, "nothing was lost");
}

fn deaths_while_no_thread_waits(method: StartMethod) {
    let pool = pool(method, 2);
    let (gate, counts) = (event(), counts());
    gate.set();
    for n in 0..32 {
        if n % 8 == 3 {
            drop(pool.submit(end::call("exit".to_owned(), event(), gate.clone())));
        }
        drop(pool.submit(count::call(counts.clone(), n)));
    }
    wait::until("all others have run", || now(&counts) == [1; 32]);
    wait::until("all workers are there", || pids(&pool).len() == 2 && pool.stats().replaced == 4);
    assert_eq!(pool.stats().failed, 4);
}

/// Dies until the given number of runs.
fn die_until(counts: &Counts, number: u32, runs: u32) -> u32 {
    add_one(counts, number);
    let run = now(counts)[number as usize];
    if run < runs {
        sys::die_by(libc::SIGKILL);
    }
    run
}

#[child_task(idempotent)]
fn harmless(counts: Counts, number: u32, runs: u32) -> u32 {
    die_until(&counts, number, runs)
}

#[child_task]
fn harmful(counts: Counts, number: u32, runs: u32) -> u32 {
    die_until(&counts, number, runs)
}

#[child_task(idempotent)]
fn harmless_panic(counts: Counts) -> u32 {
    add_one(&counts, 0);
    panic!("again and again")
}

fn idempotent_tasks_are_tried_again(method: StartMethod) {
    let pool = build(builder(method).workers(2).retries(2));
    let counts = counts();
    let jobs: Vec<_> = (0..8).map(|n| pool.submit(harmless::call(counts.clone(), n, 1 + n % 3))).collect();
    for (n, job) in jobs.into_iter().enumerate() {
        assert_eq!(value(job), 1 + n as u32 % 3);
    }
    let results: Vec<u32> =
        pool.map((8..16).map(|n| harmless::call(counts.clone(), n, 2))).map(Result::unwrap).collect();
    assert_eq!(results, [2; 8]);
    let stats = pool.stats();
    assert_eq!((stats.done, stats.failed), (16, 0), "{stats:?}");
}

fn other_tasks_are_not(method: StartMethod) {
    let pool = build(builder(method).workers(1).retries(5));
    let counts = counts();
    was_killed(&failure(pool.submit(harmful::call(counts.clone(), 0, 2))), libc::SIGKILL);
    assert_eq!(now(&counts)[0], 1);
    // A panic is a result, so no retry follows.
    let counts = super::counts();
    let error = failure(pool.submit(harmless_panic::call(counts.clone())));
    assert!(matches!(error.kind(), JoinErrorKind::Panicked(_)), "{error:?}");
    assert_eq!(now(&counts)[0], 1);
    // Without retries, an idempotent task is not repeated either.
    let pool = super::pool(method_after(method, pool), 1);
    was_killed(&failure(pool.submit(harmless::call(counts.clone(), 1, 2))), libc::SIGKILL);
    assert_eq!(now(&counts)[1], 1);
}

/// Returns the method again after the end of a pool and its thread.
fn method_after(method: StartMethod, pool: Pool) -> StartMethod {
    drop(pool);
    method
}

fn tries_come_to_an_end(method: StartMethod) {
    let pool = build(builder(method).workers(1).retries(3));
    let counts = counts();
    let error = failure(pool.submit(harmless::call(counts.clone(), 0, u32::MAX)));
    let JoinErrorKind::Poisoned { workers: 4, last } = error.kind() else { panic!("{error:?}") };
    assert!(matches!(**last, JoinErrorKind::Signaled(libc::SIGKILL)), "{error:?}");
    let text = "has killed 4 workers and is given up; the last one was killed by signal 9 (SIGKILL)";
    assert!(error.to_string().ends_with(text) && error.pid().is_some(), "{error}");
    assert_eq!(now(&counts)[0], 4, "once and three times more");
    assert_eq!(value(pool.submit(square::call(2))), 4);
    // A cancelled or timed out job is not tried again.
    let pool = super::pool(method_after(method, pool), 1);
    drop(pool);
    let pool = build(builder(method).workers(1).retries(3).task_timeout(Duration::from_millis(40)));
    let error = failure(pool.submit(hang_again::call(counts.clone())));
    assert!(matches!(error.kind(), JoinErrorKind::TimedOut), "{error:?}");
    assert_eq!(now(&counts)[1], 1);
}

#[child_task(idempotent)]
fn hang_again(counts: Counts) {
    add_one(&counts, 1);
    loop {
        std::thread::park();
    }
}

fn a_stopped_worker_is_killed(method: StartMethod) {
    let pool = pool(method, 2);
    for is_busy in [true, false] {
        let (begun, gate) = (event(), event());
        let job = pool.submit(begin_and_wait::call(begun.clone(), gate.clone()));
        assert!(begun.wait_timeout(wait::LIMIT));
        let busy = pool.stats().workers.iter().find(|worker| worker.assigned > 0).unwrap().pid;
        let idle = *pids(&pool).iter().find(|pid| **pid != busy).unwrap();
        let stopped = if is_busy { busy } else { idle };
        sys::kill(stopped as i32, libc::SIGSTOP);
        wait::until("it is stopped", || procs::stat(stopped).is_some_and(|stat| stat.state == 'T'));
        // Jobs in the stopped worker's window are taken back unless begun. The other worker goes on.
        if is_busy {
            for n in 0..20 {
                assert_eq!(value(pool.submit(square::call(n))), n * n);
            }
        }
        sys::kill(stopped as i32, libc::SIGKILL);
        gate.set();
        match outcome(job) {
            Ok(pid) => assert!(!is_busy && pid == busy),
            Err(error) => {
                assert!(is_busy);
                was_killed(&error, libc::SIGKILL);
            }
        }
        wait::until("it is replaced", || pids(&pool).len() == 2 && !pids(&pool).contains(&stopped));
        assert_eq!(pool.map((0..50).map(square::call)).filter(Result::is_ok).count(), 50);
    }
}

/// A worker that was stopped while idle receives jobs, and does not begin them.
fn a_stopped_worker_holds_up_no_job(method: StartMethod) {
    let pool = pool(method, 2);
    for stopped in pids(&pool) {
        all_serve(&pool, 2);
        sys::kill(stopped as i32, libc::SIGSTOP);
        wait::until("it is stopped", || procs::stat(stopped).is_some_and(|stat| stat.state == 'T'));
        for _ in 0..50 {
            assert_ne!(value(pool.submit(pid::call())), stopped);
        }
        assert!(pool.map((0..50).map(|_| pid::call())).all(|pid| pid.unwrap() != stopped));
        sys::kill(stopped as i32, libc::SIGCONT);
        // After it continues, the worker receives jobs again.
        all_serve(&pool, 2);
    }
    assert_eq!((pool.stats().replaced, pool.stats().failed), (0, 0));
    pool.join().unwrap();
    no_process_is_left();
}

#[child_task]
fn exit_elsewhere() {
    std::thread::spawn(|| std::process::exit(9)).join().unwrap();
}

fn an_exit_by_another_thread(method: StartMethod) {
    let pool = pool(method, 1);
    let error = failure(pool.submit(exit_elsewhere::call()));
    assert!(matches!(error.kind(), JoinErrorKind::Exited(9)), "{error:?}");
    assert_eq!(value(pool.submit(square::call(3))), 9);
}

/// Leaves a program and a copy of the worker behind, which keep inherited descriptors open.
#[child_task]
#[expect(clippy::zombie_processes, reason = "it is to outlive this worker")]
fn leave_children_and_die(left: Counts) {
    let child = std::process::Command::new("/bin/sleep").arg("600").spawn().unwrap();
    let copy = sys::foreign_fork(|| {
        loop {
            std::thread::park();
        }
    });
    left.lock().unwrap()[..2].copy_from_slice(&[child.id(), copy]);
    sys::die_by(libc::SIGKILL);
}

fn a_worker_whose_children_live_on(method: StartMethod) {
    let pool = pool(method, 1);
    let left = counts();
    was_killed(&failure(pool.submit(leave_children_and_die::call(left.clone()))), libc::SIGKILL);
    assert_eq!(value(pool.submit(square::call(3))), 9, "nobody waits for a descriptor to be closed");
    assert_eq!(pool.map((0..50).map(square::call)).filter(Result::is_ok).count(), 50);
    pool.join().unwrap();
    for pid in &now(&left)[..2] {
        assert!(procs::is_alive(*pid));
        sys::kill(*pid as i32, libc::SIGKILL);
    }
}

/// Timeouts and kills still hold, and the end of the program is the end of the job.
fn a_worker_that_becomes_another_program(method: StartMethod) {
    let pool = pool(method, 1);
    let error = failure(pool.submit(execute_idler().timeout(Duration::from_millis(200))));
    assert!(matches!(error.kind(), JoinErrorKind::TimedOut), "{error:?}");
    assert_eq!(value(pool.submit(square::call(3))), 9);

    let job = pool.submit(execute_idler());
    let worker = pids(&pool)[0];
    wait::until("the worker is another program", || procs::stat(worker).is_some_and(|worker| worker.comm == "sleep"));
    job.kill();
    let error = failure(job);
    assert!(matches!(error.kind(), JoinErrorKind::Cancelled), "{error:?}");

    let error = failure(pool.submit(execute::call("/bin/sh".to_owned(), vec!["-c".to_owned(), "exit 3".to_owned()])));
    assert!(matches!(error.kind(), JoinErrorKind::Exited(3)), "{error:?}");
    assert_eq!(value(pool.submit(square::call(4))), 16);
    pool.join().unwrap();
    no_process_is_left();
}

/// The copy would take jobs out of the worker's ring, and send results of its own.
fn a_copy_of_a_worker_that_comes_back_ends(method: StartMethod) {
    let pool = pool(method, 1);
    let worker = pids(&pool);
    for panics in [false, true, false] {
        assert_eq!(value(pool.submit(come_back_twice::call(panics))), 125 << 8);
        let squares = pool.map((0..100).map(square::call)).collect::<Result<Vec<_>, _>>().unwrap();
        assert_eq!(squares, (0..100).map(|n| n * n).collect::<Vec<_>>());
    }
    assert_eq!(pids(&pool), worker);
    pool.join().unwrap();
    no_process_is_left();
}

fn statuses_taken_by_foreign_code(method: StartMethod) {
    let pool = pool(method, 1);
    for _ in 0..5 {
        let (begun, gate) = (event(), event());
        let job = pool.submit(end::call("kill".to_owned(), begun.clone(), gate.clone()));
        assert!(begun.wait_timeout(wait::LIMIT));
        let worker = pids(&pool)[0];
        gate.set();
        wait::until("the worker has ended", || {
            sys::steal_a_status();
            !procs::is_alive(worker)
        });
        let error = failure(job);
        let is_known = matches!(error.kind(), JoinErrorKind::Signaled(libc::SIGKILL) | JoinErrorKind::Unknown);
        assert!(is_known, "{error:?}");
        assert_eq!(value(pool.submit(square::call(3))), 9);
    }
}

fn all_workers_at_once(method: StartMethod) {
    let pool = pool(method, 3);
    for _ in 0..3 {
        let jobs: Vec<_> = (0..500).map(|n| pool.submit(square::call(n))).collect();
        let workers = pids(&pool);
        workers.iter().for_each(|pid| sys::kill(*pid as i32, libc::SIGKILL));
        let mut lost = 0;
        for (n, job) in jobs.into_iter().enumerate() {
            match outcome(job) {
                Ok(value) => assert_eq!(value, (n * n) as u64),
                Err(error) => {
                    was_killed(&error, libc::SIGKILL);
                    assert!(workers.contains(&error.pid().unwrap()));
                    lost += 1;
                }
            }
        }
        assert!(lost <= 3, "{lost} jobs were lost with three workers");
        all_serve(&pool, 3);
    }
}
