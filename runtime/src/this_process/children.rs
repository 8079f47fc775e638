//! The children of this process: what is known of each, and who reaps it.
//!
//! Every start method registers its children here, handles (`Process`) look at them here, and the end of the program
//! joins them here. A child is reaped by whoever looks first: a handle that waits, [`sweep`] at the next start, or
//! [`finish`]. The status then stays with the [`Child`], so nobody has to be first.
//!
//! | descriptor of a child | what it is | closed |
//! | --- | --- | --- |
//! | `pidfd` | names the child for ever; readable when it has ended | when the child is reaped and its handle gone |
//! | `link` | this process's end; the child's outcome waits in it | the same |
//! | `lifeline` | the read side that the child has armed | when the child is reaped |
//! | `streams` | this process's ends of piped standard streams | by the user, or with the handle |
//!
//! A forked copy of this process closes all of them at once ([`forget`]), and touches none of the objects: they are not its
//! children, and every page that it wrote to would be copied. Nor does a start touch a child that a handle answers for.
//!
//! Children that are made ahead, before anybody has asked for them, are in [`spares`].

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::spares;
use crate::error::{Error, ErrorKind, SignalName};
use crate::ipc::spin::AdaptiveSpin;
use crate::ipc::wire::frame::{self, ReceivedFrame};
use crate::ipc::wire::kind;
use crate::platform::StartMethod;
use crate::sys::fd::Stream;
use crate::sys::fork::FreshCopy;
use crate::sys::fork_private::{self, ForkPrivateFd};
use crate::sys::lifeline::{Kept, Lifeline};
use crate::sys::lock;
use crate::sys::pidfd::{self, WaitStatus};
use crate::sys::poll::{self, Deadline};
use crate::sys::signal::{KILL, OVERDUE, TERMINATE};

/// What a launcher has made: a child, which has its order or will find it in its link.
#[derive(Debug)]
pub(crate) struct Launched {
    pub(crate) pid: u32,
    pub(crate) pidfd: OwnedFd,
    pub(crate) link: OwnedFd,
    pub(crate) lifeline: Lifeline,
    /// The parent's ends of piped standard streams.
    pub(crate) streams: [Option<OwnedFd>; 3],
    /// What the launcher has received from the child already.
    pub(crate) received: Option<ReceivedFrame>,
}

/// What this process knows of a child when it starts it.
#[derive(Debug)]
pub(crate) struct Description {
    pub(crate) name: String,
    pub(crate) task: String,
    pub(crate) method: StartMethod,
    pub(crate) daemon: bool,
    pub(crate) kill_on_drop: bool,
    /// When this process ends the child's time, if somebody waits.
    pub(crate) deadline: Deadline,
    /// Before this moment the child's own timer, which begins with the task, cannot have ended it.
    pub(crate) overdue_from: Deadline,
}

impl Description {
    /// That of a process which is the library's own: a server or a spare.
    pub(crate) fn of_helper(name: &str, method: StartMethod) -> Self {
        Self {
            name: name.to_owned(),
            task: name.to_owned(),
            method,
            daemon: true,
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
    /// The process whose child it is; any other that has this object is a copy of it.
    parent: u32,
    pub(crate) about: Description,
    pidfd: ForkPrivateFd,
    link: ForkPrivateFd,
    state: Mutex<ChildState>,
}

#[derive(Debug)]
struct ChildState {
    status: Option<ExitStatus>,
    /// This process killed it because its time was over.
    overdue: bool,
    keeper: ChildOwner,
    lifeline: Option<Kept>,
    streams: [Option<ForkPrivateFd>; 3],
    outcome: Option<ReceivedFrame>,
}

/// Who answers for a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChildOwner {
    /// A handle of the user.
    Handle,
    /// This process: it reaps the child and joins it before it ends.
    Process,
    /// Nobody: the child may outlive this process, which reaps it if it does not.
    Nobody,
    /// A launcher: the child is its server, and leaves when its link is shut down.
    Launcher,
    /// As before, and the link has been shut down: it is only to be reaped.
    Retired,
}

impl ChildOwner {
    fn is_of_server(self) -> bool {
        matches!(self, Self::Launcher | Self::Retired)
    }
}

/// How a child process ended.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExitStatus {
    /// It exited with this code, 0 to 255.
    Exited(i32),
    /// This signal ended it.
    Signaled(i32),
    /// It has ended, but something else in this program has waited for it and taken the status.
    Unknown,
}

impl ExitStatus {
    /// Whether it exited with code 0.
    pub fn success(self) -> bool {
        self == Self::Exited(0)
    }

    /// The exit code, unless a signal ended it.
    pub fn code(self) -> Option<i32> {
        if let Self::Exited(code) = self { Some(code) } else { None }
    }

