//! Starts from processes with threads, and from threads.

use std::sync::{Mutex, mpsc};

use offspring::{ErrorKind, JoinErrorKind, Receiver, Sender, StartMethod, channel, child_task, fork, get_context};
use offspring_tests::{build, cases, failure, get_error, procs, run, start, sys, value};

use crate::tasks::{double, nothing};

cases! {
    alone a_start_beside_a_thread;
    alone after_a_joined_thread;
    alone while_a_thread_starts_children
        .except(StartMethod::Fork, "a copy of a process that has several threads is refused");
    alone from_a_panicking_thread;
    alone from_a_second_thread;
    alone despite_threads;
    here closures_borrow_and_leave_the_parent_alone;
    here closures_fail_like_tasks;
    alone closures_are_refused_beside_a_thread;
    here a_copy_cannot_join_its_siblings;
    here after_fork_hooks_run_in_copies_alone;
    here a_hook_that_panics_is_the_childs_panic.except(StartMethod::Spawn, "runs no hooks");
    alone channels_of_hooks_serve_the_task.except(StartMethod::Spawn, "runs no hooks");
}

/// Runs the work beside a second thread with a name.
fn beside_a_thread<T>(work: impl FnOnce() -> T) -> T {
    let (done, until_done) = mpsc::channel::<()>();
    let (begun, until_begun) = mpsc::channel();
    let thread = std::thread::Builder::new().name("other-thread".to_owned());
    let thread = thread.spawn(move || {
        begun.send(()).unwrap();
        let _ = until_done.recv();
    });
    until_begun.recv().unwrap();
    let result = work();
    drop(done);
    thread.unwrap().join().unwrap();
    result
}

fn a_start_beside_a_thread(method: StartMethod) {
    let started = beside_a_thread(|| get_context(method).unwrap().start(double::call(4)));
    if method == StartMethod::Fork {
        let error = get_error(started);
        assert_eq!(error.kind(), ErrorKind::MultiThreadedFork);
        assert!(error.to_string().contains("other-thread"), "{error}");
    } else {
        assert_eq!(value(started.unwrap()), 8);
    }
}

fn after_a_joined_thread(method: StartMethod) {
    // A copy is cheap. The other methods do not look at threads.
    for _ in 0..if method == StartMethod::Fork { 500 } else { 20 } {
        std::thread::spawn(|| {}).join().unwrap();
        value(start(method, nothing::call()));
    }
}

fn while_a_thread_starts_children(method: StartMethod) {
    let threads: Vec<_> = (0..4_u64)
        .map(|thread| {
            std::thread::spawn(move || (0..10).map(|n| value(start(method, double::call(n + thread)))).sum::<u64>())
        })
        .collect();
    let sums: Vec<u64> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(sums, [90, 110, 130, 150]);
}

struct StartsInDrop(StartMethod, mpsc::Sender<Result<u64, ErrorKind>>);

impl Drop for StartsInDrop {
    fn drop(&mut self) {
        let started = get_context(self.0).unwrap().start(double::call(2));
        self.1.send(started.map(|child| child.join().unwrap()).map_err(|error| error.kind())).unwrap();
    }
}

fn from_a_panicking_thread(method: StartMethod) {
    let (told, result) = mpsc::channel();
    let starts = StartsInDrop(method, told);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _starts = starts;
        panic!("on purpose");
    }));
    assert!(panicked.is_err());
    let wanted = if method == StartMethod::Fork { Err(ErrorKind::MultiThreadedFork) } else { Ok(4) };
    assert_eq!(result.recv().unwrap(), wanted);
    assert_eq!(value(start(method, double::call(1))), 2, "all is well after it");
}

fn from_a_second_thread(method: StartMethod) {
    let started = std::thread::spawn(move || get_context(method).unwrap().start(double::call(3))).join().unwrap();
    match method {
        StartMethod::Fork => assert_eq!(get_error(started).kind(), ErrorKind::MultiThreadedFork),
        _ => assert_eq!(value(started.unwrap()), 6),
    }
}

#[expect(unsafe_code, reason = "the opt-out is unsafe: the other thread waits in a channel and holds no lock")]
fn despite_threads(method: StartMethod) {
    let doubled = beside_a_thread(|| {
        // SAFETY: the other thread waits in a channel, which takes no lock that the child needs.
        value(unsafe { build(method, double::call(5)).fork_despite_threads() }.start().unwrap())
    });
    assert_eq!(doubled, 10);
}

