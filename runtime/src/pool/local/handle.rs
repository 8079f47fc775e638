//! One worker, as its pool sees it.

use std::collections::VecDeque;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::protocol::{self, Assignment, PackedCall, RingMemory, SentFd, inline, slot};
use super::ring::{Corrupt, Head, ParentSide};
use super::worker;
use crate::error::{Error, JoinErrorKind, Panic, Refusal};
use crate::ipc::wire::fds::ValueFd;
use crate::ipc::wire::frame::{self, ReceivedFrame};
use crate::ipc::wire::kind;
use crate::ipc::wire::payload::{Payload, decode};
use crate::pool::job::{Failure, Outcome, Returned};
use crate::pool::scheduler::{Key, Plan};
use crate::process::Process;
use crate::start::Launcher;
use crate::sys::poll::{self, Deadline};
use crate::sys::{self, eventfd, futex};
use crate::task::Call;
use crate::this_process::children::{Child, ExitStatus};

/// How many jobs a worker holds at most, begun or not.
pub(in crate::pool) const WINDOW: usize = super::ring::SLOTS as usize;

/// A worker and what was given to it.
pub(in crate::pool) struct Hand {
    process: Process<()>,
    side: ParentSide<RingMemory>,
    bell: ValueFd,
    /// The jobs that were put into its ring and have no result yet, oldest first, each with its number there.
    pub(in crate::pool) given: VecDeque<(u64, Key)>,
    pub(in crate::pool) stage: Stage,
    /// Jobs that it has done.
    pub(in crate::pool) served: u32,
    /// When the worker had begun a job, by its own word, as its last result came.
    began_before: u64,
    /// The job that it was seen not to have begun, and since when.
    unbegun: Option<(u64, Instant)>,
    /// It was woken for a job and did not begin it.
    is_stalled: bool,
    /// The job that was seen to run, and since when.
    running: Option<(u64, Instant)>,
    pub(in crate::pool) standing: Standing,
    /// Why this process has killed it, if it was for its job.
    doom: Option<JoinErrorKind>,
    /// Where in its ring it is told to leave.
    farewell: Option<u64>,
    /// When it was last seen to have nothing to do.
    idle_since: Instant,
    /// When its initializer has to have returned.
    start_due: Deadline,
    /// A result is being put together here.
    bytes: Vec<u8>,
}

/// How far a worker is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pool) enum Stage {
    /// Its initializer runs.
    Starting,
    Serving,
    /// It gets no more jobs, and leaves after those that it has.
    Leaving(Departure),
}

/// Why a worker leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pool) enum Departure {
    /// It has done as many jobs as a worker may do.
    Recycled,
    /// It has grown too large, and leaves by itself. What it has not begun, it will not begin.
    Outgrown,
    /// There is one more than there are to be.
    Surplus,
}

/// What a worker is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pool) enum Standing {
    Good,
    /// This process has killed it. What it has done counts.
    Doomed,
    /// It has written what no worker writes, and was killed for it. Nothing that it says is heard any more.
    Liar,
}

/// What a worker that has ended leaves.
pub(in crate::pool) struct Estate {
    /// The job that it was running.
    pub(in crate::pool) running: Option<Key>,
    /// Those that it had not begun, in their order.
    pub(in crate::pool) waiting: Vec<Key>,
    /// How it has ended, as the fate of what it was running.
    pub(in crate::pool) failure: Failure,
}

/// A result that a worker has sent.
pub(in crate::pool) enum Event {
    /// The initializer has returned.
    Ready(Outcome),
    /// A job is done, in so much time.
    Done(Key, Outcome, Duration),
}

/// Whether a job went into a ring.
pub(in crate::pool) enum Given {
    Yes,
    NoRoom,
}

/// A worker that cannot be used any more: it has lied, or its link has failed.
pub(in crate::pool) struct Unusable;

impl From<Corrupt> for Unusable {
    fn from(_: Corrupt) -> Self {
        Self
    }
}

impl From<io::Error> for Unusable {
    fn from(_: io::Error) -> Self {
        Self
    }
}

