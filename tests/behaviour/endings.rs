//! The end of a program, and the end of a child: the awaited processes, and the code that still runs.

use std::time::Duration;

use offspring::{ExitStatus, StartMethod, Stdio, child_task};
use offspring_tests::{Program, build, cases, procs, program, run, start, sys, value, wait};

use crate::tasks::{begun, come_back_twice, forever, hang, nothing};

cases! {
    here children_are_joined_at_the_end_of_main;
    here children_are_joined_after_a_panic_of_main;
    here daemons_are_terminated_at_the_end_of_main;
    here a_daemon_that_does_not_listen_is_killed;
    here a_child_joins_its_own_children;
    here exit_handlers;
    here destructors_of_thread_locals;
    here exit_handlers_of_the_parent_do_not_run;
    here threads_of_a_task_end_with_it;
    here a_thread_that_holds_the_output_is_not_waited_for;
    here output_beside_threads_is_written_out;
    here pipes_end_with_the_handle;
    here a_copy_that_comes_back_from_a_task_ends;
    here counts_for_coverage_are_written;
    here destructors_of_the_parent_do_not_run;
}

#[child_task]
fn say_when_told() {
    std::io::read_to_string(std::io::stdin()).unwrap();
    program::say("the child has ended");
}

#[child_task]
fn hang_deaf() {
    sys::on_signal(libc::SIGTERM, sys::Disposition::Ignore);
    program::say("ready");
    forever()
}

extern "C" fn parent_handler() {
    println!("exit handler of {}", if offspring::parent_process().is_some() { "a child" } else { "the parent" });
}

struct Loud;

impl Drop for Loud {
    fn drop(&mut self) {
        println!("destructor");
    }
}

fn a_copy_that_comes_back_from_a_task_ends(method: StartMethod) {
    for panics in [false, true] {
        let builder = build(method, come_back_twice::call(panics)).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = run(method, builder);
        let errors = wait::rest(&mut child.take_stderr().unwrap());
        assert_eq!(value(child), 125 << 8, "{errors}");
        let messages: Vec<&str> = errors.lines().filter(|line| line.starts_with("offspring: ")).collect();
        assert!(
            messages.len() == 1 && messages[0].contains("tasks::come_back_twice` has copied its process"),
            "{errors}"
        );
    }
}

/// Each process writes once. A copy writes to a file of its own, and begins its counts at zero.
fn counts_for_coverage_are_written(method: StartMethod) {
    if cfg!(coverage) {
        // The program has the real runtime.
        return;
    }
    let notes = std::env::temp_dir().join(format!("offspring-counts-{}", std::process::id()));
    std::fs::File::create(&notes).unwrap();
    let program = Program::of(std::process::Command::new(env!("CARGO_BIN_EXE_counted"))).args([method.as_str()]);
    let ended = program.env("NOTES", &notes).env("LLVM_PROFILE_FILE", "counts-%p.profraw").finish();
    let written = std::fs::read_to_string(&notes).unwrap();
    std::fs::remove_file(notes).unwrap();
    let children = ended.succeeded();
    for pid in children.split_whitespace() {
        let lines: Vec<&str> = written.lines().filter(|line| line.starts_with(&format!("{pid} "))).collect();
        if method == StartMethod::Spawn {
            assert_eq!(lines, [format!("{pid} 0 ")], "by the exit handler: {written}");
        } else {
            assert!(lines.len() == 1 && lines[0].ends_with(&format!(" counts-{pid}.profraw")), "{pid}: {written}");
            assert!(!lines[0].starts_with(&format!("{pid} 0 ")), "not at zero: {written}");
        }
    }
    assert_eq!(children.split_whitespace().count(), 3);
}

/// Ends `main` while children run.
pub(crate) fn ends(method: StartMethod, arguments: &[String]) {
    match &*arguments[0] {
        how @ ("return" | "panic") => {
            let mut child = run(method, build(method, say_when_told::call()).stdin(Stdio::piped()));
            let stdin = child.take_stdin();
            drop(child);
            program::say("main has ended");
            drop(stdin);
            assert!(how == "return", "main panics");
        }
        "unfed" => drop(run(method, build(method, say_when_told::call()).stdin(Stdio::piped()))),
        "forgotten" => std::mem::forget(run(method, build(method, say_when_told::call()).stdin(Stdio::piped()))),
        "unread" => drop(run(method, build(method, prints_much::call()).stdout(Stdio::piped()))),
        "daemon" => {
            let child = begun(method, build(method, hang::call()).daemon(true));
            program::say(child.pid());
        }
        "deaf daemon" => {
            let child = begun(method, build(method, hang_deaf::call()).daemon(true));
            program::say(child.pid());
        }
        "handlers" => {
            sys::at_exit(parent_handler);
            value(start(method, nothing::call()));
        }
        "destructors" => {
            let _loud = Loud;
            value(start(method, nothing::call()));
        }
        other => panic!("{other}"),
    }
}

fn children_are_joined_at_the_end_of_main(method: StartMethod) {
    let printed = Program::new("endings::ends", method).args(["return"]).finish().succeeded();
    assert_eq!(printed, "main has ended\nthe child has ended\n");
}

