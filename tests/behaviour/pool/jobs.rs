//! One job in its user's hands: awaited, dropped, cancelled, killed.

use std::time::Duration;

use offspring::sync::Event;
use offspring::{JoinErrorKind, StartMethod, child_task, is_cancelled};
use offspring_tests::{cases, procs, sys, wait};

use super::{
    add_one, begin_and_wait, build, builder, count, counts, event, failure, now, outcome, pid, pids, pool, running,
    square, value, wait_for,
};

cases! {
    alone a_wait_that_is_bounded;
    alone a_look_without_a_wait;
    alone a_dropped_job_runs_all_the_same;
    alone a_dropped_backlog_runs_all_the_same;
    alone a_job_outlives_its_pool;
    alone queued_ones_can_be_cancelled;
    alone one_that_runs_is_told_that_it_is_cancelled;
    alone a_copy_of_a_worker_is_not_cancelled;
    alone one_that_runs_behind_a_result_is_told;
    alone one_that_is_cancelled_is_not_tried_again;
    alone cancels_at_any_moment_reach_no_other_job;
    alone one_that_is_done_cannot_be_cancelled;
    alone killed_wherever_it_is;
    alone a_kill_hits_no_other_job;
    alone a_kill_at_any_moment_hits_no_other_job;
    alone time_runs_out;
    alone time_runs_out_for_one_alone;
    alone some_grace;
    alone a_time_of_its_own;
    alone the_shorter_time_holds;
    alone a_time_of_its_own_and_grace;
    alone a_time_that_another_thread_has_to_watch;
    alone time_that_was_spent_idle_does_not_count;
    alone no_thread_waits_and_time_runs_out;
    alone cancelled_beside_a_worker_that_leaves;
}

fn a_wait_that_is_bounded(method: StartMethod) {
    let pool = pool(method, 1);
    let (mut job, gate) = running(&pool);
    assert!(job.wait_timeout(Duration::from_millis(5)).unwrap().is_none());
    gate.set();
    assert!(job.wait_timeout(wait::LIMIT).unwrap().is_some());
    let error = job.wait_timeout(Duration::ZERO).unwrap_err();
    assert!(matches!(error.kind(), JoinErrorKind::AlreadyTaken), "{error:?}");
    assert!(error.to_string().contains("begin_and_wait"), "{error}");
    assert!(!job.cancel());
    job.kill();
    let error = job.wait().unwrap_err();
    assert!(matches!(error.kind(), JoinErrorKind::AlreadyTaken), "{error:?}");
    assert_eq!(pool.stats().replaced, 0);
}

fn a_look_without_a_wait(method: StartMethod) {
    let pool = pool(method, 2);
    let mut jobs: Vec<_> = (0..100).map(|n| Some(pool.submit(square::call(n)))).collect();
    let mut sum = 0;
    wait::until("all jobs are seen to be done", || {
        for slot in &mut jobs {
            if let Some(job) = slot
                && let Some(value) = job.wait_timeout(Duration::ZERO).unwrap()
            {
                sum += value;
                *slot = None;
            }
        }
        jobs.iter().all(Option::is_none)
    });
    assert_eq!(sum, 328_350);
}

fn a_dropped_job_runs_all_the_same(method: StartMethod) {
    let pool = pool(method, 1);
    let (first, gate) = running(&pool);
    let counts = counts();
    (0..32).for_each(|n| drop(pool.submit(count::call(counts.clone(), n))));
    drop(first);
    assert_eq!(now(&counts), [0; 32]);
    gate.set();
    wait::until("all have run", || now(&counts) == [1; 32]);
    pool.join().unwrap();
    assert_eq!(now(&counts), [1; 32]);
}

/// The thread that waits for one job leads the pool. After its return, the other jobs still have to run.
fn a_dropped_backlog_runs_all_the_same(method: StartMethod) {
    let pool = pool(method, 2);
    for round in 0..200 {
        let counts = counts();
        let first = pool.submit(square::call(round));
        (0..32 * 16).for_each(|n| drop(pool.submit(count::call(counts.clone(), n % 32))));
        assert_eq!(value(first), round * round);
        wait::until("all have run", || now(&counts) == [16; 32]);
    }
}