    /// The signal that ended it, if one did.
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

/// What a forkserver is called, and each child of it until it has its order or waits for one as a spare.
pub(crate) const SERVER_NAME: &str = "forkserver";

/// The same for the template of a pool.
pub(crate) const TEMPLATE_NAME: &str = "pool template";

/// The children that have not been reaped, by pid.
struct Table {
    all: BTreeMap<u32, Arc<Child>>,
    /// Those of them that no handle and no launcher answers for: a start looks for their end, and at no other child.
    left: BTreeMap<u32, Arc<Child>>,
}

impl Table {
    const EMPTY: Self = Self { all: BTreeMap::new(), left: BTreeMap::new() };

    fn enter(&mut self, child: &Arc<Child>) {
        self.all.insert(child.pid, Arc::clone(child));
        // Of a child that had the pid, if there is one, somebody else has taken the status.
        self.left.remove(&child.pid);
    }

    /// The pid may be another child's already, if somebody else has reaped this one.
    fn find(&self, child: &Child) -> Option<&Arc<Child>> {
        self.all.get(&child.pid).filter(|known| std::ptr::eq(&raw const ***known, child))
    }

    fn leave(&mut self, child: &Child) {
        if let Some(known) = self.find(child).cloned() {
            self.left.insert(child.pid, known);
        }
    }

    fn remove(&mut self, child: &Child) {
        if self.find(child).is_some() {
            self.all.remove(&child.pid);
            self.left.remove(&child.pid);
        }
    }
}

static CHILDREN: Mutex<Table> = Mutex::new(Table::EMPTY);

/// Enters a child that has just been made.
pub(crate) fn register(launched: Launched, about: Description) -> Arc<Child> {
    enter(launched, about, ChildOwner::Handle)
}

/// Enters a launcher's server: it is reaped like a child, but is none of the program's own.
pub(crate) fn register_server(launched: Launched, about: Description) -> Arc<Child> {
    enter(launched, about, ChildOwner::Launcher)
}

pub(super) fn enter(launched: Launched, about: Description, keeper: ChildOwner) -> Arc<Child> {
    let Launched { pid, pidfd, link, lifeline, streams, received } = launched;
    let (lifeline, streams) = (Some(lifeline.keep()), streams.map(|stream| stream.map(ForkPrivateFd::new)));
    let state = ChildState { status: None, overdue: false, keeper, lifeline, streams, outcome: received };
    let child = Arc::new(Child {
        pid,
        parent: crate::sys::pid(),
        about,
        pidfd: ForkPrivateFd::new(pidfd),
        link: ForkPrivateFd::new(link),
        state: Mutex::new(state),
    });
    let mut table = lock(&CHILDREN);
    table.enter(&child);
    if keeper == ChildOwner::Retired {
        table.leave(&child);
    }
    drop(table);
    child
}

impl Child {
    /// The pidfd.
    ///
    /// # Errors
    /// `NotParent` in a forked copy of the process that started the child.
    pub(crate) fn pidfd(&self) -> Result<BorrowedFd<'_>, Error> {
        self.own(&self.pidfd)
    }

