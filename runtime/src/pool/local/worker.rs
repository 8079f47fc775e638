//! The worker: the child's end of the link, from the first job to the last.
//!
//! A worker is a task like any other. Every start method, and every rule of a child's life, holds for it.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::protocol::{self, Assignment, OutOfLine, PackedCall, RingMemory, inline, slot};
use super::ring::{Awaited, Head, WorkerSide};
use crate::child;
use crate::error::{Error, ErrorKind, Panic, Refusal};
use crate::ipc::codec;
use crate::ipc::spin::AdaptiveSpin;
use crate::ipc::wire::fds::{self, ValueFd};
use crate::ipc::wire::payload::Payload;
use crate::pool::model::LONGEST_SPIN;
use crate::sys::fork_private::ForkPrivateFd;
use crate::sys::resident::Resident;
use crate::sys::{self, eventfd, futex, signal};
use crate::task::{self, ArgumentDecoder, EncodedOutput, Origin, TaskEntry, UndecodableArguments};
use crate::this_process::per_process::{OnCopy, PerProcess};
use crate::this_process::role;

/// The name of the worker's own task.
pub(super) const NAME: &str = "offspring::pool::worker";

pub(super) const FINGERPRINT: u64 = 1;

/// The worker's task, by which a child finds it.
pub(super) static ENTRY: TaskEntry = entry();

