//! One thread that wakes the futures of children that have ended.
//!
//! | what | made by | ends |
//! | --- | --- | --- |
//! | thread `offspring-wait` | the first future that has to wait | with the process |
//! | its bell, a socket pair | the same | with the process |
//!
//! The thread polls the pidfds of all children that somebody awaits, and the bell, which is rung when there is one more.
//! Readiness of a pidfd is a level, not an edge: a child that ends between a look and the watch is seen all the same.

use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Instant;

use crate::children::Child;
use crate::error::Error;
use crate::sys::{self, poll};

struct Reactor {
    /// A forked copy of the process has this memory, but not the thread.
    process: u32,
    bell: UnixStream,
    watched: Arc<Watched>,
}

type Watched = Mutex<Vec<(Arc<Child>, Waker)>>;

static REACTOR: Mutex<Option<Reactor>> = Mutex::new(None);

/// Wakes `waker` when the child has ended; a later call for the same child replaces an earlier one's.
pub(super) fn watch(child: &Arc<Child>, waker: &Waker) -> Result<(), Error> {
    let mut slot = sys::lock(&REACTOR);
    let reactor = match slot.take().filter(|reactor| reactor.process == sys::pid()) {
        Some(reactor) => slot.insert(reactor),
        None => slot.insert(
            Reactor::start().map_err(|error| Error::os("cannot start the thread that waits for children", error))?,
        ),
    };
    let (mut waker, mut watched) = (waker.clone(), sys::lock(&reactor.watched));
    match watched.iter_mut().find(|(known, _)| Arc::ptr_eq(known, child)) {
        // The old one is dropped below, without the lock: that too may run code of the executor.
        Some((_, known)) => std::mem::swap(known, &mut waker),
        None => watched.push((Arc::clone(child), waker.clone())),
    }
    drop(watched);
    // A full socket rings already.
    let _ = (&reactor.bell).write(&[0]);
    drop(slot);
    drop(waker);
    Ok(())
}

impl Reactor {
    fn start() -> std::io::Result<Self> {
        let (bell, rung) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        rung.set_nonblocking(true)?;
        let watched = Arc::new(Watched::default());
        let seen = Arc::clone(&watched);
        std::thread::Builder::new().name("offspring-wait".to_owned()).spawn(move || run(&rung, &seen))?;
        Ok(Self { process: sys::pid(), bell, watched })
    }
}

fn run(bell: &UnixStream, watched: &Watched) {
    loop {
        let present: Vec<Arc<Child>> = sys::lock(watched).iter().map(|(child, _)| Arc::clone(child)).collect();
        let deadline = present.iter().filter_map(|child| child.about.deadline).min();
        let pidfds = present.iter().filter_map(|child| child.pidfd().ok());
        let fds: Vec<BorrowedFd<'_>> = std::iter::once(bell.as_fd()).chain(pidfds).collect();
        if poll::readable_many(&fds, deadline).is_err() {
            // More than poll(2) takes, or no memory: let the futures look for themselves.
            wake_all(watched);
            continue;
        }
        while (&mut &*bell).read(&mut [0; 64]).is_ok_and(|length| length > 0) {}
        let now = Instant::now();
        for child in &present {
            let _ = child.kill_if_overdue(now);
        }
        take_ended(watched).into_iter().for_each(wake);
    }
}

/// A waker that panics must not end the thread that others wait for.
fn wake(waker: Waker) {
    let _ = panic::catch_unwind(AssertUnwindSafe(|| waker.wake()));
}

fn wake_all(watched: &Watched) {
    let all = std::mem::take(&mut *sys::lock(watched));
    all.into_iter().for_each(|(_, waker)| wake(waker));
}

/// Wakers are called without the lock: they run code of the executor.
fn take_ended(watched: &Watched) -> Vec<Waker> {
    let mut watched = sys::lock(watched);
    watched.extract_if(.., |(child, _)| !matches!(child.try_status(), Ok(None))).map(|(_, waker)| waker).collect()
}
