//! The pool's end of the link to a worker that is a child process: two rings in shared memory, and the child's own link
//! for what has no room in a slot.

use std::collections::VecDeque;
use std::error::Error as _;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::hook::{Hook, Hooks};
use super::protocol::{self, RingMemory, inline, slot};
use super::ring::{Corrupt, Head, ParentSide, SLOTS};
use super::worker;
use crate::error::{Error, ErrorKind, JoinErrorKind, Panic, Refusal};
use crate::ipc::wire::frame::{self, ReceivedFrame};
use crate::ipc::wire::kind;
use crate::ipc::wire::payload::{Payload, decode};
use crate::platform::StartMethod;
use crate::pool::model::{Failure, JobEntry, JobId, Outcome, Returned};
use crate::pool::transport::{Broken, Death, LinkEvent, Oldest, Sent, WorkerLink};
use crate::process::Process;
use crate::report::Report;
use crate::sys::{self, futex, signal};
use crate::this_process::children::{Child, ExitStatus};

pub(in crate::pool) struct LocalLink {
    process: Process<()>,
    side: ParentSide<RingMemory>,
    hooks: Arc<Hooks>,
    /// Whether the worker has sent its first event.
    is_ready: bool,
    /// The jobs in the ring or at the worker, oldest first, each with the number of its slot.
    in_flight: VecDeque<(u64, JobId)>,
    /// The start time of the worker's last job, as the worker noted it, when the last outcome came.
    began_before: u64,
    /// The slot that was seen to run, and since when.
    running: Option<(u64, Instant)>,
    /// The slot that tells the worker to exit.
    shutdown_slot: Option<u64>,
    /// The bytes of the slot that is read.
    bytes: Vec<u8>,
}

impl From<Corrupt> for Broken {
    fn from(_: Corrupt) -> Self {
        Self
    }
}

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        Self
    }
}

impl LocalLink {
    pub(super) fn new(process: Process<()>, memory: RingMemory, hooks: Arc<Hooks>) -> Self {
        Self {
            process,
            side: ParentSide::new(memory),
            hooks,
            is_ready: false,
            in_flight: VecDeque::new(),
            began_before: 0,
            running: None,
            shutdown_slot: None,
            bytes: Vec::new(),
        }
    }

    fn child(&self) -> &Child {
        self.process.child()
    }

    /// Sends arguments that do not fit into a slot.
    fn send_out_of_line(&mut self, number: u64, arguments: &Payload) -> Result<Sent, Broken> {
        // No frame may be on the link whose slot is never written.
        if !self.side.has_room()? {
            return Ok(Sent::NoRoom);
        }
        let link = self.child().link().map_err(|_| Broken)?;
        match protocol::send_out_of_line(link, number, arguments, Some(Instant::now())) {
            Ok(()) => Ok(Sent::Yes),
            Err(error) if frame::is_gone(&error) => Err(Broken),
            Err(error) if error.kind() == io::ErrorKind::TimedOut || sys::is_out_of_descriptors(&error) => {
                Ok(Sent::NoRoom)
            }
            Err(error) => Ok(Sent::Never(Error::os("cannot send the arguments to a worker", error))),
        }
    }

