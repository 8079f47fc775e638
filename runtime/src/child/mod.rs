//! The first code in a child, and the last: from its link to its exit, the same for every start method.
//!
//! ```text
//! spawn         guard: inherited_link ─┐
//! forkserver    clone ─────────────────┼▶ receive the order ─┐
//!               clone, spare: wait ────┘                     │
//! fork          fork, order in memory ───────────────────────┴▶ prepare ─▶ task ─▶ last word ─▶ exit
//! ```
//!
//! A child is bound to its parent's life ([`ResultSender::bound`]; a spare before it waits) and made what the order says ([`prepare`]). From there on
//! nothing of the child's fate is left to chance: a failure is a refusal, a panic is caught, and every path ends in
//! [`ProcessOrigin::exit`]. A child never returns into the code that made it: hence the never types.

mod panic;
mod settings;
mod spare;
mod spec;

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

pub(crate) use panic::{catch as catch_panic, message as panic_message};
pub(crate) use spare::wait_for_order;
pub(crate) use spec::{ChildFds, ChildSpec, Settings, StreamSetting};

use crate::error::{Error, ErrorKind, Panic, Refusal};
use crate::ipc::codec;
use crate::ipc::wire::frame::{self, Body, OutgoingFrame, ReceivedFrame};
use crate::ipc::wire::payload::Payload;
use crate::ipc::wire::{fds, kind};
use crate::sys::exec::LINK_NUMBER;
use crate::sys::fork::FreshCopy;
use crate::sys::fork_private::ForkPrivateFd;
use crate::sys::rlimit::ManyFiles;
use crate::sys::{self, poll};
use crate::task::{self, ArgumentDecoder, EncodedOutput, TaskEntry};
use crate::this_process::{after_fork, reaper, role};

/// The one variable that tells a re-executed program that it is a child. Removed before any code of the user runs.
pub(crate) const VARIABLE: &str = "OFFSPRING_BOOTSTRAP";

/// The exit code of a child that could not begin its task: its link, its order or one of its settings was wrong.
pub(crate) const FAILED: i32 = 125;

/// The exit code of a Rust program that panicked.
const PANICKED: i32 = 101;

/// How often a child that waits for its order looks whether it still has the parent that it was born to. The end of the link tells that
/// its parent is gone, unless a copy of the parent that others have made holds that end too.
const PARENT_CHECK: Duration = Duration::from_secs(10);

/// Whether `main` is guarded in this process.
static GUARDED: AtomicBool = AtomicBool::new(false);

/// Notes that this process has been through its guard, so that children of it may be started by re-execution.
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
    /// The module that has it.
    pub module: &'static str,
}

inventory::collect!(TestGuard);

/// A function that runs in every copy of a process, before its task.
#[derive(Debug)]
pub struct AfterFork {
    /// Its path.
    pub name: &'static str,
    /// Where it is.
    pub file: &'static str,
    /// Where it is.
    pub line: u32,
    /// The function.
    pub run: fn(),
}

inventory::collect!(AfterFork);

/// What the variable says: the version of this protocol, the link's number, and what the parent has registered.
pub(crate) fn token() -> String {
    format!("1 {LINK_NUMBER} {:016x}", task::build_fingerprint())
}

/// How a child came into being, which decides how it ends.
#[derive(Debug)]
pub(crate) enum ProcessOrigin {
    /// As a program of its own: it ends like one.
    Executed,
    /// As a copy: exit handlers and destructors belong to the original.
    Copied(FreshCopy),
}

impl ProcessOrigin {
    /// Joins what this child has started, writes out what it has printed, and ends.
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

/// Writes out what the task has printed, unless a thread that the task has left behind holds the lock of it: the end of the process is the end
/// of that thread, and nobody waits for it. (At the end of a program that was executed, std and the C library do the same.)
fn flush_at_end() {
    /// How long a lock is waited for.
    const GRACE: Duration = Duration::from_millis(100);
    /// The C library does not tell a lock that is held from output that nobody reads as yet.
    const GRACE_OF_C: Duration = Duration::from_secs(1);
    if sys::fork::is_alone() {
        return sys::flush_output();
    }
    let locked = beside(|tell| {
        let mut output = io::stdout().lock();
        let _ = tell.send(());
        let _ = output.flush();
    });
    if locked.recv_timeout(GRACE).is_ok() {
        // However long it takes to be written.
        let _ = locked.recv();
    }
    let _ = beside(|_tell| sys::flush_c_output()).recv_timeout(GRACE_OF_C);
}

/// Runs something on a thread of its own; the channel ends with it.
fn beside(work: fn(mpsc::Sender<()>)) -> mpsc::Receiver<()> {
    let (tell, told) = mpsc::channel();
    // Without a thread it is not done, as it might be the end of all.
    let _ = std::thread::Builder::new().spawn(move || work(tell));
    told
}

/// The link of a process that was started as a child; `None` in any other process.
///
/// Never ignores the variable when it is there: whatever is wrong with it ends the process, since what would follow is
/// the user's `main`, in a process that was never meant to run it.
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
    // Whether or not anybody can be told: what would follow is the user's `main`.
    let _ = writeln!(std::io::stderr(), "offspring: {text}");
    sys::exit_now(FAILED)
}