impl Hand {
    /// Starts a worker.
    pub(in crate::pool) fn start(plan: &Plan, name: String) -> Result<Self, Error> {
        let failed = |error| Error::os("cannot start a worker of a pool", error);
        let memory = RingMemory::create().map_err(failed)?;
        let bell = ValueFd::new(eventfd::create().map_err(failed)?);
        let initializer = plan.initializer.as_ref().map(Initializer::pack).transpose()?;
        let max_memory = plan.max_memory;
        let assignment = Assignment { memory: memory.clone(), bell: SentFd(bell.clone()), max_memory, initializer };
        let call = Call::<()>::internal(&worker::ENTRY, &assignment);
        let process = plan.context.process(call).name(name).daemon(true);
        let process = plan.limits.iter().fold(process, |process, (resource, value)| process.limit(*resource, *value));
        let template = plan.template.as_deref().map(|template| template as &dyn Launcher);
        let process = process.start_by(template)?;
        Ok(Self {
            process,
            side: ParentSide::new(memory),
            bell,
            given: VecDeque::new(),
            stage: Stage::Starting,
            served: 0,
            began_before: 0,
            unbegun: None,
            is_stalled: false,
            running: None,
            standing: Standing::Good,
            doom: None,
            farewell: None,
            idle_since: Instant::now(),
            start_due: plan.initializer.as_ref().and_then(|initializer| poll::deadline_in(initializer.limit?)),
            bytes: Vec::new(),
        })
    }

    fn child(&self) -> &Child {
        self.process.child()
    }

    pub(in crate::pool) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(in crate::pool) fn name(&self) -> &str {
        self.process.name()
    }

