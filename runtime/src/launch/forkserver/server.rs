//! The server: preloads once, then makes a child for each request, on one thread, until its link ends.

use std::error::Error as StdError;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{self, AssertUnwindSafe};
use std::time::Duration;

use serde::Serialize;

use crate::bootstrap::{self, Birth, kind};
use crate::children::SERVER_NAME;
use crate::error::{Error, ErrorKind, Refusal};
use crate::report::Report;
use crate::sys::fd::{self, Stream};
use crate::sys::fork::{self, FreshCopy, Sibling, SingleThreaded};
use crate::sys::identity::{Privileges, own_ids};
use crate::sys::present::{Present, Status};
use crate::sys::{self, lifeline, signal, socket};
use crate::wire::frame::{self, Incoming};

/// A function that the server runs once, before it serves.
#[derive(Debug)]
pub struct Preload {
    /// Its path.
    pub name: &'static str,
    /// Where it is.
    pub file: &'static str,
    /// Where it is.
    pub line: u32,
    /// The function.
    pub run: fn() -> Result<(), Report>,
}

inventory::collect!(Preload);

/// What a function marked `#[preload]` can return.
#[diagnostic::on_unimplemented(message = "a `#[preload]` function returns nothing or a `Result<(), E>`, not `{Self}`")]
pub trait PreloadOutput {
    /// Whether it went well.
    ///
    /// # Errors
    /// The function's own.
    fn outcome(self) -> Result<(), Report>;
}

impl PreloadOutput for () {
    fn outcome(self) -> Result<(), Report> {
        Ok(())
    }
}

impl<E: Into<Box<dyn StdError>>> PreloadOutput for Result<(), E> {
    fn outcome(self) -> Result<(), Report> {
        self.map_err(|error| Report::new(&*error.into()))
    }
}

/// A server's own descriptors, none of which its children keep.
struct Server {
    link: OwnedFd,
    lifeline: OwnedFd,
}

/// Serves until the parent is gone.
pub(crate) fn serve(link: OwnedFd, frame: Incoming) -> ! {
    let privileges = frame.head::<Privileges>();
    let (Some(lifeline), Ok(privileges)) = (frame.descriptors.into_iter().next(), privileges) else {
        bootstrap::fail("the order to serve cannot be understood")
    };
    let server = Server { link, lifeline };
    server.bind_to_parent();
    if let Err(error) = privileges.restrict_to() {
        bootstrap::fail(&format!("the forkserver cannot give up what its parent may not do: {error}"));
    }
    // Before the parent is told that it may ask.
    if let Err(error) = socket::identify_senders(server.link.as_fd()) {
        bootstrap::fail(&format!("the forkserver cannot tell who asks: {error}"));
    }
    sys::set_name(SERVER_NAME);
    signal::block_terminal();
    let server = server.leave_test_harness();
    bootstrap::note_server();
    match prepare() {
        Ok(present) => {
            server.say(kind::READY, &present, None);
            server.run()
        }
        Err(error) => {
            server.say(kind::REFUSED, &Refusal::from(error), None);
            sys::exit_now(bootstrap::FAILED)
        }
    }
}

fn prepare() -> Result<Present, Error> {
    single_threaded("when it reaches its guard, which must come first in `main`, before any thread is started")?;
    redirect_input()?;
    preload()?;
    silence()?;
    single_threaded("after its #[preload] functions; they must end before it can make children")?;
    if fork::holds_robust_lock() {
        let text =
            "a #[preload] function has left a process-shared lock held, which no child could share; drop its guard";
        return Err(Error::new(ErrorKind::Preload, text));
    }
    let present = Status::read().and_then(|status| Present::read(&status));
    present.map_err(|error| Error::os("the forkserver cannot read what it is", error))
}

fn redirect_input() -> Result<(), Error> {
    let null = fd::null().and_then(|null| fd::redirect(null.as_fd(), Stream::In));
    null.map_err(|error| Error::os("the forkserver cannot open /dev/null", error))
}

/// Lets go of the output that the preloads could print to: children get theirs with their orders, and whoever reads the
/// parent's output must see its end when the parent closes it, not when the server ends.
fn silence() -> Result<(), Error> {
    sys::flush_output();
    let silenced = fd::null().and_then(|null| {
        fd::redirect(null.as_fd(), Stream::Out)?;
        fd::redirect(null.as_fd(), Stream::Err)
    });
    silenced.map_err(|error| Error::os("the forkserver cannot open /dev/null", error))
}

/// Runs every `#[preload]` function, sorted by name.
fn preload() -> Result<(), Error> {
    let mut preloads: Vec<&Preload> = inventory::iter::<Preload>().collect();
    preloads.sort_by_key(|preload| (preload.name, preload.file, preload.line));
    preloads.into_iter().try_for_each(|preload| {
        let failed = |how: &str| {
            Err(Error::new(
                ErrorKind::Preload,
                format!("the preload `{}` ({}:{}) {how}", preload.name, preload.file, preload.line),
            ))
        };
        match panic::catch_unwind(AssertUnwindSafe(preload.run)) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(report)) => failed(&format!("failed: {report:?}")),
            Err(payload) => failed(&format!("panicked: {}", bootstrap::panic_message(&*payload))),
        }
    })
}

