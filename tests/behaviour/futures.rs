//! The handle as a future, with an executor of a few lines.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use offspring::{JoinError, JoinErrorKind, Process, StartMethod, Stdio, child_task};
use offspring_tests::{build, cases, failure, get_error, procs, run, start, value, wait};

use crate::tasks::{double, exit, hang, hanging};

cases! {
    alone a_value_and_a_failure;
    alone the_first_of_two;
    alone a_handle_that_was_polled_can_be_joined;
    alone time_runs_out_while_awaited;
    alone many_at_once;
    alone a_later_waker_replaces_the_first;
    alone a_child_that_has_ended_needs_no_thread;
    alone a_dropped_future_is_forgotten;
    alone the_input_of_its_child_ends;
    alone fork_is_refused_after_the_first_wait;
}

/// Counts its wakes, and wakes a thread.
pub(crate) struct Unpark(pub(crate) Thread, pub(crate) AtomicUsize);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.unpark();
    }
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let unpark = Arc::new(Unpark(std::thread::current(), AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&unpark));
    let deadline = Instant::now() + wait::LIMIT;
    loop {
        let seen = unpark.1.load(Ordering::SeqCst);
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        while unpark.1.load(Ordering::SeqCst) == seen {
            if Instant::now() >= deadline {
                wait::expired("a future was not woken");
            }
            std::thread::park_timeout(deadline - Instant::now());
        }
    }
}

#[child_task]
fn double_when_told(n: u64) -> u64 {
    std::io::read_to_string(std::io::stdin()).unwrap();
    2 * n
}

fn told_later(method: StartMethod, n: u64) -> (Process<u64>, std::io::PipeWriter) {
    let mut child = run(method, build(method, double_when_told::call(n)).stdin(Stdio::piped()));
    let stdin = child.take_stdin().unwrap();
    (child, stdin)
}

fn a_value_and_a_failure(method: StartMethod) {
    let (double, exit) = (start(method, double::call(3)), start(method, exit::call(4)));
    assert_eq!(block_on(double).unwrap(), 6);
    assert!(matches!(block_on(exit).unwrap_err().kind(), JoinErrorKind::Exited(4)));
}

/// Resolves to the index and the result of the child that ends first.
struct First<'a>(&'a mut Process<u64>, &'a mut Process<u64>);

impl Future for First<'_> {
    type Output = (u8, Result<u64, JoinError>);

    fn poll(mut self: std::pin::Pin<&mut Self>, polling: &mut Context<'_>) -> Poll<Self::Output> {
        let Self(one, two) = &mut *self;
        if let Poll::Ready(value) = pin!(&mut **one).poll(polling) {
            return Poll::Ready((1, value));
        }
        pin!(&mut **two).poll(polling).map(|value| (2, value))
    }
}

fn the_first_of_two(method: StartMethod) {
    // Both starts come before the reactor's thread, after which `fork` is refused.
    let ((mut one, first), (mut two, second)) = (told_later(method, 1), told_later(method, 2));
    drop(second);
    let (which, value) = block_on(First(&mut one, &mut two));
    assert_eq!((which, value.unwrap()), (2, 4));
    drop(first);
    assert_eq!(block_on(&mut one).unwrap(), 2);
    assert!(matches!(block_on(&mut one).unwrap_err().kind(), JoinErrorKind::AlreadyTaken));
}

fn poll_once<T>(child: &mut Process<T>) -> Poll<Result<T, JoinError>> {
    pin!(child).poll(&mut Context::from_waker(Waker::noop()))
}

fn a_handle_that_was_polled_can_be_joined(method: StartMethod) {
    let (mut child, stdin) = told_later(method, 5);
    assert!(poll_once(&mut child).is_pending());
    assert!(child.try_join().unwrap().is_none());
    drop(stdin);
    assert_eq!(value(child), 10);
}

fn time_runs_out_while_awaited(method: StartMethod) {
    let child = run(method, build(method, hang::call()).stdout(Stdio::null()).timeout(Duration::from_millis(50)));
    let error = block_on(child).unwrap_err();
    assert!(matches!(error.kind(), JoinErrorKind::TimedOut), "{error:?}");
}

fn many_at_once(method: StartMethod) {
    let (children, pipes): (Vec<_>, Vec<_>) = (0..20).map(|n| told_later(method, n)).unzip();
    let mut children: Vec<_> = children.into_iter().map(Some).collect();
    let mut pipes = Some(pipes);
    let mut sum = 0;
    let all = std::future::poll_fn(|polling| {
        for slot in &mut children {
            if let Some(child) = slot
                && let Poll::Ready(value) = pin!(child).poll(polling)
            {
                sum += value.unwrap();
                *slot = None;
            }
        }
        // All futures are pending by now.
        pipes = None;
        if children.iter().all(Option::is_none) { Poll::Ready(()) } else { Poll::Pending }
    });
    block_on(all);
    assert_eq!(sum, 2 * (0..20).sum::<u64>());
    assert_eq!(procs::status("self", "Threads"), "2", "one thread for all");
}

fn a_later_waker_replaces_the_first(method: StartMethod) {
    let (mut child, stdin) = told_later(method, 7);
    let forgotten = Arc::new(Unpark(std::thread::current(), AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&forgotten));
    assert!(pin!(&mut child).poll(&mut Context::from_waker(&waker)).is_pending());
    assert!(poll_once(&mut child).is_pending());
    let mut stdin = Some(stdin);
    let value = block_on(std::future::poll_fn(|polling| {
        let polled = pin!(&mut child).poll(polling);
        stdin = None;
        polled
    }));
    assert_eq!(value.unwrap(), 14);
    assert_eq!(forgotten.1.load(Ordering::SeqCst), 0);
}

fn a_child_that_has_ended_needs_no_thread(method: StartMethod) {
    let mut child = start(method, double::call(1));
    wait::until("the child has ended", || !child.is_alive());
    assert!(matches!(poll_once(&mut child), Poll::Ready(Ok(2))));
    assert_eq!(procs::status("self", "Threads"), "1");
}

fn a_dropped_future_is_forgotten(method: StartMethod) {
    // In this order, since a later copy holds the taken stdin pipe of an earlier child.
    let (mut other, told) = told_later(method, 2);
    let (mut child, stdin) = told_later(method, 1);
    assert!(poll_once(&mut child).is_pending());
    drop(child);
    drop(stdin);
    wait::until("the dropped child has ended", || offspring::active_children().len() == 1);
    assert!(poll_once(&mut other).is_pending());
    drop(told);
    assert_eq!(block_on(other).unwrap(), 4);
}

fn fork_is_refused_after_the_first_wait(method: StartMethod) {
    let mut child = hanging(method);
    assert!(poll_once(&mut child).is_pending());
    // A thread sets its name itself, some time after its start.
    wait::until("the thread has its name", || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok);
        let mut names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
        names.any(|name| name.starts_with("offspring-"))
    });
    let error = get_error(offspring::get_context(StartMethod::Fork).unwrap().start(double::call(1)));
    assert_eq!(error.kind(), offspring::ErrorKind::MultiThreadedFork);
    assert!(error.to_string().contains("offspring-"), "{error}");
    child.kill().unwrap();
    failure(child);
}

#[child_task]
fn reads_all() -> usize {
    std::io::read_to_string(std::io::stdin()).unwrap().len()
}

fn the_input_of_its_child_ends(method: StartMethod) {
    let child = run(method, build(method, reads_all::call()).stdin(Stdio::piped()));
    assert_eq!(block_on(child).unwrap(), 0);
}
