//! The protocol between a pool and its workers: slots in the rings, and frames on the worker's link for payloads
//! without room in a slot.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ring::{INLINE_BYTES, Memory, WORDS};
use crate::ipc::wire::fds::{self, ValueFd};
use crate::ipc::wire::frame::{self, Body, OutgoingFrame, ReceivedFrame};
use crate::ipc::wire::kind;
use crate::ipc::wire::payload::{Part, Payload};
use crate::sys::mmap::{Region, RegionMemory};
use crate::sys::poll::Deadline;

/// Kinds of slots.
pub(super) mod slot {
    /// Parent to worker: a task's arguments. `about` is the task's index in the registry.
    pub(in super::super) const JOB: u8 = 1;
    /// Parent to worker: exit.
    pub(in super::super) const LEAVE: u8 = 2;
    /// Worker to parent: the task's result.
    pub(in super::super) const RETURNED: u8 = 16;
    /// Worker to parent: a [`Panic`](crate::Panic).
    pub(in super::super) const PANICKED: u8 = 17;
    /// Worker to parent: why the task did not begin.
    pub(in super::super) const REFUSED: u8 = 18;
    /// Worker to parent: why the result could not be encoded.
    pub(in super::super) const UNENCODABLE: u8 = 19;
    /// Worker to parent: the result of the initializer.
    pub(in super::super) const READY: u8 = 20;
    /// Beside another kind: this is the outcome of the finalizer. The worker sends nothing after it.
    pub(in super::super) const FINALIZER: u8 = 32;
    /// Beside another kind: the worker has grown too large, and this outcome is its last.
    pub(in super::super) const LAST: u8 = 64;
    /// Beside another kind: the bytes are in a frame on the link, which was sent before.
    pub(in super::super) const ON_LINK: u8 = 128;
}

/// The bytes of a payload, if it fits into a slot.
pub(super) fn inline(payload: &Payload) -> Option<&[u8]> {
    match payload.part() {
        Part::Bytes(bytes) if payload.descriptors.is_empty() && bytes.len() <= INLINE_BYTES => Some(bytes),
        _ => None,
    }
}

/// Sends a payload that does not fit into a slot, before the slot of this number is written.
pub(super) fn send_out_of_line(
    link: BorrowedFd<'_>,
    number: u64,
    payload: &Payload,
    deadline: Deadline,
) -> io::Result<()> {
    let head = number.to_le_bytes();
    OutgoingFrame { kind: kind::OUT_OF_LINE, head: &head, body: Body::from(payload), descriptors: &[] }
        .send(link, deadline)
}

/// The payload of the slot `number`, from the frames that `next` receives. Frames of earlier slots belong to revoked
/// jobs.
pub(super) fn receive_out_of_line(
    number: u64,
    mut next: impl FnMut() -> io::Result<Option<ReceivedFrame>>,
) -> io::Result<Payload> {
    loop {
        let frame = next()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        match slot_of(&frame)? {
            found if found == number => return Ok(frame.payload),
            earlier if earlier < number => {}
            _ => return Err(belongs_to_none()),
        }
    }
}

/// The number of the slot to which a frame belongs.
fn slot_of(frame: &ReceivedFrame) -> io::Result<u64> {
    let head = <[u8; 8]>::try_from(&*frame.head.bytes()?);
    head.ok().filter(|_| frame.kind == kind::OUT_OF_LINE).map(u64::from_le_bytes).ok_or_else(belongs_to_none)
}

fn belongs_to_none() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a frame that belongs to no slot")
}

/// The worker's receiver of payloads on its link.
#[derive(Debug, Default)]
pub(super) struct OutOfLine {
    /// A frame that was received before its slot was taken.
    early: Option<ReceivedFrame>,
    /// Why a frame was lost, which may have been that of the next slot. A wait for that one would never end.
    lost: Option<io::Error>,
}

impl OutOfLine {
    /// Receives the payload of a slot, which was sent before the slot was written.
    pub(super) fn receive(&mut self, link: BorrowedFd<'_>, number: u64) -> io::Result<Payload> {
        if let Some(error) = self.lost.take() {
            return Err(error);
        }
        receive_out_of_line(number, || match self.early.take() {
            Some(early) => Ok(Some(early)),
            None => frame::receive(link, None),
        })
    }

    /// Receives and drops the frames of revoked jobs, which have slots before `number`. Does not wait.
    pub(super) fn discard_before(&mut self, link: BorrowedFd<'_>, number: u64) {
        let is_stale = |frame: &ReceivedFrame| slot_of(frame).is_ok_and(|slot| slot < number);
        while self.early.as_ref().is_none_or(is_stale) {
            self.early = match frame::try_receive(link) {
                Ok(Some(frame)) => Some(frame),
                // The parent is gone, and this process with it in a moment.
                Ok(None) => return,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    self.lost = Some(error);
                    return;
                }
            };
        }
    }
}

/// The memory of one worker's rings.
#[derive(Clone, Debug)]
pub(super) struct RingMemory(Arc<RegionMemory>);

impl RingMemory {
    /// The words, and behind them the half word on which the worker sleeps.
    const BYTES: usize = WORDS * 8 + 64;
}

impl Memory for RingMemory {
    fn words(&self) -> &[AtomicU64] {
        self.0.words(WORDS)
    }

    fn sleep_word(&self) -> &AtomicU32 {
        self.0.half_word(WORDS * 8)
    }
}

/// The memory of one worker's rings on the way to the worker, with the descriptor.
#[derive(Debug)]
pub(super) struct SentMemory(Region);

impl SentMemory {
    pub(super) fn create() -> io::Result<Self> {
        Ok(Self(Region::create(RingMemory::BYTES)?))
    }

    /// Lets go of the descriptor.
    pub(super) fn into_memory(self) -> RingMemory {
        RingMemory(Arc::new(self.0.into_memory()))
    }
}

impl Serialize for SentMemory {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fds::attach(self.0.descriptor(), serializer)
    }
}

impl<'de> Deserialize<'de> for SentMemory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let region =
            fds::share_plain(deserializer).and_then(|fd| Region::accept(fd).map_err(serde::de::Error::custom))?;
        if region.len() < RingMemory::BYTES {
            return Err(serde::de::Error::custom("shared memory that is too short for a worker's rings"));
        }
        Ok(Self(region))
    }
}

/// A descriptor in the argument of a worker's task.
#[derive(Clone, Debug)]
pub(super) struct SentFd(pub(super) ValueFd);

impl Serialize for SentFd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fds::attach(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for SentFd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        fds::share(deserializer).map(Self)
    }
}

/// The argument of a worker's task.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Assignment {
    pub(super) memory: SentMemory,
    /// Written when the parent sleeps.
    pub(super) eventfd: SentFd,
    /// Resident bytes above which the worker exits after a job.
    pub(super) max_memory: Option<u64>,
    /// Whether the worker survives the signals that end a service.
    pub(super) is_graceful: bool,
    pub(super) initializer: Option<PackedCall>,
    pub(super) finalizer: Option<PackedCall>,
}

/// A call in another call's arguments.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PackedCall {
    pub(super) task_index: u64,
    pub(super) arguments: Vec<u8>,
    pub(super) descriptors: Vec<SentFd>,
}
