//! Pools whose workers are killed at any moment, and pools without the resources for new workers: every job has one
//! outcome.

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use offspring::sync::{Event, Mutex};
use offspring::{ErrorKind, JoinError, JoinErrorKind, Pool, StartMethod, child_task, get_context};
use offspring_tests::random::Random;
use offspring_tests::wait::outcome;
use offspring_tests::{cases, procs, program, sys, wait};

use crate::kills::kill_parents;

cases! {
    alone workers_at_any_moment;
    alone workers_at_any_moment_with_retries;
    alone workers_at_any_moment_with_broadcasts;
    alone a_worker_right_after_its_start;
    alone a_worker_in_its_initializer;
    alone a_worker_that_is_idle;
    alone a_worker_with_much_to_say;
    alone kills_and_cancels_and_drops;
    alone the_parent_of_a_pool_at_any_moment;
    alone descriptors_run_out;
    alone processes_run_out.as_root();
    alone workers_that_never_serve_beside_one_that_does;
    alone all_workers_before_they_serve;
}

/// The most tasks of a case, which ends earlier if its time is over.
const TASKS: usize = 300_000;

#[child_task]
fn square(n: u64) -> u64 {
    n * n
}

#[child_task(idempotent)]
fn harmless(n: u64) -> u64 {
    n * n
}

#[child_task]
fn reversed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.reverse();
    bytes
}

#[child_task]
fn hang() {
    loop {
        std::thread::park();
    }
}

fn pids(pool: &Pool) -> Vec<u32> {
    pool.stats().workers.iter().map(|worker| worker.pid).collect()
}

/// Kills a worker of this process now and then. Only workers that have had time to serve, since three early deaths in a
/// row are the end of a pool.
fn killer(parent: u32, mut random: Random, pause: Duration) -> sys::Assistant {
    let mut known = BTreeSet::new();
    let own = |process: &procs::Stat| process.comm.starts_with("PoolWorker") && process.state != 'Z';
    sys::Assistant::new(move || {
        random.pass_time(pause);
        // Workers by a forkserver are children of the server.
        let everyone = procs::all();
        let servers: Vec<u32> = everyone.iter().filter(|one| one.parent == parent).map(|one| one.pid).collect();
        let workers: Vec<u32> = everyone
            .iter()
            .filter(|one| own(one) && (one.parent == parent || servers.contains(&one.parent)))
            .map(|one| one.pid)
            .collect();
        let old: Vec<u32> = workers.iter().copied().filter(|pid| known.contains(pid)).collect();
        if old.len() > 1 {
            let victim = old[random.below(old.len() as u64) as usize];
            sys::kill(victim as i32, libc::SIGKILL);
        }
        known = workers.into_iter().collect();
    })
}

/// Checks that every task has one outcome: its value, or the death of the worker that was running the task.
#[track_caller]
fn a_value_or_a_death(n: usize, result: Result<u64, JoinError>) -> bool {
    match result {
        Ok(value) => {
            assert_eq!(value, (n * n) as u64);
            true
        }
        Err(error) => {
            assert!(matches!(error.kind(), JoinErrorKind::Signaled(libc::SIGKILL)), "{n}: {error:?}");
            assert!(error.pid().is_some() && error.task().starts_with("chaos::pool::"), "{error:?}");
            false
        }
    }
}

fn workers_at_any_moment(method: StartMethod) {
    // Forked before there are threads.
    let killer = killer(std::process::id(), Random::new(), Duration::from_millis(8));
    let pool = get_context(method).unwrap().pool().workers(3).build().unwrap();
    let end = Instant::now() + Duration::from_secs(25);
    let (mut answered, mut died) = (0, 0);
    while answered < TASKS && Instant::now() < end {
        let round = 5000;
        // By `map`, by `map_unordered`, and by single jobs.
        let mut given = 0;
        for (n, result) in pool.map((0..round as u64).map(square::call)).enumerate() {
            died += usize::from(!a_value_or_a_death(n, result));
            given += 1;
        }
        assert_eq!(given, round, "results of a map");
        let mut places = BTreeSet::new();
        for (n, result) in pool.map_unordered((0..round as u64).map(square::call)) {
            died += usize::from(!a_value_or_a_death(n, result));
            assert!(places.insert(n), "{n} was answered twice");
        }
        assert_eq!(places.len(), round, "results of an unordered map");
        let jobs: Vec<_> = (0..round as u64).map(|n| pool.submit(square::call(n))).collect();
        for (n, job) in jobs.into_iter().enumerate() {
            died += usize::from(!a_value_or_a_death(n, outcome(job)));
        }
        answered += 3 * round;
    }
    drop(killer);
    let stats = pool.stats();
    eprintln!("{answered} answered, {died} of them by a death; {} workers replaced", stats.replaced);
    assert_eq!((stats.done + stats.failed) as usize, answered);
    assert_eq!(stats.failed as usize, died);
    assert!(died as u64 <= stats.replaced, "a death costs one job at most");
    assert!(stats.replaced > 5, "hardly anybody was killed: {}", stats.replaced);
    pool.join().unwrap();
}

