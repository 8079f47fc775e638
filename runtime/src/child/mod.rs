//! A child from its link to its exit: the same code under every start method, in this order.
//!
//! ```text
//! spawn         guard: inherited_link ─────────┐
//! forkserver    clone ─────────────────────────┼▶ receive the spec ─┐
//!               clone, spare: wait_for_spec ───┘                    │
//! fork          fork, spec in memory ───────────────────────────────┴▶ prepare ─▶ task ─▶ last message ─▶ exit
//! ```
//!
//! 1. The child ties itself to its parent's life ([`ResultSender::bound`]). A spare does so before the spec arrives.
//! 2. The child applies its settings and runs the `#[after_fork]` hooks ([`prepare`]).
//! 3. The child decodes the arguments and runs the task ([`run_task`]). From step 2 on, a failure is sent as a refusal
//!    and a panic is caught.
//! 4. The child sends the last message: result, panic or refusal ([`ResultSender::send_last`]).
//! 5. The child joins its own children, flushes the output and exits ([`ProcessOrigin::exit`]).
//!
//! **Invariant:** a child never returns into the code that forked it. Hence the never types.

mod panic;
mod settings;
mod spare;
mod spec;

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

pub(crate) use panic::message as panic_message;
pub(crate) use spare::wait_for_spec;
pub(crate) use spec::{ChildFds, ChildSpec, Settings, StreamSetting};

use crate::error::{Error, ErrorKind, Panic, Refusal};
use crate::ipc::codec;
use crate::ipc::wire::fds::ReceivedFds;
use crate::ipc::wire::frame::{self, Body, OutgoingFrame, ReceivedFrame};
use crate::ipc::wire::kind;
use crate::ipc::wire::payload::Payload;
use crate::sys::exec::LINK_NUMBER;
use crate::sys::fork::FreshCopy;
use crate::sys::fork_generation::ForkGeneration;
use crate::sys::fork_private::ForkPrivateFd;
use crate::sys::rlimit::ManyFiles;
use crate::sys::{self, poll};
use crate::task::{self, ArgumentDecoder, EncodedOutput, TaskEntry};
use crate::this_process::{after_fork, reaper, role};

/// The environment variable that marks a re-executed program as a child. The guard removes the variable first.
pub(crate) const VARIABLE: &str = "OFFSPRING_BOOTSTRAP";

/// The exit code of a child that could not begin the task: link, spec or a setting was wrong.
pub(crate) const EXIT_NOT_STARTED: i32 = 125;

/// The exit code of a Rust program that panicked.
const EXIT_PANICKED: i32 = 101;

/// The interval at which a child without a spec checks its parent's pid.
///
/// The end of the link usually tells that the parent is gone. A copy of the parent, made by a raw fork, keeps the link
/// open.
const PARENT_CHECK: Duration = Duration::from_secs(10);

/// Whether this process has called the guard.
static GUARDED: AtomicBool = AtomicBool::new(false);

/// Notes the call of the guard: from now on children may be started by re-execution.
pub(crate) fn note_guard() {
    GUARDED.store(true, Ordering::Relaxed);
}

pub(crate) fn is_guarded() -> bool {
    GUARDED.load(Ordering::Relaxed)
}

/// Refuses to start a task in a forkserver.
pub(crate) fn refuse_in_server(task: &str) -> Result<(), Error> {
    if !role::is_server() {
        return Ok(());
    }
    let text = format!("cannot start `{task}` in a #[preload] function: a forkserver has no children of its own");
    Err(Error::new(ErrorKind::Preload, text))
}

/// The hidden test by which a child of a test binary reaches its guard.
#[derive(Debug)]
pub struct TestGuard {
    /// The module of the test.
    pub module: &'static str,
}

inventory::collect!(TestGuard);

