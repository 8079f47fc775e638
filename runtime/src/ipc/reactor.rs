//! The thread that wakes futures when their descriptors become ready.
//!
//! | resource | created by | closed |
//! | --- | --- | --- |
//! | thread `offspring-wait` | the first future that has to wait | at the end of the process |
//! | wake socket, a pair: one end for futures, one for the thread | the same future | at the end of the process |
//!
//! 1. A future that has to wait registers a [`Source`] and a waker through a [`Watch`], and writes a byte to the wake
//!    socket.
//! 2. The thread polls the descriptors of all sources, and the wake socket.
//! 3. The thread removes the registrations of ready sources, and wakes their wakers, each once.
//! 4. The future looks again. A future that finds nothing registers again.
//!
//! Readiness is a level, not an edge: a source that becomes ready between a future's look and the poll is still ready
//! at the poll.

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

/// A source of readiness that futures wait for.
pub(crate) trait Source: Send + Sync {
    /// Returns the descriptor to poll, or `None` if the source can never become ready.
    fn interest(&self) -> Option<(BorrowedFd<'_>, Interest)>;

    /// Returns the time of the next look at the source, ready or not.
    fn deadline(&self) -> Deadline {
        None
    }

    /// Whether a future of this source would make progress.
    fn is_ready(&self, polled: bool, _now: Instant) -> bool {
        polled
    }
}

/// The registration of one future. Dropping removes the registration.
#[derive(Debug)]
pub(crate) struct Watch(u64);

impl Watch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Wakes `waker` when `source` is ready. Replaces an earlier registration.
    ///
    /// # Errors
    /// The thread or the wake socket cannot be made.
    pub(crate) fn wake(&self, source: &Arc<impl Source + 'static>, waker: &Waker) -> io::Result<()> {
        let mut slot = sys::lock(&REACTOR);
        let reactor = match slot.take().filter(|reactor| reactor.pid == sys::pid()) {
            Some(reactor) => slot.insert(reactor),
            None => slot.insert(Reactor::start()?),
        };
        let entry = Registration { watch: self.0, source: Arc::clone(source) as Arc<dyn Source>, waker: waker.clone() };
        let replaced = reactor.registrations.replace(entry);
        reactor.interrupt();
        drop(slot);
        // Unlocked, since dropping a waker may run code of the executor.
        drop(replaced);
        Ok(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let slot = sys::lock(&REACTOR);
        let Some(reactor) = &*slot else { return };
        let removed = reactor.registrations.extract(|entry| entry.watch == self.0);
        if !removed.is_empty() {
            // The polling thread holds the source, whose closing another process may wait for.
            reactor.interrupt();
        }
        drop(slot);
        drop(removed);
    }
}

struct Reactor {
    /// The process with the thread. A forked copy has this memory, but no thread.
    pid: u32,
    wake_sender: UnixStream,
    registrations: Arc<Registrations>,
}

struct Registration {
    watch: u64,
    source: Arc<dyn Source>,
    waker: Waker,
}

#[derive(Default)]
struct Registrations(Mutex<Vec<Registration>>);

static REACTOR: Mutex<Option<Reactor>> = Mutex::new(None);

impl Reactor {
    fn start() -> io::Result<Self> {
        let (wake_sender, wake_receiver) = UnixStream::pair()?;
        wake_sender.set_nonblocking(true)?;
        wake_receiver.set_nonblocking(true)?;
        let registrations = Arc::new(Registrations::default());
        let polled = Arc::clone(&registrations);
        let thread = std::thread::Builder::new().name("offspring-wait".to_owned());
        thread.spawn(move || run(&wake_receiver, &polled))?;
        Ok(Self { pid: sys::pid(), wake_sender, registrations })
    }

    /// Makes the thread poll again, with the registrations as they are now.
    fn interrupt(&self) {
        // An error means a full socket, which interrupts too.
        let _ = (&self.wake_sender).write(&[0]);
    }
}

impl Registrations {
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

fn run(wake_receiver: &UnixStream, registrations: &Registrations) {
    loop {
        let sources = registrations.sources();
        let deadline = sources.iter().filter_map(|(_, source)| source.deadline()).min();
        let (live, interests): (Vec<_>, Vec<_>) =
            sources.iter().filter_map(|(watch, source)| Some(((*watch, source), source.interest()?))).unzip();
        let mut polled = vec![(wake_receiver.as_fd(), Interest::Read)];
        polled.extend(interests);
        let Ok(ready) = poll::ready(&polled, deadline) else {
            // More descriptors than poll(2) takes, or no memory: all futures look for themselves.
            registrations.extract(|_| true).into_iter().for_each(wake);
            continue;
        };
        while (&mut &*wake_receiver).read(&mut [0; 64]).is_ok_and(|length| length > 0) {}
        let now = Instant::now();
        let ready = live.iter().zip(&ready[1..]).filter(|((_, source), polled)| source.is_ready(**polled, now));
        let mut woken: Vec<u64> = ready.map(|((watch, _), _)| *watch).collect();
        woken.extend(sources.iter().filter(|(_, source)| source.interest().is_none()).map(|(watch, _)| watch));
        // Unlocked, since a waker runs code of the executor.
        registrations.extract(|entry| woken.contains(&entry.watch)).into_iter().for_each(wake);
    }
}

/// Wakes a future. A panic of the waker must not end the thread, which all other futures need.
fn wake(entry: Registration) {
    let _ = panic::catch_unwind(AssertUnwindSafe(|| entry.waker.wake()));
}
