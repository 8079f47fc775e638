//! The result of a task, and each way to have none.

use std::error::Error as _;
use std::io;

use offspring::{ErrorKind, ExitStatus, JoinError, JoinErrorKind, Process, Report, StartMethod, Stdio, child_task};
use offspring_tests::{build, cases, failure, run, start, sys, value, wait};
use serde::{Deserialize, Serialize};

use crate::tasks::{die, double, exit, nothing, panic};

cases! {
    here returns_its_value;
    here returns_a_result_whole;
    here returns_a_report_with_its_causes;
    here sizes_of_arguments_and_results;
    here exit_codes;
    here signals;
    here crashes;
    here a_stack_as_large_as_the_limit_says;
    here the_c_library_knows_the_childs_thread;
    here panics_with_message_and_location;
    here panics_with_other_payloads;
    here a_panic_of_another_thread_is_not_the_tasks;
    here an_older_panic_is_not_told;
    alone backtraces_where_asked_for;
    here the_message_of_a_panic_is_on_stderr_whole;
    here a_result_that_cannot_be_encoded;
    here a_result_that_cannot_be_decoded;
    here arguments_that_cannot_be_encoded;
    here arguments_that_cannot_be_decoded;
    alone values_that_nest_too_deep;
    here a_value_is_given_once;
    here arguments_are_dropped_with_the_call;
    here the_error_names_task_and_child;
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle { radius: f64 },
    Path(Vec<(i64, i64)>, Option<String>),
}

#[child_task]
fn shapes(shapes: Vec<Shape>, twice: bool) -> (usize, Vec<Shape>) {
    let repeated = if twice { [shapes.clone(), shapes].concat() } else { shapes };
    (repeated.len(), repeated)
}

fn returns_its_value(method: StartMethod) {
    assert_eq!(value(start(method, double::call(21))), 42);
    value(start(method, nothing::call()));
    let given = vec![
        Shape::Point,
        Shape::Circle { radius: 0.5 },
        Shape::Path(vec![(i64::MIN, i64::MAX)], Some("é".to_owned())),
    ];
    let (count, returned) = value(start(method, shapes::call(given.clone(), true)));
    assert_eq!((count, &returned[3..]), (6, &given[..]));
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct TooBig(u64);

#[child_task]
fn checked(n: u64) -> Result<u64, TooBig> {
    if n > 100 { Err(TooBig(n)) } else { Ok(n) }
}

fn returns_a_result_whole(method: StartMethod) {
    assert_eq!(value(start(method, checked::call(7))), Ok(7));
    let child = start(method, checked::call(700));
    assert_eq!(value(child), Err(TooBig(700)));
}

#[child_task(report)]
fn read(path: String) -> io::Result<String> {
    std::fs::read_to_string(path)
}

#[child_task(report)]
fn number(text: String) -> Result<u8, Box<dyn std::error::Error>> {
    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);
    impl std::fmt::Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("cannot read the number")
        }
    }
    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
    Ok(text.parse().map_err(Outer)?)
}

fn returns_a_report_with_its_causes(method: StartMethod) {
    fn joined<T>(child: Process<Result<T, Report>>) -> Result<T, JoinError> {
        Ok(child.join()??)
    }
    assert_eq!(joined(start(method, number::call("7".into()))).unwrap(), 7);
    let error = joined(start(method, number::call("x".into()))).unwrap_err();
    let JoinErrorKind::Failed(report) = error.kind() else { panic!("{error:?}") };
    let texts: Vec<String> = report.chain().map(ToString::to_string).collect();
    assert_eq!(texts, ["cannot read the number", "invalid digit found in string"]);
    assert_eq!(error.to_string(), texts[0]);
    assert_eq!(error.source().unwrap().to_string(), texts[1]);
    let report = value(start(method, read::call("/no/such/file".into()))).unwrap_err();
    assert_eq!(report.to_string(), "No such file or directory (os error 2)");
}

#[child_task]
fn reversed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.reverse();
    bytes
}

