//! A forkserver from its guard to its event loop: ties itself to the parent, drops excess privileges, runs the
//! preloads.

use std::error::Error as StdError;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{self, AssertUnwindSafe};

use super::server_loop::EventLoop;
use crate::child;
use crate::error::{Error, ErrorKind, Refusal};
use crate::ipc::wire::frame::ReceivedFrame;
use crate::ipc::wire::kind;
use crate::report::Report;
use crate::sys::fd::{self, Stream};
use crate::sys::fork::{self, FreshCopy, OtherThreads, SingleThreaded, WaitForHarness};
use crate::sys::identity::{self, Privileges};
use crate::sys::inherited::InheritedState;
use crate::sys::procfs::ProcStatus;
use crate::sys::{self, robust_list, signal};
use crate::this_process::children::SERVER_NAME;
use crate::this_process::{after_fork, role};

/// A function that the forkserver runs once, before its first child.
#[derive(Debug)]
pub struct Preload {
    /// The function's path.
    pub name: &'static str,
    /// The source file.
    pub file: &'static str,
    /// The line in the source file.
    pub line: u32,
    /// The function.
    pub run: fn() -> Result<(), Report>,
}

inventory::collect!(Preload);

/// The result types of `#[preload]` functions: nothing, or a `Result<(), E>`.
#[diagnostic::on_unimplemented(message = "a `#[preload]` function returns nothing or a `Result<(), E>`, not `{Self}`")]
pub trait PreloadOutput {
    /// Converts the result for the parent.
    ///
    /// # Errors
    /// The function's own error.
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

/// In the forkserver: serves until the parent is gone.
pub(crate) fn serve(link: OwnedFd, frame: ReceivedFrame) -> ! {
    let privileges = frame.head::<Privileges>();
    let (Some(lifeline), Ok(privileges)) = (frame.descriptors.into_iter().next(), privileges) else {
        child::fail("the request to serve cannot be understood")
    };
    let server = EventLoop { name: SERVER_NAME, link, lifeline };
    server.bind_to_parent();
    if let Err(error) = privileges.restrict_to() {
        child::fail(&format!("the forkserver cannot give up what its parent may not do: {error}"));
    }
    server.identify_senders();
    sys::set_name(SERVER_NAME);
    signal::block_terminal();
    if sys::has_main_thread_elsewhere() { server.leave_test_harness() } else { server.prepare_and_run() }
}

/// Runs the preloads, and returns the state that children inherit from the server.
fn prepare() -> Result<InheritedState, Error> {
    SingleThreaded::check().map_err(|threads| threads_at_guard(&threads))?;
    redirect_input()?;
    preload()?;
    silence()?;
    SingleThreaded::check().map_err(|threads| threads_after_preloads(&threads))?;
    if robust_list::holds_robust_lock() {
        let text =
            "a #[preload] function has left a process-shared lock held, which no child could share; drop its guard";
        return Err(Error::new(ErrorKind::Preload, text));
    }
    if identity::has_children_elsewhere() {
        let text = "a #[preload] function has moved the forkserver's children to another pid namespace than its own \
                    (unshare(2), setns(2)); let the task do that, for children of its own";
        return Err(Error::new(ErrorKind::Preload, text));
    }
    let inherited = ProcStatus::read().and_then(|status| InheritedState::read(&status));
    inherited.map_err(|error| Error::os("the forkserver cannot read what it is", error))
}

fn redirect_input() -> Result<(), Error> {
    let redirected = fd::empty_input().and_then(|input| fd::redirect(input.as_fd(), Stream::In));
    redirected.map_err(|error| Error::os("the forkserver cannot have an empty standard input", error))
}

/// Redirects all standard streams to `/dev/null`, after the preloads have printed.
///
/// Children get their streams with the spec. The reader of the parent's output must see the end of the output when the
/// parent closes the stream, not when the server ends. A preload may have redirected the input.
fn silence() -> Result<(), Error> {
    sys::flush_output();
    // Without /dev/null too: the server neither reads nor prints from here on.
    let silent = fd::null().or_else(|_| fd::empty_input());
    let silenced =
        silent.and_then(|silent| Stream::ALL.into_iter().try_for_each(|stream| fd::redirect(silent.as_fd(), stream)));
    silenced.map_err(|error| Error::os("the forkserver cannot redirect its standard streams", error))
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

/// The refusal of a program that can have no forkserver. The kind tells the parent so (`availability`).
fn threads_at_guard(threads: &OtherThreads) -> Error {
    let text = format!(
        "this program can have no forkserver, since it has other threads ({threads}) when it reaches its guard: a \
         library or an allocator started them when the program was loaded, or `main` before its guard, which must come \
         first; use the start method `spawn`"
    );
    Error::new(ErrorKind::MultiThreadedFork, text)
}

/// The refusal after preloads that have left threads behind.
fn threads_after_preloads(threads: &OtherThreads) -> Error {
    let text = format!(
        "the forkserver has other threads ({threads}) after its #[preload] functions; they must end before it can make \
         children"
    );
    Error::new(ErrorKind::Preload, text)
}

impl EventLoop {
    fn prepare_and_run(self) -> ! {
        role::note_server();
        match prepare() {
            Ok(inherited) => {
                self.send(kind::READY, &inherited, None);
                self.run()
            }
            Err(error) => self.refuse(error),
        }
    }

    fn refuse(&self, error: Error) -> ! {
        self.send(kind::REFUSED, &Refusal::from(error), None);
        sys::exit_now(child::EXIT_NOT_STARTED)
    }

    /// Goes on in a copy of this process with one thread, which is a child of the same parent.
    ///
    /// A test harness runs the guard on a second thread, while the main thread only waits.
    fn leave_test_harness(self) -> ! {
        let (server, forked) = match fork::waiting_main_thread() {
            Ok(threads) => fork::clone_sibling(&threads, self, Self::begin_in_copy),
            Err(WaitForHarness::OtherThreads(threads)) => self.refuse(threads_at_guard(&threads)),
            Err(WaitForHarness::Os(error)) => (self, Err(error)),
        };
        if let Err(error) = forked {
            child::fail(&format!("the forkserver cannot leave the test harness: {error}"));
        }
        // The parent kills this process after it has received the copy's pid.
        sys::poll::wait_for_hang_up(server.link.as_fd());
        sys::exit_now(0)
    }

    /// In the copy: sends the copy's pid to the parent, and then begins. So `FORKED` arrives before `READY`.
    fn begin_in_copy(self, copy: FreshCopy) -> ! {
        after_fork::run(&copy);
        self.bind_to_parent();
        match sys::pidfd::open(sys::pid()) {
            Ok(pidfd) => self.send_forked(sys::pid(), &pidfd),
            Err(error) => child::fail(&format!("the forkserver cannot open its pidfd: {error}")),
        }
        self.prepare_and_run()
    }
}
