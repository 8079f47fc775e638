//! The variable that makes a process a child. A forged variable ends the process before `main`.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::Command;

use offspring::{StartMethod, child_task};
use offspring_tests::{Program, cases, program, start, sys, value};

const VARIABLE: &str = "OFFSPRING_BOOTSTRAP";
const ONE_WAY: &str = "is the same for all, since it is the program's entrance";

cases! {
    here a_wrong_text.except(StartMethod::Fork, ONE_WAY).except(StartMethod::ForkServer, ONE_WAY);
    here although_standard_error_is_full.except(StartMethod::Fork, ONE_WAY).except(StartMethod::ForkServer, ONE_WAY);
    here no_descriptor.except(StartMethod::Fork, ONE_WAY).except(StartMethod::ForkServer, ONE_WAY);
    here a_file_for_a_link.except(StartMethod::Fork, ONE_WAY).except(StartMethod::ForkServer, ONE_WAY);
    here another_socket_for_a_link.except(StartMethod::Fork, ONE_WAY).except(StartMethod::ForkServer, ONE_WAY);
    here an_unintelligible_order.except(StartMethod::Fork, ONE_WAY).except(StartMethod::ForkServer, ONE_WAY);
    here no_process_at_the_other_end.except(StartMethod::Fork, ONE_WAY).except(StartMethod::ForkServer, ONE_WAY);
    here a_link_of_another_process.except(StartMethod::Fork, ONE_WAY).except(StartMethod::ForkServer, ONE_WAY);
    here without_the_variable_main_runs;
}

/// Shows that `main` runs.
pub(crate) fn marker(_: StartMethod, _: &[String]) {
    program::say("main has run");
}

/// Returns the environment at the exec, from the kernel, which still shows a variable that the library has removed.
#[child_task]
fn environment_of_execution() -> Vec<u8> {
    std::fs::read("/proc/self/environ").unwrap()
}

/// Returns a correct value of the variable, as in a real child.
fn token() -> String {
    let environment = value(start(StartMethod::Spawn, environment_of_execution::call()));
    let text = String::from_utf8_lossy(&environment).into_owned();
    let mut variables = text.split('\0');
    variables
        .find_map(|entry| Some(entry.strip_prefix(VARIABLE)?.strip_prefix('=')?.to_owned()))
        .expect("the variable of a child")
}

#[track_caller]
fn forged(text: &str, descriptor: Option<OwnedFd>) -> program::Ended {
    let mut command = Command::new(program::own_path());
    sys::at_descriptor_3(&mut command, descriptor);
    let ended = Program::by(command, "bootstrap::marker", StartMethod::Spawn).env(VARIABLE, text).finish();
    assert_eq!(ended.code(), 125, "{ended:?}");
    assert_eq!(ended.stdout, "", "main has run");
    ended
}

/// Checks that the program ends with a message that contains the text.
#[track_caller]
fn says(ended: &program::Ended, text: &str) {
    assert!(ended.stderr.starts_with("offspring: ") && ended.stderr.contains(text), "{:?}", ended.stderr);
}

/// Ends the process although the message cannot be written.
fn although_standard_error_is_full(_: StartMethod) {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(program::own_path());
    command.args(["--program", "bootstrap::marker", "spawn"]).env(VARIABLE, "forged").stderr(full);
    let ended = command.output().unwrap();
    assert_eq!(ended.status.code(), Some(125));
    assert!(ended.stdout.is_empty(), "main has run");
}

fn a_wrong_text(_: StartMethod) {
    let right = token();
    for wrong in [
        "",
        "1",
        "1 3",
        "0 3 0000000000000000",
        &right.to_uppercase(),
        &format!("{right} "),
        &right.replacen('3', "4", 1),
    ] {
        if wrong != right {
            says(&forged(wrong, None), "was not set by this very program");
        }
    }
}

fn no_descriptor(_: StartMethod) {
    says(&forged(&token(), None), "descriptor 3 is not open");
}

fn a_file_for_a_link(_: StartMethod) {
    says(&forged(&token(), Some(File::open("/dev/null").unwrap().into())), "is not the socket of a parent");
    says(&forged(&token(), Some(sys::temporary_file().into())), "is not the socket of a parent");
}

fn another_socket_for_a_link(_: StartMethod) {
    let (stream, _peer) = sys::socket_pair(libc::SOCK_STREAM);
    says(&forged(&token(), Some(stream)), "is not the socket of a parent");
    let (datagram, _peer) = sys::socket_pair(libc::SOCK_DGRAM);
    says(&forged(&token(), Some(datagram)), "is not the socket of a parent");
}

fn an_unintelligible_order(_: StartMethod) {
    for message in [&b"hello"[..], &[0; 24], &[255; 1000], b"OFS1\x10\0\0\0\x05\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0hello"] {
        let (theirs, ours) = sys::socket_pair(libc::SOCK_SEQPACKET);
        sys::send(&ours, message);
        let ended = forged(&token(), Some(theirs));
        assert!(ended.stderr.starts_with("offspring: "), "{message:?}: {:?}", ended.stderr);
    }
}

fn no_process_at_the_other_end(_: StartMethod) {
    let (theirs, ours) = sys::socket_pair(libc::SOCK_SEQPACKET);
    drop(ours);
    forged(&token(), Some(theirs));
}

/// Runs a program with a link of this process, which is not the parent of the program.
#[child_task]
fn forge(token: String) -> (i32, String, String) {
    let (theirs, _ours) = sys::socket_pair(libc::SOCK_SEQPACKET);
    let program = program::own_path();
    let mut command = Command::new("/bin/sh");
    // The shell between makes this process a grandparent, and waits, so that the shell stays the parent.
    command.args(["-c", "\"$0\" --program bootstrap::marker spawn; exit $?"]).arg(program);
    sys::at_descriptor_3(&mut command, Some(theirs));
    let ended = Program::of(command).env(VARIABLE, token).finish();
    (ended.code(), ended.stdout, ended.stderr)
}

fn a_link_of_another_process(_: StartMethod) {
    let (code, stdout, stderr) = value(start(StartMethod::Spawn, forge::call(token())));
    assert_eq!((code, &*stdout), (125, ""));
    assert!(stderr.contains("is not that of the parent process"), "{stderr}");
}

fn without_the_variable_main_runs(method: StartMethod) {
    assert_eq!(Program::new("bootstrap::marker", method).finish().succeeded(), "main has run\n");
}