fn workers_at_any_moment_with_retries(method: StartMethod) {
    let killer = killer(std::process::id(), Random::new(), Duration::from_millis(20));
    let pool = get_context(method).unwrap().pool().workers(3).retries(10).build().unwrap();
    let end = Instant::now() + Duration::from_secs(12);
    let mut answered = 0;
    while Instant::now() < end {
        for (n, result) in pool.map((0..5000).map(harmless::call)).enumerate() {
            assert_eq!(result.unwrap(), (n * n) as u64);
            answered += 1;
        }
    }
    drop(killer);
    let stats = pool.stats();
    eprintln!("{answered} answered, {} workers replaced", stats.replaced);
    assert!(stats.replaced > 5);
    assert_eq!((stats.done, stats.failed), (answered, 0));
    pool.join().unwrap();
}

#[child_task(idempotent)]
fn own_pid() -> u32 {
    std::process::id()
}

/// Each job of a broadcast ends: in its own worker, or with its worker. The jobs behind it all run.
fn workers_at_any_moment_with_broadcasts(method: StartMethod) {
    let killer = killer(std::process::id(), Random::new(), Duration::from_millis(8));
    let (finalized, mut random) = (Event::new().unwrap(), Random::new());
    let builder = get_context(method).unwrap().pool().workers(3).retries(10).max_tasks_per_worker(500);
    let pool = builder.finalizer(note_end::call(finalized.clone())).build().unwrap();
    let end = Instant::now() + Duration::from_secs(8);
    let (mut ran, mut lost, mut cancelled) = (0, 0, 0);
    while Instant::now() < end {
        let behind: Vec<_> = (0..200).map(|n| pool.submit(harmless::call(n))).collect();
        let told: Vec<_> = (0..5).flat_map(|_| pool.broadcast(own_pid::call())).collect();
        for (pid, job) in told {
            let is_cancelled = random.below(4) == 0 && job.cancel();
            match outcome(job) {
                Ok(own) => {
                    assert!(own == pid && !is_cancelled);
                    ran += 1;
                }
                Err(error) if matches!(error.kind(), JoinErrorKind::Cancelled) => {
                    cancelled += usize::from(is_cancelled);
                    lost += usize::from(!is_cancelled);
                }
                Err(error) => {
                    assert!(matches!(error.kind(), JoinErrorKind::Signaled(libc::SIGKILL)), "{error:?}");
                    assert_eq!(error.pid(), Some(pid));
                    lost += 1;
                }
            }
        }
        for (n, job) in behind.into_iter().enumerate() {
            assert_eq!(outcome(job).unwrap(), (n * n) as u64);
        }
    }
    drop(killer);
    eprintln!("{ran} ran, {lost} were lost, {cancelled} cancelled; {} workers replaced", pool.stats().replaced);
    assert!(ran > 100 && cancelled > 0 && pool.stats().replaced > 5, "{:?}", pool.stats());
    assert!(finalized.is_set(), "some were recycled");
    is_whole(&pool, 3);
    // A finalizer may have been killed.
    drop(pool.join());
}

#[child_task]
fn note_end(finalized: Event) {
    finalized.set();
}

/// Checks that the pool works again, with all its workers.
#[track_caller]
fn is_whole(pool: &Pool, workers: usize) {
    wait::until("all workers are there", || pids(pool).len() == workers);
    let results: Vec<_> = pool.map((0..200).map(square::call)).map(Result::unwrap).collect();
    assert!(results.into_iter().eq((0..200).map(|n| n * n)));
}

