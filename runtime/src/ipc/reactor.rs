//! One thread that wakes the futures whose descriptors have become ready.
//!
//! | what | made by | ends |
//! | --- | --- | --- |
//! | thread `offspring-wait` | the first future that has to wait | with the process |
//! | its bell, a socket pair | the same | with the process |
//!
//! The thread polls the descriptors of all sources that somebody awaits, and the bell, which is rung when there is one more.
//! Readiness is a level, not an edge: what happens between a look and the watch is seen all the same. A waker is woken
//! once; a future that finds nothing after all watches again.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Instant;

use crate::sys::poll::{Deadline, Interest};
use crate::sys::{self, poll};

/// Something that futures wait for.
pub(crate) trait Source: Send + Sync {
    /// What is polled; `None` if it can never become ready any more.
    fn interest(&self) -> Option<(BorrowedFd<'_>, Interest)>;

    /// When it is to be looked at whether or not its descriptor is ready.
    fn deadline(&self) -> Deadline {
        None
    }

    /// Whether a future would get further.
    fn is_ready(&self, polled: bool, _now: Instant) -> bool {
        polled
    }
}

/// One future's place among those that are watched; it leaves when this is dropped.
#[derive(Debug)]
pub(crate) struct Watch(u64);

impl Watch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Wakes `waker` when `source` is ready; a later call takes the place of an earlier one.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub(crate) fn wake(&self, source: &Arc<impl Source + 'static>, waker: &Waker) -> io::Result<()> {
        let mut slot = sys::lock(&REACTOR);
        let reactor = match slot.take().filter(|reactor| reactor.process == sys::pid()) {
            Some(reactor) => slot.insert(reactor),
            None => slot.insert(Reactor::start()?),
        };
        let entry = Registration { watch: self.0, source: Arc::clone(source) as Arc<dyn Source>, waker: waker.clone() };
        let replaced = reactor.watched.replace(entry);
        // A full socket rings already.
        let _ = (&reactor.bell).write(&[0]);
        drop(slot);
        // Without the lock: that too may run code of the executor.
        drop(replaced);
        Ok(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let slot = sys::lock(&REACTOR);
        let Some(reactor) = &*slot else { return };
        let removed = reactor.watched.extract(|entry| entry.watch == self.0);
        if !removed.is_empty() {
            // Or the thread would hold on to the source, which others may see to close.
            let _ = (&reactor.bell).write(&[0]);
        }
        drop(slot);
        drop(removed);
    }
}

struct Reactor {
    /// A forked copy of the process has this memory, but not the thread.
    process: u32,
    bell: UnixStream,
    watched: Arc<Watched>,
}

struct Registration {
    watch: u64,
    source: Arc<dyn Source>,
    waker: Waker,
}

#[derive(Default)]
struct Watched(Mutex<Vec<Registration>>);

static REACTOR: Mutex<Option<Reactor>> = Mutex::new(None);

impl Reactor {
    fn start() -> io::Result<Self> {
        let (bell, rung) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        rung.set_nonblocking(true)?;
        let watched = Arc::new(Watched::default());
        let seen = Arc::clone(&watched);
        std::thread::Builder::new().name("offspring-wait".to_owned()).spawn(move || run(&rung, &seen))?;
        Ok(Self { process: sys::pid(), bell, watched })
    }
}

impl Watched {
    fn replace(&self, entry: Registration) -> Option<Registration> {
        let mut entries = sys::lock(&self.0);
        match entries.iter_mut().find(|known| known.watch == entry.watch) {
            Some(known) => Some(std::mem::replace(known, entry)),
            None => {
                entries.push(entry);
                None
            }
        }
    }

    fn extract(&self, is_wanted: impl FnMut(&mut Registration) -> bool) -> Vec<Registration> {
        sys::lock(&self.0).extract_if(.., is_wanted).collect()
    }

    fn sources(&self) -> Vec<(u64, Arc<dyn Source>)> {
        sys::lock(&self.0).iter().map(|entry| (entry.watch, Arc::clone(&entry.source))).collect()
    }
}

fn run(bell: &UnixStream, watched: &Watched) {
    loop {
        let sources = watched.sources();
        let deadline = sources.iter().filter_map(|(_, source)| source.deadline()).min();
        let (live, interests): (Vec<_>, Vec<_>) =
            sources.iter().filter_map(|(watch, source)| Some(((*watch, source), source.interest()?))).unzip();
        let mut polled = vec![(bell.as_fd(), Interest::Read)];
        polled.extend(interests);
        let Ok(ready) = poll::ready(&polled, deadline) else {
            // More than poll(2) takes, or no memory: let the futures look for themselves.
            watched.extract(|_| true).into_iter().for_each(wake);
            continue;
        };
        while (&mut &*bell).read(&mut [0; 64]).is_ok_and(|length| length > 0) {}
        let now = Instant::now();
        let ready = live.iter().zip(&ready[1..]).filter(|((_, source), polled)| source.is_ready(**polled, now));
        let mut woken: Vec<u64> = ready.map(|((watch, _), _)| *watch).collect();
        woken.extend(sources.iter().filter(|(_, source)| source.interest().is_none()).map(|(watch, _)| watch));
        // Wakers are called without the lock: they run code of the executor.
        watched.extract(|entry| woken.contains(&entry.watch)).into_iter().for_each(wake);
    }
}

/// A waker that panics must not end the thread that others wait for.
fn wake(entry: Registration) {
    let _ = panic::catch_unwind(AssertUnwindSafe(|| entry.waker.wake()));
}
