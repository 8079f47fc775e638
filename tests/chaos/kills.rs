//! Kills at any moment: of a child, of the forkserver, of the parent.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use offspring::{ErrorKind, JoinErrorKind, Process, StartMethod, child_task, get_context, set_spares};
use offspring_tests::random::Random;
use offspring_tests::{Program, cases, failure, procs, start, sys, value, wait};

const NO_SERVER: &str = "has no server";

cases! {
    alone a_child_right_after_its_start;
    alone a_child_at_any_moment;
    alone a_child_after_its_result;
    alone an_idle_server.only_by_forkserver(NO_SERVER);
    alone a_server_at_any_moment.only_by_forkserver(NO_SERVER);
    alone a_spare_at_any_moment.only_by_forkserver(NO_SERVER);
    alone the_parent_at_any_moment;
}

#[child_task]
fn hang() {
    loop {
        std::thread::park_timeout(Duration::MAX);
    }
}

#[child_task]
fn square(n: u64) -> u64 {
    n * n
}

fn a_child_right_after_its_start(method: StartMethod) {
    for _ in 0..50 {
        let child = start(method, hang::call());
        child.kill().unwrap();
        let error = failure(child);
        assert!(matches!(error.kind(), JoinErrorKind::Signaled(libc::SIGKILL)), "{error:?}");
    }
}

/// Returns a value or the signal, and accepts no other end.
#[track_caller]
fn value_or_killed(mut child: Process<u64>, wanted: u64) -> bool {
    match child.join_timeout(wait::LIMIT) {
        Ok(Some(value)) => {
            assert_eq!(value, wanted);
            true
        }
        Ok(None) => wait::expired("a child has not ended"),
        Err(error) => {
            assert!(matches!(error.kind(), JoinErrorKind::Signaled(libc::SIGKILL)), "{error:?}");
            false
        }
    }
}

fn a_child_at_any_moment(method: StartMethod) {
    let mut random = Random::new();
    let longest = if method == StartMethod::Spawn { 4000 } else { 800 };
    let mut values = 0;
    for n in 0..150 {
        let child = start(method, square::call(n));
        random.pass_time(Duration::from_micros(longest));
        child.kill().unwrap();
        values += u32::from(value_or_killed(child, n * n));
    }
    eprintln!("{values} of 150 came to their end");
}

fn a_child_after_its_result(method: StartMethod) {
    for n in 0..30 {
        let child = start(method, square::call(n));
        wait::until("the child has ended", || !procs::is_alive(child.pid()));
        child.kill().unwrap();
        assert_eq!(value(child), n * n);
    }
}

fn server() -> Option<u32> {
    procs::servers_of(std::process::id()).first().copied()
}

fn an_idle_server(method: StartMethod) {
    let mut random = Random::new();
    for n in 0..100 {
        assert_eq!(value(start(method, square::call(n))), n * n);
        if let Some(server) = server() {
            sys::kill(server as i32, libc::SIGKILL);
            random.pass_time(Duration::from_micros(300));
        }
    }
}

/// A file to which each run of a task adds its number.
struct Log(PathBuf);

