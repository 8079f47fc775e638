//! The children of this process: their descriptors, their owners, and how they ended.
//!
//! Every start method registers its children here. A handle (`Process`) looks at its child here, and the end of the
//! program joins all of them ([`reaper`](super::reaper)). The first to look reaps a child: a handle that waits, or the
//! reaper. The exit status then stays with the [`Child`] for later looks.
//!
//! | descriptor of a child | use | closed |
//! | --- | --- | --- |
//! | `pidfd` | names the child for ever; readable at the child's end | when the child is reaped and its handle gone |
//! | `link` | this process's end of the socket; the child's outcome waits there | the same |
//! | `lifeline` | the read side that the child has armed | when the child is reaped |
//! | `streams` | this process's ends of piped standard streams | by the user, or with the handle |
//!
//! A fresh copy of this process closes all of them at once ([`after_fork`](super::after_fork)), and touches none of the
//! objects: the children are not the copy's, and the kernel copies every page that the copy writes to. Nor does a start
//! touch a child that a handle answers for.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::per_process::{OnCopy, PerProcess};
use crate::error::{Error, ErrorKind, SignalName};
use crate::ipc::spin::AdaptiveSpin;
use crate::ipc::wire::frame::{self, ReceivedFrame};
use crate::ipc::wire::kind;
use crate::platform::StartMethod;
use crate::sys::fork::FreshCopy;
use crate::sys::fork_generation::ForkGeneration;
use crate::sys::fork_private::ForkPrivateFd;
use crate::sys::lifeline::{Kept, Lifeline};
use crate::sys::lock;
use crate::sys::pidfd::{self, WaitStatus};
use crate::sys::poll::{self, Deadline};
use crate::sys::signal::{KILL, OVERDUE};

/// A child that a launcher has made. The child has its spec, or will find the spec in its link.
#[derive(Debug)]
pub(crate) struct Launched {
    pub(crate) pid: u32,
    pub(crate) pidfd: OwnedFd,
    pub(crate) link: OwnedFd,
    pub(crate) lifeline: Lifeline,
    /// The parent's ends of piped standard streams.
    pub(crate) streams: [Option<OwnedFd>; 3],
    /// A frame that the launcher has received from the child already.
    pub(crate) received: Option<ReceivedFrame>,
}

/// The facts about a child that are known at its start.
#[derive(Debug)]
pub(crate) struct Description {
    pub(crate) name: String,
    pub(crate) task: String,
    pub(crate) method: StartMethod,
    pub(crate) daemon: bool,
    /// The child survives `SIGTERM`.
    pub(crate) is_graceful: bool,
    pub(crate) kill_on_drop: bool,
    /// The moment at which this process, if a thread of it waits, kills the child.
    pub(crate) deadline: Deadline,
    /// The child's own timer begins with the task. Before this moment, the timer cannot have ended the child.
    pub(crate) overdue_from: Deadline,
}

impl Description {
    /// Describes a process of the library's own: a server or a spare.
    pub(crate) fn of_helper(name: &str, method: StartMethod) -> Self {
        Self {
            name: name.to_owned(),
            task: name.to_owned(),
            method,
            daemon: true,
            is_graceful: false,
            kill_on_drop: false,
            deadline: None,
            overdue_from: None,
        }
    }
}

/// A child of this process, running or ended.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) pid: u32,
    /// The process whose child this is. Any other process that has this object is a copy of that process.
    parent: ForkGeneration,
    pub(crate) about: Description,
    pidfd: ForkPrivateFd,
    link: ForkPrivateFd,
    state: Mutex<ChildState>,
}

#[derive(Debug)]
struct ChildState {
    status: Option<ExitStatus>,
    /// Whether this process killed the child because the child's time was over.
    overdue: bool,
    owner: ChildOwner,
    lifeline: Option<Kept>,
    streams: [Option<ForkPrivateFd>; 3],
    outcome: Option<ReceivedFrame>,
}

