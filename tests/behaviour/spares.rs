//! Spares: children made ahead by the forkserver, which wait for a spec. The other start methods have no spares.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use offspring::{JoinErrorKind, StartMethod, active_children, child_task, set_spares};
use offspring_tests::{Program, cases, failure, procs, program, start, sys, value, wait};

use crate::tasks::{double, forever, hanging, nothing, own_pid};

const NO_SPARES: &str = "has no spares";

cases! {
    alone only_a_server_has_them;
    alone none_unless_set.only_by_forkserver(NO_SPARES);
    alone set_to_none_there_are_none.only_by_forkserver(NO_SPARES);
    alone as_many_as_set.only_by_forkserver(NO_SPARES);
    alone they_are_no_children_until_they_have_a_spec.only_by_forkserver(NO_SPARES);
    alone they_have_the_settings_of_now.only_by_forkserver(NO_SPARES);
    alone they_hold_nothing_of_others.only_by_forkserver(NO_SPARES);
    alone a_killed_one_is_replaced.only_by_forkserver(NO_SPARES);
    alone a_killed_one_leaves_no_zombie.only_by_forkserver(NO_SPARES);
    alone a_retired_one_leaves_no_zombie.only_by_forkserver(NO_SPARES);
    alone a_stopped_one_is_retired.only_by_forkserver(NO_SPARES);
    alone they_go_with_their_server.only_by_forkserver(NO_SPARES);
    alone outdated_ones_are_replaced.only_by_forkserver(NO_SPARES).as_root();
    alone panics_and_signals_are_those_of_a_child.only_by_forkserver(NO_SPARES);
    alone a_copy_of_their_parent_has_none_of_them.only_by_forkserver(NO_SPARES);
    here they_die_with_a_killed_parent.only_by_forkserver(NO_SPARES);
    here they_end_with_the_program;
}

fn spares() -> Vec<u32> {
    procs::spares_of(std::process::id())
}

/// Waits for this number of spares, each in its wait for a spec.
#[track_caller]
fn waiting(count: usize) -> Vec<u32> {
    wait::until("the spares wait", || {
        active_children();
        let states = spares().into_iter().filter_map(procs::stat);
        states.filter(|spare| spare.state == 'S').count() == count && spares().len() == count
    });
    // Each spare has reported. This call receives the reports.
    active_children();
    spares()
}

/// Checks that these processes have been reaped already.
#[track_caller]
fn gone(spares: &[u32]) {
    let left: Vec<_> = spares.iter().filter_map(|spare| procs::stat(*spare)).collect();
    assert!(left.is_empty(), "{left:#?}");
}

/// Sets the number of spares, and returns the waiting spares' pids.
#[track_caller]
fn with_spares(method: StartMethod, count: usize) -> Vec<u32> {
    set_spares(count);
    value(start(method, nothing::call()));
    waiting(count)
}

/// Starts a child, and checks that the child is one of these spares.
#[track_caller]
fn of<T>(spares: &[u32], method: StartMethod, call: offspring::Call<T>) -> offspring::Process<T> {
    let child = start(method, call);
    assert!(spares.contains(&child.pid()), "{} is none of {spares:?}", child.pid());
    child
}

fn only_a_server_has_them(method: StartMethod) {
    set_spares(2);
    value(start(method, nothing::call()));
    if method == StartMethod::ForkServer {
        waiting(2);
    } else {
        assert_eq!(procs::children_of(std::process::id()), []);
    }
}

/// Starts in quick succession.
#[track_caller]
fn only_the_server_after_starts(method: StartMethod) {
    for _ in 0..5 {
        value(start(method, nothing::call()));
    }
    assert!(spares().is_empty());
    assert_eq!(procs::children_of(std::process::id()).len(), 1, "the server");
}

fn none_unless_set(method: StartMethod) {
    only_the_server_after_starts(method);
}

fn set_to_none_there_are_none(method: StartMethod) {
    let spares = with_spares(method, 2);
    set_spares(0);
    gone(&spares);
    only_the_server_after_starts(method);
}