/// Ends a child that does not understand its order, and tells its parent, and whoever else may have sent that, why.
fn refuse(link: BorrowedFd<'_>, error: Error) -> ! {
    let text = error.to_string();
    let _ = frame::send_value(link, kind::REFUSED, &Refusal::from(error), &[]);
    fail(&text)
}

/// Ends the process rather than let a panic unwind out of the code that makes a child, into frames that are not its own.
pub(crate) struct NoWayBack;

impl Drop for NoWayBack {
    fn drop(&mut self) {
        sys::exit_now(FAILED);
    }
}

/// Says hello: the kernel adds this process's pid.
pub(crate) fn send_handshake(link: &OwnedFd) {
    // If the parent does not listen any more, the order's absence says so.
    let _ = frame::send_value(link.as_fd(), kind::HANDSHAKE, &(), &[]);
}

/// Receives the first message of a link. (A spare waits for it as long as it takes, see `spare`.)
///
/// What it carries is the parent's to decide, and the limit that this process is to have comes with it: a forkserver may have
/// been started under a lower one.
pub(crate) fn first_message(link: &OwnedFd) -> ReceivedFrame {
    let _meanwhile = ManyFiles::allow();
    // Nearly always it is there, and a fresh copy of a process is spared the clock.
    let message = match frame::try_receive(link.as_fd()) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_for_message(link),
        here => here,
    };
    match message {
        Ok(Some(frame)) => frame,
        // The parent is gone: nobody is there to be told.
        Ok(None) => sys::exit_now(FAILED),
        Err(error) if sys::is_limit(&error) => {
            refuse(link.as_fd(), Error::os("the child cannot receive its order", error))
        }
        Err(error) => fail(&format!("no order has come from the parent: {error}")),
    }
}

/// Without a limit: a parent that a debugger or its user has stopped goes on some time.
fn wait_for_message(link: &OwnedFd) -> io::Result<Option<ReceivedFrame>> {
    let parent = sys::parent_pid();
    loop {
        match frame::receive(link.as_fd(), poll::deadline_in(PARENT_CHECK)) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut && sys::parent_pid() == parent => {}
            other => return other,
        }
    }
}

/// Carries out the order in `frame`.
pub(crate) fn run_received(link: OwnedFd, frame: ReceivedFrame, birth: ProcessOrigin) -> ! {
    let (order, mut kit, arguments) = open(link.as_fd(), frame);
    let voice = ResultSender::bound(link, kit.lifeline.take());
    run_spec(order, kit, &voice, &birth, arguments)
}

/// Takes apart what should be an order.
fn open(link: BorrowedFd<'_>, frame: ReceivedFrame) -> (ChildSpec, ChildFds, Payload) {
    if frame.kind != kind::SPEC {
        fail(&format!("a message of kind {} has come where an order was to come", frame.kind));
    }
    ChildSpec::open(frame).unwrap_or_else(|error| {
        let text = format!("the child cannot understand its order: {error}");
        refuse(link, Error::new(ErrorKind::Decode, text))
    })
}

fn run_spec(order: ChildSpec, kit: ChildFds, voice: &ResultSender, birth: &ProcessOrigin, mut arguments: Payload) -> ! {
    let (name, mark) = (order.task.clone(), order.mark);
    prepare_and_work(order, kit, voice, birth, move || {
        let descriptors = fds::ReceivedFds::new(std::mem::take(&mut arguments.descriptors));
        run_task(task::lookup(&name, mark)?, &arguments, descriptors)
    })
}

/// What a copy of the process goes on with that has its arguments in memory.
///
/// Of the original's channel ends the child keeps those that it was given, as any other child does: one more, in an
/// object that nobody here can reach, and no end would ever be seen to close. It comes before the hooks, whose own ends
/// are the child's.
pub(crate) fn inherit(arguments: &Payload, copy: &FreshCopy) -> fds::ReceivedFds {
    after_fork::give_ends(copy, |ends| fds::ReceivedFds::inherited(&arguments.descriptors, ends))
}

/// Decodes a task's arguments and runs it.
pub(crate) fn run_task(
    entry: &TaskEntry,
    arguments: &Payload,
    descriptors: fds::ReceivedFds,
) -> Result<EncodedOutput, Error> {
    let bytes = arguments
        .bytes()
        .map_err(|error| Error::os(format!("the child cannot map the arguments of `{}`", entry.name), error))?;
    (entry.run)(&mut ArgumentDecoder::new(&bytes, descriptors)).map_err(|error| {
        let text = format!("the child cannot decode the arguments of `{}`: {}", entry.name, error.0);
        Error::new(ErrorKind::Decode, text)
    })
}

