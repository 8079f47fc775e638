//! Spares: children that were made ahead and wait for an order. None of them is anybody's child yet.
//!
//! A launcher enters a spare when it asks for it, and takes it out when it has an order to give. What is left here ends
//! with its link or by `SIGKILL`, and is reaped like a child whose handle was dropped: by the next start, by
//! `active_children` and at the end of the program.
//!
//! ```text
//!   asked for ──[its first word]──▶ met ──take──▶ a child (`Launched`)
//!       │                            ├──retire──▶ killed; in the table of children until it is reaped
//!       │                            └──dies────▶ reaped by the next sweep
//!       └──retire──▶ leaving ──[its first word, or the end of its link]──▶ as above, or never born
//! ```
//!
//! | descriptor of a spare | what it is | closed in this process |
//! | --- | --- | --- |
//! | `link` | this process's end; its end is the spare's end | when the spare is retired |
//! | `pidfd` | names the spare for ever; it comes with the spare's first word | when the spare is reaped |
//! | `lifeline` | the read side that the spare has armed; it comes with its first word too | when the spare is reaped |

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::children::{self, Description, Launched, SERVER_NAME, TEMPLATE_NAME};
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

/// What a spare is called until it has its order.
pub(crate) const NAME: &str = "offspring-spare";

/// A child that waits for an order, or is about to be made.
#[derive(Debug)]
pub(crate) struct Spare {
    pub(crate) link: OwnedFd,
    /// Once it has told.
    process: Option<Known>,
}

/// What a spare's first word says of it.
#[derive(Debug)]
struct Known {
    pid: u32,
    pidfd: OwnedFd,
    lifeline: Lifeline,
}

impl Known {
    /// `None` where there was no room for the descriptors: without them it is of no use, and is ended.
    fn read(word: ReceivedFrame) -> io::Result<Option<Self>> {
        // By the kernel's word: a number that was told would be killed.
        let pid = word.sender.ok_or(io::ErrorKind::InvalidData)?.pid;
        let mut descriptors = word.descriptors.into_iter();
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
    /// Retired before they had said who they are.
    leaving: Vec<Spare>,
}

/// A copy of the process closes the links of its original's.
static SPARES: PerProcess<SpareTable> = PerProcess::new(OnCopy::Drop);

impl SpareTable {
    /// What is left of those of whom `news` tells that there is some.
    fn sweep(&mut self, mut news: impl FnMut() -> bool) {
        self.waiting.retain_mut(|spare| !news() || spare.look() == Life::Goes);
        let leaving = std::mem::take(&mut self.leaving);
        self.leaving =
            leaving.into_iter().filter_map(|spare| if news() { spare.retire() } else { Some(spare) }).collect();
    }
}

/// Inserts a spare that has been asked for.
pub(crate) fn insert(link: OwnedFd) {
    SPARES.lock().waiting.push_back(Spare { link, process: None });
}

/// The spare that has waited longest, for whoever has an order to give.
pub(crate) fn take() -> Option<Spare> {
    SPARES.lock_used()?.waiting.pop_front()
}

/// Ends one that has been taken.
pub(crate) fn retire(spare: Spare) {
    if let Some(unmet) = spare.retire() {
        SPARES.lock().leaving.push(unmet);
    }
}

/// How many there are.
pub(crate) fn count() -> usize {
    SPARES.lock_used().map_or(0, |table| table.waiting.len())
}

/// Ends all but the first `kept` of them.
pub(crate) fn retire_beyond(kept: usize) {
    let Some(mut table) = SPARES.lock_used() else { return };
    let kept = kept.min(table.waiting.len());
    let surplus = table.waiting.split_off(kept);
    table.leaving.extend(surplus.into_iter().filter_map(Spare::retire));
}

/// Whether a spare may have ended, or be about to end, that had not said who it is.
static STRANGERS: AtomicBool = AtomicBool::new(false);

/// Notes that a link has ended without a word: a spare closes it some moments before it can be reaped.
fn note_stranger() {
    STRANGERS.store(true, Ordering::Relaxed);
}

/// Looks for such a spare.
fn reap_strangers() {
    if STRANGERS.load(Ordering::Relaxed) && reap_unknown() {
        STRANGERS.store(false, Ordering::Relaxed);
    }
}

/// Looks for the last time: a later spare is there, so that an earlier one, if it was ever made, has ended.
fn forget_strangers() {
    if STRANGERS.swap(false, Ordering::Relaxed) {
        reap_unknown();
    }
}

/// Hears of those that have come, and reaps those that have ended. One system call as long as there is no news.
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

/// Ends them all at the end of the program, which waits for those who have not said yet who they are.
pub(crate) fn finish(limit: Duration) {
    retire_beyond(0);
    let deadline = poll::deadline_in(limit);
    let leaving = SPARES.lock_used().map(|mut table| std::mem::take(&mut table.leaving));
    for spare in leaving.into_iter().flatten() {
        let _ = poll::readable([spare.link.as_fd()], deadline);
        // One that has still not come is not born, or ends by its lifeline.
        spare.retire();
    }
    reap_strangers();
}

/// Reaps the children that a server has made and that have ended before this process could learn of them. Returns whether there
/// was one.
///
/// They are told from those of the user by their name, which a child keeps until it has its order.
pub(crate) fn reap_unknown() -> bool {
    let mut zombies = pidfd::zombies_called(&[SERVER_NAME, TEMPLATE_NAME, NAME]);
    zombies.retain(|pid| !children::is_registered(*pid));
    zombies.iter().for_each(|pid| pidfd::reap(*pid));
    !zombies.is_empty()
}

/// In a fresh copy of the process: closes the links of the original's spares.
pub(super) fn after_fork(copy: &FreshCopy) {
    SPARES.after_fork(copy);
}

/// What is known of a spare's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// It waits, or is about to be made.
    Goes,
    /// It has ended, and is reaped; or it has never been made.
    Over,
}

