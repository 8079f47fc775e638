//! Spares: children that were made ahead, and that wait for a spec.
//!
//! A launcher inserts a spare when it asks the server for one, and takes a spare out when it has a spec to send. A
//! spare that is not taken ends with its link or by `SIGKILL`, and is reaped at once. One that the kernel holds up is
//! reaped as an orphan is, by [`reaper`](super::reaper). So is one that ends while it waits.
//!
//! ```text
//!  asked for ──[its first message]──▶ met ──take──▶ a child (`Launched`)
//!       │                               ├──retire──▶ killed and reaped
//!       │                               └──dies────▶ reaped by the next sweep
//!       └──retire──▶ leaving ──[its first message, or the end of its link]──▶ as above, or never made
//! ```
//!
//! | descriptor of a spare | use | closed in this process |
//! | --- | --- | --- |
//! | `link` | this process's end; its close ends the spare | when the spare is retired |
//! | `pidfd` | names the spare for ever; comes with the first message | when the spare is reaped |
//! | `lifeline` | the read side that the spare has armed; comes with the first message | when the spare is reaped |

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::children::{self, Description, KILL_GRACE, Launched, SERVER_NAME, TEMPLATE_NAME};
use super::per_process::{OnCopy, PerProcess};
use crate::ipc::wire::frame::{self, ReceivedFrame};
use crate::ipc::wire::kind;
use crate::platform::StartMethod;
use crate::sys::fork::FreshCopy;
use crate::sys::lifeline::Lifeline;
use crate::sys::pidfd;
use crate::sys::poll::{self, Deadline};
use crate::sys::signal::KILL;
use crate::sys::socket;

/// The process name of a spare until the spare has its spec.
pub(crate) const NAME: &str = "offspring-spare";

/// A child that waits for a spec, or is about to be made.
#[derive(Debug)]
pub(crate) struct Spare {
    pub(crate) link: OwnedFd,
    /// Known from the spare's first message on.
    process: Option<Known>,
}

/// The content of a spare's first message.
#[derive(Debug)]
struct Known {
    pid: u32,
    pidfd: OwnedFd,
    lifeline: Lifeline,
}

impl Known {
    /// Returns `None` if there was no room for the descriptors. The spare is of no use without them, and is ended.
    fn read(frame: ReceivedFrame) -> io::Result<Option<Self>> {
        // The kernel names the sender. A pid in the message could be that of any process.
        let pid = frame.sender.ok_or(io::ErrorKind::InvalidData)?.pid;
        let mut descriptors = frame.descriptors.into_iter();
        if let (Some(pidfd), Some(read_side)) = (descriptors.next(), descriptors.next()) {
            return Ok(Some(Self { pid, pidfd, lifeline: Lifeline { read_side, own_write_end: None } }));
        }
        if let Ok(pidfd) = pidfd::open_or_kill(pid) {
            pidfd::kill_and_reap(pidfd.as_fd());
        }
        Ok(None)
    }

    fn launched(self, link: OwnedFd) -> Launched {
        let Self { pid, pidfd, lifeline } = self;
        Launched { pid, pidfd, link, lifeline, streams: [const { None }; 3], received: None }
    }
}

/// The spares of one process.
#[derive(Debug, Default)]
struct SpareTable {
    /// Oldest first.
    waiting: VecDeque<Spare>,
    /// Retired before their first message.
    leaving: Vec<Spare>,
}

/// A copy of the process closes the links of its original's.
static SPARES: PerProcess<SpareTable> = PerProcess::new(OnCopy::Drop);

impl SpareTable {
    /// Drops the spares that have ended. Looks at those alone of which `news` tells.
    fn sweep(&mut self, mut news: impl FnMut() -> bool) {
        self.waiting.retain_mut(|spare| !news() || spare.look() == Life::Goes);
        let leaving = std::mem::take(&mut self.leaving);
        let (newsworthy, quiet): (Vec<_>, Vec<_>) = leaving.into_iter().partition(|_| news());
        self.leaving = quiet;
        self.leaving.extend(retire_all(newsworthy));
    }
}