    /// This process's end of the link; fails as [`pidfd`](Self::pidfd).
    pub(crate) fn link(&self) -> Result<BorrowedFd<'_>, Error> {
        self.own(&self.link)
    }

    /// A copy made by us has let go of its descriptors; one made by others still has them, and must not use them.
    fn own<'a>(&self, descriptor: &'a ForkPrivateFd) -> Result<BorrowedFd<'a>, Error> {
        let own = descriptor.get().filter(|_| self.parent == crate::sys::pid());
        own.ok_or_else(|| self.not_parent())
    }

    fn not_parent(&self) -> Error {
        let text = format!(
            "`{}` (pid {}) was started by another process, of which this one is a copy; only that one can wait for it",
            self.about.task, self.pid
        );
        Error::new(ErrorKind::NotParent, text)
    }

    /// How the child has ended, reaping it if need be; `None` while it runs.
    pub(crate) fn try_status(&self) -> Result<Option<ExitStatus>, Error> {
        let pidfd = self.pidfd()?;
        let mut state = lock(&self.state);
        if state.status.is_none() {
            state.status =
                pidfd::try_reap(pidfd).map_err(|error| self.failed("wait for", error))?.map(ExitStatus::from);
            if state.status.is_some() {
                state.lifeline = None;
                lock(&CHILDREN).remove(self);
            }
        }
        Ok(state.status)
    }

    /// Waits until the child has ended or `deadline` has passed. A child whose own time is over is killed meanwhile.
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
                // Its end takes a moment, which whoever does not want to wait waits for too, unless the kernel holds the child up.
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

    /// Looks for the end of the child for a moment, if there is so much time.
    fn ends_soon(&self, pidfd: BorrowedFd<'_>, until: Deadline) -> bool {
        /// A copy that does little lives as long; more would be much beside what a start costs.
        const LONGEST: Duration = Duration::from_micros(200);
        /// By start method: a child that is executed lives longer.
        static SPIN: [AdaptiveSpin; 3] = [const { AdaptiveSpin::for_process(LONGEST) }; 3];
        let has_time = until.is_none_or(|end| end.saturating_duration_since(Instant::now()) > LONGEST);
        has_time && SPIN[self.about.method as usize].look(|| poll::is_readable(pidfd))
    }

    /// Kills the child if its own time is over.
    pub(crate) fn kill_if_overdue(&self, now: Instant) -> Result<bool, Error> {
        let overdue = self.about.deadline.is_some_and(|end| now >= end);
        if overdue {
            self.signal(KILL)?;
            lock(&self.state).overdue = true;
        }
        Ok(overdue)
    }

    /// When it is to be killed, unless that has been done.
    pub(crate) fn deadline(&self) -> Deadline {
        self.about.deadline.filter(|_| !lock(&self.state).overdue)
    }

    /// Whether the child was killed because its time was over.
    pub(crate) fn ran_out_of_time(&self, status: ExitStatus) -> bool {
        let Some(overdue_from) = self.about.overdue_from else { return false };
        // The timer's second signal, for a task that holds off the first, is anybody's `SIGKILL`.
        let by_its_timer = status == ExitStatus::Signaled(OVERDUE) && Instant::now() >= overdue_from;
        // A signal to a child that has just exited by itself changes nothing.
        by_its_timer || (lock(&self.state).overdue && status.code().is_none())
    }

    pub(crate) fn signal(&self, signal: i32) -> Result<(), Error> {
        pidfd::send_signal(self.pidfd()?, signal).map_err(|error| self.failed("signal", error))
    }

    /// The last word of a child that has ended, if it said one.
    pub(crate) fn take_outcome(&self) -> Result<Option<ReceivedFrame>, Error> {
        let link = self.link()?;
        let mut state = lock(&self.state);
        // A hello and one word, whatever else a hostile child has sent.
        for _ in 0..2 {
            if state.outcome.as_ref().is_some_and(|received| received.kind != kind::HANDSHAKE) {
                break;
            }
            match received(frame::try_receive(link)).map_err(|error| self.failed("hear from", error))? {
                Some(frame) => state.outcome = Some(frame),
                None => break,
            }
        }
        Ok(state.outcome.take())
    }

    /// Tells a launcher's server to leave; it is reaped like a child that nobody holds any more.
    pub(crate) fn dismiss(&self) {
        lock(&self.state).keeper = ChildOwner::Retired;
        lock(&CHILDREN).leave(self);
        if let Ok(link) = self.link() {
            let _ = crate::sys::socket::shut_down(link);
        }
    }

    /// Lets the child outlive this process; fails as [`pidfd`](Self::pidfd).
    pub(crate) fn detach(&self) -> Result<(), Error> {
        // A copy made by others would disarm the lifeline of its original's child, whose open file it shares.
        self.pidfd()?;
        // Taken back before the child arms it, the lifeline would be armed all the same.
        while !self.is_armed()? && self.wait(poll::deadline_in(ARMING))?.is_none() {}
        let mut state = lock(&self.state);
        state.keeper = ChildOwner::Nobody;
        let disarmed = state.lifeline.take().map_or(Ok(()), Kept::disarm);
        disarmed.map_err(|error| self.failed("detach", error))
    }

    /// Whether the child has armed its lifeline, or never will.
    fn is_armed(&self) -> Result<bool, Error> {
        let state = lock(&self.state);
        let armed = state.lifeline.as_ref().map_or(Ok(true), Kept::is_armed);
        armed.map_err(|error| self.failed("detach", error))
    }

    /// The handle is gone: from now on this process answers for the child.
    pub(crate) fn release(&self) {
        let Ok(pidfd) = self.pidfd() else { return };
        if self.about.kill_on_drop && lock(&self.state).keeper == ChildOwner::Handle {
            let _ = pidfd::send_signal(pidfd, KILL);
            // Which takes a moment; then there is no zombie either.
            let _ = self.wait(poll::deadline_in(KILL_GRACE));
        }
        let mut state = lock(&self.state);
        if state.keeper == ChildOwner::Handle {
            state.keeper = ChildOwner::Process;
        }
        // A child that waits for their end, or for them to be read, would be waited for at the end of the program.
        let streams = std::mem::take(&mut state.streams);
        drop(state);
        drop(streams);
        lock(&CHILDREN).leave(self);
        let _ = self.try_status();
    }

    pub(crate) fn take_stream(&self, number: usize) -> Option<OwnedFd> {
        lock(&self.state).streams[number].take().and_then(ForkPrivateFd::into_owned)
    }

    fn keeper(&self) -> ChildOwner {
        lock(&self.state).keeper
    }

    fn failed(&self, doing: &str, error: io::Error) -> Error {
        Error::os(format!("cannot {doing} `{}` (pid {})", self.about.task, self.pid), error)
    }
}

