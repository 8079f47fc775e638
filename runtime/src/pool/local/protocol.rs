//! What a pool and its workers say to each other: through the rings, and over the worker's link what has no room there.

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
use crate::sys::mmap::Region;
use crate::sys::poll::Deadline;

/// Kinds of slots.
pub(in crate::pool) mod slot {
    /// Parent to worker: a task's arguments; `about` is its place in the registry.
    pub(in super::super) const JOB: u8 = 1;
    /// Parent to worker: leave.
    pub(in super::super) const LEAVE: u8 = 2;
    /// Worker to parent: a value.
    pub(in super::super) const RETURNED: u8 = 16;
    /// Worker to parent: a [`Panic`](crate::Panic).
    pub(in super::super) const PANICKED: u8 = 17;
    /// Worker to parent: why the task did not begin.
    pub(in super::super) const REFUSED: u8 = 18;
    /// Worker to parent: why the value could not be encoded.
    pub(in super::super) const UNENCODABLE: u8 = 19;
    /// Worker to parent: the initializer has returned this value.
    pub(in super::super) const READY: u8 = 20;
    /// Beside another kind: it is the worker's last result, as it has grown too large.
    pub(in super::super) const LAST: u8 = 64;
    /// The bytes are in a frame on the link, which was sent before.
    pub(in super::super) const ON_LINK: u8 = 128;
}

/// The bytes of a payload that fits into a slot.
pub(in crate::pool) fn inline(payload: &Payload) -> Option<&[u8]> {
    match payload.part() {
        Part::Bytes(bytes) if payload.descriptors.is_empty() && bytes.len() <= INLINE_BYTES => Some(bytes),
        _ => None,
    }
}

/// Sends what does not, for the slot of this number.
pub(in crate::pool) fn send_parcel(
    link: BorrowedFd<'_>,
    number: u64,
    payload: &Payload,
    deadline: Deadline,
) -> io::Result<()> {
    let head = number.to_le_bytes();
    OutgoingFrame { kind: kind::OUT_OF_LINE, head: &head, body: Body::from(payload), descriptors: &[] }
        .send(link, deadline)
}

/// Takes the parcel of a slot that has been taken out, by `next`: those before it belong to jobs that were taken back.
pub(in crate::pool) fn parcel(
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

/// The number of the slot that a parcel belongs to.
fn slot_of(frame: &ReceivedFrame) -> io::Result<u64> {
    let head = <[u8; 8]>::try_from(&*frame.head.bytes()?);
    head.ok().filter(|_| frame.kind == kind::OUT_OF_LINE).map(u64::from_le_bytes).ok_or_else(belongs_to_none)
}

fn belongs_to_none() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a frame that belongs to no slot")
}

/// The parcels on a worker's link, as the worker receives them.
#[derive(Debug, Default)]
pub(in crate::pool) struct Parcels {
    /// One that was received before its slot was taken out.
    early: Option<ReceivedFrame>,
    /// Why one was lost that may have been that of the next slot: whoever waited for it would wait for ever.
    lost: Option<io::Error>,
}

impl Parcels {
    /// Receives the parcel of a slot, which was sent before the slot was filled.
    pub(in crate::pool) fn receive(&mut self, link: BorrowedFd<'_>, number: u64) -> io::Result<Payload> {
        if let Some(error) = self.lost.take() {
            return Err(error);
        }
        parcel(number, || match self.early.take() {
            Some(early) => Ok(Some(early)),
            None => frame::receive(link, None),
        })
    }

    /// Receives, without waiting, those that belong to slots before this number: nobody will ask for them.
    pub(in crate::pool) fn pass_over(&mut self, link: BorrowedFd<'_>, number: u64) {
        let is_passed = |parcel: &ReceivedFrame| slot_of(parcel).is_ok_and(|slot| slot < number);
        while self.early.as_ref().is_none_or(is_passed) {
            self.early = match frame::try_receive(link) {
                Ok(Some(parcel)) => Some(parcel),
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
pub(in crate::pool) struct RingMemory(Arc<Region>);

impl RingMemory {
    pub(in crate::pool) fn create() -> io::Result<Self> {
        Ok(Self(Arc::new(Region::create(Self::BYTES)?)))
    }

    /// The words, and behind them the half word to sleep on.
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

impl Serialize for RingMemory {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fds::attach(self.0.descriptor(), serializer)
    }
}

impl<'de> Deserialize<'de> for RingMemory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let region =
            fds::share_plain(deserializer).and_then(|fd| Region::accept(fd).map_err(serde::de::Error::custom))?;
        if region.len() < Self::BYTES {
            return Err(serde::de::Error::custom("shared memory that is too short for a worker's rings"));
        }
        Ok(Self(Arc::new(region)))
    }
}

/// A descriptor among a worker's arguments.
#[derive(Clone, Debug)]
pub(in crate::pool) struct SentFd(pub(in crate::pool) ValueFd);

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

/// All that a worker is told.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::pool) struct Assignment {
    pub(in crate::pool) memory: RingMemory,
    /// Rung for the parent when it sleeps.
    pub(in crate::pool) bell: SentFd,
    /// How large it may be when a job is done, to go on.
    pub(in crate::pool) max_memory: Option<u64>,
    pub(in crate::pool) initializer: Option<PackedCall>,
}

/// A call in another call's arguments.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::pool) struct PackedCall {
    pub(in crate::pool) place: u64,
    pub(in crate::pool) arguments: Vec<u8>,
    pub(in crate::pool) descriptors: Vec<SentFd>,
}