/// The owner that answers for a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChildOwner {
    /// A handle of the user.
    Handle,
    /// This process, which reaps the child and joins the child before the program ends.
    Process,
    /// None. The child may outlive this process. If it does not, this process reaps it.
    Detached,
    /// A launcher. The child is its server, and ends when the link is shut down.
    Launcher,
    /// A launcher that has shut the link down. The server is only to be reaped.
    Retired,
}

impl ChildOwner {
    pub(super) fn is_of_server(self) -> bool {
        matches!(self, Self::Launcher | Self::Retired)
    }
}

/// The way in which a child process ended. Made by [`Process::exit_status`](crate::Process::exit_status).
///
/// # Examples
/// ```
/// use offspring::{ExitStatus, child_task};
///
/// #[child_task]
/// fn exit(code: i32) {
///     std::process::exit(code);
/// }
///
/// # #[offspring::process_main]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut child = exit::start(3)?;
/// child.wait().unwrap_err();
/// let status = child.exit_status();
/// assert_eq!(status, Some(ExitStatus::Exited(3)));
/// assert_eq!(status.map(|status| status.to_string()).as_deref(), Some("exit code 3"));
/// # Ok(())
/// # }
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExitStatus {
    /// The child exited with this code, 0 to 255.
    Exited(i32),
    /// This signal ended the child.
    Signaled(i32),
    /// The child ended, and other code in this program has taken the exit status.
    Unknown,
}

impl ExitStatus {
    /// Returns whether the child exited with code 0.
    ///
    /// # Examples
    /// ```
    /// use offspring::ExitStatus;
    ///
    /// assert!(ExitStatus::Exited(0).success());
    /// assert!(!ExitStatus::Signaled(9).success());
    /// ```
    pub fn success(self) -> bool {
        self == Self::Exited(0)
    }

    /// Returns the exit code, or `None` if a signal ended the child.
    ///
    /// # Examples
    /// ```
    /// use offspring::ExitStatus;
    ///
    /// assert_eq!(ExitStatus::Exited(3).code(), Some(3));
    /// assert_eq!(ExitStatus::Signaled(9).code(), None);
    /// ```
    pub fn code(self) -> Option<i32> {
        if let Self::Exited(code) = self { Some(code) } else { None }
    }

    /// Returns the signal that ended the child, or `None` if the child exited.
    ///
    /// # Examples
    /// ```
    /// use offspring::ExitStatus;
    ///
    /// assert_eq!(ExitStatus::Signaled(9).signal(), Some(9));
    /// assert_eq!(ExitStatus::Exited(3).signal(), None);
    /// ```
    pub fn signal(self) -> Option<i32> {
        if let Self::Signaled(signal) = self { Some(signal) } else { None }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exit code {code}"),
            Self::Signaled(signal) => SignalName(*signal).fmt(f),
            Self::Unknown => f.write_str("unknown exit status"),
        }
    }
}

impl From<WaitStatus> for ExitStatus {
    fn from(status: WaitStatus) -> Self {
        match status {
            WaitStatus::Exited(code) => Self::Exited(code),
            WaitStatus::Signaled(signal) => Self::Signaled(signal),
            WaitStatus::Unknown => Self::Unknown,
        }
    }
}

/// The name of a forkserver, and of each child of a forkserver until the child has its spec or waits as a spare.
pub(crate) const SERVER_NAME: &str = "forkserver";

/// The same for the template of a pool.
pub(crate) const TEMPLATE_NAME: &str = "pool template";

/// The children that have not been reaped, by pid.
#[derive(Debug, Default)]
struct ChildTable {
    all: BTreeMap<u32, Arc<Child>>,
    /// The children of `all` that no handle and no launcher answers for. A start looks for the end of these alone.
    orphans: BTreeMap<u32, Arc<Child>>,
}

impl ChildTable {
    fn insert(&mut self, child: &Arc<Child>) {
        self.all.insert(child.pid, Arc::clone(child));
        // If a child with this pid is known, foreign code has reaped it.
        self.orphans.remove(&child.pid);
    }

    /// Finds a child, unless its pid is another child's already because foreign code has reaped this one.
    fn find(&self, child: &Child) -> Option<&Arc<Child>> {
        self.all.get(&child.pid).filter(|known| std::ptr::eq(&raw const ***known, child))
    }