/// Nothing there is no error: it is the end of what the child has said.
fn received(result: io::Result<Option<ReceivedFrame>>) -> io::Result<Option<ReceivedFrame>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        other => other,
    }
}

fn snapshot() -> Vec<Arc<Child>> {
    let own = |child: &&Arc<Child>| child.parent == crate::sys::pid();
    lock(&CHILDREN).all.values().filter(own).cloned().collect()
}

/// The children that run at this moment, oldest first as far as pids tell; those that have ended are reaped.
pub(crate) fn active() -> Vec<Arc<Child>> {
    spares::sweep();
    let mut children = snapshot();
    children.retain(|child| matches!(child.try_status(), Ok(None)) && !child.keeper().is_of_server());
    children
}

/// Reaps the children and spares that have ended and that no handle answers for. A system call for each as long as none has.
pub(crate) fn sweep() {
    spares::sweep();
    for child in ended() {
        let _ = child.try_status();
    }
}

/// Those that have been left and have ended. To the others nothing is written: after a fork each write may cost a page.
fn ended() -> Vec<Arc<Child>> {
    let table = lock(&CHILDREN);
    if table.left.is_empty() {
        return Vec::new();
    }
    let own = crate::sys::pid();
    let (children, pidfds): (Vec<_>, Vec<_>) = table
        .left
        .values()
        .filter(|child| child.parent == own)
        .filter_map(|child| Some((child, child.pidfd.get()?)))
        .unzip();
    // It does not wait, so that nobody waits for the table.
    let ended = poll::readable_many(&pidfds, Some(Instant::now())).unwrap_or_default();
    children.into_iter().zip(ended).filter(|(_, has_ended)| *has_ended).map(|(child, _)| Arc::clone(child)).collect()
}

/// How often a child is looked at until it has armed its lifeline, which it does before anything else. Nothing tells of it.
const ARMING: Duration = Duration::from_millis(1);

/// How long a drop waits for the process that it has killed.
pub(crate) const KILL_GRACE: Duration = Duration::from_millis(100);

/// How long a daemon has to end after `SIGTERM`.
const DAEMON_GRACE: Duration = Duration::from_secs(2);

/// Ends this process's part in its children: daemons are terminated, the others joined, but for detached ones; spares and servers leave last.
pub(crate) fn finish() {
    if lock(&CHILDREN).all.is_empty() && spares::count() == 0 {
        // Most children have none of their own: they end without a look at all this code.
        return;
    }
    let children: Vec<Arc<Child>> = active().into_iter().filter(|child| child.keeper() != ChildOwner::Nobody).collect();
    let (daemons, others): (Vec<_>, Vec<_>) = children.into_iter().partition(|child| child.about.daemon);
    // One that cannot be signalled, being another user's by now, ends by its lifeline when this process does.
    let daemons: Vec<_> = daemons.into_iter().filter(|daemon| daemon.signal(TERMINATE).is_ok()).collect();
    let end = if daemons.is_empty() { None } else { poll::deadline_in(DAEMON_GRACE) };
    for daemon in &daemons {
        if matches!(daemon.wait(end), Ok(None)) {
            let _ = daemon.signal(KILL);
            let _ = daemon.wait(poll::deadline_in(DAEMON_GRACE));
        }
    }
    for child in &others {
        // Its handle has been forgotten, if it is still there.
        drop(child.take_stream(Stream::In as usize));
        let _ = child.wait(None);
    }
    spares::finish(DAEMON_GRACE);
    let servers = snapshot().into_iter().filter(|child| child.keeper().is_of_server());
    for server in servers {
        server.dismiss();
        // A stopped one ends by its lifeline.
        let _ = server.wait(poll::deadline_in(DAEMON_GRACE));
    }
}

/// Reaps the children that a server has made and that have ended before anybody could learn of them.
///
/// They are told from those of the user by their name, which a child keeps until it has its order. Whether there was one.
pub(crate) fn reap_unknown() -> bool {
    let mut zombies = pidfd::zombies_called(&[SERVER_NAME, TEMPLATE_NAME, spares::NAME]);
    zombies.retain(|pid| !lock(&CHILDREN).all.contains_key(pid));
    zombies.iter().for_each(|pid| pidfd::reap(*pid));
    !zombies.is_empty()
}

/// In a copy of the process: lets go of what belongs to the original.
pub(crate) fn forget(copy: &FreshCopy) {
    spares::forget(copy);
    fork_private::close_all(copy);
    // Freeing them, or whatever else writes to them, would have the kernel copy the pages of each.
    std::mem::forget(std::mem::replace(&mut *lock(&CHILDREN), Table::EMPTY));
}