const fn entry() -> TaskEntry {
    TaskEntry {
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

fn run(arguments: &mut ArgumentDecoder<'_>) -> Result<EncodedOutput, UndecodableArguments> {
    let assignment = arguments.pull::<Assignment>()?;
    arguments.finish()?;
    match role::link_to_parent() {
        Some(link) => Worker::new(assignment.memory.into_memory(), assignment.eventfd.0, link).work(
            assignment.initializer,
            assignment.finalizer,
            assignment.max_memory.map(MemoryLimit::new),
            assignment.is_graceful,
        ),
        None => return Err(UndecodableArguments("a worker has no link".to_owned())),
    }
    Ok(EncodedOutput(Payload::encode(&())))
}

/// How a task ended in the worker.
enum TaskEnd {
    Returned(Payload),
    Panicked(Panic),
    Refused(Error),
    Unencodable(codec::Error),
}

struct Worker {
    side: WorkerSide<RingMemory>,
    eventfd: ValueFd,
    link: Arc<ForkPrivateFd>,
    spin: AdaptiveSpin,
    out_of_line: OutOfLine,
    /// The slots before this number are out of the ring, taken by this worker or revoked by the parent.
    passed: u64,
    /// Whether frames of revoked jobs may be on the link.
    has_stale_frames: bool,
    /// The next outcome is the last.
    is_leaving: bool,
    /// The next outcome is the finalizer's.
    is_finalizing: bool,
}

/// The limit of a worker's resident memory, and the way to read its size.
struct MemoryLimit {
    limit: u64,
    resident: io::Result<Resident>,
}

impl MemoryLimit {
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
    fn new(memory: RingMemory, eventfd: ValueFd, link: Arc<ForkPrivateFd>) -> Self {
        *OWN_RINGS.lock() = Some(WorkerSide::new(memory.clone()));
        Self {
            side: WorkerSide::new(memory),
            eventfd,
            link,
            spin: AdaptiveSpin::for_memory(LONGEST_SPIN),
            out_of_line: OutOfLine::default(),
            passed: 0,
            has_stale_frames: false,
            is_leaving: false,
            is_finalizing: false,
        }
    }

    fn work(
        mut self,
        initializer: Option<PackedCall>,
        finalizer: Option<PackedCall>,
        limit: Option<MemoryLimit>,
        is_graceful: bool,
    ) {
        // The parent answers a terminal's interrupt, and its end is the end of its workers.
        signal::survive(&[signal::INTERRUPT]);
        if is_graceful {
            signal::survive(&[signal::TERMINATE, signal::HANG_UP]);
        }
        // A worker that ends before this has not come to its own task.
        self.side.note_began(sys::monotonic_nanoseconds());
        let (ready, limit) = match limit.map(MemoryLimit::check).transpose() {
            Ok(limit) => (initializer.map_or(TaskEnd::Returned(Payload::EMPTY), call_hook), limit),
            Err(error) => (TaskEnd::Refused(error), None),
        };
        let is_ready = matches!(ready, TaskEnd::Returned(_));
        self.is_leaving = !is_ready;
        self.report(0, slot::READY, 0, ready);
        let mut bytes = Vec::new();
        while !self.is_leaving
            && let Some((number, head)) = self.next(&mut bytes)
        {
            let begun = sys::monotonic_nanoseconds();
            self.side.note_began(begun);
            CURRENT.store(number, Ordering::Relaxed);
            let end = self.perform(number, head, &bytes);
            let spent = sys::monotonic_nanoseconds().saturating_sub(begun);
            self.is_leaving = limit.as_ref().is_some_and(MemoryLimit::is_exceeded);
            self.report(number, slot::RETURNED, spent, end);
        }
        // An initializer that failed has left nothing to put in order.
        if let Some(finalizer) = finalizer.filter(|_| is_ready) {
            self.finalize(finalizer);
        }
    }

    fn finalize(&mut self, finalizer: PackedCall) {
        // No job of this number was cancelled, and frames of revoked jobs have lower ones.
        let number = self.side.taken();
        CURRENT.store(number, Ordering::Relaxed);
        let end = call_hook(finalizer);
        self.is_finalizing = true;
        self.report(number, slot::RETURNED, 0, end);
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
            if self.has_stale_frames {
                self.discard_stale();
            }
            let passed = self.passed;
            let is_called = |side: &WorkerSide<_>| side.has_job() || side.taken() != passed;
            let side = &self.side;
            if !is_called(side) && !self.spin.look(|| is_called(side)) {
                side.sleep_unless(Awaited::Job, is_called, |word, before| futex::wait(word, before, None));
            }
        }
    }

    /// Notes that all slots before `number` are out of the ring. The parent has revoked those that this worker did not
    /// take.
    fn note_passed(&mut self, number: u64) {
        self.has_stale_frames |= number != self.passed;
        self.passed = number;
    }

    /// Drops the frames of revoked jobs, and tells the parent that the link has room.
    ///
    /// They would stay until the next job that is sent out of line. That one may find no room on the link, and wait for
    /// ever.
    fn discard_stale(&mut self) {
        self.has_stale_frames = false;
        if let Ok(link) = self.link.fd() {
            self.out_of_line.discard_before(link, self.passed);
        }
        if let Ok(eventfd) = self.eventfd.fd() {
            eventfd::wake(eventfd.as_fd());
        }
    }

    fn perform(&mut self, number: u64, head: Head, bytes: &[u8]) -> TaskEnd {
        if head.kind & slot::ON_LINK == 0 {
            return call(head.about, bytes, Vec::new());
        }
        let mut payload = match self.link.fd().and_then(|link| self.out_of_line.receive(link, number)) {
            Ok(payload) => payload,
            Err(error) => return refuse("the worker cannot receive its arguments", error),
        };
        let descriptors = std::mem::take(&mut payload.descriptors);
        match payload.bytes() {
            Ok(bytes) => call(head.about, &bytes, descriptors),
            Err(error) => refuse("the worker cannot map its arguments", error),
        }
    }

    fn report(&mut self, number: u64, returned: u8, spent: u64, end: TaskEnd) {
        let (kind, payload) = match end {
            TaskEnd::Returned(payload) => (returned, Ok(payload)),
            TaskEnd::Panicked(panic) => (slot::PANICKED, Payload::encode(&panic)),
            TaskEnd::Refused(error) => (slot::REFUSED, Payload::encode(&Refusal::from(error))),
            TaskEnd::Unencodable(error) => (slot::UNENCODABLE, Payload::encode(&error.to_string())),
        };
        let payload = payload.unwrap_or(Payload::EMPTY);
        if let Err(error) = self.put(number, kind, spent, &payload) {
            let text = Payload::encode(&format!("the result cannot be sent: {error}")).unwrap_or(Payload::EMPTY);
            let _ = self.put(number, slot::UNENCODABLE, spent, &text);
        }
    }

    fn put(&mut self, number: u64, kind: u8, spent: u64, payload: &Payload) -> io::Result<()> {
        let kind = match (self.is_finalizing, self.is_leaving) {
            (true, _) => kind | slot::FINALIZER,
            (false, true) => kind | slot::LAST,
            (false, false) => kind,
        };
        let (kind, bytes) = match inline(payload) {
            Some(bytes) => (kind, bytes),
            None => {
                protocol::send_out_of_line(self.link.fd()?, number, payload, None)?;
                (kind | slot::ON_LINK, &[][..])
            }
        };
        while !self.side.has_room() {
            self.side.sleep_unless(Awaited::Room, WorkerSide::has_room, |word, before| futex::wait(word, before, None));
        }
        if self.side.push(Head { about: number, kind, spent }, bytes) {
            eventfd::wake(self.eventfd.fd()?.as_fd());
        }
        Ok(())
    }
}

fn refuse(text: &str, error: io::Error) -> TaskEnd {
    TaskEnd::Refused(Error::os(text, error))
}

fn call_hook(packed: PackedCall) -> TaskEnd {
    let descriptors = packed.descriptors.into_iter().map(|sent| sent.0).collect();
    call(packed.task_index, &packed.arguments, descriptors)
}

/// Runs the task at an index of the registry.
fn call(task_index: u64, bytes: &[u8], descriptors: Vec<ValueFd>) -> TaskEnd {
    let Some(entry) = task::entry_at(task_index) else {
        let text = format!("the worker knows no task number {task_index}");
        return TaskEnd::Refused(Error::new(ErrorKind::UnknownTask, text));
    };
    let mut arguments = ArgumentDecoder::new(bytes, fds::ReceivedFds::new(descriptors));
    match child::run_user_code(entry.name, || (entry.run)(&mut arguments)) {
        Ok(Ok(EncodedOutput(Ok(payload)))) => TaskEnd::Returned(payload),
        Ok(Ok(EncodedOutput(Err(error)))) => TaskEnd::Unencodable(error),
        Ok(Err(error)) => {
            let text = format!("the worker cannot decode the arguments of `{}`: {}", entry.name, error.0);
            TaskEnd::Refused(Error::new(ErrorKind::Decode, text))
        }
        Err(panic) => TaskEnd::Panicked(panic),
    }
}

/// This process's side of its rings, if it is a worker.
static OWN_RINGS: PerProcess<Option<WorkerSide<RingMemory>>> = PerProcess::new(OnCopy::Leak);

/// The number of the job that runs.
static CURRENT: AtomicU64 = AtomicU64::new(0);

/// Returns whether the running task of this worker should end.
///
/// `true` after [`Job::cancel`](crate::Job::cancel), and after the time limit of the task during the
/// [`grace`](crate::PoolBuilder::grace). `false` in a process that is no worker. The
/// cost is a few nanoseconds, so a loop may call the function in each round.
///
/// # Examples
/// ```
/// use offspring::{Context, Sender, channel, child_task, is_cancelled};
///
/// #[child_task]
/// fn count(started: Sender<()>) -> u64 {
///     started.send(()).expect("the parent receives");
///     let mut count = 0;
///     while !is_cancelled() {
///         count += 1;
///     }
///     count
/// }
///
/// # #[offspring::process_main]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Context::default().pool().workers(1).build()?;
/// let (sender, started) = channel()?;
/// let job = pool.submit(count::call(sender));
/// started.recv()?;
/// job.cancel();
/// job.wait()?; // the count
/// # Ok(())
/// # }
/// ```
pub fn is_cancelled() -> bool {
    let number = CURRENT.load(Ordering::Relaxed);
    OWN_RINGS.lock_used().is_some_and(|rings| rings.as_ref().is_some_and(|side| side.is_cancelled(number)))
}