    /// Receives the payload of an outcome that did not fit into a slot.
    fn receive_out_of_line(&self, number: u64) -> Result<Result<Payload, Failure>, Broken> {
        match protocol::receive_out_of_line(number, || self.next_frame()) {
            // Its descriptor would be this process's for as long as the outcome is not taken.
            Ok(payload) => Ok(Ok(payload.without_file())),
            // The fault of this process: the worker has sent it.
            Err(error) if error.kind() == io::ErrorKind::QuotaExceeded => {
                Ok(Err(Failure::new(JoinErrorKind::DescriptorsLost, Some(self.pid()))))
            }
            Err(_) => Err(Broken),
        }
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

    fn outcome(&self, kind: u8, payload: Payload) -> Result<Outcome, Broken> {
        let failed = |kind| Failure::new(kind, Some(self.pid()));
        Ok(match kind {
            slot::RETURNED | slot::READY => Ok(Returned { payload, pid: self.pid() }),
            slot::PANICKED => Err(failed(JoinErrorKind::Panicked(decode::<Panic>(payload).map_err(|_| Broken)?))),
            slot::REFUSED => {
                let refusal = decode::<Refusal>(payload).map_err(|_| Broken)?;
                Err(failed(JoinErrorKind::NotStarted(refusal.into())))
            }
            slot::UNENCODABLE => {
                let detail = decode::<String>(payload).map_err(|_| Broken)?;
                Err(Failure { detail, ..failed(JoinErrorKind::Unencodable) })
            }
            _ => return Err(Broken),
        })
    }

    /// Whether a hook has succeeded, by its outcome. `kind` names the hook in the error.
    fn check_hook(kind: &str, hook: Option<&Hook>, outcome: Outcome) -> Result<(), Error> {
        let task = hook.map_or(worker::NAME, |hook| hook.task);
        let (how, source) = match (outcome, hook) {
            (Ok(returned), Some(hook)) => match (hook.check)(returned.payload) {
                Ok(()) => return Ok(()),
                Err(report) => (String::new(), Some(report)),
            },
            (Ok(_), None) => return Ok(()),
            (Err(failure), _) => {
                let error = failure.into_error(task);
                (format!(": {error}"), error.source().map(Report::new))
            }
        };
        let text = format!("the {kind} `{task}` of a pool's worker failed{how}");
        Err(Error::with_report(ErrorKind::Setting, text, source))
    }

    /// How the worker's process has ended.
    fn end(&self) -> JoinErrorKind {
        match (self.last_message(), self.child().try_status()) {
            (Some(message), _) => message,
            (None, Ok(Some(ExitStatus::Exited(code)))) => JoinErrorKind::Exited(code),
            (None, Ok(Some(ExitStatus::Signaled(signal)))) => JoinErrorKind::Signaled(signal),
            (None, Ok(_)) => JoinErrorKind::Unknown,
            (None, Err(error)) => JoinErrorKind::NotWaited(error),
        }
    }

    /// The message on the link of a worker that could not begin, or whose program aborts at a panic.
    fn last_message(&self) -> Option<JoinErrorKind> {
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

    fn number_of(&self, id: JobId) -> Option<u64> {
        self.in_flight.iter().find(|(_, known)| *known == id).map(|(number, _)| *number)
    }
}

impl WorkerLink for LocalLink {
    const WINDOW: usize = SLOTS as usize;
    const BROKEN: &'static str = "its worker had spoilt the memory that it shares with the pool";

    fn name(&self) -> &str {
        self.process.name()
    }

    fn pid(&self) -> u32 {
        self.process.pid()
    }

    fn send(&mut self, id: JobId, job: &JobEntry) -> Result<Sent, Broken> {
        let number = self.side.next_number();
        let (kind, bytes) = match inline(&job.arguments) {
            Some(bytes) => (slot::JOB, bytes),
            None => match self.send_out_of_line(number, &job.arguments)? {
                Sent::Yes => (slot::JOB | slot::ON_LINK, &[][..]),
                unsent => return Ok(unsent),
            },
        };
        if !self.side.push(Head { about: job.task_index, kind, spent: 0 }, bytes)? {
            return Ok(Sent::NoRoom);
        }
        self.in_flight.push_back((number, id));
        Ok(Sent::Yes)
    }

    fn flush(&self) {
        if self.side.must_wake_worker() {
            self.side.wake(futex::wake_all);
        }
    }

    fn has_event(&self) -> bool {
        self.side.has_result()
    }

    fn next_event(&mut self) -> Result<Option<LinkEvent>, Broken> {
        let Some(head) = self.side.pop(&mut self.bytes)? else { return Ok(None) };
        let payload = if head.kind & slot::ON_LINK == 0 {
            Ok(Payload::local(&self.bytes))
        } else {
            self.receive_out_of_line(head.about)?
        };
        let outcome = match payload {
            Ok(payload) => self.outcome(head.kind & !(slot::ON_LINK | slot::LAST | slot::FINALIZER), payload)?,
            Err(failure) => Err(failure),
        };
        if !self.is_ready {
            self.is_ready = true;
            self.began_before = self.side.began();
            let checked = Self::check_hook("initializer", self.hooks.initializer.as_ref(), outcome);
            return Ok(Some(LinkEvent::Ready(checked)));
        }
        if head.kind & slot::FINALIZER != 0 {
            let finalizer = self.hooks.finalizer.as_ref().ok_or(Broken)?;
            let checked = Self::check_hook("finalizer", Some(finalizer), outcome);
            return Ok(Some(LinkEvent::Finalized(checked)));
        }
        // A worker runs one job after the other: any outcome is that of the oldest.
        let (number, id) = self.in_flight.front().copied().ok_or(Broken)?;
        if number != head.about || self.side.look_taken()? <= number {
            return Err(Broken);
        }
        self.in_flight.pop_front();
        self.running = None;
        self.began_before = self.side.began();
        let duration = Duration::from_nanos(head.spent);
        Ok(Some(LinkEvent::Done { id, outcome, duration, is_last: head.kind & slot::LAST != 0 }))
    }

    /// The time at which a job began is the worker's claim, and never earlier than the pool allows for.
    fn oldest(&mut self, now: Instant) -> Result<Oldest, Broken> {
        let taken = self.side.look_taken()?;
        let Some((number, _)) = self.in_flight.front().copied() else { return Ok(Oldest::None) };
        if number >= taken {
            return Ok(Oldest::NotBegun);
        }
        let seen = match self.running {
            Some((known, since)) if known == number => since,
            _ => now,
        };
        self.running = Some((number, seen));
        let began = self.side.began();
        if began == self.began_before {
            // The worker has taken the job, and not yet noted when.
            return Ok(Oldest::Running { since: seen });
        }
        let ago = sys::monotonic_nanoseconds().saturating_sub(began);
        let since = now.checked_sub(Duration::from_nanos(ago)).map_or(seen, |began| began.min(seen));
        Ok(Oldest::Running { since })
    }

    fn is_waiting(&self) -> bool {
        self.side.worker_waits()
    }

    fn revoke(&mut self) -> Result<Option<JobId>, Broken> {
        // Arguments that were sent out of line stay on the link, where the worker passes over them.
        let Some(number) = self.side.take_back()? else { return Ok(None) };
        if self.shutdown_slot == Some(number) {
            // No job is left before it, and the worker has to be told again.
            return if self.shut_down_again() { Ok(None) } else { Err(Broken) };
        }
        let place = self.in_flight.iter().position(|(known, _)| *known == number).ok_or(Broken)?;
        Ok(self.in_flight.remove(place).map(|(_, id)| id))
    }

    fn cancel(&self, id: JobId) {
        if let Some(number) = self.number_of(id) {
            self.side.cancel(number);
        }
    }

    fn shut_down(&mut self) -> bool {
        self.shutdown_slot.is_some() || self.shut_down_again()
    }

    fn kill(&mut self) {
        let _ = self.process.kill();
    }

    fn has_ended(&self) -> bool {
        !matches!(self.child().try_status(), Ok(None))
    }

    fn death(&mut self) -> Death {
        let taken = self.side.look_taken().unwrap_or(u64::MAX);
        let has_begun = self.in_flight.front().is_some_and(|(number, _)| *number < taken);
        Death { has_begun, failure: Failure::new(self.end(), Some(self.pid())) }
    }

    fn startup_error(&self, failure: Failure) -> Error {
        let has_begun = self.side.began() != 0;
        let error_kind = match &failure.kind {
            JoinErrorKind::Exited(code) if !has_begun && self.process.start_method() == StartMethod::Spawn => {
                return self.unguarded(*code);
            }
            // A worker that the system killed for want of memory may start another time.
            JoinErrorKind::Signaled(signal::KILL) => ErrorKind::LimitReached,
            JoinErrorKind::Exited(_) | JoinErrorKind::Panicked(_) => ErrorKind::Setting,
            _ if has_begun => ErrorKind::Setting,
            _ => ErrorKind::Os,
        };
        match (failure.kind, &self.hooks.initializer) {
            (JoinErrorKind::NotStarted(cause), _) => cause,
            (kind, Some(initializer)) if has_begun => {
                let how = Failure { kind, ..failure }.into_error(initializer.task);
                Error::new(error_kind, format!("the initializer of a pool's worker did not return: {how}"))
            }
            (kind, _) => {
                let how = Failure { kind, ..failure }.into_error(worker::NAME);
                Error::new(error_kind, format!("a pool's worker has ended before it could serve: {how}"))
            }
        }
    }

    fn exit_error(&self, failure: Failure) -> Option<Error> {
        let finalizer = self.hooks.finalizer.as_ref()?;
        let how = failure.into_error(finalizer.task);
        let text = format!("the finalizer of a pool's worker did not return: {how}");
        Some(Error::new(ErrorKind::Setting, text))
    }

    fn arm(&self, events: usize) -> bool {
        self.side.listen(events as u64);
        self.side.has_results(events as u64)
    }

    fn disarm(&self) {
        self.side.stop_listening();
    }

    fn death_source(&self) -> Result<BorrowedFd<'_>, Error> {
        self.child().pidfd()
    }
}

impl LocalLink {
    /// The error of a worker whose program ended by itself, and never came to the worker's task.
    fn unguarded(&self, code: i32) -> Error {
        let text = format!(
            "a pool's worker (pid {}) exited with code {code} before it reached the guard: a worker is this program, \
             started anew, so nothing may end the program before the guard; put #[offspring::process_main] on `main`, \
             or call offspring::guard() first in it",
            self.pid()
        );
        Error::new(ErrorKind::MissingGuard, text)
    }

    fn shut_down_again(&mut self) -> bool {
        let number = self.side.next_number();
        let is_told = self.side.push(Head { about: 0, kind: slot::LEAVE, spent: 0 }, &[]).is_ok_and(|is_in| is_in);
        if is_told {
            self.shutdown_slot = Some(number);
            self.flush();
        }
        is_told
    }
}