    pub(in crate::pool) fn bell(&self) -> io::Result<BorrowedFd<'_>> {
        self.bell.fd()
    }

    pub(in crate::pool) fn pidfd(&self) -> Result<BorrowedFd<'_>, Error> {
        self.child().pidfd()
    }

    pub(in crate::pool) fn sentinel(&self) -> Result<std::os::fd::OwnedFd, Error> {
        self.process.sentinel()
    }

    /// Puts a job into its ring. It is not woken yet.
    pub(in crate::pool) fn give(&mut self, key: Key, place: u64, arguments: &Payload) -> Result<Given, Unusable> {
        let number = self.side.next_number();
        let (kind, bytes) = match inline(arguments) {
            Some(bytes) => (slot::JOB, bytes),
            None if !self.send_ahead(number, arguments)? => return Ok(Given::NoRoom),
            None => (slot::JOB | slot::ON_LINK, &[][..]),
        };
        if !self.side.push(Head { about: place, kind, spent: 0 }, bytes)? {
            return Ok(Given::NoRoom);
        }
        self.given.push_back((number, key));
        self.is_stalled = false;
        Ok(Given::Yes)
    }

    /// Sends what does not fit into a slot; `false` if neither link nor ring has room for it now.
    fn send_ahead(&mut self, number: u64, arguments: &Payload) -> Result<bool, Unusable> {
        // Nothing may be on the link that no slot speaks of.
        if !self.side.has_room()? {
            return Ok(false);
        }
        let link = self.child().link().map_err(|_| Unusable)?;
        match protocol::send_parcel(link, number, arguments, Some(Instant::now())) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(false),
            Err(_) => Err(Unusable),
        }
    }

    /// Tells it to leave when it has done what it has; whether it could be told.
    pub(in crate::pool) fn dismiss(&mut self, departure: Departure) -> bool {
        if matches!(self.stage, Stage::Leaving(_)) {
            return true;
        }
        let is_said = self.say_farewell();
        if is_said {
            self.stage = Stage::Leaving(departure);
        }
        is_said
    }

    /// Since when it has had nothing to do, if it is there for it.
    pub(in crate::pool) fn idle_since(&self) -> Option<Instant> {
        let is_idle = self.stage == Stage::Serving && self.standing == Standing::Good && self.given.is_empty();
        is_idle.then_some(self.idle_since)
    }

    /// When its initializer has to have returned, as long as it runs.
    pub(in crate::pool) fn start_due(&self) -> Deadline {
        self.start_due.filter(|_| self.stage == Stage::Starting)
    }

    pub(in crate::pool) fn note_idle(&mut self) {
        self.idle_since = Instant::now();
    }

    /// Tells one to leave that is about to by its own word, which may be a lie.
    pub(in crate::pool) fn confirm_departure(&mut self) {
        if self.farewell.is_none() && !self.say_farewell() {
            self.kill(None);
        }
    }

    fn say_farewell(&mut self) -> bool {
        let number = self.side.next_number();
        let is_said = self.side.push(Head { about: 0, kind: slot::LEAVE, spent: 0 }, &[]).is_ok_and(|is_in| is_in);
        if is_said {
            self.farewell = Some(number);
            self.wake();
        }
        is_said
    }

    /// Wakes it if it sleeps.
    pub(in crate::pool) fn wake(&self) {
        if self.side.must_wake_worker() {
            self.side.wake(futex::wake_all);
        }
    }

    pub(in crate::pool) fn has_result(&self) -> bool {
        self.standing != Standing::Liar && self.side.has_result()
    }

    pub(in crate::pool) fn listen(&self) {
        self.side.listen();
    }

    pub(in crate::pool) fn stop_listening(&self) {
        self.side.stop_listening();
    }

    /// Takes its oldest result.
    pub(in crate::pool) fn next_event(&mut self) -> Result<Option<Event>, Unusable> {
        if self.standing == Standing::Liar {
            return Ok(None);
        }
        let Some(head) = self.side.pop(&mut self.bytes)? else { return Ok(None) };
        let payload = if head.kind & slot::ON_LINK == 0 {
            Payload::local(&self.bytes)
        } else {
            protocol::parcel(head.about, || self.next_frame())?
        };
        let outcome = self.outcome(head.kind & !(slot::ON_LINK | slot::LAST), payload)?;
        if self.stage == Stage::Starting {
            self.stage = Stage::Serving;
            return Ok(Some(Event::Ready(outcome)));
        }
        // A worker does one job after the other: whatever else it says, it is about the oldest.
        let (number, key) = self.given.front().copied().ok_or(Unusable)?;
        if number != head.about || self.side.look_taken()? <= number {
            return Err(Unusable);
        }
        self.given.pop_front();
        self.served = self.served.saturating_add(1);
        self.running = None;
        self.began_before = self.side.began();
        if head.kind & slot::LAST != 0 && self.stage == Stage::Serving {
            self.stage = Stage::Leaving(Departure::Outgrown);
        }
        Ok(Some(Event::Done(key, outcome, Duration::from_nanos(head.spent))))
    }

    /// The next frame of the link that belongs to a slot.
    fn next_frame(&self) -> io::Result<Option<ReceivedFrame>> {
        let link = self.child().link().map_err(io::Error::other)?;
        loop {
            match frame::try_receive(link)? {
                Some(frame) if frame.kind == kind::HANDSHAKE => {}
                other => return Ok(other),
            }
        }
    }

    fn outcome(&self, kind: u8, payload: Payload) -> Result<Outcome, Unusable> {
        let failed = |kind| Failure::new(kind, Some(self.pid()));
        Ok(match kind {
            slot::RETURNED | slot::READY => Ok(Returned { payload, pid: self.pid() }),
            slot::PANICKED => Err(failed(JoinErrorKind::Panicked(decode::<Panic>(payload).map_err(|_| Unusable)?))),
            slot::REFUSED => {
                let refusal = decode::<Refusal>(payload).map_err(|_| Unusable)?;
                Err(failed(JoinErrorKind::NotStarted(refusal.into())))
            }
            slot::UNENCODABLE => {
                let detail = decode::<String>(payload).map_err(|_| Unusable)?;
                Err(Failure { detail, ..failed(JoinErrorKind::Unencodable) })
            }
            _ => return Err(Unusable),
        })
    }

    /// Takes the oldest job back that it has not begun.
    pub(in crate::pool) fn take_back(&mut self) -> Result<Option<Key>, Unusable> {
        // Its parcel, if it has one, stays on the link, where the worker passes over it.
        let Some(number) = self.side.take_back()? else { return Ok(None) };
        if self.farewell == Some(number) {
            // There is no job left before it, and it has to be told.
            return if self.say_farewell() { Ok(None) } else { Err(Unusable) };
        }
        let place = self.given.iter().position(|(given, _)| *given == number).ok_or(Unusable)?;
        Ok(self.given.remove(place).map(|(_, key)| key))
    }

    /// The job that it runs, and since when, as far as its word can be taken.
    pub(in crate::pool) fn running(&mut self, now: Instant) -> Result<Option<(Key, Instant)>, Unusable> {
        let taken = self.side.look_taken()?;
        let Some((number, key)) = self.given.front().copied().filter(|(number, _)| *number < taken) else {
            return Ok(None);
        };
        let seen = match self.running {
            Some((known, since)) if known == number => since,
            _ => now,
        };
        self.running = Some((number, seen));
        let began = self.side.began();
        if began == self.began_before {
            // The worker has taken it, and not yet noted when.
            return Ok(Some((key, seen)));
        }
        let ago = sys::monotonic_nanoseconds().saturating_sub(began);
        let since = now.checked_sub(Duration::from_nanos(ago)).map_or(seen, |began| began.min(seen));
        Ok(Some((key, since)))
    }

    /// The job that it runs, and its pid.
    pub(in crate::pool) fn running_by(&mut self, now: Instant) -> Option<(Key, u32)> {
        let (key, _) = self.running(now).ok().flatten()?;
        Some((key, self.pid()))
    }

    /// Since when it was seen to have jobs and to begin none.
    pub(in crate::pool) fn unbegun_since(&mut self, now: Instant) -> Result<Option<Instant>, Unusable> {
        let taken = self.side.look_taken()?;
        let waiting = self.given.front().map(|(number, _)| *number).filter(|number| *number >= taken);
        self.unbegun = waiting.map(|number| match self.unbegun {
            Some((known, since)) if known == number => (known, since),
            _ => (number, now),
        });
        Ok(self.unbegun.map(|(_, since)| since))
    }

    pub(in crate::pool) fn note_stalled(&mut self) {
        self.is_stalled = true;
    }

    /// Whether it has been woken in vain, and has not gone to sleep again since.
    pub(in crate::pool) fn is_stalled(&self) -> bool {
        self.is_stalled && !self.side.worker_waits()
    }

    /// Lets the task of a job that it runs see that it is to end.
    pub(in crate::pool) fn tell_to_end(&self, job: Key) {
        if let Some((number, _)) = self.given.iter().find(|(_, key)| *key == job) {
            self.side.cancel(*number);
        }
    }

    /// Kills it; what it was running ends for this reason. It gets no more jobs.
    pub(in crate::pool) fn kill(&mut self, reason: Option<JoinErrorKind>) {
        self.doom = self.doom.take().or(reason);
        if self.standing == Standing::Good {
            self.standing = Standing::Doomed;
        }
        let _ = self.process.kill();
    }

    /// Kills it, since what it says cannot be.
    pub(in crate::pool) fn distrust(&mut self) {
        self.kill(None);
        self.standing = Standing::Liar;
    }

    pub(in crate::pool) fn has_ended(&self) -> bool {
        !matches!(self.child().try_status(), Ok(None))
    }

    /// What a worker that has ended leaves.
    pub(in crate::pool) fn leave_behind(&mut self) -> Estate {
        let taken = self.side.look_taken().unwrap_or(u64::MAX);
        let mut given = std::mem::take(&mut self.given).into_iter().peekable();
        let running = given.next_if(|(number, _)| *number < taken).map(|(_, key)| key);
        Estate { running, waiting: given.map(|(_, key)| key).collect(), failure: self.end() }
    }

    /// How it has ended, as the fate of what it was running.
    fn end(&mut self) -> Failure {
        let kind = match self.doom.take() {
            Some(reason) => reason,
            None => match (self.last_word(), self.child().try_status()) {
                (Some(word), _) => word,
                (None, Ok(Some(ExitStatus::Exited(code)))) => JoinErrorKind::Exited(code),
                (None, Ok(Some(ExitStatus::Signaled(signal)))) => JoinErrorKind::Signaled(signal),
                (None, Ok(_)) => JoinErrorKind::Unknown,
                (None, Err(error)) => JoinErrorKind::NotWaited(error),
            },
        };
        let detail = match self.standing {
            Standing::Liar => "its worker had spoilt the memory that it shares with the pool".to_owned(),
            _ => String::new(),
        };
        Failure { detail, ..Failure::new(kind, Some(self.pid())) }
    }

    /// What a worker says on its link that cannot begin, or that is of a program that aborts at a panic.
    fn last_word(&self) -> Option<JoinErrorKind> {
        loop {
            match self.next_frame() {
                Ok(Some(frame)) if frame.kind == kind::PANICKED => {
                    return frame.head().ok().map(JoinErrorKind::Panicked);
                }
                Ok(Some(frame)) if frame.kind == kind::REFUSED => {
                    return frame.head::<Refusal>().ok().map(|refusal| JoinErrorKind::NotStarted(refusal.into()));
                }
                Ok(Some(frame)) if frame.kind == kind::OUT_OF_LINE => {}
                _ => return None,
            }
        }
    }
}

/// The call by which each worker begins.
#[derive(Clone, Debug)]
pub(in crate::pool) struct Initializer {
    pub(in crate::pool) place: u64,
    pub(in crate::pool) task: &'static str,
    pub(in crate::pool) arguments: Payload,
    /// How long it may take.
    pub(in crate::pool) limit: Option<Duration>,
    /// Whether the value that it returned is a failure.
    pub(in crate::pool) check: fn(Payload) -> Result<(), String>,
}

impl Initializer {
    fn pack(&self) -> Result<PackedCall, Error> {
        let bytes = self.arguments.bytes();
        let bytes = bytes.map_err(|error| Error::os(format!("cannot read the arguments of `{}`", self.task), error))?;
        let descriptors = self.arguments.descriptors.iter().cloned().map(SentFd).collect();
        Ok(PackedCall { place: self.place, arguments: bytes.to_vec(), descriptors })
    }
}

/// For the poller, which outlives no borrow of a hand.
pub(in crate::pool) fn watched(hand: &Hand) -> Result<(BorrowedFd<'_>, BorrowedFd<'_>), Error> {
    let bell = hand.bell().map_err(|error| Error::os("cannot listen to a worker", error))?;
    Ok((bell, hand.pidfd()?))
}