fn children_are_joined_after_a_panic_of_main(method: StartMethod) {
    let ended = Program::new("endings::ends", method).args(["panic"]).finish();
    assert_eq!(ended.code(), 101, "{ended:?}");
    assert_eq!(ended.stdout, "main has ended\nthe child has ended\n");
}

fn daemons_are_terminated_at_the_end_of_main(method: StartMethod) {
    let mut program = Program::new("endings::ends", method).args(["daemon"]).start();
    let daemon = program.numbers()[0];
    program.finish().succeeded();
    assert!(!procs::is_alive(daemon));
}

fn a_daemon_that_does_not_listen_is_killed(method: StartMethod) {
    let mut program = Program::new("endings::ends", method).args(["deaf daemon"]).start();
    let daemon = program.numbers()[0];
    program.finish().succeeded();
    assert!(!procs::is_alive(daemon));
}

#[child_task]
fn leaves_a_child_behind() -> u32 {
    let method = offspring::get_start_method();
    let mut child = run(method, build(method, say_when_told::call()).stdin(Stdio::piped()));
    // From here on the child can end.
    drop(child.take_stdin());
    child.pid()
}

fn a_child_joins_its_own_children(method: StartMethod) {
    let mut child = run(method, build(method, leaves_a_child_behind::call()).stdout(Stdio::piped()));
    let mut stdout = child.take_stdout().unwrap();
    let grandchild = child.join_timeout(wait::LIMIT).unwrap().unwrap();
    assert!(!procs::is_alive(grandchild));
    assert_eq!(wait::rest(&mut stdout), "the child has ended\n");
    assert_eq!(child.exit_status(), Some(ExitStatus::Exited(0)));
}

extern "C" fn child_handler() {
    println!("exit handler");
}

#[child_task]
fn with_an_exit_handler() {
    sys::at_exit(child_handler);
    print!("no newline; ");
}

fn exit_handlers(method: StartMethod) {
    let mut child = run(method, build(method, with_an_exit_handler::call()).stdout(Stdio::piped()));
    let printed = wait::rest(&mut child.take_stdout().unwrap());
    value(child);
    // A copy runs no exit handlers, since its original's handlers are among them.
    let spawned = method == StartMethod::Spawn;
    assert_eq!(printed, if spawned { "no newline; exit handler\n" } else { "no newline; " });
}

#[child_task]
fn with_a_thread_local() {
    thread_local!(static LOUD: Loud = const { Loud });
    LOUD.with(|_| ());
}

/// The C library runs those of the main thread at the exit of a program. A copy exits without.
fn destructors_of_thread_locals(method: StartMethod) {
    let mut child = run(method, build(method, with_a_thread_local::call()).stdout(Stdio::piped()));
    let printed = wait::rest(&mut child.take_stdout().unwrap());
    value(child);
    let run = method == StartMethod::Spawn && cfg!(target_env = "gnu");
    assert_eq!(printed, if run { "destructor\n" } else { "" });
}

fn exit_handlers_of_the_parent_do_not_run(method: StartMethod) {
    let printed = Program::new("endings::ends", method).args(["handlers"]).finish().succeeded();
    assert_eq!(printed, "exit handler of the parent\n");
}

fn destructors_of_the_parent_do_not_run(method: StartMethod) {
    let printed = Program::new("endings::ends", method).args(["destructors"]).finish().succeeded();
    assert_eq!(printed, "destructor\n");
}

#[child_task]
fn leaves_a_thread_behind() -> u8 {
    std::thread::spawn(|| forever());
    5
}

/// Threads end with the child's task, as in any Rust program. In Python, the child waits for its threads.
fn threads_of_a_task_end_with_it(method: StartMethod) {
    let mut child = start(method, leaves_a_thread_behind::call());
    assert_eq!(child.join_timeout(Duration::from_secs(10)).unwrap(), Some(5));
}

#[child_task]
fn leaves_the_output_locked() -> u8 {
    let (hold, held) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _output = std::io::stdout().lock();
        hold.send(()).unwrap();
        forever()
    });
    held.recv().unwrap();
    5
}

fn a_thread_that_holds_the_output_is_not_waited_for(method: StartMethod) {
    let mut child = start(method, leaves_the_output_locked::call());
    assert_eq!(child.join_timeout(wait::LIMIT).unwrap(), Some(5));
}

#[child_task]
fn prints_beside_a_thread() {
    std::thread::spawn(|| forever());
    print!("no newline");
    sys::print_c(c", nor here");
}

fn output_beside_threads_is_written_out(method: StartMethod) {
    let mut child = run(method, build(method, prints_beside_a_thread::call()).stdout(Stdio::piped()));
    assert_eq!(wait::rest(&mut child.take_stdout().unwrap()), "no newline, nor here");
    value(child);
}

#[child_task]
fn prints_much() {
    use std::io::Write;
    // More bytes than a pipe holds.
    let written = std::io::stdout().write_all(&[b'x'; 1 << 20]);
    eprintln!("{:?}", written.unwrap_err().kind());
}

fn pipes_end_with_the_handle(method: StartMethod) {
    for how in ["unfed", "forgotten"] {
        let printed = Program::new("endings::ends", method).args([how]).finish().succeeded();
        assert_eq!(printed, "the child has ended\n", "{how}");
    }
    let ended = Program::new("endings::ends", method).args(["unread"]).finish();
    assert_eq!((ended.code(), &*ended.stderr), (0, "BrokenPipe\n"));
}