/// A function that runs in every copy of a process, before the task.
#[derive(Debug)]
pub struct AfterFork {
    /// The function's path.
    pub name: &'static str,
    /// The source file.
    pub file: &'static str,
    /// The line in the source file.
    pub line: u32,
    /// The function.
    pub run: fn(),
}

inventory::collect!(AfterFork);

/// Returns the variable's value: the version of this protocol, the link's number, and a hash of the registered tasks.
pub(crate) fn token() -> String {
    format!("1 {LINK_NUMBER} {:016x}", task::build_fingerprint())
}

/// The origin of a child, which decides the way of its exit.
#[derive(Debug)]
pub(crate) enum ProcessOrigin {
    /// A program of its own, which exits like any program.
    Executed,
    /// A copy: exit handlers and destructors belong to the original.
    Copied(FreshCopy),
}

impl ProcessOrigin {
    /// Joins the child's own children, flushes the output and exits.
    fn exit(&self, code: i32) -> ! {
        reaper::finish();
        match self {
            Self::Executed => std::process::exit(code),
            Self::Copied(_) => {
                flush_at_end();
                sys::exit_now(code)
            }
        }
    }
}

/// Flushes the task's output, unless a leftover thread of the task holds the stream's lock: a child waits for no such
/// thread. (At the exit of an executed program, std and the C library do the same.)
fn flush_at_end() {
    /// The longest wait for a lock.
    const GRACE: Duration = Duration::from_millis(100);
    /// The C library does not distinguish a held lock from a full pipe.
    const GRACE_OF_C: Duration = Duration::from_secs(1);
    if sys::fork::is_alone() {
        return sys::flush_output();
    }
    let locked = on_a_thread(|locked| {
        let mut output = io::stdout().lock();
        let _ = locked.send(());
        let _ = output.flush();
    });
    if locked.recv_timeout(GRACE).is_ok() {
        // The write may take any time.
        let _ = locked.recv();
    }
    let _ = on_a_thread(|_| sys::flush_c_output()).recv_timeout(GRACE_OF_C);
}

/// Runs the work on a new thread, and returns a channel that ends with the work.
fn on_a_thread(work: fn(mpsc::Sender<()>)) -> mpsc::Receiver<()> {
    let (sender, receiver) = mpsc::channel();
    // Without a thread the work is left out: on this thread it might block for ever.
    let _ = std::thread::Builder::new().spawn(move || work(sender));
    receiver
}

/// Returns the link of a process that was started as a child, and `None` in any other process.
///
/// A wrong value of the variable ends the process. Otherwise the user's `main` would run in a process that was meant to
/// be a child.
pub(crate) fn inherited_link() -> Option<OwnedFd> {
    let token_found = sys::environ::take(VARIABLE)?;
    if sys::is_privileged_execution() {
        fail("this program runs with more privilege than whoever started it (AT_SECURE), and will not be a child");
    }
    if token_found.to_str() != Some(&token()) {
        fail(&format!(
            "{VARIABLE}={token_found:?} was not set by this very program, which would have set {:?}",
            token()
        ));
    }
    let link = match sys::fd::inherited(LINK_NUMBER) {
        Ok(link) => link,
        Err(error) => fail(&format!("{VARIABLE} is set, but descriptor {LINK_NUMBER} is not open: {error}")),
    };
    if !sys::socket::is_link(link.as_fd()) {
        fail(&format!("{VARIABLE} is set, but descriptor {LINK_NUMBER} is not the socket of a parent"));
    }
    if sys::socket::peer_pid(link.as_fd()).ok() != Some(sys::parent_pid()) && !poll::is_hung_up(link.as_fd()) {
        fail(&format!(
            "{VARIABLE} is set, but the socket at descriptor {LINK_NUMBER} is not that of the parent process"
        ));
    }
    sys::exec::close_unknown();
    Some(link)
}

/// Ends a process that should have been a child.
pub(crate) fn fail(text: &str) -> ! {
    // Exits even without a standard error: the user's `main` would follow.
    let _ = writeln!(std::io::stderr(), "offspring: {text}");
    sys::exit_now(EXIT_NOT_STARTED)
}

