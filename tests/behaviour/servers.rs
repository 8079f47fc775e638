//! The life of the forkserver. The other start methods have no server.

use offspring::{ExitStatus, JoinErrorKind, StartMethod, Stdio, child_task};
use offspring_tests::{build, cases, procs, run, start, sys, value, wait};

use crate::tasks::{hanging, nothing, own_pid};

const NO_SERVER: &str = "has no server";

cases! {
    here one_for_all_children;
    alone terminal_signals_do_not_end_the_server.only_by_forkserver(NO_SERVER);
    alone a_killed_server_is_replaced.only_by_forkserver(NO_SERVER);
    alone children_outlive_their_server.only_by_forkserver(NO_SERVER);
    alone a_stopped_server_delays_a_start.only_by_forkserver(NO_SERVER);
    alone the_server_holds_no_stream_of_the_program;
    alone a_child_has_a_server_of_its_own;
    alone signals_of_a_child_do_not_hit_the_server;
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

fn terminal_signals_do_not_end_the_server(method: StartMethod) {
    value(start(method, nothing::call()));
    let before = server();
    for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGHUP, libc::SIGTSTP] {
        sys::kill(before as i32, signal);
        value(start(method, nothing::call()));
    }
    assert_eq!(server(), before);
}

fn a_killed_server_is_replaced(method: StartMethod) {
    value(start(method, nothing::call()));
    for signal in [libc::SIGKILL, libc::SIGTERM, libc::SIGUSR1] {
        let before = server();
        sys::kill(before as i32, signal);
        // The server may be dead, or about to die.
        value(start(method, nothing::call()));
        wait::until("the old server is reaped", || {
            offspring::active_children();
            procs::stat(before).is_none()
        });
        assert_ne!(server(), before);
    }
}

fn children_outlive_their_server(method: StartMethod) {
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

fn a_stopped_server_delays_a_start(method: StartMethod) {
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

/// The reader of a program's output must see the end of the output when the program closes the stream.
fn the_server_holds_no_stream_of_the_program(method: StartMethod) {
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

fn a_child_has_a_server_of_its_own(method: StartMethod) {
    let (child, parent_of_grandchild, servers) = value(start(method, grandchild::call()));
    assert_eq!(child, parent_of_grandchild);
    assert_eq!(servers.len(), usize::from(method == StartMethod::ForkServer));
    assert!(procs::servers_of(std::process::id()).iter().all(|server| !servers.contains(server)));
}

fn signals_of_a_child_do_not_hit_the_server(method: StartMethod) {
    value(start(method, nothing::call()));
    let before = procs::servers_of(std::process::id());
    let child = start(method, aborts::call());
    offspring_tests::failure(child);
    assert_eq!(procs::servers_of(std::process::id()), before);
    assert_eq!(value(start(method, threads::call())), 10);
}

/// After a raw clone these signals would hit the server, if the C library still had the server's thread id.
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