fn a_job_outlives_its_pool(method: StartMethod) {
    let pool = pool(method, 1);
    let done = pool.submit(square::call(3));
    value(pool.submit(square::call(4)));
    let (runs, _gate) = running(&pool);
    let queued = pool.submit(square::call(5));
    drop(pool);
    assert!(!queued.cancel());
    queued.kill();
    assert_eq!(value(done), 9, "it was done before");
    for error in [failure(runs), failure(queued)] {
        assert!(matches!(error.kind(), JoinErrorKind::PoolClosed), "{error:?}");
    }
}

fn queued_ones_can_be_cancelled(method: StartMethod) {
    let pool = pool(method, 1);
    let (first, gate) = running(&pool);
    let counts = counts();
    let jobs: Vec<_> = (0..32).map(|n| pool.submit(count::call(counts.clone(), n))).collect();
    // From the middle, from the end, and the next job, also if already in the ring.
    let unwanted = [16, 31, 0, 1, 17];
    for n in unwanted {
        assert!(jobs[n].cancel(), "job {n}");
        assert!(!jobs[n].cancel(), "job {n}: it is done now");
    }
    gate.set();
    value(first);
    for (n, job) in jobs.into_iter().enumerate() {
        match (unwanted.contains(&n), outcome(job)) {
            (true, Err(error)) => assert!(matches!(error.kind(), JoinErrorKind::Cancelled), "{error:?}"),
            (false, Ok(number)) => assert_eq!(number as usize, n),
            (_, result) => panic!("job {n}: {result:?}"),
        }
    }
    let wanted: Vec<u32> = (0..32).map(|n| u32::from(!unwanted.contains(&n))).collect();
    assert_eq!(now(&counts)[..], wanted);
}

/// Runs until cancelled, and returns whether the cancellation was seen.
#[child_task]
fn until_cancelled(begun: Event) -> bool {
    assert!(!is_cancelled(), "it has just begun");
    begun.set();
    let deadline = std::time::Instant::now() + wait::LIMIT;
    while !is_cancelled() && std::time::Instant::now() < deadline {
        wait::a_moment();
    }
    is_cancelled()
}

#[child_task]
fn is_told() -> bool {
    is_cancelled()
}

fn one_that_runs_is_told_that_it_is_cancelled(method: StartMethod) {
    assert!(!is_cancelled(), "this is no worker");
    let pool = pool(method, 1);
    for _ in 0..3 {
        let begun = event();
        let job = pool.submit(until_cancelled::call(begun.clone()));
        let next = pool.submit(is_told::call());
        assert!(begun.wait_timeout(wait::LIMIT));
        assert!(!job.cancel(), "it has begun");
        assert!(value(job), "it has a value, as it was not killed");
        assert!(!value(next), "and the next one has nothing to do with it");
    }
}

/// The result before has been sent, but not received.
fn one_that_runs_behind_a_result_is_told(method: StartMethod) {
    let pool = pool(method, 1);
    for _ in 0..3 {
        let begun = event();
        let before = pool.submit(square::call(6));
        let job = pool.submit(until_cancelled::call(begun.clone()));
        assert!(begun.wait_timeout(wait::LIMIT));
        assert!(!before.cancel(), "it is done");
        assert!(!job.cancel(), "it has begun");
        assert!(value(job));
        assert_eq!(value(before), 36);
    }
}

#[child_task(idempotent)]
fn die_when_cancelled(counts: super::Counts, begun: Event) {
    add_one(&counts, 0);
    assert!(until_cancelled(begun));
    sys::die_by(libc::SIGKILL);
}

