//! The open descriptors of a child: streams, link, lifeline, and given descriptors.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};

use offspring::{Fd, JoinErrorKind, StartMethod, Stdio, child_task, get_context};
use offspring_tests::{build, cases, failure, procs, run, start, sys, value, wait};

use crate::tasks::{execute, hanging, nothing};

cases! {
    here nothing_but_its_own;
    here siblings_do_not_show;
    here handles_of_siblings_do_not_show;
    here taken_streams_of_siblings_do_not_show;
    alone taken_streams_do_not_show_in_a_pool;
    here a_taken_stream_can_be_passed_on;
    here the_number_of_a_taken_stream_may_be_another_files
        .except(StartMethod::Spawn, "inherits no files")
        .except(StartMethod::ForkServer, "inherits no files");
    here an_inheritable_descriptor;
    here streams_alone_are_given;
    here a_program_that_a_task_executes
        .except(StartMethod::Fork, "a copy passes on the inheritable descriptors of its original");
    here big_arguments_leave_nothing_open;
    alone descriptors_are_not_lost_with_many_children;
    alone with_standard_streams_closed;
    alone with_every_number_below_ten_taken;
    alone without_close_range;
    alone where_a_filter_refuses_close_range;
}

#[child_task]
fn open() -> BTreeMap<i32, String> {
    procs::descriptors()
}

/// Returns the child's descriptors without its streams and without a copy's inherited descriptors, which were `before`.
#[track_caller]
fn own_of_child(
    method: StartMethod,
    open: &BTreeMap<i32, String>,
    before: &BTreeMap<i32, String>,
) -> BTreeMap<String, usize> {
    let mut own: BTreeMap<i32, String> = open.clone().into_iter().filter(|(number, _)| *number > 2).collect();
    if method == StartMethod::Fork {
        own.retain(|number, target| before.get(number) != Some(target));
    }
    procs::kinds(&own)
}

fn link_and_lifeline() -> BTreeMap<String, usize> {
    BTreeMap::from([("pipe".to_owned(), 1), ("socket".to_owned(), 1)])
}

fn nothing_but_its_own(method: StartMethod) {
    let before = procs::descriptors();
    let open = value(start(method, open::call()));
    assert_eq!(open[&0], "/dev/null");
    assert_eq!(own_of_child(method, &open, &before), link_and_lifeline(), "{open:?}");
}

fn siblings_do_not_show(method: StartMethod) {
    let alone = value(start(method, open::call()));
    let siblings: Vec<_> = (0..5).map(|_| hanging(method)).collect();
    let among_others = value(start(method, open::call()));
    assert_eq!(procs::kinds(&among_others), procs::kinds(&alone), "{among_others:?}");
    for sibling in siblings {
        sibling.kill().unwrap();
        failure(sibling);
    }
}

#[child_task]
fn wait_for_end_of_input() {
    std::io::read_to_string(std::io::stdin()).unwrap();
}

/// A pipe reaches its end when this process closes the pipe, even if a sibling was started meanwhile.
fn handles_of_siblings_do_not_show(method: StartMethod) {
    let mut reader = run(method, build(method, wait_for_end_of_input::call()).stdin(Stdio::piped()));
    let sibling = hanging(method);
    drop(reader.take_stdin());
    value(reader);
    sibling.kill().unwrap();
    failure(sibling);
}

#[child_task]
fn write_until_refused() {
    use std::io::Write;
    while std::io::stdout().write_all(&[b'.'; 1000]).is_ok() {}
}

/// The same for ends that this process has taken from their handles, in both directions.
fn taken_streams_of_siblings_do_not_show(method: StartMethod) {
    let mut reader = run(method, build(method, wait_for_end_of_input::call()).stdin(Stdio::piped()));
    let mut writer = run(method, build(method, write_until_refused::call()).stdout(Stdio::piped()));
    let ends = (reader.take_stdin().unwrap(), writer.take_stdout().unwrap());
    let sibling = hanging(method);
    drop(ends);
    value(reader);
    value(writer);
    assert!(sibling.is_alive());
    sibling.kill().unwrap();
    failure(sibling);
}

