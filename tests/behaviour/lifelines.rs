//! A child ends with the process that started the child, by any end of the process, and with no other process.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use offspring::{StartMethod, Stdio, child_task};
use offspring_tests::{Program, build, cases, failure, procs, program, run, start, sys, value, wait};

use crate::tasks::{execute_idler, forever, hang, hanging, nothing};

cases! {
    here children_die_with_a_killed_parent;
    here children_die_with_a_stopped_and_killed_parent;
    here deaf_children_die_too;
    here grandchildren_die_too;
    here programs_that_children_have_become_die_too;
    here a_detached_program_lives_on;
    here children_of_a_grown_family_die;
    here children_die_with_a_parent_that_exits;
    here a_dead_child_takes_its_own_children_along;
    here a_foreign_copy_of_the_parent_keeps_no_child_alive;
    here a_detached_child_lives_on;
    here the_forkserver_dies_with_its_user;
    here a_child_of_another_user_dies_too.as_root();
    alone the_end_of_a_starting_thread_ends_no_child
        .except(StartMethod::Fork, "a copy of a process that has several threads is refused");
}

/// Starts children as the arguments say, prints their pids, and waits to be killed.
pub(crate) fn parent(method: StartMethod, arguments: &[String]) {
    let mut children = vec![];
    let mut pids = vec![];
    let mut ending: fn() = || {};
    for argument in arguments {
        match &**argument {
            "hang" => begin(method, hang::call(), &mut children, &mut pids),
            "deaf" => begin(method, deaf::call(), &mut children, &mut pids),
            "grandchild" => begin(method, with_a_child::call(), &mut children, &mut pids),
            "program" => {
                begin(method, execute_idler(), &mut children, &mut pids);
                let pid = pids[pids.len() - 1];
                wait::until("the task is another program", || procs::stat(pid).unwrap().comm == "sleep");
            }
            "nobody" => begin(method, as_nobody::call(), &mut children, &mut pids),
            "copy" => {
                let copy = sys::foreign_fork(|| forever());
                // Printed apart from the children's pids, as the copy has to live on.
                println!("{copy}");
            }
            "wait" => ending = || forever(),
            "exit" => ending = || std::process::exit(3),
            "abort" => ending = || sys::die_by(libc::SIGABRT),
            "detach" => {
                for child in children.drain(..) {
                    child.detach().unwrap();
                }
                return program::say(pids[0]);
            }
            "detach and hang" => {
                let child = children.pop().unwrap();
                child.detach().unwrap();
            }
            _ => panic!("{argument}"),
        }
    }
    pids.extend(procs::servers_of(std::process::id()));
    let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
    program::say(pids.join(" "));
    ending();
}

fn begin(
    method: StartMethod,
    call: offspring::Call<()>,
    children: &mut Vec<offspring::Process<()>>,
    pids: &mut Vec<u32>,
) {
    let mut child = run(method, build(method, call).stdout(Stdio::piped()));
    let line = wait::line(&mut child.take_stdout().unwrap()).expect("the child has begun");
    pids.push(child.pid());
    pids.extend(line.split(' ').filter_map(|word| word.parse::<u32>().ok()));
    children.push(child);
}

#[child_task]
fn deaf() {
    use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGIO, libc::SIGPIPE] {
        sys::on_signal(signal, sys::Disposition::Ignore);
    }
    pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&SigSet::all()), None).unwrap();
    hang();
}

#[child_task]
fn with_a_child() {
    let mut child = run_again(hang::call());
    wait::line(&mut child.take_stdout().unwrap()).unwrap();
    program::say(child.pid());
    forever()
}

fn run_again(call: offspring::Call<()>) -> offspring::Process<()> {
    let method = offspring::get_start_method();
    run(method, build(method, call).stdout(Stdio::piped()))
}

#[child_task]
fn as_nobody() {
    sys::become_user(65534);
    hang();
}

/// Starts a parent, and returns the parent with pidfds of its descendants.
#[track_caller]
fn family(method: StartMethod, arguments: &[&str]) -> (program::Running, Vec<(u32, OwnedFd)>) {
    let program = Program::new("lifelines::parent", method).args(arguments).args(["wait"]);
    let mut parent = program.start();
    let pids = parent.numbers();
    let open = |pid| (pid, sys::open_pid(pid).unwrap());
    (parent, pids.into_iter().map(open).collect())
}

#[track_caller]
fn all_die(children: &[(u32, OwnedFd)]) {
    let deadline = Instant::now() + wait::LIMIT;
    for (pid, pidfd) in children {
        if !wait::readable(pidfd.as_fd(), deadline) {
            panic!("an orphan lives on:\n{}", procs::tree(*pid));
        }
    }
}

fn children_die_with_a_killed_parent(method: StartMethod) {
    let (mut parent, children) = family(method, &["hang", "hang", "hang"]);
    parent.kill();
    all_die(&children);
}