/// Ends a child that cannot read its spec, and sends the reason to the parent.
fn refuse(link: BorrowedFd<'_>, error: Error) -> ! {
    let text = error.to_string();
    let _ = frame::send_value(link, kind::REFUSED, &Refusal::from(error), &[]);
    fail(&text)
}

/// A guard whose drop ends the process: no panic may unwind from a child's code into the frames of its parent.
pub(crate) struct NoWayBack;

impl Drop for NoWayBack {
    fn drop(&mut self) {
        sys::exit_now(EXIT_NOT_STARTED);
    }
}

/// Sends the handshake. The kernel adds this process's pid.
pub(crate) fn send_handshake(link: &OwnedFd) {
    // A parent that is gone is found by the missing spec.
    let _ = frame::send_value(link.as_fd(), kind::HANDSHAKE, &(), &[]);
}

/// Receives the first message of a link. (A spare waits in `spare` instead.)
///
/// Raises the limit on descriptors meanwhile. The spec may carry more descriptors than this process's limit allows,
/// since a forkserver may have been started under a lower limit than its parent's, and the spec brings the new limit.
pub(crate) fn first_message(link: &OwnedFd) -> ReceivedFrame {
    let _meanwhile = ManyFiles::allow();
    // Nearly always the message is there, and a fresh copy of a process need not touch the code of the clock.
    let message = match frame::try_receive(link.as_fd()) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_for_message(link),
        here => here,
    };
    match message {
        Ok(Some(frame)) => frame,
        // The parent is gone.
        Ok(None) => sys::exit_now(EXIT_NOT_STARTED),
        Err(error) if sys::is_limit(&error) => {
            refuse(link.as_fd(), Error::os("the child cannot receive its spec", error))
        }
        Err(error) => fail(&format!("no spec has come from the parent: {error}")),
    }
}

/// Waits without limit: a debugger or a user may have stopped the parent.
fn wait_for_message(link: &OwnedFd) -> io::Result<Option<ReceivedFrame>> {
    let parent = sys::parent_pid();
    loop {
        match frame::receive(link.as_fd(), poll::deadline_in(PARENT_CHECK)) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut && sys::parent_pid() == parent => {}
            other => return other,
        }
    }
}

/// Runs the spec in `frame`.
pub(crate) fn run_received(link: OwnedFd, frame: ReceivedFrame, origin: ProcessOrigin) -> ! {
    let (spec, mut fds, arguments) = decode_spec(link.as_fd(), frame);
    let sender = ResultSender::bound(link, fds.lifeline.take());
    run_spec(spec, fds, &sender, &origin, arguments)
}

/// Decodes a frame that should hold a spec, and ends the child otherwise.
fn decode_spec(link: BorrowedFd<'_>, frame: ReceivedFrame) -> (ChildSpec, ChildFds, Payload) {
    if frame.kind != kind::SPEC {
        fail(&format!("a message of kind {} has come in place of a spec", frame.kind));
    }
    ChildSpec::decode(frame).unwrap_or_else(|error| {
        let text = format!("the child cannot understand its spec: {error}");
        refuse(link, Error::new(ErrorKind::Decode, text))
    })
}

fn run_spec(
    spec: ChildSpec,
    fds: ChildFds,
    sender: &ResultSender,
    origin: &ProcessOrigin,
    mut arguments: Payload,
) -> ! {
    let (name, id) = (spec.task.clone(), spec.id);
    prepare_and_work(spec, fds, sender, origin, move || {
        let descriptors = ReceivedFds::new(std::mem::take(&mut arguments.descriptors));
        run_task(task::lookup(&name, id)?, &arguments, descriptors)
    })
}