fn as_many_as_set(method: StartMethod) {
    let first = with_spares(method, 3);
    let used = [value(of(&first, method, own_pid::call())), value(of(&first, method, own_pid::call()))];
    let second = waiting(3);
    assert!(second.iter().all(|spare| !used.contains(spare)), "{used:?} {second:?}");
    set_spares(1);
    let kept = waiting(1);
    assert!(second.contains(&kept[0]), "{kept:?} {second:?}");
    set_spares(2);
    waiting(2);
    set_spares(0);
    assert!(waiting(0).is_empty());
}

#[child_task]
fn parent_and_name() -> (u32, String) {
    (std::os::unix::process::parent_id(), procs::stat(std::process::id()).unwrap().comm)
}

fn they_are_no_children_until_they_have_a_spec(method: StartMethod) {
    let spare = with_spares(method, 1);
    assert_eq!(active_children(), []);
    assert_eq!(procs::stat(spare[0]).unwrap().parent, std::process::id());
    let child = of(&spare, method, parent_and_name::call());
    assert_eq!(child.name(), "ForkServerProcess-2");
    assert_eq!(value(child), (std::process::id(), "parent_and_name".to_owned()));
}

#[child_task]
fn surroundings() -> (u32, Option<String>, String, u32, (u64, u64), bool) {
    let directory = std::env::current_dir().unwrap().display().to_string();
    let blocked = procs::status("self", "SigBlk");
    let limit = sys::limit(libc::RLIMIT_NOFILE);
    (std::process::id(), std::env::var("PRESENT").ok(), directory, sys::umask(0), limit, blocked == "0000000000000000")
}

fn they_have_the_settings_of_now(method: StartMethod) {
    let spare = with_spares(method, 1);
    sys::set_variable("PRESENT", "now");
    std::env::set_current_dir("/usr").unwrap();
    sys::umask(0o67);
    assert!(sys::set_limit(libc::RLIMIT_NOFILE, 100, 200));
    let seen = value(of(&spare, method, surroundings::call()));
    assert_eq!(seen, (spare[0], Some("now".into()), "/usr".into(), 0o67, (100, 200), true));
}

/// The kinds of the open descriptors of another process, without the standard streams.
fn kinds_of(pid: u32) -> BTreeMap<String, usize> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().map(Result::unwrap);
    let numbered = entries.map(|entry| {
        let number: i32 = entry.file_name().to_str().unwrap().parse().unwrap();
        (number, std::fs::read_link(entry.path()).unwrap().display().to_string())
    });
    let (streams, others): (BTreeMap<_, _>, BTreeMap<_, _>) = numbered.partition(|(number, _)| *number <= 2);
    assert!(streams.values().all(|target| target == "/dev/null"), "{streams:?}");
    procs::kinds(&others)
}

fn they_hold_nothing_of_others(method: StartMethod) {
    let child = hanging(method);
    let spares = with_spares(method, 2);
    let link_and_lifeline = BTreeMap::from([("pipe".to_owned(), 1), ("socket".to_owned(), 1)]);
    for spare in &spares {
        assert_eq!(kinds_of(*spare), link_and_lifeline);
    }
    let with_them = procs::descriptors().len();
    set_spares(0);
    gone(&spares);
    assert_eq!(with_them - procs::descriptors().len(), 3 * spares.len(), "three descriptors for each");
    child.kill().unwrap();
    failure(child);
}

/// The spare may be dead, or about to die, when the start sends the spec.
fn a_killed_one_is_replaced(method: StartMethod) {
    with_spares(method, 2);
    for n in 0..50 {
        let victims = spares();
        for spare in &victims {
            sys::kill(*spare as i32, libc::SIGKILL);
        }
        let child = start(method, double::call(n));
        assert!(!victims.contains(&child.pid()));
        assert_eq!(value(child), 2 * n);
    }
}

fn a_killed_one_leaves_no_zombie(method: StartMethod) {
    let child = hanging(method);
    let spare = with_spares(method, 1);
    sys::kill(spare[0] as i32, libc::SIGKILL);
    wait::until("the spare is dead", || procs::stat(spare[0]).is_none_or(|spare| spare.state == 'Z'));
    // No further start is needed.
    child.kill().unwrap();
    failure(child);
    gone(&spare);
}