/// Kills a just started worker at a random moment, and lets the pool work in between.
#[track_caller]
fn just_started(pool: &Pool, limit: Duration, rounds: usize) {
    let mut random = Random::new();
    for _ in 0..rounds {
        let before = pids(pool);
        sys::kill(before[0] as i32, libc::SIGKILL);
        let mut fresh = None;
        wait::until("there is a new one", || {
            fresh = pids(pool).into_iter().find(|pid| !before.contains(pid));
            fresh.is_some()
        });
        random.pass_time(limit);
        sys::kill(fresh.unwrap() as i32, libc::SIGKILL);
        wait::until("it is replaced too", || {
            let now = pids(pool);
            now.len() == before.len() && !now.contains(&fresh.unwrap()) && !now.contains(&before[0])
        });
        // A worker that serves ends a row of early deaths.
        let done = |pool: &Pool| pool.stats().workers.iter().all(|worker| worker.done > 0);
        wait::until("all serve", || {
            is_whole(pool, before.len());
            done(pool)
        });
    }
    assert!(pool.stats().replaced as usize >= 2 * rounds);
}

fn a_worker_right_after_its_start(method: StartMethod) {
    let pool = get_context(method).unwrap().pool().workers(2).build().unwrap();
    just_started(&pool, Duration::from_millis(3), 40);
    assert_eq!(pool.stats().failed, 0, "none had begun anything");
    pool.join().unwrap();
}

#[child_task]
fn take_a_while(begun: Mutex<u64>) {
    *begun.lock().unwrap_or_else(std::sync::PoisonError::into_inner) += 1;
    let end = Instant::now() + Duration::from_millis(10);
    while Instant::now() < end {
        std::thread::yield_now();
    }
}

fn a_worker_in_its_initializer(method: StartMethod) {
    let begun = Mutex::new(0).unwrap();
    let pool =
        get_context(method).unwrap().pool().workers(2).initializer(take_a_while::call(begun.clone())).build().unwrap();
    just_started(&pool, Duration::from_millis(15), 25);
    assert_eq!(pool.stats().failed, 0);
    pool.join().unwrap();
    assert!(*begun.lock().unwrap_or_else(std::sync::PoisonError::into_inner) >= 27);
}

fn a_worker_that_is_idle(method: StartMethod) {
    let pool = get_context(method).unwrap().pool().workers(2).build().unwrap();
    for _ in 0..30 {
        is_whole(&pool, 2);
        let victim = pool.stats().workers.into_iter().find(|worker| worker.done > 0).unwrap().pid;
        sys::kill(victim as i32, libc::SIGKILL);
        // Submits at once, before the pool has seen the death: jobs of the dead worker run elsewhere.
        let jobs: Vec<_> = (0..20).map(|n| pool.submit(square::call(n))).collect();
        let lost = jobs.into_iter().map(outcome).enumerate().filter(|(n, result)| match result {
            Ok(value) => *value != (n * n) as u64,
            Err(_) => true,
        });
        assert!(lost.count() <= 1, "one may have been begun before the signal came");
        wait::until("it is replaced", || !pids(&pool).contains(&victim));
    }
    pool.join().unwrap();
}

/// The kill hits in the middle of a message on the link, in either direction.
fn a_worker_with_much_to_say(method: StartMethod) {
    let killer = killer(std::process::id(), Random::new(), Duration::from_millis(30));
    let pool = get_context(method).unwrap().pool().workers(3).build().unwrap();
    let end = Instant::now() + Duration::from_secs(8);
    let mut died = 0;
    while Instant::now() < end || died == 0 && Instant::now() < end + Duration::from_secs(8) {
        for (n, length) in [600, 30 << 10, 200 << 10].into_iter().enumerate() {
            let count = [200, 40, 8][n];
            let calls = (0..count).map(|n| reversed::call(vec![n as u8; length]));
            for (n, result) in pool.map(calls).enumerate() {
                match result {
                    Ok(bytes) => assert!(bytes.len() == length && bytes.iter().all(|byte| *byte == n as u8)),
                    Err(error) => {
                        assert!(matches!(error.kind(), JoinErrorKind::Signaled(libc::SIGKILL)), "{error:?}");
                        died += 1;
                    }
                }
            }
        }
    }
    drop(killer);
    let stats = pool.stats();
    eprintln!("{} done, {died} died, {} workers replaced", stats.done, stats.replaced);
    assert!(stats.replaced > 3 && died as u64 <= stats.replaced);
    pool.join().unwrap();
}