fn sizes_of_arguments_and_results(method: StartMethod) {
    const K: usize = 1024;
    for length in [0, 1, 61, 62, 63, 100 * K, 111 * K, 112 * K, 127 * K, 128 * K - 40, 128 * K, 129 * K, 5 * K * K] {
        let bytes: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
        let mut returned = value(start(method, reversed::call(bytes.clone())));
        returned.reverse();
        assert!(returned == bytes, "{length} bytes");
    }
}

fn exit_codes(method: StartMethod) {
    for (code, seen) in [(0, 0), (1, 1), (7, 7), (255, 255), (256, 0), (-1, 255)] {
        let mut child = start(method, exit::call(code));
        let error = child.wait().unwrap_err();
        assert!(matches!(error.kind(), JoinErrorKind::Exited(told) if *told == seen), "{code}: {error:?}");
        assert_eq!(child.exit_status(), Some(ExitStatus::Exited(seen)));
    }
    let mut child = start(method, nothing::call());
    child.wait().unwrap();
    assert!(child.exit_status().unwrap().success());
    let mut child = start(method, panic::call("x".into()));
    child.wait().unwrap_err();
    assert_eq!(child.exit_status().unwrap().code(), Some(101), "as of any Rust program");
}

fn signals(method: StartMethod) {
    for signal in [libc::SIGTERM, libc::SIGKILL, libc::SIGINT, libc::SIGUSR1] {
        let mut child = start(method, die::call(signal));
        let error = child.wait().unwrap_err();
        assert!(matches!(error.kind(), JoinErrorKind::Signaled(told) if *told == signal), "{error:?}");
        assert_eq!(child.exit_status().unwrap().signal(), Some(signal));
        assert!(error.to_string().contains("(SIG"), "{error}");
    }
}

#[child_task]
fn crash(how: String) {
    match &*how {
        "segfault" => sys::segfault(),
        "abort" => std::process::abort(),
        "overflow" => overflow(0),
        _ => panic_in_a_panic(),
    }
}

#[expect(unconditional_recursion, reason = "the stack is to overflow")]
fn overflow(depth: u64) {
    let page = std::hint::black_box([depth; 500]);
    overflow(page[3] + 1);
}

fn crashes(method: StartMethod) {
    for (how, signal) in [
        ("segfault", libc::SIGSEGV),
        ("abort", libc::SIGABRT),
        ("overflow", sys::STACK_OVERFLOW),
        ("two panics", libc::SIGABRT),
    ] {
        let child = run(method, build(method, crash::call(how.into())).stderr(Stdio::null()));
        let error = failure(child);
        assert!(matches!(error.kind(), JoinErrorKind::Signaled(told) if *told == signal), "{how}: {error:?}");
    }
}

/// Uses about `kib` KiB of stack.
#[child_task]
fn descend(kib: u64) -> u64 {
    let kibibyte = std::hint::black_box([1_u8; 1024]);
    if kib <= 1 { u64::from(kibibyte[7]) } else { descend(kib - 1) + u64::from(kibibyte[3]) }
}

fn a_stack_as_large_as_the_limit_says(method: StartMethod) {
    const MOST: u64 = 8 << 20;
    let limit = sys::limit(libc::RLIMIT_STACK).0.min(MOST);
    // Without optimisation a frame holds its array about three times.
    let kib = limit / 1024 / 4;
    assert_eq!(value(start(method, descend::call(kib))), kib);
}

#[child_task]
fn is_itself() -> [bool; 3] {
    let of_main = sys::is_known_as_itself();
    let of_another = std::thread::spawn(sys::is_known_as_itself).join().unwrap();
    [of_main, of_another, sys::is_known_as_itself()]
}

fn the_c_library_knows_the_childs_thread(method: StartMethod) {
    assert_eq!(value(start(method, is_itself::call())), [true; 3]);
}

fn panics_with_message_and_location(method: StartMethod) {
    let child = run(method, build(method, panic::call("boom".into())).stderr(Stdio::null()));
    let error = failure(child);
    let JoinErrorKind::Panicked(panic) = error.kind() else { panic!("{error:?}") };
    assert_eq!(panic.message(), "boom");
    assert!(panic.location().unwrap().contains("behaviour/tasks.rs:"), "{panic:?}");
    assert!(error.to_string().contains("boom") && error.to_string().contains("tasks.rs:"), "{error}");
}

