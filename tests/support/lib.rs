//! What the tests share: a harness that runs each case under every start method, and looks at processes from outside.
//!
//! ```text
//!   behaviour                       the harness: several cases at once, each in another process
//!   behaviour --runner              runs cases for the harness on its only thread, as `fork` needs one
//!   behaviour --case NAME METHOD    one case that changes its process, in a process of its own
//!   behaviour --program NAME METHOD a program that a case watches from outside, kills, or traces to its end
//!   behaviour --states PID          prints a process and its descendants
//! ```
//!
//! Cases wait for events (a line, a pidfd), or for a state that `/proc` tells; never for time to pass. Every wait has a
//! deadline; what is found at its end is printed with the states of all processes concerned.

#![allow(clippy::missing_panics_doc, reason = "a helper of tests panics where the test has failed")]

pub mod case;
pub mod ends;
pub mod procs;
pub mod program;
pub mod random;
mod runner;
pub mod sys;
pub mod wait;

use std::process::ExitCode;

use offspring::{Process, ProcessBuilder, StartMethod, get_context};

pub use case::{Case, Suite};
pub use program::{Ended, Program, Running};

/// The methods under test.
pub const METHODS: [StartMethod; 3] = [StartMethod::Spawn, StartMethod::Fork, StartMethod::ForkServer];

/// Starts a child by `method`, and sees to it that it was that one.
#[track_caller]
pub fn start<T>(method: StartMethod, call: offspring::Call<T>) -> Process<T> {
    run(method, build(method, call))
}

/// A builder for a child by `method`.
#[track_caller]
pub fn build<T>(method: StartMethod, call: offspring::Call<T>) -> ProcessBuilder<T> {
    get_context(method).unwrap_or_else(|error| panic!("no context for {method}: {error:?}")).process(call)
}

/// Starts what a builder describes, and sees to it that it was started by `method`.
#[track_caller]
pub fn run<T>(method: StartMethod, builder: ProcessBuilder<T>) -> Process<T> {
    let child = builder.start().unwrap_or_else(|error| panic!("cannot start by {method}: {error:?}"));
    assert_eq!(child.start_method(), method);
    child
}

/// The value of a child's task, within the usual deadline.
#[track_caller]
pub fn value<T>(mut child: Process<T>) -> T {
    match child.join_timeout(wait::LIMIT) {
        Ok(Some(value)) => value,
        Ok(None) => wait::expired("a child has not ended"),
        Err(error) => panic!("no value: {error:?}"),
    }
}

/// How a child failed, within the usual deadline.
#[track_caller]
pub fn failure<T: std::fmt::Debug>(mut child: Process<T>) -> offspring::JoinError {
    match child.join_timeout(wait::LIMIT) {
        Ok(Some(value)) => panic!("a value where a failure was to be: {value:?}"),
        Ok(None) => wait::expired("a child has not ended"),
        Err(error) => error,
    }
}

/// Why a start was refused.
#[track_caller]
pub fn get_error<T>(started: Result<Process<T>, offspring::Error>) -> offspring::Error {
    match started {
        Ok(child) => panic!("a start that was to be refused: {child:?}"),
        Err(error) => error,
    }
}

/// Hides `/proc` from this process and its children to come.
pub fn hidden_proc() {
    use nix::mount::{MsFlags, mount};
    let none = None::<&str>;
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).expect("a mount namespace");
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("private mounts");
    mount(Some("none"), "/proc", Some("tmpfs"), MsFlags::empty(), none).expect("a mount on /proc");
}

/// Takes [`hidden_proc`] back.
pub fn shown_proc() {
    nix::mount::umount("/proc").expect("an unmount of /proc");
}

/// Does what the program's arguments say; see above.
pub fn main(suites: &'static [Suite], programs: &'static [program::Entry]) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [flag, name, method] if flag == "--case" => case::run_alone(suites, name, parse(method)),
        [flag, name, method, rest @ ..] if flag == "--program" => program::enter(programs, name, parse(method), rest),
        [flag] if flag == runner::FLAG => case::serve(suites),
        [flag, pid] if flag == "--states" => {
            eprint!("{}", procs::tree(pid.parse().expect("a pid")));
            ExitCode::SUCCESS
        }
        _ => case::run_all(suites),
    }
}

fn parse(method: &str) -> StartMethod {
    method.parse().expect("a start method")
}
