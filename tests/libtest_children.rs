//! Children of an ordinary test binary: libtest owns `main`, and has two threads.

use std::io::Read;

use offspring::{ErrorKind, JoinErrorKind, StartMethod, Stdio, child_task, get_context};

offspring::test_guard!();

/// `fork` needs a process with one thread, and libtest always has more.
const METHODS: [StartMethod; 2] = [StartMethod::Spawn, StartMethod::ForkServer];

#[child_task]
fn double(n: u64) -> u64 {
    2 * n
}

#[child_task]
fn panics(text: String) {
    panic!("{text}");
}

#[child_task]
fn prints(text: String) {
    println!("{text}");
    eprintln!("{text} to stderr");
}

#[child_task]
fn arguments_and_directory() -> (Vec<String>, std::path::PathBuf, u32) {
    let arguments = std::env::args().collect();
    (arguments, std::env::current_dir().unwrap(), std::os::unix::process::parent_id())
}

#[child_task]
fn nested(n: u64) -> (StartMethod, u64) {
    let child = double::start(n).unwrap();
    (child.start_method(), child.join().unwrap())
}

#[child_task]
fn sum_in_threads(n: u64) -> u64 {
    let threads: Vec<_> = (0..4).map(|thread| std::thread::spawn(move || thread * n)).collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).sum()
}

#[test]
fn values() {
    for method in METHODS {
        let context = get_context(method).unwrap();
        for n in 0..5 {
            let child = context.start(double::call(n)).unwrap();
            assert_eq!(child.start_method(), method);
            assert_eq!(child.join().unwrap(), 2 * n);
        }
        assert_eq!(context.start(sum_in_threads::call(2)).unwrap().join().unwrap(), 12);
    }
}

#[test]
fn panics_are_told() {
    for method in METHODS {
        let builder = get_context(method).unwrap().process(panics::call("on purpose".to_owned()));
        let error = builder.stderr(Stdio::null()).start().unwrap().join().unwrap_err();
        let JoinErrorKind::Panicked(panic) = error.kind() else { panic!("{error:?}") };
        assert_eq!(panic.message(), "on purpose");
        assert!(panic.location().unwrap().contains("libtest_children.rs"), "{panic:?}");
    }
}

#[test]
fn output_is_the_tasks_alone() {
    for method in METHODS {
        let builder = get_context(method).unwrap().process(prints::call("hello".to_owned()));
        let mut child = builder.stdout(Stdio::piped()).stderr(Stdio::piped()).start().unwrap();
        let mut printed = [String::new(), String::new()];
        child.take_stdout().unwrap().read_to_string(&mut printed[0]).unwrap();
        child.take_stderr().unwrap().read_to_string(&mut printed[1]).unwrap();
        child.join().unwrap();
        assert_eq!(printed, ["hello\n", "hello to stderr\n"], "not libtest's banner");
    }
}

#[test]
fn a_child_runs_nothing_but_the_hidden_test() {
    for method in METHODS {
        let child = get_context(method).unwrap().start(arguments_and_directory::call()).unwrap();
        let (arguments, directory, parent) = child.join().unwrap();
        assert_eq!(arguments[1..], ["__offspring_child", "--exact", "--nocapture", "--test-threads=1"]);
        assert_eq!(directory, std::env::current_dir().unwrap());
        assert_eq!(parent, std::process::id());
    }
}

#[test]
fn children_of_children() {
    for method in METHODS {
        let child = get_context(method).unwrap().start(nested::call(21)).unwrap();
        assert_eq!(child.join().unwrap(), (method, 42));
    }
}

#[test]
fn several_tests_at_once() {
    // The remaining tests of this file run at the same time, on threads of their own. More threads start here.
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                let context = get_context(METHODS[thread % 2]).unwrap();
                for n in 0..8 {
                    assert_eq!(context.start(double::call(n)).unwrap().join().unwrap(), 2 * n);
                }
            });
        }
    });
}

#[test]
fn fork_is_refused_and_names_the_threads() {
    let error = get_context(StartMethod::Fork).unwrap().start(double::call(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MultiThreadedFork);
    assert!(error.to_string().contains("other threads ("), "{error}");
}
