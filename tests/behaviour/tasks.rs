//! Tasks that several topics use.

use std::os::unix::process::CommandExt;
use std::time::Duration;

use offspring::{Call, Process, ProcessBuilder, StartMethod, Stdio, child_task};
use offspring_tests::{build, program, run, sys, wait};

/// Does nothing.
#[child_task]
pub(crate) fn nothing() {}

/// Doubles the number.
#[child_task]
pub(crate) fn double(n: u64) -> u64 {
    2 * n
}

/// Returns the child's own process id.
#[child_task]
pub(crate) fn own_pid() -> u32 {
    std::process::id()
}

/// Prints `ready` and never ends by itself.
#[child_task]
pub(crate) fn hang() {
    program::say("ready");
    forever()
}

/// Ends the process.
#[child_task]
pub(crate) fn exit(code: i32) {
    std::process::exit(code)
}

/// Ends by a signal.
#[child_task]
pub(crate) fn die(signal: i32) {
    sys::die_by(signal)
}

/// Copies the process, and comes back from the task in both. Returns the exit status of the copy to the original, and
/// nonsense to the copy, or panics there.
#[child_task]
pub(crate) fn come_back_twice(panics: bool) -> i32 {
    match sys::fork_and_return() {
        Some(copy) => sys::reap(copy),
        None if panics => panic!("in the copy"),
        None => -1,
    }
}

/// Says `ready`, and executes a program in place of the task.
#[child_task]
pub(crate) fn execute(program: String, arguments: Vec<String>) {
    program::say("ready");
    let error = std::process::Command::new(program).args(arguments).exec();
    panic!("not executed: {error}");
}

/// A call whose task executes a program that sleeps for ten minutes.
pub(crate) fn execute_idler() -> Call<()> {
    execute::call("/bin/sleep".to_owned(), vec!["600".to_owned()])
}

/// Panics.
#[child_task]
pub(crate) fn panic(text: String) {
    panic!("{text}")
}

/// Returns the lines of `/proc/self/status` by key.
#[child_task]
pub(crate) fn status(keys: Vec<String>) -> Vec<String> {
    let lines = keys.iter().map(|key| offspring_tests::procs::status("self", key));
    lines.collect()
}

/// Sleeps for ever.
pub(crate) fn forever() -> ! {
    loop {
        std::thread::park_timeout(Duration::MAX);
    }
}

/// Starts a child that runs until ended, and returns after its `ready`.
#[track_caller]
pub(crate) fn hanging(method: StartMethod) -> Process<()> {
    begun(method, build(method, hang::call()))
}

/// The same with options.
#[track_caller]
pub(crate) fn begun(method: StartMethod, builder: ProcessBuilder<()>) -> Process<()> {
    let mut child = run(method, builder.stdout(Stdio::piped()));
    let mut stdout = child.take_stdout().expect("a piped stream");
    match wait::line(&mut stdout) {
        Some(line) => assert_eq!(line, "ready"),
        None => panic!("the child has not begun: {:?}", child.join()),
    }
    child
}