/// Inserts a spare that the server has been asked for.
pub(crate) fn insert(link: OwnedFd) {
    SPARES.lock().waiting.push_back(Spare { link, process: None });
}

/// Takes the spare that has waited longest, for a spec.
pub(crate) fn take() -> Option<Spare> {
    SPARES.lock_used()?.waiting.pop_front()
}

/// Ends a spare that has been taken.
pub(crate) fn retire(spare: Spare) {
    let unmet = retire_all(vec![spare]);
    SPARES.lock().leaving.extend(unmet);
}

/// Ends spares that have begun nothing, and reaps them: their ends take a moment each, all together. Returns the spares
/// whose first messages are still to come after [`KILL_GRACE`], as their server was stopped.
///
/// The close of a link ends a spare, also where a signal may not: the spare may belong to a user that this process is
/// no longer. The signal ends the spare also where the spare was stopped.
fn retire_all(spares: Vec<Spare>) -> Vec<Spare> {
    let deadline = poll::deadline_in(KILL_GRACE);
    for spare in &spares {
        let _ = socket::end_sending(spare.link.as_fd());
    }
    let (mut killed, mut unmet) = (Vec::new(), Vec::new());
    for mut spare in spares {
        match spare.meet(deadline) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => unmet.push(spare),
            Ok(true) => {
                let Spare { link, process } = spare;
                killed.extend(process.map(|known| known.launched(link)));
            }
            Ok(false) | Err(_) => {}
        }
    }
    for spare in &killed {
        let _ = pidfd::send_signal(spare.pidfd.as_fd(), KILL);
    }
    for spare in killed {
        let _ = poll::readable([spare.pidfd.as_fd()], deadline);
        if !matches!(pidfd::try_reap(spare.pidfd.as_fd()), Ok(Some(_))) {
            children::register_retired(spare, Description::of_helper(NAME, StartMethod::ForkServer));
        }
    }
    unmet
}

/// Returns how many spares wait.
pub(crate) fn count() -> usize {
    SPARES.lock_used().map_or(0, |table| table.waiting.len())
}

/// Ends all spares but the first `kept`.
pub(crate) fn retire_beyond(kept: usize) {
    let surplus = SPARES.lock_used().map(|mut table| {
        let kept = kept.min(table.waiting.len());
        table.waiting.split_off(kept)
    });
    let Some(surplus) = surplus.filter(|surplus| !surplus.is_empty()) else { return };
    let unmet = retire_all(surplus.into());
    SPARES.lock().leaving.extend(unmet);
}

/// Whether a spare may have ended, or be about to end, without a first message.
static STRANGERS: AtomicBool = AtomicBool::new(false);

/// Notes that a link has ended without a message. A spare closes its link some moments before the spare can be reaped.
fn note_stranger() {
    STRANGERS.store(true, Ordering::Relaxed);
}

/// Looks for a spare that has ended without a first message.
fn reap_strangers() {
    if STRANGERS.load(Ordering::Relaxed) && reap_unknown() {
        STRANGERS.store(false, Ordering::Relaxed);
    }
}

/// Looks for the last time. A later spare has come, so an earlier one has ended, if it was ever made.
fn reap_last_strangers() {
    if STRANGERS.swap(false, Ordering::Relaxed) {
        reap_unknown();
    }
}

/// Receives first messages, and reaps spares that have ended. One system call while there is no news.
pub(crate) fn sweep() {
    reap_strangers();
    let Some(mut table) = SPARES.lock_used() else { return };
    let fds: Vec<BorrowedFd<'_>> = table.waiting.iter().chain(&table.leaving).map(Spare::source_of_news).collect();
    if fds.is_empty() {
        return;
    }
    let Ok(news) = poll::readable_many(&fds, Some(Instant::now())) else { return };
    let mut news = news.into_iter();
    table.sweep(|| news.next().unwrap_or_default());
}