    fn orphan(&mut self, child: &Child) {
        if let Some(known) = self.find(child).cloned() {
            self.orphans.insert(child.pid, known);
        }
    }

    fn remove(&mut self, child: &Child) {
        if self.find(child).is_some() {
            self.all.remove(&child.pid);
            self.orphans.remove(&child.pid);
        }
    }
}

/// A copy of the process leaks the table. A drop would write to each child, and the kernel would copy the pages of
/// each.
static CHILDREN: PerProcess<ChildTable> = PerProcess::new(OnCopy::Leak);

/// Registers a new child for a handle.
pub(crate) fn register(launched: Launched, about: Description) -> Arc<Child> {
    insert(launched, about, ChildOwner::Handle)
}

/// Registers a launcher's server, which is reaped like a child, but is none of the program's own.
pub(crate) fn register_server(launched: Launched, about: Description) -> Arc<Child> {
    insert(launched, about, ChildOwner::Launcher)
}

/// Registers a process that has been told to end, and is only to be reaped.
pub(super) fn register_retired(launched: Launched, about: Description) {
    insert(launched, about, ChildOwner::Retired);
}

fn insert(launched: Launched, about: Description, owner: ChildOwner) -> Arc<Child> {
    let Launched { pid, pidfd, link, lifeline, streams, received } = launched;
    let (lifeline, streams) = (Some(lifeline.keep()), streams.map(|stream| stream.map(ForkPrivateFd::new)));
    let state = ChildState { status: None, overdue: false, owner, lifeline, streams, outcome: received };
    let mut table = CHILDREN.lock();
    let child = Arc::new(Child {
        pid,
        parent: ForkGeneration::current(),
        about,
        pidfd: ForkPrivateFd::new(pidfd),
        link: ForkPrivateFd::new(link),
        state: Mutex::new(state),
    });
    table.insert(&child);
    if owner == ChildOwner::Retired {
        table.orphan(&child);
    }
    drop(table);
    child
}