/// In a copy with the arguments in memory: returns the arguments' descriptors, and closes all other channel ends of the
/// original.
///
/// An unused end would keep a channel from ever closing. Called before the hooks, whose own
/// channel ends belong to the child.
pub(crate) fn inherited_fds(arguments: &Payload, copy: &FreshCopy) -> ReceivedFds {
    after_fork::give_ends(copy, |ends| ReceivedFds::inherited(&arguments.descriptors, ends))
}

/// Decodes a task's arguments and runs the task.
pub(crate) fn run_task(
    entry: &TaskEntry,
    arguments: &Payload,
    descriptors: ReceivedFds,
) -> Result<EncodedOutput, Error> {
    let bytes = arguments
        .bytes()
        .map_err(|error| Error::os(format!("the child cannot map the arguments of `{}`", entry.name), error))?;
    (entry.run)(&mut ArgumentDecoder::new(&bytes, descriptors)).map_err(|error| {
        let text = format!("the child cannot decode the arguments of `{}`: {}", entry.name, error.0);
        Error::new(ErrorKind::Decode, text)
    })
}

/// Makes this process the child of the spec, runs the work, sends the result and exits.
pub(crate) fn run(
    spec: ChildSpec,
    mut fds: ChildFds,
    link: OwnedFd,
    origin: ProcessOrigin,
    work: impl FnOnce() -> Result<EncodedOutput, Error>,
) -> ! {
    let sender = ResultSender::bound(link, fds.lifeline.take());
    prepare_and_work(spec, fds, &sender, &origin, work)
}

fn prepare_and_work(
    spec: ChildSpec,
    fds: ChildFds,
    sender: &ResultSender,
    origin: &ProcessOrigin,
    work: impl FnOnce() -> Result<EncodedOutput, Error>,
) -> ! {
    let _guard = NoWayBack;
    let task = spec.task.clone();
    let done = run_user_code(&task, || {
        prepare(spec, fds, origin)?;
        work()
    });
    let code = sender.send_last(match done {
        Ok(Ok(output)) => LastMessage::Returned(output),
        Ok(Err(refusal)) => LastMessage::Refused(refusal),
        Err(panic) => LastMessage::Panicked(panic),
    });
    origin.exit(code)
}

/// Runs the code of a task, and returns a panic as an error.
///
/// The task may copy this process (fork(2)), and the copy may come back from the task. There is one link, one pair of
/// rings and one result for each child, and all belong to the original. So the copy ends here, without a trace but for
/// the message: exit handlers and unwritten output are the original's too.
pub(crate) fn run_user_code<T>(task: &str, work: impl FnOnce() -> T) -> Result<T, Panic> {
    let own = ForkGeneration::current();
    let done = panic::catch(work);
    if !own.is_current() {
        fail(&format!(
            "the task `{task}` has copied its process (fork), and the copy (pid {}) has come back from the task; it \
             ends here, since the task's result is the original's; end the copy in the task, or make it by \
             offspring::fork",
            sys::pid()
        ));
    }
    done
}

/// Ties this process to its parent's life, for good.
fn bind_to_parent(link: &Arc<ForkPrivateFd>, lifeline: OwnedFd) {
    match sys::lifeline::arm(lifeline.as_fd()) {
        Ok(true) => role::bind_to_parent(link, lifeline),
        Ok(false) => sys::exit_now(EXIT_NOT_STARTED),
        Err(error) => {
            let error = Error::os("the child cannot bind itself to its parent's life", error);
            ResultSender::new(Arc::clone(link)).send(kind::REFUSED, &Refusal::from(error));
            sys::exit_now(EXIT_NOT_STARTED)
        }
    }
}