/// Does all operations on jobs, at random, by several threads.
fn kills_and_cancels_and_drops(method: StartMethod) {
    let mut random = Random::new();
    let pool = get_context(method).unwrap().pool().workers(3).build().unwrap();
    let end = Instant::now() + Duration::from_secs(10);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let (pool, mut random) = (&pool, Random::seeded(random.below(u64::MAX)));
            scope.spawn(move || {
                while Instant::now() < end {
                    let jobs: Vec<_> = (0..50).map(|n| pool.submit(square::call(n))).collect();
                    for (n, job) in jobs.into_iter().enumerate() {
                        let (mut cancelled, mut killed) = (false, false);
                        match random.below(60) {
                            0 => drop(pool.map((0..).map(square::call)).take(random.below(100) as usize).last()),
                            1..10 => {
                                drop(job);
                                continue;
                            }
                            10..20 => cancelled = job.cancel(),
                            20 => {
                                killed = true;
                                job.kill();
                            }
                            21 => drop(pool.stats()),
                            22 => pool.resize(2 + random.below(2) as usize).unwrap(),
                            _ => {}
                        }
                        match outcome(job) {
                            Ok(value) => assert!(!cancelled && value == (n * n) as u64),
                            Err(error) => {
                                assert!(matches!(error.kind(), JoinErrorKind::Cancelled), "{error:?}");
                                assert!(
                                    cancelled || killed,
                                    "{n} was hit by what was meant for another one: {error:?}"
                                );
                            }
                        }
                    }
                }
            });
        }
    });
    let stats = pool.stats();
    eprintln!("{stats:?}");
    assert!(stats.done > 1000 && stats.failed > 10);
    pool.join().unwrap();
}

/// Works with a pool until killed.
pub(crate) fn works_for_ever(method: StartMethod, _: &[String]) {
    program::say("ready");
    let pool = get_context(method).unwrap().pool().workers(2).build().unwrap();
    loop {
        drop(pool.submit(hang::call()).wait_timeout(Duration::from_millis(1)));
        let hanging = pool.submit(hang::call());
        assert_eq!(pool.map((0..500).map(square::call)).take(0).count(), 0);
        hanging.kill();
        pids(&pool).into_iter().for_each(|pid| sys::kill(pid as i32, libc::SIGKILL));
        wait::until("they are replaced", || pids(&pool).len() == 2);
    }
}

fn the_parent_of_a_pool_at_any_moment(method: StartMethod) {
    kill_parents("pool::works_for_ever", method, Duration::from_millis(30));
}

fn of_limit(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::LimitReached | ErrorKind::ForkServer | ErrorKind::Encode)
}

/// Workers have to be replaced while the table of descriptors is full, and big arguments and results go on.
fn descriptors_run_out(method: StartMethod) {
    let (_, hard) = sys::limit(libc::RLIMIT_NOFILE);
    assert!(sys::set_limit(libc::RLIMIT_NOFILE, 64.min(hard), hard));
    for free in 0..14 {
        let pool = get_context(method).unwrap().pool().workers(2).build().unwrap();
        let mut held: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
        held.truncate(held.len().saturating_sub(free));
        let mut answers = Vec::new();
        for round in 0..3 {
            // The second worker dies when the first may not have been replaced.
            if let Some(worker) = pool.stats().workers.get(round % 2) {
                let pidfd = sys::open_pid(worker.pid);
                sys::kill(worker.pid as i32, libc::SIGKILL);
                if let Ok(pidfd) = pidfd {
                    assert!(wait::readable(pidfd.as_fd(), Instant::now() + wait::LIMIT));
                }
            }
            for length in [10, 5000, 300 << 10] {
                answers.push(match outcome(pool.submit(reversed::call(vec![7; length]))) {
                    Ok(bytes) => {
                        assert!(bytes == vec![7; length]);
                        "ok"
                    }
                    Err(error) => match error.kind() {
                        JoinErrorKind::NotStarted(cause) if of_limit(cause.kind()) => "refused",
                        JoinErrorKind::Signaled(libc::SIGKILL) => "killed",
                        JoinErrorKind::Unencodable => "no descriptor for the result",
                        _ => panic!("{free} free: {error:?}"),
                    },
                });
            }
        }
        eprintln!("{free} free: {answers:?}");
        drop(held);
        comes_back(&pool, 2);
        drop(pool);
        wait::until("nobody is left", || offspring::active_children().is_empty());
    }
}