impl Child {
    /// Borrows the pidfd.
    ///
    /// # Errors
    /// `NotParent` in a forked copy of the process that started the child.
    pub(crate) fn pidfd(&self) -> Result<BorrowedFd<'_>, Error> {
        self.own(&self.pidfd)
    }

    /// Borrows this process's end of the link.
    ///
    /// # Errors
    /// As [`pidfd`](Self::pidfd).
    pub(crate) fn link(&self) -> Result<BorrowedFd<'_>, Error> {
        self.own(&self.link)
    }

    /// A fresh copy has closed the descriptors. A copy by foreign code still has them, and must not use them.
    fn own<'a>(&self, descriptor: &'a ForkPrivateFd) -> Result<BorrowedFd<'a>, Error> {
        let own = descriptor.get().filter(|_| self.parent.is_current());
        own.ok_or_else(|| self.not_parent())
    }

    fn not_parent(&self) -> Error {
        let text = format!(
            "`{}` (pid {}) was started by another process, of which this one is a copy; only that one can wait for it",
            self.about.task, self.pid
        );
        Error::new(ErrorKind::NotParent, text)
    }

    /// Returns the child's exit status, and reaps a child that has ended. Returns `None` while the child runs.
    pub(crate) fn try_status(&self) -> Result<Option<ExitStatus>, Error> {
        let pidfd = self.pidfd()?;
        let mut state = lock(&self.state);
        if state.status.is_none() {
            state.status =
                pidfd::try_reap(pidfd).map_err(|error| self.failed("wait for", error))?.map(ExitStatus::from);
            if state.status.is_some() {
                state.lifeline = None;
                CHILDREN.lock().remove(self);
            }
        }
        Ok(state.status)
    }

    /// Waits until the child has ended or `deadline` has passed. Kills a child whose own time is over.
    pub(crate) fn wait(&self, deadline: Deadline) -> Result<Option<ExitStatus>, Error> {
        loop {
            if let Some(status) = self.try_status()? {
                return Ok(Some(status));
            }
            let until = [deadline, self.about.deadline].into_iter().flatten().min();
            let pidfd = self.pidfd()?;
            if self.ends_soon(pidfd, until) {
                continue;
            }
            let [ended] = poll::readable([pidfd], until).map_err(|error| self.failed("wait for", error))?;
            if ended {
                continue;
            }
            let now = Instant::now();
            if self.kill_if_overdue(now)? {
                // Its end takes a moment. A caller who does not want to wait waits for it too, unless the kernel holds
                // the child up.
                let end = deadline.map(|end| end.max(now + KILL_GRACE));
                let [ended] = poll::readable([pidfd], end).map_err(|error| self.failed("wait for", error))?;
                if !ended {
                    return Ok(None);
                }
            } else if deadline.is_some_and(|end| now >= end) {
                return Ok(None);
            }
        }
    }

    /// Spins for a moment for the end of the child, if there is so much time.
    fn ends_soon(&self, pidfd: BorrowedFd<'_>, until: Deadline) -> bool {
        /// As long as a copy lives that does little. More would be much beside the cost of a start.
        const LONGEST: Duration = Duration::from_micros(200);
        /// By start method, as a child that is executed lives longer.
        static SPIN: [AdaptiveSpin; 3] = [const { AdaptiveSpin::for_process(LONGEST) }; 3];
        let has_time = until.is_none_or(|end| end.saturating_duration_since(Instant::now()) > LONGEST);
        has_time && SPIN[self.about.method as usize].look(|| poll::is_readable(pidfd))
    }

    /// Kills the child if the child's own time is over. Returns whether it is.
    pub(crate) fn kill_if_overdue(&self, now: Instant) -> Result<bool, Error> {
        let overdue = self.about.deadline.is_some_and(|end| now >= end);
        if overdue {
            self.signal(KILL)?;
            lock(&self.state).overdue = true;
        }
        Ok(overdue)
    }

    /// Returns the moment at which the child is to be killed. Returns `None` for a child that has been killed for that.
    pub(crate) fn deadline(&self) -> Deadline {
        self.about.deadline.filter(|_| !lock(&self.state).overdue)
    }

    /// Returns whether the child was killed because its time was over.
    pub(crate) fn ran_out_of_time(&self, status: ExitStatus) -> bool {
        let Some(overdue_from) = self.about.overdue_from else { return false };
        // The timer's second signal, for a task that holds off the first, cannot be told from another `SIGKILL`.
        let by_its_timer = status == ExitStatus::Signaled(OVERDUE) && Instant::now() >= overdue_from;
        // A signal to a child that has just exited by itself changes nothing.
        by_its_timer || (lock(&self.state).overdue && status.code().is_none())
    }

    pub(crate) fn signal(&self, signal: i32) -> Result<(), Error> {
        pidfd::send_signal(self.pidfd()?, signal).map_err(|error| self.failed("signal", error))
    }

    /// Returns the last message of a child that has ended, if there is one.
    pub(crate) fn take_outcome(&self) -> Result<Option<ReceivedFrame>, Error> {
        let link = self.link()?;
        let mut state = lock(&self.state);
        // A handshake and one message. A hostile child may have sent more.
        for _ in 0..2 {
            if state.outcome.as_ref().is_some_and(|received| received.kind != kind::HANDSHAKE) {
                break;
            }
            match received(frame::try_receive(link)).map_err(|error| self.failed("receive from", error))? {
                Some(frame) => state.outcome = Some(frame),
                None => break,
            }
        }
        Ok(state.outcome.take())
    }

    /// Tells a launcher's server to leave, and reaps the server. A server that takes longer than [`KILL_GRACE`] is
    /// reaped like an orphan.
    pub(crate) fn dismiss(&self) {
        lock(&self.state).owner = ChildOwner::Retired;
        CHILDREN.lock().orphan(self);
        if let Ok(link) = self.link() {
            let _ = crate::sys::socket::shut_down(link);
            let _ = self.wait(poll::deadline_in(KILL_GRACE));
        }
    }

    /// Lets the child outlive this process.
    ///
    /// # Errors
    /// As [`pidfd`](Self::pidfd).
    pub(crate) fn detach(&self) -> Result<(), Error> {
        // A copy by foreign code would disarm the lifeline of its original's child, whose open file the copy shares.
        self.pidfd()?;
        // A lifeline that is taken back before the child arms it would be armed all the same.
        while !self.is_armed()? && self.wait(poll::deadline_in(ARMING))?.is_none() {}
        let mut state = lock(&self.state);
        state.owner = ChildOwner::Detached;
        let disarmed = state.lifeline.take().map_or(Ok(()), Kept::disarm);
        disarmed.map_err(|error| self.failed("detach", error))
    }

    /// Returns whether the child has armed its lifeline, or never will.
    fn is_armed(&self) -> Result<bool, Error> {
        let state = lock(&self.state);
        let armed = state.lifeline.as_ref().map_or(Ok(true), Kept::is_armed);
        armed.map_err(|error| self.failed("detach", error))
    }

    /// Makes this process answer for the child, whose handle is gone.
    pub(crate) fn release(&self) {
        let Ok(pidfd) = self.pidfd() else { return };
        if self.about.kill_on_drop && lock(&self.state).owner == ChildOwner::Handle {
            let _ = pidfd::send_signal(pidfd, KILL);
            // The end takes a moment; then there is no zombie either.
            let _ = self.wait(poll::deadline_in(KILL_GRACE));
        }
        let mut state = lock(&self.state);
        if state.owner == ChildOwner::Handle {
            state.owner = ChildOwner::Process;
        }
        // A child that waits for the end of its streams, or for a reader, would keep the end of the program waiting.
        let streams = std::mem::take(&mut state.streams);
        drop(state);
        drop(streams);
        CHILDREN.lock().orphan(self);
        let _ = self.try_status();
    }

    pub(crate) fn take_stream(&self, number: usize) -> Option<OwnedFd> {
        lock(&self.state).streams[number].take().and_then(ForkPrivateFd::into_owned)
    }

    pub(super) fn owner(&self) -> ChildOwner {
        lock(&self.state).owner
    }

    fn failed(&self, doing: &str, error: io::Error) -> Error {
        Error::os(format!("cannot {doing} `{}` (pid {})", self.about.task, self.pid), error)
    }
}

