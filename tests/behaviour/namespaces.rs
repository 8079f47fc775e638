//! Children in another pid namespace than their parent have two pids, of which the parent knows the pid of its
//! namespace.

use std::sync::mpsc;

use offspring::{ErrorKind, Process, StartMethod, child_task, fork, get_context, set_spares};
use offspring_tests::{cases, failure, get_error, procs, start, value};

use crate::tasks::{hanging, nothing, own_pid};

const REFUSED: &str = "refused, as `a_forkserver_is_refused` has it";

cases! {
    alone pids_are_the_parents_numbers.except(StartMethod::ForkServer, REFUSED).as_root();
    alone the_first_process.except(StartMethod::ForkServer, REFUSED).as_root();
    alone a_forkserver_is_refused.as_root();
    alone inside_everything_is_as_usual.as_root();
    alone inside_threads_are_told_apart.except(StartMethod::ForkServer, REFUSED).as_root();
}

/// Gives this process's later children a namespace of their own.
fn leave_namespace() {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWPID).unwrap();
}

fn end(children: impl IntoIterator<Item = Process<()>>) {
    for child in children {
        child.kill().unwrap();
        failure(child);
    }
}

fn pids_are_the_parents_numbers(method: StartMethod) {
    leave_namespace();
    let children: Vec<_> = (0..3).map(|_| hanging(method)).collect();
    for child in &children {
        let seen = procs::stat(child.pid()).unwrap_or_else(|| panic!("{} is nobody's number", child.pid()));
        assert_eq!((seen.parent, &*seen.comm), (std::process::id(), "hang"));
        let numbers = procs::status(&child.pid().to_string(), "NSpid");
        assert_eq!(numbers.split_whitespace().count(), 2, "it has a number of its own: {numbers}");
    }
    // The first process of a namespace ends after all other processes of the namespace are reaped.
    end(children.into_iter().rev());
}

fn the_first_process(method: StartMethod) {
    leave_namespace();
    let first = start(method, own_pid::call());
    assert_ne!(first.pid(), 1);
    assert_eq!(value(first), 1);
}

/// A running forkserver with spares is refused too.
fn a_forkserver_is_refused(method: StartMethod) {
    let context = get_context(StartMethod::ForkServer).unwrap();
    set_spares(2);
    value(context.start(nothing::call()).unwrap());
    leave_namespace();
    let is_refused = || {
        let error = get_error(context.start(own_pid::call()));
        assert_eq!(error.kind(), ErrorKind::ForkServer);
        assert!(error.to_string().contains("`spawn`"), "the way out: {error}");
    };
    is_refused();
    is_refused();
    if method != StartMethod::ForkServer {
        // The refused attempts have not used the namespace up.
        let first = hanging(method);
        is_refused();
        assert_eq!(value(start(method, own_pid::call())), 2);
        end([first]);
    }
}

#[child_task]
fn family(method: StartMethod) -> (u32, Vec<u32>) {
    let children: Vec<_> = (0..3).map(|_| start(method, own_pid::call())).collect();
    let pids = children.iter().map(Process::pid).collect();
    assert_eq!(children.into_iter().map(value).collect::<Vec<_>>(), pids);
    (std::process::id(), pids)
}

/// Children of a namespace's first process have the same pid inside and outside, even if `/proc` has other pids.
fn inside_everything_is_as_usual(method: StartMethod) {
    leave_namespace();
    let (first, children) = value(start(StartMethod::Spawn, family::call(method)));
    assert_eq!(first, 1);
    assert!(children.iter().all(|pid| (2..20).contains(pid)), "{children:?}");
}

/// Returns the reason why a fork is refused beside one other thread.
#[child_task]
fn refusal_beside_a_thread() -> String {
    let (done, until_done) = mpsc::channel::<()>();
    let (begun, has_begun) = mpsc::channel();
    let thread = std::thread::Builder::new().name("other-thread".to_owned());
    let thread = thread.spawn(move || {
        // A thread sets its name itself, before it begins.
        begun.send(()).unwrap();
        until_done.recv()
    });
    let thread = thread.unwrap();
    has_begun.recv().unwrap();
    let refusal = get_error(fork(|| ())).to_string();
    drop(done);
    thread.join().unwrap().unwrap_err();
    refusal
}

/// Threads are told apart by the numbers in `/proc`.
fn inside_threads_are_told_apart(method: StartMethod) {
    leave_namespace();
    let refusal = value(start(method, refusal_beside_a_thread::call()));
    assert!(refusal.contains("(other-thread)"), "{refusal}");
}