/// Ends all spares at the end of the program. Waits up to `limit` for first messages that are still to come.
pub(crate) fn finish(limit: Duration) {
    retire_beyond(0);
    let deadline = poll::deadline_in(limit);
    let leaving = SPARES.lock_used().map(|mut table| std::mem::take(&mut table.leaving));
    let leaving = leaving.unwrap_or_default();
    for spare in &leaving {
        let _ = poll::readable([spare.link.as_fd()], deadline);
    }
    // A spare that has still not come was never made, or ends by its lifeline.
    retire_all(leaving);
    reap_strangers();
}

/// Reaps the children that a server has made and that have ended before this process could learn of them. Returns
/// whether there was one.
///
/// Such a child is told from the user's by its name, which a child keeps until the child has its spec.
pub(crate) fn reap_unknown() -> bool {
    let mut zombies = pidfd::zombies_called(&[SERVER_NAME, TEMPLATE_NAME, NAME]);
    zombies.retain(|pid| !children::is_registered(*pid));
    zombies.iter().for_each(|pid| pidfd::reap(*pid));
    !zombies.is_empty()
}

/// Closes the links of the original's spares, in a fresh copy of the process.
pub(super) fn after_fork(copy: &FreshCopy) {
    SPARES.after_fork(copy);
}

/// The life of a spare, as far as known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// The spare waits, or is about to be made.
    Goes,
    /// The spare has ended and is reaped, or was never made.
    Over,
}

impl Spare {
    /// Returns the descriptor that becomes readable first when something happens to the spare.
    fn source_of_news(&self) -> BorrowedFd<'_> {
        self.process.as_ref().map_or(self.link.as_fd(), |known| known.pidfd.as_fd())
    }

    fn look(&mut self) -> Life {
        match self.meet(Some(Instant::now())) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Life::Goes,
            Ok(true) => {}
            // The spare has ended before its first message, or has sent another.
            Ok(false) | Err(_) => return Life::Over,
        }
        let ended = self.process.as_ref().map(|known| pidfd::try_reap(known.pidfd.as_fd()));
        if matches!(ended, Some(Ok(None))) { Life::Goes } else { Life::Over }
    }

    /// Receives the first message. Returns `false` if the spare has ended without one, or was never made.
    fn meet(&mut self, deadline: Deadline) -> io::Result<bool> {
        if self.process.is_some() {
            return Ok(true);
        }
        let received = frame::receive_at_least_head(self.link.as_fd(), deadline).inspect_err(|error| {
            if error.kind() != io::ErrorKind::TimedOut {
                note_stranger();
            }
        })?;
        let Some(frame) = received.filter(|frame| frame.kind == kind::WAITING) else {
            note_stranger();
            return Ok(false);
        };
        self.process = Known::read(frame)?;
        reap_last_strangers();
        Ok(self.process.is_some())
    }

    /// Waits until the spare has taken its spec. Returns `None` if the spare will not: then the spare has been ended,
    /// and no spare has looked at the spec.
    ///
    /// Has no time limit. The kernel does all that comes before the answer, so a spare that does not answer was
    /// stopped, and goes on some time.
    pub(crate) fn into_child(mut self) -> Option<Launched> {
        let has_begun = self.meet(None).and_then(|met| if met { self.has_taken_spec() } else { Ok(false) });
        let known = self.process.take()?;
        if let Ok(true) = has_begun {
            return Some(known.launched(self.link));
        }
        drop(self.link);
        pidfd::kill_and_reap(known.pidfd.as_fd());
        None
    }

    fn has_taken_spec(&self) -> io::Result<bool> {
        Ok(frame::receive(self.link.as_fd(), None)?.is_some_and(|frame| frame.kind == kind::TAKEN))
    }
}