impl Spare {
    /// What becomes readable first when something happens to it.
    fn source_of_news(&self) -> BorrowedFd<'_> {
        self.process.as_ref().map_or(self.link.as_fd(), |known| known.pidfd.as_fd())
    }

    fn look(&mut self) -> Life {
        match self.meet(Some(Instant::now())) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Life::Goes,
            Ok(true) => {}
            // It has ended before it could say who it is, or says what cannot be understood.
            Ok(false) | Err(_) => return Life::Over,
        }
        let ended = self.process.as_ref().map(|known| pidfd::try_reap(known.pidfd.as_fd()));
        if matches!(ended, Some(Ok(None))) { Life::Goes } else { Life::Over }
    }

    /// Hears who it is; `false` if it has ended without a word, or was never made.
    fn meet(&mut self, deadline: Deadline) -> io::Result<bool> {
        if self.process.is_some() {
            return Ok(true);
        }
        let word = frame::receive_at_least_head(self.link.as_fd(), deadline).inspect_err(|error| {
            if error.kind() != io::ErrorKind::TimedOut {
                note_stranger();
            }
        })?;
        let Some(word) = word.filter(|word| word.kind == kind::WAITING) else {
            note_stranger();
            return Ok(false);
        };
        self.process = Known::read(word)?;
        forget_strangers();
        Ok(self.process.is_some())
    }

    /// Waits until it has taken its order. `None` if it will not: it has been ended, and the order not been looked at.
    ///
    /// Without a limit, as what comes before is done by the kernel: a spare that does not answer has been stopped, and
    /// goes on some time.
    pub(crate) fn hired(mut self) -> Option<Launched> {
        let has_begun = self.meet(None).and_then(|met| if met { self.has_taken_order() } else { Ok(false) });
        let known = self.process.take()?;
        if let Ok(true) = has_begun {
            return Some(known.launched(self.link));
        }
        drop(self.link);
        pidfd::kill_and_reap(known.pidfd.as_fd());
        None
    }

    fn has_taken_order(&self) -> io::Result<bool> {
        Ok(frame::receive(self.link.as_fd(), None)?.is_some_and(|word| word.kind == kind::TAKEN))
    }

    /// Ends it: it has not begun anything. Gives back one that has not said yet who it is.
    ///
    /// The end of its link ends it, also where a signal may not (it may belong to a user that this process is no longer);
    /// the signal ends it also where it is stopped.
    fn retire(mut self) -> Option<Self> {
        let _ = socket::end_sending(self.link.as_fd());
        match self.meet(Some(Instant::now())) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Some(self),
            Ok(true) => {}
            Ok(false) | Err(_) => return None,
        }
        let known = self.process?;
        let _ = pidfd::send_signal(known.pidfd.as_fd(), KILL);
        children::register_retired(known.launched(self.link), Description::of_helper(NAME, StartMethod::ForkServer));
        None
    }
}