fn closures_borrow_and_leave_the_parent_alone(_: StartMethod) {
    let words = ["some".to_owned(), "words".to_owned()];
    let mut count = 0;
    let child = fork(|| {
        count += words.len();
        (count, words.join(" "))
    });
    let child = child.unwrap();
    assert_eq!(child.start_method(), StartMethod::Fork);
    assert!(
        child.task().starts_with("closure at tests/behaviour/threads.rs:") || child.task().contains("threads.rs:"),
        "{}",
        child.task()
    );
    assert_eq!(value(child), (2, "some words".to_owned()));
    assert_eq!((count, words.len()), (0, 2));
}

fn closures_fail_like_tasks(_: StartMethod) {
    let child = fork(|| -> u8 { std::process::exit(6) }).unwrap();
    let error = offspring_tests::failure(child);
    assert!(matches!(error.kind(), offspring::JoinErrorKind::Exited(6)), "{error:?}");
}

fn closures_are_refused_beside_a_thread(_: StartMethod) {
    let started = beside_a_thread(|| fork(|| 1_u8));
    assert_eq!(get_error(started).kind(), ErrorKind::MultiThreadedFork);
}

fn a_copy_cannot_join_its_siblings(method: StartMethod) {
    let mut sibling = crate::tasks::hanging(method);
    let child = fork(|| {
        let kinds = [sibling.kill().unwrap_err().kind(), sibling.sentinel().unwrap_err().kind()];
        let joined = sibling.try_join().unwrap_err();
        let joined =
            matches!(joined.kind(), offspring::JoinErrorKind::NotWaited(error) if error.kind() == ErrorKind::NotParent);
        (kinds, joined, sibling.is_alive(), offspring::active_children().len())
    });
    assert_eq!(value(child.unwrap()), ([ErrorKind::NotParent; 2], true, false, 0));
    assert!(sibling.is_alive());
    sibling.kill().unwrap();
    offspring_tests::failure(sibling);
}

#[offspring::after_fork]
fn note_the_copy() {
    HOOKS.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    assert!(std::env::var_os(HOOK_PANICS).is_none(), "the hook was told to");
}

/// A child with this variable panics before its task.
const HOOK_PANICS: &str = "OFFSPRING_TESTS_HOOK_PANICS";

/// A panic before the task must not unwind into the frames that made the child, which would act as a second parent.
fn a_hook_that_panics_is_the_childs_panic(method: StartMethod) {
    let child = run(method, build(method, hooks::call()).env(HOOK_PANICS, "1"));
    let error = failure(child);
    let JoinErrorKind::Panicked(panic) = error.kind() else { panic!("{error:?}") };
    assert_eq!(panic.message(), "the hook was told to");
    assert_eq!(value(start(method, hooks::call())), 1);
}

static HOOKS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

#[child_task]
fn hooks() -> u32 {
    HOOKS.load(std::sync::atomic::Ordering::SeqCst)
}

fn after_fork_hooks_run_in_copies_alone(method: StartMethod) {
    assert_eq!(value(start(method, hooks::call())), u32::from(method != StartMethod::Spawn));
    assert_eq!(HOOKS.load(std::sync::atomic::Ordering::SeqCst), 0);
    assert_eq!(procs::status("self", "Threads"), "1");
}

/// A child with this variable has a channel of its own.
const HOOK_OPENS: &str = "OFFSPRING_TESTS_HOOK_OPENS";

static OF_HOOK: Mutex<Option<(Sender<u8>, Receiver<u8>)>> = Mutex::new(None);

#[offspring::after_fork]
fn open_a_channel() {
    if std::env::var_os(HOOK_OPENS).is_some() {
        *OF_HOOK.lock().unwrap() = Some(channel().unwrap());
    }
}

fn through_the_hooks_channel() -> u8 {
    let (sender, receiver) = OF_HOOK.lock().unwrap().take().unwrap();
    sender.send(7).unwrap();
    receiver.recv().unwrap()
}

#[child_task]
fn add_through_the_hooks_channel(given: Receiver<u8>) -> u8 {
    given.recv().unwrap() + through_the_hooks_channel()
}

/// A copy closes its original's ends, but not ends that its hooks have made at the same numbers.
fn channels_of_hooks_serve_the_task(method: StartMethod) {
    sys::set_variable(HOOK_OPENS, "1");
    let ends: Vec<_> = (0..20).map(|_| channel::<u8>().unwrap()).collect();
    let (sender, given) = channel().unwrap();
    let child = start(method, add_through_the_hooks_channel::call(given));
    sender.send(2).unwrap();
    assert_eq!(value(child), 9);
    // A closure may use all inherited values.
    let child = fork(|| {
        let (sender, receiver) = &ends[3];
        sender.send(through_the_hooks_channel()).unwrap();
        receiver.recv().unwrap()
    });
    assert_eq!(value(child.unwrap()), 7);
}
