//! At the limits of the system: a start works, or says that a limit is reached, and leaves nothing behind.

use std::fs::File;

use offspring::{
    ErrorKind, Fd, JoinErrorKind, Process, StartMethod, Stdio, channel, child_task, get_context, set_spares,
};
use offspring_tests::{build, cases, failure, procs, start, sys, value, wait};

cases! {
    alone descriptors_run_out;
    alone descriptors_run_out_in_the_middle;
    alone descriptors_run_out_at_the_join;
    alone processes_run_out.as_root();
    alone descriptors_under_way_run_out.as_root().except(StartMethod::Fork, "nothing is sent to a copy");
}

#[child_task]
fn zeros(length: usize) -> Vec<u8> {
    vec![0; length]
}

#[child_task]
fn length(bytes: Vec<u8>) -> usize {
    bytes.len()
}

#[child_task]
fn hang() {
    loop {
        std::thread::park();
    }
}

fn of_limit(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::LimitReached | ErrorKind::ForkServer | ErrorKind::Encode)
}

/// Returns the value of a child, or a failure by the limit. The limit also applies to the child, which may fail to load
/// its libraries or to apply its options.
#[track_caller]
fn ends<T>(started: Result<Process<T>, offspring::Error>) -> Result<T, String> {
    let mut child = started.map_err(|error| {
        assert!(of_limit(error.kind()), "{error:?}");
        format!("{:?}", error.kind())
    })?;
    match child.join_timeout(wait::LIMIT) {
        Ok(Some(value)) => Ok(value),
        Ok(None) => wait::expired("a child has not ended"),
        Err(error) => match error.kind() {
            JoinErrorKind::NotStarted(cause) if of_limit(cause.kind()) => Err(format!("NotStarted {:?}", cause.kind())),
            JoinErrorKind::Exited(125 | 127) => Err("exited".to_owned()),
            JoinErrorKind::Unencodable => Err("no descriptor for the result".to_owned()),
            _ => panic!("{error:?}"),
        },
    }
}

fn descriptors_run_out(method: StartMethod) {
    let context = get_context(method).unwrap();
    value(context.start(length::call(vec![])).unwrap());
    let before = procs::kinds(&procs::descriptors());
    let (_, hard) = sys::limit(libc::RLIMIT_NOFILE);
    for limit in (3..=30).rev() {
        // A forkserver makes a spare under the limit, too.
        set_spares(1);
        // A long call holds a descriptor of its own.
        let calls = [length::call(vec![1; 10]), length::call(vec![1; 1 << 20])];
        for call in calls {
            assert!(sys::set_limit(libc::RLIMIT_NOFILE, limit, hard));
            let (small, piped) = (context.start(call.clone()), build(method, call).stdout(Stdio::piped()).start());
            let results = (ends(small), ends(piped));
            assert!(sys::set_limit(libc::RLIMIT_NOFILE, hard.min(4096), hard));
            eprintln!("limit {limit}: {results:?}");
            wait::until("nobody is left", || offspring::active_children().is_empty());
        }
        assert_eq!(value(context.start(length::call(vec![7; 9])).unwrap()), 9);
        set_spares(0);
        wait::until("the spare is reaped, and nothing is left open", || {
            offspring::active_children();
            let mut children = procs::children_of(std::process::id()).into_iter();
            children.all(|child| child.comm == "forkserver" && child.state != 'Z')
                && procs::kinds(&procs::descriptors()) == before
        });
    }
}

/// Tries each number of free descriptors, so that each step of a start fails once.
fn descriptors_run_out_in_the_middle(method: StartMethod) {
    let context = get_context(method).unwrap();
    value(context.start(length::call(vec![])).unwrap());
    let (_, hard) = sys::limit(libc::RLIMIT_NOFILE);
    assert!(sys::set_limit(libc::RLIMIT_NOFILE, 64, hard));
    let null = || std::fs::File::open("/dev/null");
    let mut successes = 0;
    for free in 0..20 {
        let mut held: Vec<_> = std::iter::from_fn(|| null().ok()).collect();
        held.truncate(held.len().saturating_sub(free));
        let started = context.start(length::call(vec![1; 10]));
        successes += u32::from(ends(started).is_ok());
        drop(held);
        assert_eq!(value(context.start(length::call(vec![])).unwrap()), 0, "after {free} free ones");
    }
    assert!(successes > 5, "{successes} of 20");
}

/// A long result comes with a descriptor, for which the library reserves a number.
fn descriptors_run_out_at_the_join(method: StartMethod) {
    let mut child = start(method, zeros::call(1 << 20));
    let (_, hard) = sys::limit(libc::RLIMIT_NOFILE);
    assert!(sys::set_limit(libc::RLIMIT_NOFILE, 64, hard));
    let held: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
    assert!(!held.is_empty());
    let result = child.join_timeout(wait::LIMIT);
    drop(held);
    assert_eq!(result.unwrap().unwrap().len(), 1 << 20);
}

fn processes_run_out(method: StartMethod) {
    // A user of its own, as processes of the same user count too.
    sys::become_user(61_000 + std::process::id() % 4000);
    let (_, hard) = sys::limit(libc::RLIMIT_NPROC);
    assert!(sys::set_limit(libc::RLIMIT_NPROC, 6, hard));
    let context = get_context(method).unwrap();
    for _ in 0..3 {
        let mut children = Vec::new();
        let error = loop {
            match context.start(hang::call()) {
                Ok(child) => children.push(child),
                Err(error) => break error,
            }
            assert!(children.len() < 10, "no limit is felt");
        };
        assert_eq!(error.kind(), ErrorKind::LimitReached, "{error:?}");
        assert!(children.len() >= 3, "{} children", children.len());
        for child in children {
            child.kill().unwrap();
            failure(child);
        }
        assert_eq!(value(context.start(length::call(vec![])).unwrap()), 0);
    }
}

#[child_task]
fn take(_: Fd<File>) {}

/// The kernel limits the descriptors in unreceived messages of an ordinary user.
fn descriptors_under_way_run_out(method: StartMethod) {
    // A user of its own, as descriptors of the same user count too.
    sys::become_user(61_000 + std::process::id() % 4000);
    let (_, hard) = sys::limit(libc::RLIMIT_NOFILE);
    assert!(sys::set_limit(libc::RLIMIT_NOFILE, 64.min(hard), hard));
    let (sender, receiver) = channel().unwrap();
    let null = || Fd::from(File::open("/dev/null").unwrap());
    while sender.try_send(null()).is_ok() {}
    let error = get_context(method).unwrap().start(take::call(null())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitReached, "{error:?}");
    assert!(error.to_string().contains("RLIMIT_NOFILE"), "{error}");
    // Received descriptors no longer count.
    drop((sender, receiver));
    value(start(method, take::call(null())));
}