#[child_task]
fn panic_with(what: u8) {
    match what {
        0 => std::panic::panic_any(17_u64),
        1 => panic!("literal"),
        _ => drop(Vec::<u8>::new()[usize::from(what)]),
    }
}

fn panics_with_other_payloads(method: StartMethod) {
    for (what, message) in
        [(0, "Box<dyn Any>"), (1, "literal"), (2, "index out of bounds: the len is 0 but the index is 2")]
    {
        let error = failure(run(method, build(method, panic_with::call(what)).stderr(Stdio::null())));
        let JoinErrorKind::Panicked(panic) = error.kind() else { panic!("{error:?}") };
        assert_eq!(panic.message(), message);
        assert!(panic.location().is_some());
    }
}

#[child_task]
fn panic_elsewhere() -> bool {
    std::thread::spawn(|| panic!("elsewhere")).join().is_err()
}

fn a_panic_of_another_thread_is_not_the_tasks(method: StartMethod) {
    let child = run(method, build(method, panic_elsewhere::call()).stderr(Stdio::null()));
    assert!(value(child));
}

#[child_task]
fn panic_twice() {
    let _ = std::panic::catch_unwind(|| panic!("first"));
    std::panic::set_hook(Box::new(|_| {}));
    panic!("second");
}

fn an_older_panic_is_not_told(method: StartMethod) {
    let error = failure(run(method, build(method, panic_twice::call()).stderr(Stdio::null())));
    let JoinErrorKind::Panicked(panic) = error.kind() else { panic!("{error:?}") };
    assert_eq!((panic.message(), panic.location()), ("second", None));
}

fn backtraces_where_asked_for(method: StartMethod) {
    let child = |backtrace: &str| {
        let builder = build(method, panic::call("boom".into())).stderr(Stdio::null());
        let error = failure(run(method, builder.env("RUST_BACKTRACE", backtrace).env_remove("RUST_LIB_BACKTRACE")));
        let JoinErrorKind::Panicked(panic) = error.kind() else { panic!("{error:?}") };
        let backtrace = panic.backtrace().map(str::to_owned);
        let shown = format!("{error:?}").contains(backtrace.as_deref().unwrap_or("   0: "));
        assert_eq!(shown, backtrace.is_some(), "{error:?}");
        backtrace
    };
    assert!(child("1").unwrap().contains("behaviour::tasks::panic"));
    assert_eq!(child("0"), None);
}

fn the_message_of_a_panic_is_on_stderr_whole(method: StartMethod) {
    let text = "long ".repeat(4000);
    let mut child = run(method, build(method, panic::call(text.clone())).stderr(Stdio::piped()));
    let printed = wait::rest(&mut child.take_stderr().unwrap());
    assert!(printed.contains(&text), "{} bytes of {}", printed.len(), text.len());
    failure(child);
}

/// Panics during a panic, which aborts.
pub(crate) fn panic_in_a_panic() -> ! {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("second");
        }
    }
    let _bomb = Bomb;
    panic!("first");
}

/// A value that serde carries one way only, or not at all.
#[derive(Debug)]
pub(crate) struct Fragile {
    pub(crate) encodable: bool,
}

impl Serialize for Fragile {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.encodable { serializer.serialize_u8(1) } else { Err(serde::ser::Error::custom("too fragile")) }
    }
}

impl<'de> Deserialize<'de> for Fragile {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("broken on the way"))
    }
}

#[child_task]
pub(crate) fn fragile(encodable: bool) -> Fragile {
    Fragile { encodable }
}

#[child_task]
fn takes_fragile(number: u8, given: Fragile) -> bool {
    given.encodable && number == 0
}

fn a_result_that_cannot_be_encoded(method: StartMethod) {
    let error = failure(start(method, fragile::call(false)));
    assert!(matches!(error.kind(), JoinErrorKind::Unencodable), "{error:?}");
    assert!(error.to_string().contains("too fragile"), "{error}");
}

fn a_result_that_cannot_be_decoded(method: StartMethod) {
    let error = failure(start(method, fragile::call(true)));
    assert!(matches!(error.kind(), JoinErrorKind::Undecodable), "{error:?}");
}