/// Workers are copies of this process from when the pool was made, under `fork`.
fn taken_streams_do_not_show_in_a_pool(method: StartMethod) {
    let mut reader = run(method, build(method, wait_for_end_of_input::call()).stdin(Stdio::piped()));
    let stdin = reader.take_stdin();
    let pool = get_context(method).unwrap().pool().workers(2).build().unwrap();
    drop(stdin);
    value(reader);
    pool.join().unwrap();
}

#[child_task]
fn read_all() -> String {
    std::io::read_to_string(std::io::stdin()).unwrap()
}

#[child_task]
fn greet(to: Fd<std::io::PipeWriter>) {
    use std::io::Write;
    print!("by the stream, ");
    to.into_inner().write_all(b"by the argument").unwrap();
}

/// As the stream and as an argument of a sibling: both copies are meant.
fn a_taken_stream_can_be_passed_on(method: StartMethod) {
    let mut reader = run(method, build(method, read_all::call()).stdin(Stdio::piped()));
    let stdin = reader.take_stdin().unwrap();
    let again = Fd::new(stdin.try_clone().unwrap());
    value(run(method, build(method, greet::call(again)).stdout(stdin)));
    let read = value(reader);
    assert!(read.contains("by the stream") && read.contains("by the argument"), "{read}");
}

fn the_number_of_a_taken_stream_may_be_another_files(method: StartMethod) {
    let mut reader = run(method, build(method, wait_for_end_of_input::call()).stdin(Stdio::piped()));
    let stdin = reader.take_stdin().unwrap();
    let number = stdin.as_raw_fd();
    drop(stdin);
    value(reader);
    let files: [fn() -> OwnedFd; 2] =
        [|| File::open("/dev/zero").unwrap().into(), || std::io::pipe().unwrap().1.into()];
    for open_file in files {
        let file = open_file();
        let moved = (file.as_raw_fd() != number).then(|| sys::duplicate_inheritable(&file, number));
        let before = procs::descriptors();
        assert_eq!(value(start(method, open::call()))[&number], before[&number]);
        drop((file, moved));
    }
}

#[child_task]
fn is_50_open() -> bool {
    sys::is_open(50)
}

fn an_inheritable_descriptor(method: StartMethod) {
    let held = sys::duplicate_inheritable(&File::open("/dev/zero").unwrap(), 50);
    assert_eq!(value(start(method, is_50_open::call())), method == StartMethod::Fork);
    drop(held);
}

fn streams_alone_are_given(method: StartMethod) {
    let before = procs::descriptors();
    let mut child =
        run(method, build(method, open::call()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()));
    let open = child.join_timeout(offspring_tests::wait::LIMIT).unwrap().unwrap();
    assert_eq!(own_of_child(method, &open, &before), link_and_lifeline(), "{open:?}");
    assert!((0..3).all(|stream| open[&stream].starts_with("pipe:")), "{open:?}");
}

/// The program has the streams and the lifeline, but not the link.
fn a_program_that_a_task_executes(method: StartMethod) {
    let list = execute::call("/bin/ls".to_owned(), vec!["-l".to_owned(), "/proc/self/fd".to_owned()]);
    let mut child = run(method, build(method, list).stdout(Stdio::piped()).stderr(Stdio::null()));
    let printed = wait::rest(&mut child.take_stdout().unwrap());
    let error = failure(child);
    assert!(matches!(error.kind(), JoinErrorKind::Exited(0)), "{error:?}");
    let open: Vec<&str> = printed.lines().filter_map(|line| line.split(" -> ").nth(1)).collect();
    let kinds = |kind: &str| open.iter().filter(|target| target.starts_with(kind)).count();
    // The output is a pipe too, and the last is the directory that the program reads.
    assert_eq!((kinds("/dev/null"), kinds("pipe:"), kinds("/proc/"), open.len()), (2, 2, 1, 5), "{printed}");
}