impl Log {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("offspring-log-{}", std::process::id()));
        File::create(&path).unwrap();
        Self(path)
    }

    fn runs(&self) -> BTreeMap<u64, usize> {
        let text = std::fs::read_to_string(&self.0).unwrap();
        let mut runs = BTreeMap::new();
        for line in text.lines() {
            *runs.entry(line.parse().unwrap()).or_default() += 1;
        }
        runs
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[child_task]
fn note(number: u64, log: PathBuf) -> u64 {
    let mut log = File::options().append(true).open(log).unwrap();
    log.write_all(format!("{number}\n").as_bytes()).unwrap();
    number
}

fn a_server_at_any_moment(method: StartMethod) {
    let log = Log::new();
    let mut random = Random::new();
    let parent = std::process::id();
    let killer = sys::Assistant::new(|| {
        // A new child has its server's name for a moment, so a process counts as a server only on the second look.
        let seen = procs::servers_of(parent);
        random.pass_time(Duration::from_millis(8));
        for server in procs::servers_of(parent).into_iter().filter(|server| seen.contains(server)) {
            sys::kill(server as i32, libc::SIGKILL);
        }
    });
    let context = get_context(method).unwrap();
    let (mut done, mut killed, mut refused) = (vec![], vec![], 0);
    for number in 0..400 {
        match context.start(note::call(number, log.0.clone())) {
            Ok(child) => {
                // On a busy machine the second look may still find a child with its server's name.
                let ended_well = value_or_killed(child, number);
                if ended_well { &mut done } else { &mut killed }.push(number);
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ForkServer, "{error:?}");
                refused += 1;
            }
        }
    }
    drop(killer);
    let runs = log.runs();
    assert!(done.iter().all(|number| runs.get(number) == Some(&1)), "a task has not run once: {runs:?}");
    assert!(
        killed.iter().all(|number| runs.get(number).is_none_or(|count| *count == 1)),
        "a task has run twice: {runs:?}"
    );
    let known = runs.keys().all(|number| done.contains(number) || killed.contains(number));
    assert!(known, "a task has run although its start was refused: {runs:?}");
    eprintln!("{} done, {} killed, {refused} refused", done.len(), killed.len());
    assert!(done.len() > 40);
}

/// The spare may just have become a child, in which case the start has already returned.
fn a_spare_at_any_moment(method: StartMethod) {
    let log = Log::new();
    let mut random = Random::new();
    let parent = std::process::id();
    let context = get_context(method).unwrap();
    set_spares(2);
    let killer = sys::Assistant::new(|| {
        random.pass_time(Duration::from_millis(3));
        for spare in procs::spares_of(parent).into_iter().take(1) {
            sys::kill(spare as i32, libc::SIGKILL);
        }
    });
    let (mut done, mut killed) = (vec![], vec![]);
    for number in 0..400 {
        // The kill of a spare is never an error of a start.
        let child = context.start(note::call(number, log.0.clone())).unwrap();
        if value_or_killed(child, number) { &mut done } else { &mut killed }.push(number);
    }
    drop(killer);
    let runs = log.runs();
    assert!(done.iter().all(|number| runs.get(number) == Some(&1)), "a task has not run once: {runs:?}");
    assert!(runs.values().all(|count| *count == 1), "a task has run twice: {runs:?}");
    eprintln!("{} done, {} killed", done.len(), killed.len());
    assert!(done.len() > 300);
}

/// Starts and joins children until killed.
pub(crate) fn starts_for_ever(method: StartMethod, _: &[String]) {
    offspring_tests::program::say("ready");
    let mut alive = Vec::new();
    if std::process::id().is_multiple_of(2) {
        set_spares(3);
    }
    for n in 0.. {
        let child = start(method, hang::call());
        alive.push(child);
        let _ = start(method, square::call(n)).join();
        if alive.len() > 4 {
            let child = alive.remove(0);
            child.kill().unwrap();
            failure(child);
        }
    }
}

fn the_parent_at_any_moment(method: StartMethod) {
    kill_parents("kills::starts_for_ever", method, Duration::from_millis(25));
}

/// Kills programs within `longest` of their first line. No process of theirs is left, and no unexpected error is
/// printed.
pub(crate) fn kill_parents(program: &str, method: StartMethod, longest: Duration) {
    let mut random = Random::new();
    for _ in 0..25 {
        let mut parent = Program::new(program, method).start();
        assert_eq!(parent.line(), "ready");
        random.pass_time(longest);
        parent.kill();
        let group = parent.pid() as i32;
        wait::until("nobody of the group is left", || procs::group(group).is_empty());
        let errors = parent.errors();
        // A child without a parent reports the fact if a copy of the parent, just before its exec, still holds the
        // other end of the link.
        let known = |line: &str| line.is_empty() || line.contains("is not that of the parent process");
        assert!(errors.lines().all(known), "{errors}");
    }
}
