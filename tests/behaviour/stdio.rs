//! The standard streams of a child.

use std::fs::File;
use std::io::{Read, Seek, Write};

use offspring::{StartMethod, Stdio, child_task};
use offspring_tests::{Program, build, cases, run, start, sys, value, wait};

use crate::tasks::nothing;

cases! {
    here piped_both_ways;
    here piped_error_apart_from_output;
    here null;
    here a_file;
    here a_pipe_from_one_child_to_another;
    here input_is_empty_unless_asked_for;
    alone input_without_devices.as_root();
    here an_untaken_input_ends_at_the_join;
    here much_output_in_a_pipe;
    here inherited_output;
    here output_without_a_newline_is_not_lost;
    here what_was_printed_before_is_printed_once;
    here streams_are_taken_once;
}

/// A chroot or a container without devices.
fn input_without_devices(method: StartMethod) {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
    let private = nix::mount::MsFlags::MS_REC | nix::mount::MsFlags::MS_PRIVATE;
    nix::mount::mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
    nix::mount::mount(Some("none"), "/dev", Some("tmpfs"), nix::mount::MsFlags::empty(), None::<&str>).unwrap();
    assert!(File::open("/dev/null").is_err());
    assert_eq!(value(start(method, upper::call())), 0, "an empty input");
    let pool = offspring::get_context(method).unwrap().pool().workers(1).build().unwrap();
    assert_eq!(pool.submit(upper::call()).wait().unwrap(), 0);
}

#[child_task]
fn upper() -> usize {
    let text = std::io::read_to_string(std::io::stdin()).unwrap();
    print!("{}", text.to_uppercase());
    eprint!("{} bytes", text.len());
    text.len()
}

fn piped_both_ways(method: StartMethod) {
    let builder = build(method, upper::call()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = run(method, builder);
    let mut stdin = child.take_stdin().unwrap();
    stdin.write_all(b"some words").unwrap();
    drop(stdin);
    assert_eq!(wait::rest(&mut child.take_stdout().unwrap()), "SOME WORDS");
    assert_eq!(wait::rest(&mut child.take_stderr().unwrap()), "10 bytes");
    assert_eq!(value(child), 10);
}

fn piped_error_apart_from_output(method: StartMethod) {
    let mut child = run(method, build(method, upper::call()).stdout(Stdio::null()).stderr(Stdio::piped()));
    assert!(child.take_stdout().is_none());
    assert_eq!(wait::rest(&mut child.take_stderr().unwrap()), "0 bytes");
    value(child);
}

#[child_task]
fn targets() -> [String; 3] {
    [0, 1, 2].map(|number| std::fs::read_link(format!("/proc/self/fd/{number}")).unwrap().display().to_string())
}

fn null(method: StartMethod) {
    let builder = build(method, targets::call()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    assert_eq!(value(run(method, builder)), ["/dev/null"; 3]);
}

fn a_file(method: StartMethod) {
    let (mut input, mut output) = (sys::temporary_file(), sys::temporary_file());
    input.write_all(b"from a file").unwrap();
    input.rewind().unwrap();
    let builder = build(method, upper::call()).stdin(input).stdout(output.try_clone().unwrap()).stderr(Stdio::null());
    assert_eq!(value(run(method, builder)), 11);
    let mut text = String::new();
    output.rewind().unwrap();
    output.read_to_string(&mut text).unwrap();
    assert_eq!(text, "FROM A FILE");
}

fn a_pipe_from_one_child_to_another(method: StartMethod) {
    let (reader, writer) = std::io::pipe().unwrap();
    // The writer starts first, since under `fork` a later reader would inherit the writing end of this process.
    let first = run(method, build(method, print::call("abc".to_owned())).stdout(writer));
    let second = run(method, build(method, upper::call()).stdin(reader).stdout(Stdio::null()).stderr(Stdio::null()));
    value(first);
    assert_eq!(value(second), 3);
}

fn input_is_empty_unless_asked_for(method: StartMethod) {
    let [stdin, stdout, stderr] = value(start(method, targets::call()));
    let own = |number: u32| std::fs::read_link(format!("/proc/self/fd/{number}")).unwrap().display().to_string();
    assert_eq!((stdin, stdout, stderr), ("/dev/null".to_owned(), own(1), own(2)));
    let [stdin, ..] = value(run(method, build(method, targets::call()).stdin(Stdio::inherit())));
    assert_eq!(stdin, own(0));
}

fn an_untaken_input_ends_at_the_join(method: StartMethod) {
    let builder = build(method, upper::call()).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    assert_eq!(run(method, builder).join().unwrap(), 0);
}

#[child_task]
fn print(text: String) {
    print!("{text}");
}

fn much_output_in_a_pipe(method: StartMethod) {
    let text = "0123456789".repeat(100_000);
    let mut child = run(method, build(method, print::call(text.clone())).stdout(Stdio::piped()));
    assert!(wait::rest(&mut child.take_stdout().unwrap()) == text);
    value(child);
}

/// Prints, and lets a child print.
pub(crate) fn prints(method: StartMethod, arguments: &[String]) {
    match &*arguments[0] {
        "child" => value(start(method, print::call("of the child".to_owned()))),
        "partial line" => {
            print!("of the parent, ");
            sys::print_c(c"of its C library, ");
            value(start(method, print::call("of the child\n".to_owned())));
            value(start(method, nothing::call()));
        }
        other => panic!("{other}"),
    }
}

fn inherited_output(method: StartMethod) {
    let printed = Program::new("stdio::prints", method).args(["child"]).finish().succeeded();
    assert_eq!(printed, "of the child");
}

#[child_task]
fn print_c() {
    print!("Rust, ");
    sys::print_c(c"C");
}

fn output_without_a_newline_is_not_lost(method: StartMethod) {
    let mut child = run(method, build(method, print_c::call()).stdout(Stdio::piped()));
    let printed = wait::rest(&mut child.take_stdout().unwrap());
    assert!(printed == "Rust, C" || printed == "CRust, ", "{printed}");
    value(child);
}

fn what_was_printed_before_is_printed_once(method: StartMethod) {
    let printed = Program::new("stdio::prints", method).args(["partial line"]).finish().succeeded();
    for text in ["of the parent, ", "of its C library, ", "of the child\n"] {
        assert_eq!(printed.matches(text).count(), 1, "{printed}");
    }
}

fn streams_are_taken_once(method: StartMethod) {
    let mut child = run(method, build(method, nothing::call()).stdin(Stdio::piped()).stdout(Stdio::piped()));
    assert!(child.take_stdin().is_some() && child.take_stdin().is_none());
    assert!(child.take_stdout().is_some() && child.take_stdout().is_none());
    assert!(child.take_stderr().is_none());
    value(child);
    let closed: File = File::open("/dev/null").unwrap();
    value(run(method, build(method, nothing::call()).stdin(closed)));
}