/// Waits until it is cancelled, and then copies the worker. Whether the worker and the copy are to end.
#[child_task]
fn fork_once_cancelled(begun: Event) -> (bool, bool) {
    begun.set();
    wait::until("the job is cancelled", is_cancelled);
    let copy = offspring::fork(is_cancelled).unwrap();
    (is_cancelled(), copy.join().unwrap())
}

fn a_copy_of_a_worker_is_not_cancelled(method: StartMethod) {
    let (pool, begun) = (pool(method, 1), event());
    let job = pool.submit(fork_once_cancelled::call(begun.clone()));
    assert!(begun.wait_timeout(wait::LIMIT));
    assert!(!job.cancel());
    assert_eq!(value(job), (true, false));
}

fn one_that_is_cancelled_is_not_tried_again(method: StartMethod) {
    let pool = build(builder(method).workers(2).retries(5));
    let (counts, begun) = (counts(), event());
    let job = pool.submit(die_when_cancelled::call(counts.clone(), begun.clone()));
    assert!(begun.wait_timeout(wait::LIMIT));
    assert!(!job.cancel(), "it has begun");
    let error = failure(job);
    assert!(matches!(error.kind(), JoinErrorKind::Signaled(libc::SIGKILL)), "{error:?}");
    assert_eq!(now(&counts)[0], 1);
    assert!(!value(pool.submit(is_told::call())));
}

/// Cancels the first of two jobs at any moment. The second job must not notice.
fn cancels_at_any_moment_reach_no_other_job(method: StartMethod) {
    let pool = pool(method, 2);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let (first, second) = (pool.submit(is_told::call()), pool.submit(is_told::call()));
                    let was_taken_back = first.cancel();
                    assert!(!value(second));
                    assert_eq!(outcome(first).is_err(), was_taken_back);
                }
            });
        }
    });
}

fn one_that_is_done_cannot_be_cancelled(method: StartMethod) {
    let pool = pool(method, 1);
    let job = pool.submit(square::call(7));
    value(pool.submit(square::call(1)));
    assert!(!job.cancel());
    job.kill();
    assert_eq!(value(job), 49);
    assert_eq!(pool.stats().replaced, 0);
}

fn killed_wherever_it_is(method: StartMethod) {
    let pool = pool(method, 1);
    let worker = pids(&pool)[0];
    let (job, _gate) = running(&pool);
    let (next, last) = (pool.submit(square::call(2)), pool.submit(pid::call()));
    next.kill();
    assert!(matches!(failure(next).kind(), JoinErrorKind::Cancelled));
    assert!(procs::is_alive(worker), "the one in the queue was just taken away");
    job.kill();
    job.kill();
    let error = failure(job);
    assert!(matches!(error.kind(), JoinErrorKind::Cancelled), "{error:?}");
    assert_eq!(error.pid(), Some(worker));
    assert_ne!(value(last), worker, "another worker has its place");
    assert_eq!(pool.stats().replaced, 1);
}

/// The killed job's own result has been sent, but not received, and the next job is running.
fn a_kill_hits_no_other_job(method: StartMethod) {
    let pool = pool(method, 1);
    let worker = pids(&pool)[0];
    for _ in 0..3 {
        let (begun, gate) = (event(), event());
        let done = pool.submit(square::call(6));
        let runs = pool.submit(begin_and_wait::call(begun.clone(), gate.clone()));
        assert!(begun.wait_timeout(wait::LIMIT));
        done.kill();
        gate.set();
        assert_eq!(value(runs), worker);
        assert_eq!(value(done), 36);
    }
}

#[child_task]
fn take_a_moment(n: u64) -> u64 {
    let end = std::time::Instant::now() + Duration::from_micros(50);
    while std::time::Instant::now() < end {
        std::hint::spin_loop();
    }
    n * n
}