fn arguments_that_cannot_be_encoded(method: StartMethod) {
    let call = takes_fragile::call(0, Fragile { encodable: false });
    let error = build(method, call).start().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Encode);
    let text = error.to_string();
    assert!(text.contains("takes_fragile") && text.contains("argument `given`"), "{text}");
}

fn arguments_that_cannot_be_decoded(method: StartMethod) {
    let error = failure(start(method, takes_fragile::call(0, Fragile { encodable: true })));
    let JoinErrorKind::NotStarted(cause) = error.kind() else { panic!("{error:?}") };
    assert_eq!(cause.kind(), ErrorKind::Decode);
    assert!(cause.to_string().contains("argument `given`"), "{cause}");
}

#[derive(Debug, Serialize, Deserialize)]
struct Link {
    next: Option<Box<Link>>,
}

impl Link {
    fn chain(length: usize) -> Self {
        (0..length).fold(Self { next: None }, |chain, _| Self { next: Some(Box::new(chain)) })
    }
}

/// Drops link by link, since the compiler's drop recurses.
impl Drop for Link {
    fn drop(&mut self) {
        let mut next = self.next.take();
        while let Some(mut link) = next {
            next = link.next.take();
        }
    }
}

#[child_task]
fn chain(length: usize) -> Link {
    Link::chain(length)
}

#[child_task]
fn take_chain(_chain: Link) {}

/// The stack of the encoding or decoding thread sets the limit of depth, and never overflows.
fn values_that_nest_too_deep(method: StartMethod) {
    let too_deep = |text: String| assert!(text.contains("levels deep"), "{text}");
    let error = build(method, take_chain::call(Link::chain(1_000_000))).start().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Encode);
    too_deep(error.to_string());

    let error = failure(start(method, chain::call(1_000_000)));
    assert!(matches!(error.kind(), JoinErrorKind::Unencodable), "{error:?}");
    too_deep(error.to_string());

    // A depth that the main thread of a child allows, and a small thread of this process does not.
    let child = start(method, chain::call(2_000));
    let join = move || failure(child);
    let error = std::thread::Builder::new().stack_size(256 * 1024).spawn(join).unwrap().join().unwrap();
    assert!(matches!(error.kind(), JoinErrorKind::Undecodable), "{error:?}");
    too_deep(error.to_string());
}

fn a_value_is_given_once(method: StartMethod) {
    let mut child = start(method, double::call(4));
    assert_eq!(child.wait().unwrap(), 8);
    for again in [child.wait().map(Some), child.try_join(), child.join_timeout(wait::LIMIT)] {
        let error = again.unwrap_err();
        assert!(matches!(error.kind(), JoinErrorKind::AlreadyTaken), "{error:?}");
    }
    assert_eq!(child.exit_status(), Some(ExitStatus::Exited(0)), "the status stays");
}

fn arguments_are_dropped_with_the_call(method: StartMethod) {
    use std::cell::Cell;
    thread_local!(static DROPS: Cell<u32> = const { Cell::new(0) });
    #[derive(Serialize, Deserialize)]
    struct Counted(u8);
    impl Drop for Counted {
        fn drop(&mut self) {
            DROPS.set(DROPS.get() + 1);
        }
    }
    #[child_task(name = "behaviour::outcomes::take_counted")]
    fn take_counted(counted: Counted) -> u8 {
        counted.0
    }
    DROPS.set(0);
    let call = take_counted::call(Counted(3));
    assert_eq!(DROPS.get(), 1, "a call holds the encoding alone");
    assert_eq!(value(start(method, call)), 3);
    assert_eq!(DROPS.get(), 1);
}

fn the_error_names_task_and_child(method: StartMethod) {
    let child = start(method, exit::call(3));
    let pid = child.pid();
    let error = failure(child);
    assert_eq!((error.task(), error.pid()), ("behaviour::tasks::exit", Some(pid)));
    assert_eq!(
        error.to_string(),
        format!("`behaviour::tasks::exit` (pid {pid}) exited with code 3 before it returned")
    );
}
