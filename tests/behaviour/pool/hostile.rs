//! Workers that write random values into the memory shared with their pool, and spoil only their own jobs.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use offspring::sync::Event;
use offspring::{Job, JoinErrorKind, Pool, StartMethod, child_task};
use offspring_tests::random::Random;
use offspring_tests::{cases, sys, wait};

use super::{all_serve, no_process_is_left, outcome, pid, pids, pool, running, square, value};

cases! {
    alone counters_that_are_not_so;
    alone a_word_at_random;
    alone all_of_it;
    alone while_the_parent_looks;
    alone a_worker_woken_by_foreign_signals;
}

/// The ways in which a task spoils its worker's memory.
const ONE_WORD: u8 = 0;
const ZEROS: u8 = 1;
const ONES: u8 = 2;
const RANDOM: u8 = 3;
const FOR_EVER: u8 = 4;

/// The length of the counters and flags at the beginning, in words.
const COUNTERS: u64 = 64;

#[child_task]
fn spoil(how: u8, seed: u64, gate: Event) -> u64 {
    let mut random = Random::seeded(seed);
    let rings = sys::rings();
    let [words] = rings[..] else { panic!("{} regions", rings.len()) };
    assert!(gate.wait_timeout(wait::LIMIT));
    let mut odd = || match random.below(4) {
        0 => random.below(300),
        1 => random.below(u64::MAX),
        2 => u64::MAX - random.below(3),
        _ => 1 << random.below(64),
    };
    match how {
        ONE_WORD => {
            // Most writes go to the counters and flags.
            let end = if odd() % 4 == 0 { words.len() as u64 } else { COUNTERS };
            let place = odd() % end;
            words[place as usize].store(odd(), Relaxed);
        }
        ZEROS => words.iter().for_each(|word| word.store(0, Relaxed)),
        ONES => words.iter().for_each(|word| word.store(u64::MAX, Relaxed)),
        RANDOM => words.iter().for_each(|word| word.store(odd(), Relaxed)),
        _ => loop {
            let place = odd() % if odd() % 2 == 0 { COUNTERS } else { words.len() as u64 };
            words[place as usize].store(odd(), Relaxed);
        },
    }
    7
}

/// Waits for any outcome of a job, and kills the job if its worker has lost it.
#[track_caller]
fn ends<T>(mut job: Job<T>) -> Result<T, offspring::JoinError> {
    match job.wait_timeout(Duration::from_millis(700)) {
        Ok(Some(value)) => return Ok(value),
        Err(error) => return Err(error),
        Ok(None) => job.kill(),
    }
    outcome(job)
}

/// Spoils one worker while the other worker is busy and jobs wait.
#[track_caller]
fn spoilt(pool: &Pool, how: u8, seed: u64) {
    let before = pids(pool);
    let (honest, gate) = running(pool);
    let now = Event::new().unwrap();
    let bad = pool.submit(spoil::call(how, seed, now.clone()));
    let behind: Vec<_> = (0..6).map(|n| pool.submit(square::call(n))).collect();
    now.set();
    if how == FOR_EVER {
        // Looks at the pool while the memory changes.
        let end = Instant::now() + Duration::from_millis(20);
        while Instant::now() < end {
            pool.stats();
        }
    }
    drop(ends(bad));
    gate.set();
    let kept = value(honest);
    assert!(before.contains(&kept), "the honest worker has done its job");
    // Jobs in the corrupt worker's window may fail or have wrong results, but they end.
    let wrong = behind
        .into_iter()
        .map(ends)
        .enumerate()
        .filter(|(n, result)| !matches!(result, Ok(value) if *value == (n * n) as u64));
    assert!(wrong.count() <= 2, "no more than its ring had");
    // A corrupt worker may still be unnoticed, and needs another job to be found.
    for _ in 0..3 {
        let _ = pool.map((0..4).map(|_| pid::call())).filter(Result::is_ok).count();
    }
    wait::until("the pool is whole again", || pids(pool).len() == 2);
    for pid in pids(pool).into_iter().filter(|pid| *pid != kept) {
        sys::kill(pid as i32, libc::SIGKILL);
        wait::until("it is replaced", || pids(pool).len() == 2 && !pids(pool).contains(&pid));
    }
    all_serve(pool, 2);
    assert!(pool.map((0..50).map(square::call)).map(Result::unwrap).eq((0..50).map(|n| n * n)), "all is well");
    assert!(pids(pool).contains(&kept), "the honest worker is there still");
}

#[track_caller]
fn again_and_again(method: StartMethod, how: u8, limit: Duration) {
    let pool = pool(method, 2);
    let mut random = Random::new();
    let begun = Instant::now();
    let mut rounds = 0;
    while begun.elapsed() < limit || rounds < 3 {
        let seed = random.below(u64::MAX);
        eprintln!("round {rounds}: {seed}");
        spoilt(&pool, how, seed);
        rounds += 1;
    }
    pool.join().unwrap();
    no_process_is_left();
}

fn counters_that_are_not_so(method: StartMethod) {
    again_and_again(method, ONE_WORD, Duration::from_secs(8));
}

fn a_word_at_random(method: StartMethod) {
    let pool = pool(method, 2);
    // Writes each counter and flag once, with the most plausible values.
    for place in (0..COUNTERS).step_by(8) {
        for word in [0, 1, 2, u64::MAX] {
            let (honest, gate) = running(&pool);
            let bad = pool.submit(store::call(place, word));
            let behind = pool.submit(square::call(9));
            drop(ends(bad));
            drop(ends(behind));
            gate.set();
            let kept = value(honest);
            for pid in pids(&pool).into_iter().filter(|pid| *pid != kept) {
                sys::kill(pid as i32, libc::SIGKILL);
                wait::until("it is replaced", || pids(&pool).len() == 2 && !pids(&pool).contains(&pid));
            }
            all_serve(&pool, 2);
            assert!(pids(&pool).contains(&kept), "{place} {word}: the honest worker is there still");
            assert_eq!(value(pool.submit(square::call(9))), 81, "{place} {word}");
        }
    }
}

#[child_task]
fn store(place: u64, word: u64) {
    for words in sys::rings() {
        words[place as usize].store(word, Relaxed);
    }
}

fn all_of_it(method: StartMethod) {
    for how in [ZEROS, ONES, RANDOM] {
        again_and_again(method, how, Duration::from_secs(2));
    }
}

fn while_the_parent_looks(method: StartMethod) {
    again_and_again(method, FOR_EVER, Duration::from_secs(6));
}

/// Signals and stops are no corruption, and have no effect.
fn a_worker_woken_by_foreign_signals(method: StartMethod) {
    let pool = pool(method, 2);
    let workers = pids(&pool);
    for n in 0..200_u64 {
        let job = pool.submit(square::call(n));
        for pid in &workers {
            sys::kill(*pid as i32, if n % 2 == 0 { libc::SIGSTOP } else { libc::SIGURG });
            sys::kill(*pid as i32, libc::SIGCONT);
        }
        assert_eq!(value(job), n * n);
    }
    assert_eq!(pids(&pool), workers);
    let error = outcome(pool.submit(quit::call())).unwrap_err();
    assert!(matches!(error.kind(), JoinErrorKind::Exited(0)), "{error:?}");
}

/// Ends the process without a return, which is a failure in spite of exit code 0.
#[child_task]
fn quit() {
    std::process::exit(0)
}