/// Makes this process the child that the order describes, runs its work, reports, and exits.
pub(crate) fn run(
    order: ChildSpec,
    mut kit: ChildFds,
    link: OwnedFd,
    birth: ProcessOrigin,
    work: impl FnOnce() -> Result<EncodedOutput, Error>,
) -> ! {
    let voice = ResultSender::bound(link, kit.lifeline.take());
    prepare_and_work(order, kit, &voice, &birth, work)
}

fn prepare_and_work(
    order: ChildSpec,
    kit: ChildFds,
    voice: &ResultSender,
    birth: &ProcessOrigin,
    work: impl FnOnce() -> Result<EncodedOutput, Error>,
) -> ! {
    let _guard = NoWayBack;
    let done = panic::catch(|| {
        prepare(order, kit, birth)?;
        work()
    });
    let code = voice.send_last(match done {
        Ok(Ok(output)) => LastMessage::Returned(output),
        Ok(Err(refusal)) => LastMessage::Refused(refusal),
        Err(panic) => LastMessage::Panicked(panic),
    });
    birth.exit(code)
}

/// Ties this process to its parent's life, for good.
fn hold_on_to(link: &Arc<ForkPrivateFd>, lifeline: OwnedFd) {
    match sys::lifeline::arm(lifeline.as_fd()) {
        Ok(true) => role::bind_to_parent(link, lifeline),
        Ok(false) => sys::exit_now(FAILED),
        Err(error) => {
            let error = Error::os("the child cannot bind itself to its parent's life", error);
            ResultSender(Arc::clone(link)).say(kind::REFUSED, &Refusal::from(error));
            sys::exit_now(FAILED)
        }
    }
}

fn prepare(order: ChildSpec, kit: ChildFds, birth: &ProcessOrigin) -> Result<(), Error> {
    if let Some(privileges) = &order.privileges {
        privileges.restrict_to().map_err(|error| {
            Error::with_source(ErrorKind::Setting, "the child cannot give up what its parent may not do", error)
        })?;
    }
    order.settings.apply(kit)?;
    sys::set_name(&order.title);
    order.lineage.assume();
    if let Some(blocked) = order.settings.blocked_signals {
        sys::signal::set_mask(blocked);
    }
    if let Some(limit) = order.timeout {
        sys::signal::end_after(limit)
            .map_err(|error| Error::os("the child cannot set the timer of its task", error))?;
    }
    if let ProcessOrigin::Copied(_) = birth {
        run_after_fork_hooks();
    }
    Ok(())
}

/// Sorted, since `inventory` has no order of its own.
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

/// What a child says at its end.
enum LastMessage {
    Returned(EncodedOutput),
    Panicked(Panic),
    Refused(Error),
    Unencodable(codec::Error),
}

/// The child's side of the link. In a copy of the child it is mute.
struct ResultSender(Arc<ForkPrivateFd>);

impl ResultSender {
    /// That of a child which from here on is tied to its parent's life, and whose panics are reported.
    fn bound(link: OwnedFd, lifeline: Option<OwnedFd>) -> Self {
        let guard = NoWayBack;
        let link = Arc::new(ForkPrivateFd::new(link));
        if let Some(lifeline) = lifeline {
            hold_on_to(&link, lifeline);
        }
        let in_hook = Self(Arc::clone(&link));
        panic::watch(move |panic| {
            in_hook.send_last(LastMessage::Panicked(panic.clone()));
        });
        // The caller has one of its own.
        std::mem::forget(guard);
        Self(link)
    }

    fn link(&self) -> Option<BorrowedFd<'_>> {
        self.0.get()
    }

    /// Says the last word; the exit code that goes with it.
    fn send_last(&self, word: LastMessage) -> i32 {
        match word {
            LastMessage::Returned(EncodedOutput(Ok(result))) => match self.send_result(&result) {
                // No memory file of this size, or none more at all: then at least why.
                Err(error) if !frame::is_gone(&error) => {
                    let text = format!("the result cannot be sent: {error}");
                    self.send_last(LastMessage::Unencodable(codec::Error::new(text)))
                }
                _ => 0,
            },
            LastMessage::Returned(EncodedOutput(Err(error))) => self.send_last(LastMessage::Unencodable(error)),
            LastMessage::Unencodable(error) => {
                self.say(kind::UNENCODABLE, &error.to_string());
                1
            }
            LastMessage::Panicked(panic) => {
                self.say(kind::PANICKED, &panic);
                PANICKED
            }
            LastMessage::Refused(error) => {
                self.say(kind::REFUSED, &Refusal::from(error));
                FAILED
            }
        }
    }

    /// If nobody listens any more, there is nobody to tell.
    fn say(&self, kind: u8, value: &impl serde::Serialize) {
        if let Some(link) = self.link() {
            let _ = frame::send_value(link, kind, value, &[]);
        }
    }

    fn send_result(&self, result: &Payload) -> std::io::Result<()> {
        let Some(link) = self.link() else { return Ok(()) };
        let word = OutgoingFrame { kind: kind::RETURNED, head: &[], body: Body::from(result), descriptors: &[] };
        word.send(link, frame::SEND_TIMEOUT)
    }
}