fn single_threaded(when: &str) -> Result<SingleThreaded, Error> {
    SingleThreaded::check().map_err(|threads| {
        let names = threads.names.join(", ");
        Error::new(ErrorKind::Preload, format!("the forkserver has other threads ({names}) {when}"))
    })
}

impl Server {
    fn bind_to_parent(&self) {
        if !lifeline::arm(self.lifeline.as_fd()).unwrap_or(false) {
            sys::exit_now(bootstrap::FAILED);
        }
    }

    /// A test harness runs the guard on a thread of its own, beside a main thread that only waits for it. There the
    /// server goes on in a copy of itself, which has that one thread, and which is a child of the same parent. The copy
    /// itself tells the parent, so that its next word cannot come before that.
    fn leave_test_harness(self) -> Self {
        if !sys::has_main_thread_elsewhere() {
            return self;
        }
        match fork::waiting_main_thread().and_then(|threads| fork::clone_sibling(&threads)) {
            // The parent ends this process when it has heard of the other.
            Ok(Sibling::Original(..)) => {
                sys::poll::wait_for_hang_up(self.link.as_fd());
                sys::exit_now(0)
            }
            Ok(Sibling::Copy(copy)) => {
                bootstrap::forget(&copy);
                self.bind_to_parent();
                match sys::pidfd::open(sys::pid()) {
                    Ok(pidfd) => self.say_forked(sys::pid(), &pidfd),
                    Err(error) => bootstrap::fail(&format!("the forkserver cannot open its pidfd: {error}")),
                }
                self
            }
            Err(error) => bootstrap::fail(&format!("the forkserver cannot leave the test harness: {error}")),
        }
    }

    /// Obeys the user who started it, and nobody else: a parent that has given up its ids gets another server, and who
    /// has taken over such a parent nothing.
    fn run(self) -> ! {
        let mut server = self;
        loop {
            let request = frame::receive(server.link.as_fd(), None).ok().flatten();
            let own_user = |frame: &Incoming| frame.sender.map(|sender| sender.ids) == Some(own_ids());
            // Or the parent is gone, or has no use for this server any more.
            let Some(frame) = request.filter(own_user) else { sys::exit_now(0) };
            server = match frame.kind {
                kind::FORK => server.make_child(frame),
                kind::SPARE => server.make_spare(frame),
                _ => sys::exit_now(0),
            };
        }
    }

    /// Makes a child and tells the parent.
    fn make_child(self, request: Incoming) -> Self {
        let Some(link) = request.descriptors.into_iter().next() else { return self };
        match self.clone_sibling() {
            Ok(Sibling::Copy(copy)) => self.become_child(link, copy),
            Ok(Sibling::Original(pid, pidfd)) => self.say_forked(pid, &pidfd),
            Err(error) => self.say(kind::REFUSED, &error.raw_os_error().unwrap_or_default(), None),
        }
        self
    }

    /// Makes a spare, which tells the parent itself; if there is none, the end of its link does.
    fn make_spare(self, request: Incoming) -> Self {
        let patience = request.head().unwrap_or_default();
        if let Some(link) = request.descriptors.into_iter().next()
            && let Ok(Sibling::Copy(copy)) = self.clone_sibling()
        {
            self.become_spare(link, patience, copy)
        }
        self
    }

    fn clone_sibling(&self) -> io::Result<Sibling> {
        // A thread may have come since the last time, from a timer that a preload has set, say.
        let Ok(threads) = SingleThreaded::check() else { bootstrap::fail("the forkserver has other threads by now") };
        fork::clone_sibling(&threads)
    }

    fn become_child(self, link: OwnedFd, copy: FreshCopy) -> ! {
        drop(self);
        bootstrap::forget(&copy);
        bootstrap::say_hello(&link);
        let order = bootstrap::first_message(&link);
        bootstrap::obey(link, order, Birth::Copied(copy))
    }

    fn become_spare(self, link: OwnedFd, patience: Option<Duration>, copy: FreshCopy) -> ! {
        let lifeline = lifeline::for_sibling(self.lifeline.as_fd());
        drop(self);
        bootstrap::forget(&copy);
        match lifeline {
            Ok(lifeline) => bootstrap::wait_for_order(link, lifeline, patience, copy),
            Err(error) => bootstrap::fail(&format!("a spare cannot open its lifeline: {error}")),
        }
    }

    fn say_forked(&self, pid: u32, pidfd: &OwnedFd) {
        self.say(kind::FORKED, &pid, Some(pidfd));
    }

    /// A server that cannot answer ends: that is an answer too, where silence would keep the parent waiting.
    fn say(&self, kind: u8, value: &impl Serialize, descriptor: Option<&OwnedFd>) {
        let descriptors: Vec<_> = descriptor.into_iter().map(AsFd::as_fd).collect();
        if let Err(error) = frame::send_value(self.link.as_fd(), kind, value, &descriptors) {
            bootstrap::fail(&format!("the forkserver cannot answer: {error}"));
        }
    }
}
