//! Values sent, and calls made, while a thread or the program ends, when thread-locals are already gone.

use std::cell::RefCell;
use std::sync::OnceLock;

use offspring::{Context, JoinErrorKind, Pool, StartMethod, channel, child_task, get_context};
use offspring_tests::{Program, cases, sys};

use crate::tasks::double;

cases! {
    here destructors_of_thread_locals_send_and_start;
    here exit_handlers_send_and_start;
}

#[child_task]
fn joined(words: Vec<String>) -> String {
    words.join(" ")
}

/// Runs [`work`] when dropped.
struct Late(StartMethod);

impl Drop for Late {
    fn drop(&mut self) {
        work(self.0);
    }
}

thread_local! {
    static LATE: RefCell<Option<Late>> = const { RefCell::new(None) };
}

static METHOD: OnceLock<StartMethod> = OnceLock::new();
static POOL: OnceLock<Pool> = OnceLock::new();

extern "C" fn handler() {
    work(*METHOD.get().expect("it is set before"));
}

/// Encodes and decodes in all ways. A `fork` beside other threads is refused. The end of `main` ends the workers of a
/// pool, and after that only some pools can start new workers.
fn work(method: StartMethod) {
    let (to, from) = channel::<Vec<String>>().unwrap();
    to.send(vec!["a message".to_owned()]).unwrap();
    println!("received {:?}", from.recv().unwrap());
    let words = || vec!["x".repeat(200_000), "z".to_owned()];
    match get_context(method).unwrap().start(joined::call(words())) {
        Ok(child) => println!("returned {}", child.join().unwrap().len()),
        Err(error) => println!("returned 200002 if it could: {error}"),
    }
    match POOL.get().expect("it is made before").submit(double::call(4)).wait() {
        Ok(value) => println!("the pool gives {value}"),
        Err(error) if matches!(error.kind(), JoinErrorKind::NotStarted(_)) => println!("the pool gives 8 if it could"),
        Err(error) => println!("{error:?}"),
    }
}

/// Registers the destructor that is to run last, then encodes and decodes in this thread.
fn prepare(method: StartMethod, late: bool) {
    LATE.with(|slot| *slot.borrow_mut() = late.then(|| Late(method)));
    let (to, from) = channel::<String>().unwrap();
    to.send("before".to_owned()).unwrap();
    assert_eq!(from.recv().unwrap(), "before");
}

/// A program that works at its end.
pub(crate) fn works(method: StartMethod, arguments: &[String]) {
    let context: Context = get_context(method).unwrap();
    METHOD.set(method).unwrap();
    POOL.set(context.pool().workers(1).build().unwrap()).ok().unwrap();
    match &*arguments[0] {
        "thread" => std::thread::spawn(move || prepare(method, true)).join().unwrap(),
        "handler" => {
            sys::at_exit(handler);
            prepare(method, false);
        }
        other => panic!("{other}"),
    }
}

#[track_caller]
fn has_worked(printed: &str) {
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), 3, "{printed}");
    assert_eq!(lines[0], "received [\"a message\"]");
    assert!(lines[1].starts_with("returned 200002"), "{printed}");
    assert!(lines[2].starts_with("the pool gives 8"), "{printed}");
}

fn destructors_of_thread_locals_send_and_start(method: StartMethod) {
    has_worked(&Program::new("late::works", method).args(["thread"]).finish().succeeded());
}

fn exit_handlers_send_and_start(method: StartMethod) {
    has_worked(&Program::new("late::works", method).args(["handler"]).finish().succeeded());
}