fn children_die_with_a_stopped_and_killed_parent(method: StartMethod) {
    let (mut parent, children) = family(method, &["hang", "hang"]);
    parent.signal(libc::SIGSTOP);
    wait::until("the parent is stopped", || procs::stat(parent.pid()).unwrap().state == 'T');
    assert!(children.iter().all(|(pid, _)| procs::is_alive(*pid)), "a stopped parent is no dead one");
    sys::kill(children[0].0 as i32, libc::SIGSTOP);
    parent.kill();
    all_die(&children);
}

fn deaf_children_die_too(method: StartMethod) {
    let (mut parent, children) = family(method, &["deaf", "deaf"]);
    parent.kill();
    all_die(&children);
}

fn grandchildren_die_too(method: StartMethod) {
    let (mut parent, everyone) = family(method, &["grandchild", "grandchild"]);
    assert!(everyone.len() >= 4, "two of each generation");
    parent.kill();
    all_die(&everyone);
}

/// The task has executed another program in place of itself.
fn programs_that_children_have_become_die_too(method: StartMethod) {
    let (mut parent, children) = family(method, &["program", "hang", "program"]);
    parent.kill();
    all_die(&children);
}

fn a_detached_program_lives_on(method: StartMethod) {
    let (mut parent, children) = family(method, &["program", "detach and hang"]);
    parent.kill();
    all_die(&children[1..]);
    assert!(procs::is_alive(children[0].0));
    sys::kill(children[0].0 as i32, libc::SIGKILL);
    all_die(&children);
}

fn children_of_a_grown_family_die(method: StartMethod) {
    let (mut parent, children) = family(method, &["hang"; 20]);
    parent.kill();
    all_die(&children);
}

fn children_die_with_a_parent_that_exits(method: StartMethod) {
    for ending in ["exit", "abort"] {
        let program = Program::new("lifelines::parent", method).args(["hang", "hang", ending]);
        let mut parent = program.start();
        let children: Vec<_> =
            parent.numbers().into_iter().filter_map(|pid| Some((pid, sys::open_pid(pid).ok()?))).collect();
        all_die(&children);
        let code = parent.finish().code();
        assert_eq!(code, if ending == "exit" { 3 } else { -libc::SIGABRT });
    }
}

fn a_dead_child_takes_its_own_children_along(method: StartMethod) {
    let mut child = run(method, build(method, with_a_child::call()).stdout(Stdio::piped()));
    let line = wait::line(&mut child.take_stdout().unwrap()).unwrap();
    let grandchild = sys::open_pid(line.parse().unwrap()).unwrap();
    child.kill().unwrap();
    all_die(&[(child.pid(), grandchild)]);
    failure(child);
}

fn a_foreign_copy_of_the_parent_keeps_no_child_alive(method: StartMethod) {
    let mut parent = Program::new("lifelines::parent", method).args(["hang", "hang", "copy", "hang", "wait"]).start();
    let copy = parent.numbers()[0];
    let children: Vec<_> = parent.numbers().into_iter().map(|pid| (pid, sys::open_pid(pid).unwrap())).collect();
    parent.kill();
    all_die(&children);
    assert!(procs::is_alive(copy), "the copy is none of the library's");
}

fn a_detached_child_lives_on(method: StartMethod) {
    // The parent's `main` returns without a wait.
    let mut parent = Program::new("lifelines::parent", method).args(["hang", "detach"]).start();
    let pid = parent.numbers()[0];
    let child = sys::open_pid(pid).unwrap();
    wait::until("the parent has ended", || !procs::is_alive(parent.pid()));
    assert!(procs::is_alive(pid));
    sys::kill(pid as i32, libc::SIGKILL);
    all_die(&[(pid, child)]);
    parent.finish().succeeded();
    // The parent is killed. Of two children the detached child lives.
    let (mut parent, children) = family(method, &["hang", "hang", "detach and hang"]);
    parent.kill();
    all_die(&children[..1]);
    all_die(&children[2..]);
    assert!(procs::is_alive(children[1].0));
    sys::kill(children[1].0 as i32, libc::SIGKILL);
    all_die(&children);
}

fn the_forkserver_dies_with_its_user(method: StartMethod) {
    let (mut parent, everyone) = family(method, &["hang"]);
    assert_eq!(everyone.len() == 2, method == StartMethod::ForkServer);
    parent.kill();
    all_die(&everyone);
}

fn a_child_of_another_user_dies_too(method: StartMethod) {
    let (mut parent, children) = family(method, &["nobody", "nobody"]);
    parent.kill();
    all_die(&children);
}

fn the_end_of_a_starting_thread_ends_no_child(method: StartMethod) {
    let thread = std::thread::Builder::new().name("starter".to_owned());
    let child = thread.spawn(move || hanging(method)).unwrap().join().unwrap();
    wait::until("the thread has ended", || procs::status("self", "Threads") == "1");
    // A full start and end gives the first child time to die, if the end of the thread were its end.
    value(start(method, nothing::call()));
    assert!(child.is_alive());
    let (mut one, mut two) = (hanging(method), hanging(method));
    assert!(one.try_join().unwrap().is_none() && two.try_join().unwrap().is_none() && child.is_alive());
    for child in [child, one, two] {
        child.kill().unwrap();
        failure(child);
    }
}