fn a_kill_at_any_moment_hits_no_other_job(method: StartMethod) {
    let pool = pool(method, 2);
    let mut random = offspring_tests::random::Random::new();
    let mut killed = 0;
    for round in 0..60 {
        let jobs: Vec<_> = (0..100).map(|n| pool.submit(take_a_moment::call(n))).collect();
        random.pass_time(Duration::from_micros(300));
        let victim = random.below(100) as usize;
        jobs[victim].kill();
        for (n, job) in jobs.into_iter().enumerate() {
            match outcome(job) {
                Ok(value) => assert_eq!(value, (n * n) as u64),
                Err(error) => {
                    assert_eq!(n, victim, "round {round}: {error:?}");
                    assert!(matches!(error.kind(), JoinErrorKind::Cancelled), "{error:?}");
                    killed += 1;
                }
            }
        }
    }
    assert!(killed > 0, "nothing was killed");
}

fn time_runs_out(method: StartMethod) {
    let pool = build(builder(method).workers(1).task_timeout(Duration::from_millis(50)));
    let worker = pids(&pool)[0];
    let late = pool.submit(wait_for::call(event()));
    let next = pool.submit(pid::call());
    let error = failure(late);
    assert!(matches!(error.kind(), JoinErrorKind::TimedOut), "{error:?}");
    assert_eq!(error.pid(), Some(worker));
    assert_ne!(value(next), worker);
    assert_eq!(pool.stats().replaced, 1);
}

/// The time limit counts from the begin of a job, not from its submission, and neighbours are not affected.
fn time_runs_out_for_one_alone(method: StartMethod) {
    let pool = build(builder(method).workers(2).task_timeout(Duration::from_secs(1)));
    let (counts, gate) = (counts(), event());
    let mut jobs = Vec::new();
    for n in 0..32 {
        if n % 16 == 5 {
            drop(pool.submit(wait_for::call(gate.clone())));
        }
        jobs.push(pool.submit(count::call(counts.clone(), n)));
    }
    for (n, job) in jobs.into_iter().enumerate() {
        assert_eq!(value(job) as usize, n);
    }
    wait::until("two have been killed", || pool.stats().failed == 2);
    pool.join().unwrap();
    assert_eq!(now(&counts), [1; 32]);
}

fn some_grace(method: StartMethod) {
    let limits = builder(method).workers(1).task_timeout(Duration::from_millis(20)).grace(2 * wait::LIMIT);
    let pool = build(limits);
    let worker = pids(&pool)[0];
    assert!(value(pool.submit(until_cancelled::call(event()))), "it was told when its time was over");
    assert_eq!(value(pool.submit(pid::call())), worker, "it has ended in order");
    drop(pool);
    let limits = builder(method).workers(1).task_timeout(Duration::from_millis(20)).grace(Duration::from_millis(20));
    let pool = build(limits);
    let error = failure(pool.submit(wait_for::call(event())));
    assert!(matches!(error.kind(), JoinErrorKind::TimedOut), "{error:?}");
}

#[child_task(timeout = "30ms")]
fn brief(gate: Event) -> u32 {
    wait_for(gate)
}

#[track_caller]
fn ran_out_of_time<T: std::fmt::Debug>(job: offspring::Job<T>) {
    let error = failure(job);
    assert!(matches!(error.kind(), JoinErrorKind::TimedOut), "{error:?}");
}

fn a_time_of_its_own(method: StartMethod) {
    // One for each job that waits for an event at the same time.
    let pool = pool(method, 3);
    let (other, gate) = running(&pool);
    ran_out_of_time(pool.submit(brief::call(event())));
    ran_out_of_time(pool.submit(wait_for::call(event()).timeout(Duration::from_millis(20))));
    // Settings of a call take precedence over settings of the task.
    let opened = event();
    let longer = pool.submit(brief::call(opened.clone()).timeout(2 * wait::LIMIT));
    ran_out_of_time(pool.submit(brief::call(event())));
    opened.set();
    value(longer);
    let limited = (0..6).map(|n| wait_for::call(event()).timeout(Duration::from_millis(10 + n)));
    for result in pool.map(limited) {
        assert!(matches!(result.unwrap_err().kind(), JoinErrorKind::TimedOut));
    }
    gate.set();
    value(other);
    assert_eq!(value(pool.submit(square::call(5).timeout(Duration::MAX))), 25);
    // No thread waits for the job.
    drop(pool.submit(brief::call(event())));
    wait::until("it was killed", || pool.stats().failed == 10);
}

