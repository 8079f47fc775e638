//! The server until it serves: tied to its parent, no more privileged than that, its preloads run.

use std::error::Error as StdError;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{self, AssertUnwindSafe};

use super::server_loop::Server;
use crate::child::{self};
use crate::error::{Error, ErrorKind, Refusal};
use crate::ipc::wire::frame::ReceivedFrame;
use crate::ipc::wire::kind;
use crate::report::Report;
use crate::sys::fd::{self, Stream};
use crate::sys::fork::{self, FreshCopy, SingleThreaded};
use crate::sys::identity::{self, Privileges};
use crate::sys::inherited::InheritedState;
use crate::sys::procfs::ProcStatus;
use crate::sys::{self, robust_list, signal};
use crate::this_process::children::SERVER_NAME;
use crate::this_process::{after_fork, role};

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

/// Serves until the parent is gone.
pub(crate) fn serve(link: OwnedFd, frame: ReceivedFrame) -> ! {
    let privileges = frame.head::<Privileges>();
    let (Some(lifeline), Ok(privileges)) = (frame.descriptors.into_iter().next(), privileges) else {
        child::fail("the order to serve cannot be understood")
    };
    let server = Server { name: SERVER_NAME, link, lifeline };
    server.bind_to_parent();
    if let Err(error) = privileges.restrict_to() {
        child::fail(&format!("the forkserver cannot give up what its parent may not do: {error}"));
    }
    server.identify_senders();
    sys::set_name(SERVER_NAME);
    signal::block_terminal();
    if sys::has_main_thread_elsewhere() { server.leave_test_harness() } else { server.begin() }
}

fn prepare() -> Result<InheritedState, Error> {
    single_threaded("when it reaches its guard, which must come first in `main`, before any thread is started")?;
    redirect_input()?;
    preload()?;
    silence()?;
    single_threaded("after its #[preload] functions; they must end before it can make children")?;
    if robust_list::holds_robust_lock() {
        let text =
            "a #[preload] function has left a process-shared lock held, which no child could share; drop its guard";
        return Err(Error::new(ErrorKind::Preload, text));
    }
    if identity::has_children_elsewhere() {
        let text = "a #[preload] function has moved the forkserver's children to another pid namespace than its own (unshare(2), setns(2)); \
                    let the task do that, for children of its own";
        return Err(Error::new(ErrorKind::Preload, text));
    }
    let present = ProcStatus::read().and_then(|status| InheritedState::read(&status));
    present.map_err(|error| Error::os("the forkserver cannot read what it is", error))
}

fn redirect_input() -> Result<(), Error> {
    let null = fd::null().and_then(|null| fd::redirect(null.as_fd(), Stream::In));
    null.map_err(|error| Error::os("the forkserver cannot open /dev/null", error))
}

/// Lets go of the output that the preloads could print to: children get theirs with their orders, and whoever reads the
/// parent's output must see its end when the parent closes it, not when the server ends. Whatever a preload has made of the
/// input, it is `/dev/null` again too, as children are told that all three are.
fn silence() -> Result<(), Error> {
    sys::flush_output();
    let silenced =
        fd::null().and_then(|null| Stream::ALL.into_iter().try_for_each(|stream| fd::redirect(null.as_fd(), stream)));
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
            Err(payload) => failed(&format!("panicked: {}", child::panic_message(&*payload))),
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
    fn begin(self) -> ! {
        role::note_server();
        match prepare() {
            Ok(present) => {
                self.say(kind::READY, &present, None);
                self.run()
            }
            Err(error) => {
                self.say(kind::REFUSED, &Refusal::from(error), None);
                sys::exit_now(child::FAILED)
            }
        }
    }

    /// A test harness runs the guard on a thread of its own, beside a main thread that only waits for it. There the
    /// server goes on in a copy of itself, which has that one thread, and which is a child of the same parent.
    fn leave_test_harness(self) -> ! {
        let (server, made) = match fork::waiting_main_thread() {
            Ok(threads) => fork::clone_sibling(&threads, self, Self::begin_outside),
            Err(error) => (self, Err(error)),
        };
        if let Err(error) = made {
            child::fail(&format!("the forkserver cannot leave the test harness: {error}"));
        }
        // The parent ends this process when it has received of the other.
        sys::poll::wait_for_hang_up(server.link.as_fd());
        sys::exit_now(0)
    }

    /// The copy itself tells the parent, so that its next word cannot come before that.
    fn begin_outside(self, copy: FreshCopy) -> ! {
        after_fork::run(&copy);
        self.bind_to_parent();
        match sys::pidfd::open(sys::pid()) {
            Ok(pidfd) => self.say_forked(sys::pid(), &pidfd),
            Err(error) => child::fail(&format!("the forkserver cannot open its pidfd: {error}")),
        }
        self.begin()
    }
}
