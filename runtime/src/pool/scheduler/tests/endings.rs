//! Jobs that do not return: a worker's death, a cancel, a kill, the end of the pool.

use std::time::Duration;

use super::fake::{FakePool, config};
use crate::error::JoinErrorKind::{Exited, Panicked, Signaled, Unknown};
use crate::pool::scheduler::Phase;

const SHORT: Duration = Duration::from_micros(1);

/// A worker's death in one state. The pool has one worker and two jobs, which were submitted before the worker served.
struct Death {
    state: &'static str,
    enter: fn(&mut FakePool),
    commands: &'static str,
    outcomes: [&'static str; 2],
    /// Workers replaced, and retired.
    counted: [u64; 2],
    /// Whether the next start has to wait.
    pauses: bool,
}

const DEATHS: [Death; 9] = [
    Death {
        state: "its initializer runs",
        enter: |_| {},
        commands: "",
        outcomes: ["-", "-"],
        counted: [1, 0],
        pauses: true,
    },
    Death {
        state: "it is idle, and has done nothing",
        enter: |pool| pool.ready(1),
        commands: "",
        outcomes: ["-", "-"],
        counted: [1, 0],
        pauses: true,
    },
    Death {
        state: "it has begun no job",
        enter: serve,
        commands: "1: send 0, 1: send 1",
        outcomes: ["-", "-"],
        counted: [1, 0],
        pauses: true,
    },
    Death {
        state: "it runs a job",
        enter: |pool| {
            serve(pool);
            pool.begin(1);
        },
        commands: "1: send 0, 1: send 1",
        outcomes: ["Signaled(11)", "-"],
        counted: [1, 0],
        pauses: false,
    },
    Death {
        state: "it has sent an outcome that was not taken in",
        enter: |pool| {
            serve(pool);
            pool.begin(1);
            pool.finish_unseen(1, SHORT, false);
        },
        commands: "1: send 0, 1: send 1",
        outcomes: ["returned by 1", "-"],
        counted: [1, 0],
        pauses: false,
    },
    Death {
        state: "it has done a job, and runs the next",
        enter: |pool| {
            serve(pool);
            pool.run(1, SHORT);
            pool.begin(1);
        },
        commands: "1: send 0, 1: send 1",
        outcomes: ["returned by 1", "Signaled(11)"],
        counted: [1, 0],
        pauses: false,
    },
    Death {
        state: "it retires, and runs a job",
        enter: |pool| {
            serve(pool);
            pool.begin(1);
            pool.shut_down();
        },
        commands: "1: send 0, 1: send 1, 1: shut down",
        outcomes: ["Signaled(11)", "-"],
        counted: [0, 1],
        pauses: false,
    },
    Death {
        state: "it retires before it served",
        enter: |pool| pool.shut_down(),
        commands: "1: shut down",
        outcomes: ["-", "-"],
        counted: [0, 1],
        pauses: false,
    },
    Death {
        state: "it runs a job, and its link is broken",
        enter: |pool| {
            serve(pool);
            pool.begin(1);
            pool.break_link(1);
            pool.collect();
        },
        commands: "1: send 0, 1: send 1, 1: kill",
        outcomes: ["Signaled(11), it is broken", "-"],
        counted: [1, 0],
        pauses: false,
    },
];

fn serve(pool: &mut FakePool) {
    pool.ready(1);
    pool.scheduler.dispatch();
}

#[test]
fn a_death_costs_the_job_that_ran_and_no_other() {
    for Death { state, enter, commands, outcomes, counted, pauses } in DEATHS {
        let mut pool = FakePool::new(config(1));
        pool.start();
        let jobs = [pool.submit(), pool.submit()];
        assert_eq!(pool.commands(), "", "{state}: there is no worker that serves");
        enter(&mut pool);
        pool.die(1, Signaled(11));
        assert_eq!(pool.commands(), commands, "{state}");
        let stats = pool.scheduler.stats();
        assert_eq!([stats.replaced, stats.retired], counted, "{state}");
        assert!(stats.workers.is_empty(), "{state}");
        assert_eq!(pool.must_start(), !pauses, "{state}");
        assert_eq!(jobs.map(|id| pool.outcome(id)), outcomes, "{state}");

        // The jobs that had not begun run in the next worker, in their order.
        pool.advance(Duration::from_secs(1));
        assert!(pool.must_start(), "{state}");
        pool.start();
        pool.ready(2);
        pool.scheduler.dispatch();
        let left: Vec<_> = jobs.into_iter().zip(outcomes).filter(|(_, outcome)| *outcome == "-").collect();
        for (id, _) in left {
            pool.run(2, SHORT);
            assert_eq!(pool.outcome(id), "returned by 2", "{state}");
        }
    }
}

#[test]
fn an_idempotent_job_runs_again_after_a_death_as_often_as_it_may() {
    for kind in [Signaled(9), Exited(3), Unknown] {
        let text = format!("{kind:?}");
        let mut pool = FakePool::serving(config(1));
        pool.retries = 1;
        let [job, behind] = [pool.submit(), pool.submit()];
        pool.begin(1);
        pool.die(1, kind);
        assert_eq!(pool.outcome(job), "-", "{text}");
        pool.start();
        pool.ready(2);
        pool.scheduler.dispatch();
        assert_eq!(pool.commands(), "1: send 0, 1: send 1, 2: send 0, 2: send 1", "{text}: it is first again");
        pool.begin(2);
        pool.die(2, Signaled(6));
        assert_eq!(pool.outcome(job), "Poisoned { workers: 2, last: Signaled(6) }", "{text}");
        assert_eq!(pool.outcome(behind), "-", "{text}");
    }
}

#[test]
fn what_is_no_death_is_not_run_again() {
    let mut pool = FakePool::serving(config(1));
    pool.retries = 3;
    let [panics, times_out] = [pool.submit(), pool.submit()];
    pool.begin(1);
    let panic = crate::error::Panic { message: "index".to_owned(), location: None, backtrace: None };
    pool.die(1, Panicked(panic));
    assert!(pool.outcome(panics).starts_with("Panicked"), "a program that aborts at a panic");

    pool.start();
    pool.ready(2);
    pool.scheduler.dispatch();
    pool.begin(2);
    pool.kill(times_out);
    pool.die(2, Signaled(9));
    assert_eq!(pool.outcome(times_out), "Cancelled");
}

#[test]
fn a_cancel_takes_back_a_job_that_has_not_begun_and_tells_one_that_runs() {
    let mut pool = FakePool::serving(config(1));
    let jobs = [pool.submit(), pool.submit(), pool.submit(), pool.submit()];
    let [runs, sent, queued, last] = jobs;
    pool.begin(1);
    pool.commands();

    assert!(pool.cancel(queued));
    assert_eq!(pool.commands(), "");
    assert!(pool.cancel(sent));
    assert_eq!(pool.commands(), "1: revoke 1, 1: send 3");
    assert!(!pool.cancel(runs));
    assert_eq!(pool.commands(), "1: revoke 3, 1: cancel 0, 1: send 3");

    pool.finish_unseen(1, SHORT, false);
    assert!(!pool.cancel(runs), "its outcome has come");
    assert_eq!(pool.commands(), "");
    pool.run(1, SHORT);
    assert_eq!(jobs.map(|id| pool.outcome(id)), ["returned by 1", "Cancelled", "Cancelled", "returned by 1"]);
    assert!(!pool.cancel(last), "it is taken");
}

#[test]
fn a_cancelled_job_is_not_run_again() {
    let mut pool = FakePool::serving(config(1));
    pool.retries = 1;
    let job = pool.submit();
    pool.begin(1);
    assert!(!pool.cancel(job));
    pool.die(1, Signaled(9));
    assert_eq!(pool.outcome(job), "Signaled(9)");
}

#[test]
fn a_kill_ends_the_worker_of_a_job_that_runs_and_spares_the_jobs_behind_it() {
    let mut pool = FakePool::serving(config(2));
    let jobs = [pool.submit(), pool.submit(), pool.submit()];
    pool.begin(1);
    pool.begin(2);
    pool.commands();
    pool.kill(jobs[0]);
    assert_eq!(pool.commands(), "1: revoke 2, 1: cancel 0, 1: kill, 2: send 2");
    pool.die(1, Signaled(9));
    pool.finish_unseen(2, SHORT, false);
    pool.collect();
    pool.run(2, SHORT);
    assert_eq!(jobs.map(|id| pool.outcome(id)), ["Cancelled", "returned by 2", "returned by 2"]);
}

#[test]
fn a_kill_that_comes_too_late_kills_nothing() {
    let mut pool = FakePool::serving(config(1));
    let [done, runs] = [pool.submit(), pool.submit()];
    pool.begin(1);
    pool.finish_unseen(1, SHORT, false);
    pool.begin(1);
    pool.commands();
    pool.kill(done);
    assert_eq!(pool.commands(), "");
    pool.finish_unseen(1, SHORT, false);
    pool.collect();
    assert_eq!([done, runs].map(|id| pool.outcome(id)), ["returned by 1", "returned by 1"]);
}

#[test]
fn a_closed_pool_finishes_its_jobs_and_takes_no_others() {
    let mut pool = FakePool::serving(config(2));
    let before = pool.submit();
    pool.scheduler.close();
    let after = pool.submit();
    assert_eq!(pool.outcome(after), "PoolClosed");
    pool.run(1, SHORT);
    assert_eq!(pool.outcome(before), "returned by 1");
    pool.commands();
    pool.shut_down();
    assert_eq!(pool.commands(), "1: shut down, 2: shut down");
    [1, 2].into_iter().for_each(|worker| pool.die(worker, Exited(0)));
    assert!(pool.scheduler.is_empty());
    assert!(!pool.must_start());
}

#[test]
fn a_closed_pool_replaces_workers_as_long_as_it_has_jobs() {
    let mut pool = FakePool::serving(config(2));
    let [_, behind, _] = [pool.submit(), pool.submit(), pool.submit()];
    pool.scheduler.close();
    pool.begin(1);
    pool.die(1, Signaled(9));
    pool.begin(2);
    assert!(pool.must_start());
    let _ = behind;
    pool.die(2, Signaled(9));
    let third = pool.start();
    pool.ready(third);
    pool.scheduler.dispatch();
    assert!(!pool.must_start(), "one job is left");
    pool.run(third, SHORT);
    assert_eq!(pool.scheduler.unfinished(), 0);
}

#[test]
fn a_worker_that_comes_too_late_is_told_to_exit_or_killed() {
    let mut pool = FakePool::new(config(1));
    pool.scheduler.close();
    pool.start();
    assert_eq!(pool.commands(), "1: shut down");
    let mut pool = FakePool::new(config(1));
    pool.scheduler.terminate(pool.now);
    pool.start();
    assert_eq!(pool.commands(), "1: kill");
}

#[test]
fn termination_fails_every_job_and_kills_every_worker() {
    let mut pool = FakePool::serving(config(1));
    let jobs = [pool.submit(), pool.submit(), pool.submit()];
    pool.begin(1);
    pool.commands();
    let now = pool.now;
    pool.scheduler.terminate(now);
    assert_eq!(pool.commands(), "1: kill");
    assert_eq!(pool.scheduler.phase(), Phase::Terminated);
    assert_eq!(jobs.map(|id| pool.outcome(id)), ["PoolClosed"; 3]);
    // The outcome of the job that ran is nobody's any more.
    pool.finish_unseen(1, SHORT, false);
    pool.collect();
    pool.die(1, Signaled(9));
    assert!(pool.scheduler.is_empty());
    assert!(!pool.must_start());
    let late = pool.submit();
    assert_eq!(pool.outcome(late), "PoolClosed");
}

#[test]
fn a_copy_of_the_process_forgets_the_workers_without_a_command() {
    let mut pool = FakePool::serving(config(2));
    let jobs = [pool.submit(), pool.submit()];
    pool.commands();
    let now = pool.now;
    pool.scheduler.disown(now);
    assert_eq!(pool.commands(), "");
    assert!(pool.scheduler.is_empty());
    assert_eq!(jobs.map(|id| pool.outcome(id)), ["PoolClosed"; 2]);
}

#[test]
fn a_job_that_is_let_go_of_runs_and_leaves_nothing_behind() {
    let mut pool = FakePool::serving(config(1));
    let [runs, done] = [pool.submit(), pool.submit()];
    drop(pool.scheduler.release(runs));
    pool.run(1, SHORT);
    pool.run(1, SHORT);
    drop(pool.scheduler.release(done));
    assert_eq!(pool.scheduler.stats().done, 2);
    assert!(pool.scheduler.is_done(runs) && pool.scheduler.is_done(done));
    // The next job has the place of one of them: nothing was kept.
    assert!(pool.submit().0 < 2);
}