/// Applies everything that the spec sets, and runs the hooks.
fn prepare(spec: ChildSpec, fds: ChildFds, origin: &ProcessOrigin) -> Result<(), Error> {
    if let Some(privileges) = &spec.privileges {
        privileges.restrict_to().map_err(|error| {
            Error::with_source(ErrorKind::Setting, "the child cannot give up what its parent may not do", error)
        })?;
    }
    spec.settings.apply(fds)?;
    sys::set_name(&spec.title);
    spec.ancestry.assume();
    if let Some(blocked) = spec.settings.blocked_signals {
        sys::signal::set_mask(blocked);
    }
    if let Some(limit) = spec.timeout {
        sys::signal::end_after(limit)
            .map_err(|error| Error::os("the child cannot set the timer of its task", error))?;
    }
    if let ProcessOrigin::Copied(_) = origin {
        run_after_fork_hooks();
    }
    Ok(())
}

/// Runs the hooks sorted by name, since `inventory` has no fixed order.
fn run_after_fork_hooks() {
    if inventory::iter::<AfterFork>().next().is_none() {
        return;
    }
    let mut hooks: Vec<&AfterFork> = inventory::iter::<AfterFork>().collect();
    hooks.sort_by_key(|hook| (hook.name, hook.file, hook.line));
    for hook in hooks {
        (hook.run)();
    }
}

/// The last message of a child.
enum LastMessage {
    Returned(EncodedOutput),
    Panicked(Panic),
    Refused(Error),
    Unencodable(codec::Error),
}

/// The child's side of the link. Sends nothing in a copy of the child.
struct ResultSender {
    link: Arc<ForkPrivateFd>,
    child: ForkGeneration,
}

impl ResultSender {
    fn new(link: Arc<ForkPrivateFd>) -> Self {
        Self { link, child: ForkGeneration::current() }
    }

    /// Ties this process to its parent's life, and has its panics noted.
    fn bound(link: OwnedFd, lifeline: Option<OwnedFd>) -> Self {
        let guard = NoWayBack;
        let link = Arc::new(ForkPrivateFd::new(link));
        if let Some(lifeline) = lifeline {
            bind_to_parent(&link, lifeline);
        }
        let in_hook = Self::new(Arc::clone(&link));
        panic::watch(move |panic| {
            in_hook.send_last(LastMessage::Panicked(panic.clone()));
        });
        // The caller has a guard of its own.
        std::mem::forget(guard);
        Self::new(link)
    }

    fn link(&self) -> Option<BorrowedFd<'_>> {
        self.link.get().filter(|_| self.child.is_current())
    }

    /// Sends the last message, and returns the exit code for it.
    fn send_last(&self, message: LastMessage) -> i32 {
        match message {
            LastMessage::Returned(EncodedOutput(Ok(result))) => match self.send_result(&result) {
                // No room for a memory file of this size: sends the reason instead.
                Err(error) if !frame::is_gone(&error) => {
                    let text = format!("the result cannot be sent: {error}");
                    self.send_last(LastMessage::Unencodable(codec::Error::new(text)))
                }
                _ => 0,
            },
            LastMessage::Returned(EncodedOutput(Err(error))) => self.send_last(LastMessage::Unencodable(error)),
            LastMessage::Unencodable(error) => {
                self.send(kind::UNENCODABLE, &error.to_string());
                1
            }
            LastMessage::Panicked(panic) => {
                self.send(kind::PANICKED, &panic);
                EXIT_PANICKED
            }
            LastMessage::Refused(error) => {
                self.send(kind::REFUSED, &Refusal::from(error));
                EXIT_NOT_STARTED
            }
        }
    }

    /// Ignores failures: a parent that is gone needs no message.
    fn send(&self, kind: u8, value: &impl serde::Serialize) {
        if let Some(link) = self.link() {
            let _ = frame::send_value(link, kind, value, &[]);
        }
    }

    fn send_result(&self, result: &Payload) -> std::io::Result<()> {
        let Some(link) = self.link() else { return Ok(()) };
        let frame = OutgoingFrame { kind: kind::RETURNED, head: &[], body: Body::from(result), descriptors: &[] };
        frame.send(link, frame::SEND_TIMEOUT)
    }
}
