//! The worker: what a child of a pool does from its first job to its last.
//!
//! It is a task like any other, so that every start method and every rule of a child's life holds for it.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::protocol::{self, Assignment, PackedCall, Parcels, RingMemory, inline, slot};
use super::ring::{Head, WorkerSide};
use crate::child;
use crate::error::{Error, ErrorKind, Panic, Refusal};
use crate::ipc::codec;
use crate::ipc::spin::AdaptiveSpin;
use crate::ipc::wire::fds::{self, ValueFd};
use crate::ipc::wire::payload::Payload;
use crate::pool::LONGEST_LOOK;
use crate::sys::fork_private::ForkPrivateFd;
use crate::sys::resident::Resident;
use crate::sys::{self, eventfd, futex, signal};
use crate::task::{self, Arguments, Entry, Origin, Output, Undecodable};
use crate::this_process::role;

/// The name of the worker's own task.
pub(in crate::pool) const NAME: &str = "offspring::pool::worker";

pub(in crate::pool) const FINGERPRINT: u64 = 1;

/// How a child finds it.
pub(in crate::pool) static ENTRY: Entry = entry();

const fn entry() -> Entry {
    Entry {
        name: NAME,
        signature: "fn(Assignment)",
        fingerprint: FINGERPRINT,
        origin: Origin {
            package: option_env!("CARGO_PKG_NAME"),
            version: option_env!("CARGO_PKG_VERSION"),
            binary: None,
            test: cfg!(test),
        },
        file: file!(),
        line: line!(),
        start_method: None,
        timeout: None,
        idempotent: false,
        run,
    }
}

inventory::submit! { entry() }

fn run(arguments: &mut Arguments<'_>) -> Result<Output, Undecodable> {
    let assignment = arguments.pull::<Assignment>()?;
    arguments.finish()?;
    match role::link_to_parent() {
        Some(link) => Worker::new(assignment.memory, assignment.bell.0, link)
            .work(assignment.initializer, assignment.max_memory.map(Size::new)),
        None => return Err(Undecodable("a worker has no link".to_owned())),
    }
    Ok(Output(Payload::encode(&())))
}

/// What a job has come to.
enum Done {
    Returned(Payload),
    Panicked(Panic),
    Refused(Error),
    Unencodable(codec::Error),
}

struct Worker {
    side: WorkerSide<RingMemory>,
    bell: ValueFd,
    link: Arc<ForkPrivateFd>,
    spin: AdaptiveSpin,
    parcels: Parcels,
    /// The slots before this number are out of the ring, by this worker or back by the parent.
    passed: u64,
    /// Whether parcels of slots that the parent has taken back may be on the link.
    is_littered: bool,
    /// The next result is its last.
    is_leaving: bool,
}

/// How large this worker may be, and how large it is.
struct Size {
    limit: u64,
    resident: io::Result<Resident>,
}

impl Size {
    fn new(limit: u64) -> Self {
        Self { limit, resident: Resident::open() }
    }

    fn check(self) -> Result<Self, Error> {
        match self.resident {
            Ok(_) => Ok(self),
            Err(error) => Err(Error::with_source(ErrorKind::Setting, "a worker cannot tell how large it is", error)),
        }
    }

    fn is_exceeded(&self) -> bool {
        self.resident.as_ref().ok().and_then(|resident| resident.bytes().ok()).is_some_and(|bytes| bytes > self.limit)
    }
}

impl Worker {
    fn new(memory: RingMemory, bell: ValueFd, link: Arc<ForkPrivateFd>) -> Self {
        *sys::lock(&OWN_RINGS) = Some(WorkerSide::new(memory.clone()));
        Self {
            side: WorkerSide::new(memory),
            bell,
            link,
            spin: AdaptiveSpin::for_memory(LONGEST_LOOK),
            parcels: Parcels::default(),
            passed: 0,
            is_littered: false,
            is_leaving: false,
        }
    }

    fn work(mut self, initializer: Option<PackedCall>, size: Option<Size>) {
        // A terminal's interrupt is the parent's to answer, who takes its workers along.
        signal::ignore_interrupts();
        let (ready, size) = match size.map(Size::check).transpose() {
            Ok(size) => (initializer.map_or(Done::Returned(Payload::EMPTY), initialize), size),
            Err(error) => (Done::Refused(error), None),
        };
        self.is_leaving = !matches!(ready, Done::Returned(_));
        self.report(0, slot::READY, 0, ready);
        let mut bytes = Vec::new();
        while !self.is_leaving
            && let Some((number, head)) = self.next(&mut bytes)
        {
            let begun = sys::monotonic_nanoseconds();
            self.side.note_began(begun);
            CURRENT.store(number, Ordering::Relaxed);
            let done = self.perform(number, head, &bytes);
            let spent = sys::monotonic_nanoseconds().saturating_sub(begun);
            self.is_leaving = size.as_ref().is_some_and(Size::is_exceeded);
            self.report(number, slot::RETURNED, spent, done);
        }
    }

