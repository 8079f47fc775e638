//! Locks shared by processes: across processes, with time limits, and with dying owners and waiters.

pub(crate) mod barriers;
pub(crate) mod conditions;
pub(crate) mod mutexes;
pub(crate) mod rwlocks;
pub(crate) mod semaphores;
pub(crate) mod sharing;
pub(crate) mod signals;

use std::time::{Duration, Instant};

use offspring::{Process, ProcessBuilder, StartMethod, Stdio};
use offspring_tests::{build, procs, run, wait};

/// The time limit of waits that are to time out.
const SHORT: Duration = Duration::from_millis(20);

/// Starts a task that prints `ready` and then waits, and returns when the task sleeps.
#[track_caller]
fn blocked<T>(method: StartMethod, call: offspring::Call<T>) -> Process<T> {
    blocked_by(method, build(method, call))
}

/// The same, with options.
#[track_caller]
fn blocked_by<T>(method: StartMethod, builder: ProcessBuilder<T>) -> Process<T> {
    let mut child = run(method, builder.stdout(Stdio::piped()));
    let mut stdout = child.take_stdout().expect("a piped stream");
    assert_eq!(wait::line(&mut stdout).as_deref(), Some("ready"));
    wait::until("the child sleeps", || procs::stat(child.pid()).is_some_and(|stat| stat.state == 'S'));
    child
}

/// Repeats a measured wait, and checks that an event ends the wait. A waiter that polls once a second would take longer
/// every time.
#[track_caller]
fn at_once(mut news: impl FnMut() -> Instant) {
    let delays: Vec<Duration> = (0..5).map(|_| news().elapsed()).collect();
    let shortest = delays.iter().min().expect("delays");
    assert!(*shortest < Duration::from_millis(500), "nobody was told: {delays:?}");
}