/// Also one that the server has yet to make.
fn a_retired_one_leaves_no_zombie(method: StartMethod) {
    for _ in 0..20 {
        set_spares(3);
        value(start(method, nothing::call()));
        set_spares(0);
        let left = procs::children_of(std::process::id());
        assert!(left.len() == 1 && left[0].comm == "forkserver", "{left:#?}");
    }
}

fn a_stopped_one_is_retired(method: StartMethod) {
    let spare = with_spares(method, 1);
    sys::kill(spare[0] as i32, libc::SIGSTOP);
    wait::until("the spare is stopped", || procs::stat(spare[0]).unwrap().state == 'T');
    set_spares(0);
    gone(&spare);
}

fn they_go_with_their_server(method: StartMethod) {
    let spares = with_spares(method, 3);
    sys::kill(procs::servers_of(std::process::id())[0] as i32, libc::SIGKILL);
    wait::until("the server is dead", || procs::servers_of(std::process::id()).is_empty());
    assert_eq!(value(start(method, double::call(2))), 4);
    gone(&spares);
    waiting(3);
}

#[child_task]
fn user() -> u32 {
    nix::unistd::geteuid().as_raw()
}

fn outdated_ones_are_replaced(method: StartMethod) {
    let spares = with_spares(method, 2);
    sys::become_user(65534);
    let server = procs::servers_of(std::process::id());
    let child = start(method, user::call());
    assert!(!spares.contains(&child.pid()));
    gone(&spares);
    gone(&server);
    assert_eq!(value(child), 65534);
    waiting(2);
}

#[child_task]
fn panics() {
    panic!("in a spare")
}

fn panics_and_signals_are_those_of_a_child(method: StartMethod) {
    let spare = with_spares(method, 1);
    let error = failure(of(&spare, method, panics::call()));
    let JoinErrorKind::Panicked(panic) = error.kind() else { panic!("{error:?}") };
    assert_eq!(panic.message(), "in a spare");
    let spare = waiting(1);
    let child = of(&spare, method, crate::tasks::die::call(libc::SIGUSR1));
    assert!(matches!(failure(child).kind(), JoinErrorKind::Signaled(libc::SIGUSR1)));
}

/// The copy starts a child of its own. The original keeps its spares.
fn a_copy_of_their_parent_has_none_of_them(method: StartMethod) {
    let spare = with_spares(method, 1);
    let copy = sys::foreign_fork(|| {
        let child = start(method, own_pid::call());
        assert!(!spare.contains(&child.pid()));
        value(child);
    });
    assert_eq!(sys::reap(copy), 0);
    assert_eq!(spares(), spare);
    value(of(&spare, method, nothing::call()));
}

/// Prints the pids of three spares, and then waits to be killed, or returns from `main`.
pub(crate) fn keeper(method: StartMethod, arguments: &[String]) {
    set_spares(3);
    value(start(method, nothing::call()));
    let spares = if method == StartMethod::ForkServer { waiting(3) } else { Vec::new() };
    let pids: Vec<String> = spares.iter().map(u32::to_string).collect();
    program::say(pids.join(" "));
    if arguments[0] != "return" {
        forever()
    }
}

fn they_die_with_a_killed_parent(method: StartMethod) {
    let mut parent = Program::new("spares::keeper", method).args(["wait"]).start();
    let pids = parent.numbers();
    let pidfds: Vec<OwnedFd> = pids.iter().map(|pid| sys::open_pid(*pid).unwrap()).collect();
    // A stopped spare cannot find the end of its link.
    sys::kill(pids[0] as i32, libc::SIGSTOP);
    wait::until("the spare is stopped", || procs::stat(pids[0]).unwrap().state == 'T');
    parent.kill();
    let deadline = Instant::now() + wait::LIMIT;
    for (pid, pidfd) in pids.iter().zip(&pidfds) {
        assert!(wait::readable(pidfd.as_fd(), deadline), "a spare lives on:\n{}", procs::tree(*pid));
    }
}

fn they_end_with_the_program(method: StartMethod) {
    let program = Program::new("spares::keeper", method).args(["return"]).start();
    let ended = program.finish();
    assert_eq!(ended.stderr, "");
    assert_eq!(ended.succeeded().split_whitespace().count(), if method == StartMethod::ForkServer { 3 } else { 0 });
}