#[child_task]
fn open_beside(bytes: Vec<u8>) -> BTreeMap<i32, String> {
    assert_eq!(bytes.len(), 1 << 20);
    procs::descriptors()
}

fn big_arguments_leave_nothing_open(method: StartMethod) {
    let open = value(start(method, open_beside::call(vec![1; 1 << 20])));
    let mut kinds = procs::kinds(&open.into_iter().filter(|(number, _)| *number > 2).collect());
    kinds.retain(|kind, _| kind.contains("memfd:offspring"));
    // Payloads are mapped, or belong to the caller.
    assert!(kinds.values().sum::<usize>() <= 1, "{kinds:?}");
}

fn descriptors_are_not_lost_with_many_children(method: StartMethod) {
    value(start(method, nothing::call()));
    let before = procs::kinds(&procs::descriptors());
    for _ in 0..30 {
        value(run(method, build(method, nothing::call()).stdout(Stdio::piped()).current_dir("/")));
    }
    let children: Vec<_> = (0..10).map(|_| start(method, nothing::call())).collect();
    children.into_iter().for_each(value);
    assert_eq!(procs::kinds(&procs::descriptors()), before);
}

fn with_standard_streams_closed(method: StartMethod) {
    [0, 1, 2].into_iter().for_each(sys::close_stream);
    for _ in 0..2 {
        let before = procs::descriptors();
        let open = value(start(method, open::call()));
        assert_eq!(own_of_child(method, &open, &before), link_and_lifeline(), "{open:?}");
    }
    // The same with descriptors received by this process: the pidfds and lifelines of running children.
    let held: Vec<_> = (0..3).map(|_| hanging(method)).collect();
    for stream in [0, 1, 2] {
        assert!(!sys::is_open(stream), "the library must not land on a standard stream: {:?}", procs::descriptors());
    }
    for child in held {
        child.kill().unwrap();
        failure(child);
    }
    let mut child = run(method, build(method, crate::tasks::hang::call()).stdout(Stdio::piped()));
    let line = offspring_tests::wait::line(&mut child.take_stdout().unwrap());
    assert_eq!(line.as_deref(), Some("ready"));
    child.kill().unwrap();
    failure(child);
}

fn with_every_number_below_ten_taken(method: StartMethod) {
    let zero = File::open("/dev/zero").unwrap();
    let held: Vec<_> = (3..20)
        .filter(|number| !sys::is_open(*number))
        .map(|number| sys::duplicate_inheritable(&zero, number))
        .collect();
    let before = procs::descriptors();
    let open = value(start(method, open::call()));
    assert_eq!(own_of_child(method, &open, &before), link_and_lifeline(), "{open:?}");
    let zeroes = open.values().filter(|target| *target == "/dev/zero").count();
    assert_eq!(zeroes, if method == StartMethod::Fork { held.len() + 1 } else { 0 });
}

/// No descriptor is inherited if descriptors can only be closed one by one, neither by a new program nor by a copy.
fn without(method: StartMethod, error: i32) {
    sys::refuse_call(libc::SYS_close_range, error);
    let siblings: Vec<_> = (0..3).map(|_| hanging(method)).collect();
    let zero = File::open("/dev/zero").unwrap();
    let inheritable = [40, 400].map(|number| sys::duplicate_inheritable(&zero, number));
    let before = procs::descriptors();
    let open = value(start(method, open::call()));
    assert_eq!(own_of_child(method, &open, &before), link_and_lifeline(), "{open:?}");
    drop(inheritable);
    for sibling in siblings {
        sibling.kill().unwrap();
        failure(sibling);
    }
}

fn without_close_range(method: StartMethod) {
    without(method, libc::ENOSYS);
}

fn where_a_filter_refuses_close_range(method: StartMethod) {
    without(method, libc::EPERM);
}