/// An empty queue is the end of the child's messages, not an error.
fn received(result: io::Result<Option<ReceivedFrame>>) -> io::Result<Option<ReceivedFrame>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        other => other,
    }
}

/// Returns every child that has not been reaped, servers among them, by pid.
pub(super) fn registered() -> Vec<Arc<Child>> {
    CHILDREN.lock_used().map_or_else(Vec::new, |table| table.all.values().cloned().collect())
}

/// Returns the number of children that have not been reaped, servers among them.
pub(crate) fn count() -> usize {
    CHILDREN.lock_used().map_or(0, |table| table.all.len())
}

pub(super) fn is_registered(pid: u32) -> bool {
    CHILDREN.lock_used().is_some_and(|table| table.all.contains_key(&pid))
}

/// Returns the orphans that have ended. Writes to no other child: after a fork each write may cost a page.
pub(super) fn ended_orphans() -> Vec<Arc<Child>> {
    let Some(table) = CHILDREN.lock_used() else { return Vec::new() };
    if table.orphans.is_empty() {
        return Vec::new();
    }
    let open = table.orphans.values().filter_map(|child| Some((child, child.pidfd.get()?)));
    let (children, pidfds): (Vec<_>, Vec<_>) = open.unzip();
    // The call does not wait, so no thread waits for the table.
    let ended = poll::readable_many(&pidfds, Some(Instant::now())).unwrap_or_default();
    children.into_iter().zip(ended).filter(|(_, has_ended)| *has_ended).map(|(child, _)| Arc::clone(child)).collect()
}

/// The time between two looks whether a child has armed its lifeline, which a child does first. There is no event to
/// wait for.
const ARMING: Duration = Duration::from_millis(1);

/// The time that a drop waits for a killed process to end.
pub(crate) const KILL_GRACE: Duration = Duration::from_millis(100);

/// Leaves the original's children alone, in a fresh copy of the process.
pub(super) fn after_fork(copy: &FreshCopy) {
    CHILDREN.after_fork(copy);
}