fn processes_run_out(method: StartMethod) {
    // A user of its own, as processes of the same user count too.
    sys::become_user(61_000 + std::process::id() % 4000);
    let (_, hard) = sys::limit(libc::RLIMIT_NPROC);
    let context = get_context(method).unwrap();
    assert!(sys::set_limit(libc::RLIMIT_NPROC, 5, hard));
    let error = context.pool().workers(20).build().map(|pool| pids(&pool).len());
    match error {
        Err(error) => assert_eq!(error.kind(), ErrorKind::LimitReached, "{error:?}"),
        // As many workers as the limit allows.
        Ok(workers) => assert!((1..5).contains(&workers), "{workers} workers"),
    }
    wait::until("nobody is left", || offspring::active_children().is_empty());
    assert!(sys::set_limit(libc::RLIMIT_NPROC, hard.min(4000), hard));
    // A forkserver keeps its first limit: two workers, the server, this process and the supervisor.
    let pool = context.pool().workers(2).build().unwrap();
    assert!(sys::set_limit(libc::RLIMIT_NPROC, 1, hard));
    // No worker can be replaced for now. The remaining workers go on, and after the last one jobs fail.
    for left in (0..2).rev() {
        let victim = pids(&pool)[0];
        sys::kill(victim as i32, libc::SIGKILL);
        wait::until("it is gone", || !pids(&pool).contains(&victim));
        for n in 0..20 {
            match outcome(pool.submit(square::call(n))) {
                Ok(value) => assert_eq!(value, n * n),
                Err(error) => {
                    let JoinErrorKind::NotStarted(cause) = error.kind() else { panic!("{error:?}") };
                    assert!(left == 0 && of_limit(cause.kind()), "{left} left: {error:?}");
                }
            }
        }
    }
    assert!(sys::set_limit(libc::RLIMIT_NPROC, hard.min(4000), hard));
    comes_back(&pool, 2);
    drop(pool);
    let pool = context.pool().workers(2).build().unwrap();
    is_whole(&pool, 2);
}

/// Waits until all workers are back after the end of a shortage, without a request.
#[track_caller]
fn comes_back(pool: &Pool, workers: usize) {
    wait::until("all workers are there", || pids(pool).len() == workers);
    wait::until("all serve", || {
        is_whole(pool, workers);
        pool.stats().workers.iter().all(|worker| worker.done > 0)
    });
}

/// More early deaths than a pool would count, while another worker serves.
fn workers_that_never_serve_beside_one_that_does(method: StartMethod) {
    let pool = get_context(method).unwrap().pool().workers(2).build().unwrap();
    let kept = pids(&pool)[0];
    let mut killed = BTreeSet::new();
    while killed.len() < 8 {
        for pid in pids(&pool).into_iter().filter(|pid| *pid != kept) {
            sys::kill(pid as i32, libc::SIGKILL);
            killed.insert(pid);
        }
        assert_eq!(outcome(pool.submit(harmless::call(3))).ok(), Some(9), "{:?}", pool.stats());
        wait::a_moment();
    }
    comes_back(&pool, 2);
    assert!(pids(&pool).contains(&kept));
    pool.join().unwrap();
}

#[child_task]
fn begin_when(gate: Event) {
    assert!(gate.wait_timeout(2 * wait::LIMIT));
}

/// All workers die early. Waiting jobs fail, and later jobs run.
fn all_workers_before_they_serve(method: StartMethod) {
    let gate = Event::new().unwrap();
    gate.set();
    let builder = get_context(method).unwrap().pool().workers(2).initializer(begin_when::call(gate.clone()));
    let pool = builder.build().unwrap();
    gate.clear();
    let mut refused = 0;
    while refused < 3 {
        let mut job = pool.submit(hang::call());
        let error = loop {
            pids(&pool).into_iter().for_each(|pid| sys::kill(pid as i32, libc::SIGKILL));
            match job.wait_timeout(Duration::from_millis(1)) {
                Ok(done) => assert!(done.is_none()),
                Err(error) => break error,
            }
        };
        match error.kind() {
            JoinErrorKind::NotStarted(cause) => {
                let text = cause.to_string();
                assert!(text.contains("did not return") || text.contains("before it could serve"), "{text}");
                refused += 1;
            }
            JoinErrorKind::Signaled(libc::SIGKILL) => {}
            _ => panic!("{error:?}"),
        }
    }
    gate.set();
    // The death of a killed worker may have to be noticed first.
    wait::until("it has not given up", || outcome(pool.submit(square::call(3))).is_ok_and(|value| value == 9));
    comes_back(&pool, 2);
    let error = pool.join().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitReached, "{error:?}");
}
