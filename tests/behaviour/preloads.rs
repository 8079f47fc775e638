//! State that the forkserver loads before it serves.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use offspring::sync::Mutex;
use offspring::{ErrorKind, StartMethod, child_task, get_context, preload};
use offspring_tests::{Program, cases, get_error, program, start, sys, value};

use crate::tasks::nothing;

cases! {
    here run_once_and_children_inherit;
    here the_parent_does_not_run_them;
    here output_is_not_repeated;
    alone one_that_fails;
    alone one_that_panics;
    alone one_that_leaves_a_thread;
    alone one_that_leaves_a_lock_held;
    alone one_that_exits;
    alone one_that_leaves_the_pid_namespace.as_root();
    alone a_lock_that_it_makes_is_one_for_all_children;
    alone mended_by_the_next_start;
}

/// The way in which a preload of this program fails, if at all.
const VARIABLE: &str = "OFFSPRING_TESTS_PRELOAD";

static RUNS: AtomicU32 = AtomicU32::new(0);
static LOADED_BY: AtomicU32 = AtomicU32::new(0);

static LOCK: OnceLock<Mutex<u64>> = OnceLock::new();

fn lock() -> Mutex<u64> {
    Mutex::new(0).unwrap()
}

#[preload]
fn load() -> Result<(), std::io::Error> {
    RUNS.fetch_add(1, Ordering::SeqCst);
    LOADED_BY.store(std::process::id(), Ordering::SeqCst);
    match &*std::env::var(VARIABLE).unwrap_or_default() {
        "print" => {
            print!("printed once, ");
            sys::print_c(c"by C too; ");
        }
        "fail" => return Err(std::io::Error::other("nothing to load")),
        "panic" => panic!("cannot load"),
        "thread" => {
            let thread = std::thread::Builder::new().name("left-behind".to_owned());
            thread.spawn(|| crate::tasks::forever())?;
        }
        "share" => {
            LOCK.get_or_init(lock);
        }
        "lock" => std::mem::forget(LOCK.get_or_init(lock).lock()),
        "exit" => std::process::exit(9),
        "unshare" => nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWPID)?,
        _ => {}
    }
    Ok(())
}

#[child_task]
fn loaded() -> (u32, u32) {
    (RUNS.load(Ordering::SeqCst), LOADED_BY.load(Ordering::SeqCst))
}

fn run_once_and_children_inherit(method: StartMethod) {
    let two = [0; 2].map(|_| value(start(method, loaded::call())));
    if method == StartMethod::ForkServer {
        let server = offspring_tests::procs::servers_of(std::process::id());
        assert_eq!(two, [(1, server[0]); 2]);
    } else {
        assert_eq!(two, [(0, 0); 2], "preloads are the forkserver's");
    }
}

fn the_parent_does_not_run_them(method: StartMethod) {
    value(start(method, nothing::call()));
    assert_eq!(RUNS.load(Ordering::SeqCst), 0);
}

/// Starts two children without output.
pub(crate) fn two_children(method: StartMethod, _: &[String]) {
    for _ in 0..2 {
        value(start(method, nothing::call()));
    }
    program::say("end");
}

fn output_is_not_repeated(method: StartMethod) {
    let program = Program::new("preloads::two_children", method).env(VARIABLE, "print");
    let printed = program.finish().succeeded();
    for text in ["printed once, ", "by C too; "] {
        assert_eq!(printed.matches(text).count(), usize::from(method == StartMethod::ForkServer), "{printed}");
    }
}

/// Checks the error of a start after a failing preload. Other methods run no preload.
#[track_caller]
fn refused(method: StartMethod, how: &str, kind: ErrorKind, texts: &[&str]) {
    sys::set_variable(VARIABLE, how);
    for _ in 0..2 {
        let started = get_context(method).unwrap().start(nothing::call());
        if method != StartMethod::ForkServer {
            value(started.unwrap());
            continue;
        }
        let error = get_error(started);
        assert_eq!(error.kind(), kind, "{error:?}");
        for text in texts {
            assert!(error.to_string().contains(text), "{error}");
        }
    }
}

fn one_that_fails(method: StartMethod) {
    refused(method, "fail", ErrorKind::Preload, &["behaviour::preloads::load", "preloads.rs:", "nothing to load"]);
}

fn one_that_panics(method: StartMethod) {
    refused(method, "panic", ErrorKind::Preload, &["behaviour::preloads::load", "panicked", "cannot load"]);
}

fn one_that_leaves_a_thread(method: StartMethod) {
    refused(method, "thread", ErrorKind::Preload, &["left-behind"]);
}

fn one_that_leaves_a_lock_held(method: StartMethod) {
    refused(method, "lock", ErrorKind::Preload, &["lock held", "drop its guard"]);
}

#[child_task]
fn raise() -> u64 {
    let mut number = LOCK.get_or_init(lock).lock().unwrap();
    *number += 1;
    *number
}

fn a_lock_that_it_makes_is_one_for_all_children(method: StartMethod) {
    sys::set_variable(VARIABLE, "share");
    let first = value(start(method, raise::call()));
    let step = u64::from(method == StartMethod::ForkServer);
    assert_eq!(value(start(method, raise::call())), first + step, "the others make each its own");
}

fn one_that_exits(method: StartMethod) {
    refused(method, "exit", ErrorKind::ForkServer, &["exit code 9"]);
}

fn one_that_leaves_the_pid_namespace(method: StartMethod) {
    refused(method, "unshare", ErrorKind::Preload, &["another pid namespace"]);
}

fn mended_by_the_next_start(method: StartMethod) {
    refused(method, "fail", ErrorKind::Preload, &[]);
    sys::set_variable(VARIABLE, "");
    value(start(method, nothing::call()));
}