fn the_shorter_time_holds(method: StartMethod) {
    let pool = build(builder(method).workers(1).task_timeout(Duration::from_millis(30)));
    ran_out_of_time(pool.submit(wait_for::call(event()).timeout(2 * wait::LIMIT)));
    drop(pool);
    let pool = build(builder(method).workers(1).task_timeout(2 * wait::LIMIT));
    ran_out_of_time(pool.submit(brief::call(event())));
    // The same in a process of its own.
    let context = offspring::get_context(method).unwrap();
    drop(pool);
    let process = context.start(wait_for::call(event()).timeout(Duration::from_millis(30))).unwrap();
    let error = process.join().unwrap_err();
    assert!(matches!(error.kind(), JoinErrorKind::TimedOut), "{error:?}");
}

/// The other thread leads the pool, and sleeps without a job to watch.
fn a_time_that_another_thread_has_to_watch(method: StartMethod) {
    let pool = pool(method, 2);
    let (other, gate) = running(&pool);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| value(other));
        for limit in [20, 10, 5] {
            let job = pool.submit(wait_for::call(event()).timeout(Duration::from_millis(limit)));
            ran_out_of_time(job);
            drop(pool.submit(wait_for::call(event()).timeout(Duration::from_millis(limit))));
        }
        wait::until("all were killed", || pool.stats().failed == 6);
        gate.set();
        waiting.join().unwrap();
    });
}

fn a_time_of_its_own_and_grace(method: StartMethod) {
    let pool = build(builder(method).workers(1).grace(2 * wait::LIMIT));
    let worker = pids(&pool)[0];
    assert!(value(pool.submit(until_cancelled::call(event()).timeout(Duration::from_millis(20)))));
    assert!(!value(pool.submit(is_told::call())), "the next one has nothing to do with it");
    assert_eq!(value(pool.submit(pid::call())), worker, "it has ended in order");
}

/// The job before has begun long ago.
fn time_that_was_spent_idle_does_not_count(method: StartMethod) {
    const LIMIT: Duration = Duration::from_millis(100);
    let pool = pool(method, 1);
    value(pool.submit(square::call(1)));
    let begun = std::time::Instant::now();
    while begun.elapsed() < LIMIT {
        wait::a_moment();
    }
    for n in 0..500 {
        assert_eq!(value(pool.submit(square::call(n).timeout(LIMIT))), n * n);
    }
}

fn no_thread_waits_and_time_runs_out(method: StartMethod) {
    let pool = build(builder(method).workers(2).task_timeout(Duration::from_millis(30)));
    let counts = counts();
    for _ in 0..3 {
        drop(pool.submit(add_one_and_hang::call(counts.clone())));
    }
    wait::until("all have had their time", || now(&counts)[0] == 3);
    wait::until("and were killed", || pool.stats().failed == 3);
    value(pool.submit(pid::call()));
}

#[child_task]
fn add_one_and_hang(counts: super::Counts) {
    add_one(&counts, 0);
    loop {
        std::thread::park();
    }
}

/// A worker's order to retire is not lost when its jobs are taken back.
fn cancelled_beside_a_worker_that_leaves(method: StartMethod) {
    let pool = pool(method, 2);
    let ((one, gate), (two, other_gate)) = (running(&pool), running(&pool));
    pool.resize(1).unwrap();
    assert!(!one.cancel() && !two.cancel(), "both run");
    let idle = pool.submit(square::call(3));
    gate.set();
    other_gate.set();
    assert!(value(one) != value(two));
    assert_eq!(value(idle), 9);
    wait::until("one worker has left", || pool.stats().workers.len() == 1);
    assert_eq!(pool.stats().failed, 0);
    pool.join().unwrap();
}