    /// Waits for the next job; `None` when there will be no more.
    fn next(&mut self, bytes: &mut Vec<u8>) -> Option<(u64, Head)> {
        loop {
            if let Some((number, head)) = self.side.take(bytes) {
                self.note_passed(number);
                self.passed = number + 1;
                return (head.kind != slot::LEAVE).then_some((number, head));
            }
            self.note_passed(self.side.taken());
            if self.is_littered {
                self.clear_link();
            }
            let passed = self.passed;
            let is_called = |side: &WorkerSide<_>| side.has_job() || side.taken() != passed;
            let side = &self.side;
            if !is_called(side) && !self.spin.look(|| is_called(side)) {
                side.sleep_unless(is_called, |word, before| futex::wait(word, before, None));
            }
        }
    }

    /// All slots before this number are out of the ring; those that this worker has not seen, the parent has taken back.
    fn note_passed(&mut self, number: u64) {
        self.is_littered |= number != self.passed;
        self.passed = number;
    }

    /// Makes room on the link, where what was sent ahead for jobs that were taken back would lie until the next job that comes
    /// over the link: which may find no room there, and wait for ever.
    fn clear_link(&mut self) {
        self.is_littered = false;
        if let Ok(link) = self.link.fd() {
            self.parcels.pass_over(link, self.passed);
        }
        if let Ok(bell) = self.bell.fd() {
            eventfd::wake(bell.as_fd());
        }
    }

    fn perform(&mut self, number: u64, head: Head, bytes: &[u8]) -> Done {
        if head.kind & slot::ON_LINK == 0 {
            return call(head.about, bytes, Vec::new());
        }
        let mut parcel = match self.link.fd().and_then(|link| self.parcels.receive(link, number)) {
            Ok(parcel) => parcel,
            Err(error) => return refuse("the worker cannot receive its arguments", error),
        };
        let descriptors = std::mem::take(&mut parcel.descriptors);
        match parcel.bytes() {
            Ok(bytes) => call(head.about, &bytes, descriptors),
            Err(error) => refuse("the worker cannot map its arguments", error),
        }
    }

    fn report(&mut self, number: u64, returned: u8, spent: u64, done: Done) {
        let (kind, payload) = match done {
            Done::Returned(payload) => (returned, Ok(payload)),
            Done::Panicked(panic) => (slot::PANICKED, Payload::encode(&panic)),
            Done::Refused(error) => (slot::REFUSED, Payload::encode(&Refusal::from(error))),
            Done::Unencodable(error) => (slot::UNENCODABLE, Payload::encode(&error.to_string())),
        };
        let payload = payload.unwrap_or(Payload::EMPTY);
        if let Err(error) = self.put(number, kind, spent, &payload) {
            let text = Payload::encode(&format!("the result cannot be sent: {error}")).unwrap_or(Payload::EMPTY);
            let _ = self.put(number, slot::UNENCODABLE, spent, &text);
        }
    }

    fn put(&mut self, number: u64, kind: u8, spent: u64, payload: &Payload) -> io::Result<()> {
        let kind = if self.is_leaving { kind | slot::LAST } else { kind };
        let (kind, bytes) = match inline(payload) {
            Some(bytes) => (kind, bytes),
            None => {
                protocol::send_parcel(self.link.fd()?, number, payload, None)?;
                (kind | slot::ON_LINK, &[][..])
            }
        };
        while !self.side.has_room() {
            self.side.sleep_unless(WorkerSide::has_room, |word, before| futex::wait(word, before, None));
        }
        if self.side.push(Head { about: number, kind, spent }, bytes) {
            eventfd::wake(self.bell.fd()?.as_fd());
        }
        Ok(())
    }
}

fn refuse(text: &str, error: io::Error) -> Done {
    Done::Refused(Error::os(text, error))
}

fn initialize(packed: PackedCall) -> Done {
    let descriptors = packed.descriptors.into_iter().map(|held| held.0).collect();
    call(packed.place, &packed.arguments, descriptors)
}

/// Runs the task at a place of the registry.
fn call(place: u64, bytes: &[u8], descriptors: Vec<ValueFd>) -> Done {
    let Some(entry) = task::at(place) else {
        let text = format!("the worker knows no task number {place}");
        return Done::Refused(Error::new(ErrorKind::UnknownTask, text));
    };
    let mut arguments = Arguments::new(bytes, fds::ReceivedFds::new(descriptors));
    match child::catch_panic(|| (entry.run)(&mut arguments)) {
        Ok(Ok(Output(Ok(payload)))) => Done::Returned(payload),
        Ok(Ok(Output(Err(error)))) => Done::Unencodable(error),
        Ok(Err(error)) => {
            let text = format!("the worker cannot decode the arguments of `{}`: {}", entry.name, error.0);
            Done::Refused(Error::new(ErrorKind::Decode, text))
        }
        Err(panic) => Done::Panicked(panic),
    }
}

/// This process's side of its rings, if it is a worker.
static OWN_RINGS: Mutex<Option<WorkerSide<RingMemory>>> = Mutex::new(None);

/// The number of the job that runs.
static CURRENT: AtomicU64 = AtomicU64::new(0);

/// Whether the task that runs in this worker is asked to end: its [`Job`](crate::Job) was cancelled, or its time is over and it
/// will be killed soon. `false` in any process that is no worker.
pub fn is_cancelled() -> bool {
    let number = CURRENT.load(Ordering::Relaxed);
    sys::lock(&OWN_RINGS).as_ref().is_some_and(|side| side.is_cancelled(number))
}
