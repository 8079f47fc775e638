//! The forkserver's own life; for the other methods, that there is none.

use offspring::{ExitStatus, JoinErrorKind, StartMethod, Stdio, child_task};
use offspring_tests::{build, cases, procs, run, start, sys, value, wait};

use crate::tasks::{hanging, nothing, own_pid};

const NO_SERVER: &str = "has no server";

cases! {
    here one_for_all_children;
    alone terminal_signals_do_not_end_it_row_31.except(StartMethod::Spawn, NO_SERVER).except(StartMethod::Fork, NO_SERVER);
    alone killed_it_is_replaced_row_31.except(StartMethod::Spawn, NO_SERVER).except(StartMethod::Fork, NO_SERVER);
    alone its_children_do_not_need_it_row_31.except(StartMethod::Spawn, NO_SERVER).except(StartMethod::Fork, NO_SERVER);
    alone stopped_it_delays_a_start.except(StartMethod::Spawn, NO_SERVER).except(StartMethod::Fork, NO_SERVER);
    alone it_holds_no_stream_of_the_program;
    alone children_of_its_children_have_another;
    alone signals_of_a_child_are_not_its_own;
}

fn server() -> u32 {
    let servers = procs::servers_of(std::process::id());
    assert_eq!(servers.len(), 1, "{servers:?}");
    servers[0]
}

fn one_for_all_children(method: StartMethod) {
    value(start(method, nothing::call()));
    let before = procs::servers_of(std::process::id());
    for _ in 0..5 {
        value(start(method, nothing::call()));
    }
    assert_eq!(procs::servers_of(std::process::id()), before);
}

fn terminal_signals_do_not_end_it_row_31(method: StartMethod) {
    value(start(method, nothing::call()));
    let before = server();
    for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGHUP, libc::SIGTSTP] {
        sys::kill(before as i32, signal);
        value(start(method, nothing::call()));
    }
    assert_eq!(server(), before);
}

fn killed_it_is_replaced_row_31(method: StartMethod) {
    value(start(method, nothing::call()));
    for signal in [libc::SIGKILL, libc::SIGTERM, libc::SIGUSR1] {
        let before = server();
        sys::kill(before as i32, signal);
        // Whether it is dead already or about to die makes no difference.
        value(start(method, nothing::call()));
        wait::until("the old server is reaped", || {
            offspring::active_children();
            procs::stat(before).is_none()
        });
        // A spare may have been there for the first start.
        value(start(method, nothing::call()));
        assert_ne!(server(), before);
    }
}

fn its_children_do_not_need_it_row_31(method: StartMethod) {
    let mut child = hanging(method);
    let mut quick = run(method, build(method, waits::call()).stdin(Stdio::piped()));
    sys::kill(server() as i32, libc::SIGKILL);
    wait::until("the server is dead", || procs::servers_of(std::process::id()).is_empty());
    assert!(child.is_alive() && child.try_join().unwrap().is_none());
    drop(quick.take_stdin());
    assert_eq!(quick.wait().unwrap(), std::process::id());
    assert_eq!(quick.exit_status(), Some(ExitStatus::Exited(0)));
    child.terminate().unwrap();
    let error = child.wait().unwrap_err();
    assert!(matches!(error.kind(), JoinErrorKind::Signaled(libc::SIGTERM)), "{error:?}");
}

#[child_task]
fn waits() -> u32 {
    std::io::read_to_string(std::io::stdin()).unwrap();
    std::os::unix::process::parent_id()
}

fn stopped_it_delays_a_start(method: StartMethod) {
    value(start(method, nothing::call()));
    let server = server();
    sys::kill(server as i32, libc::SIGSTOP);
    wait::until("the server is stopped", || procs::stat(server).unwrap().state == 'T');
    let starting = std::thread::spawn(move || {
        let child = start(method, own_pid::call());
        (child.pid(), value(child))
    });
    wait::until("the start waits for the server", || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        tasks.filter_map(Result::ok).any(|task| {
            let call = std::fs::read_to_string(task.path().join("syscall")).unwrap_or_default();
            task.file_name().to_str() != Some(&std::process::id().to_string()) && !call.starts_with("running")
        })
    });
    sys::kill(server as i32, libc::SIGCONT);
    let (told, seen) = starting.join().unwrap();
    assert_eq!(told, seen);
}

/// Who reads a program's output must see its end when the program closes it.
fn it_holds_no_stream_of_the_program(method: StartMethod) {
    value(start(method, nothing::call()));
    for server in procs::servers_of(std::process::id()) {
        for stream in [0, 1, 2] {
            let target = std::fs::read_link(format!("/proc/{server}/fd/{stream}")).unwrap();
            assert_eq!(target, std::path::Path::new("/dev/null"), "stream {stream}");
        }
    }
}

#[child_task]
fn grandchild() -> (u32, u32, Vec<u32>) {
    let method = offspring::get_start_method();
    let parent = value(start(method, parent::call()));
    (std::process::id(), parent, procs::servers_of(std::process::id()))
}

#[child_task]
fn parent() -> u32 {
    std::os::unix::process::parent_id()
}

fn children_of_its_children_have_another(method: StartMethod) {
    let (child, parent_of_grandchild, servers) = value(start(method, grandchild::call()));
    assert_eq!(child, parent_of_grandchild);
    assert_eq!(servers.len(), usize::from(method == StartMethod::ForkServer));
    assert!(procs::servers_of(std::process::id()).iter().all(|server| !servers.contains(server)));
}

fn signals_of_a_child_are_not_its_own(method: StartMethod) {
    value(start(method, nothing::call()));
    let before = procs::servers_of(std::process::id());
    let child = start(method, aborts::call());
    offspring_tests::failure(child);
    assert_eq!(procs::servers_of(std::process::id()), before);
    assert_eq!(value(start(method, threads::call())), 10);
}

/// With a raw clone these would hit the server, were its thread's id not mended.
#[child_task]
fn aborts() {
    std::thread::spawn(|| {}).join().unwrap();
    std::process::abort()
}

#[child_task]
fn threads() -> u32 {
    let threads: Vec<_> = (0..5).map(|n| std::thread::spawn(move || n)).collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).sum()
}
