//! Values on a channel: the same frames as on a link, without a copy on either side.
//!
//! 1. [`send`] encodes a value into the buffer of the thread, and sends the frame from there.
//! 2. [`receive`] receives into a second buffer of the thread, and decodes from there.
//!
//! A small message costs neither an allocation nor a descriptor. A [`Batch`] puts many values into one frame. The
//! receiver keeps the rest of a batch as [`Pending`].

use std::cell::Cell;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Instant;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::fds::{self, ValueFd};
use super::frame::{self, Body, HEADER, Opened, OutgoingFrame};
use super::kind;
use super::limits::DATAGRAM_INLINE_MAX;
use super::payload::{Part, PayloadDecoder, PayloadEncoder, PayloadProgress, decode_bytes};
use crate::ipc::codec::Error;
use crate::sys::mmap::Mapping;
use crate::sys::poll::Deadline;
use crate::sys::socket;

thread_local! {
    /// The receive buffer. Empty while in use: a `Deserialize` that receives another message allocates a new buffer.
    static INCOMING: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The reason why a message was not sent.
#[derive(Debug)]
pub(crate) enum Unsent {
    Codec(Error),
    Os(io::Error),
}

/// The reason why a message was not received.
#[derive(Debug)]
pub(crate) enum Unread {
    /// The message was no value of the type. The next message may be fine.
    Codec(Error),
    /// The message lost descriptors to this process's limit. The next message may be fine.
    DescriptorsLost,
    Os(io::Error),
}

/// Sends one value. Waits for room in the queue until `deadline`.
pub(crate) fn send<T: Serialize>(end: BorrowedFd<'_>, value: &T, deadline: Deadline) -> Result<(), Unsent> {
    let mut encoder = PayloadEncoder::default();
    encoder.push(value).map_err(Unsent::Codec)?;
    deliver(end, encoder, kind::MESSAGE, &[], deadline)
}

fn deliver(
    end: BorrowedFd<'_>,
    encoder: PayloadEncoder,
    kind: u8,
    head: &[u8],
    deadline: Deadline,
) -> Result<(), Unsent> {
    let (encoded, held) = encoder.finish_in_place().map_err(Unsent::Os)?;
    let body = Body { part: encoded.part(), held: &held };
    let sent = OutgoingFrame { kind, head, body, descriptors: &[] }.send(end, deadline);
    encoded.reuse();
    sent.map_err(Unsent::Os)
}

/// Several values in one frame.
pub(crate) struct Batch {
    encoder: PayloadEncoder,
    count: u32,
}

/// The length at which a batch is full, in bytes. A system call for 32 KiB costs each value little, and several batches
/// fit into the buffer of a socket.
const BATCH_BYTES: usize = 32 * 1024;
const BATCH_VALUES: u32 = 4096;

impl Batch {
    pub(crate) fn new() -> Self {
        Self { encoder: PayloadEncoder::default(), count: 0 }
    }

    /// Appends a value. Returns whether the batch is full.
    pub(crate) fn push<T: Serialize>(&mut self, value: &T) -> Result<bool, Unsent> {
        self.encoder.push(value).map_err(Unsent::Codec)?;
        self.count += 1;
        Ok(self.count == BATCH_VALUES || self.encoder.len() >= BATCH_BYTES || self.encoder.holds_descriptors())
    }

    /// Sends the values. Waits for room in the queue until `deadline`.
    pub(crate) fn send(self, end: BorrowedFd<'_>, deadline: Deadline) -> Result<(), Unsent> {
        deliver(end, self.encoder, kind::BATCH, &self.count.to_le_bytes(), deadline)
    }
}

/// Values received and not decoded: the rest of a batch, or a message received ahead of use.
///
/// A memory file is mapped, and the file's descriptor closed. So any number of pending messages holds no descriptors
/// except the descriptors in values, which a forked child closes with the other channel ends of the parent.
#[derive(Debug)]
pub(crate) struct Pending {
    bytes: PendingBytes,
    progress: PayloadProgress,
    left: u32,
}

#[derive(Debug)]
enum PendingBytes {
    Heap(Vec<u8>),
    Mapped(Mapping),
}

impl std::ops::Deref for PendingBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Heap(bytes) => bytes,
            Self::Mapped(mapping) => mapping,
        }
    }
}

impl Pending {
    /// The memory in use, in bytes.
    pub(crate) fn len(&self) -> usize {
        size_of::<Self>() + self.bytes.len()
    }

    /// Decodes the next value. Returns `None` at the end.
    ///
    /// Gives up the rest after a value that cannot be decoded, since the start of the next value is unknown then.
    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> Option<Result<T, Unread>> {
        self.left = self.left.checked_sub(1)?;
        let mut decoder = PayloadDecoder::resume(&self.bytes, std::mem::take(&mut self.progress));
        let value = decoder.pull();
        self.progress = decoder.stop();
        if value.is_err() {
            self.left = 0;
        }
        Some(value.map_err(Unread::Codec))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.left == 0
    }
}

/// A message received on a channel.
#[derive(Debug)]
pub(crate) enum Received<T> {
    Value(T),
    /// A batch, with the first value not yet decoded.
    Several(Pending),
    /// End of file: no process has an end for sending.
    End,
}

/// Receives a value or a batch. Waits until `deadline`.
pub(crate) fn receive<T: DeserializeOwned>(end: BorrowedFd<'_>, deadline: Deadline) -> Result<Received<T>, Unread> {
    with_datagram(end, deadline, |datagram, descriptors| {
        let frame = frame::open(datagram, descriptors).map_err(unread)?;
        if frame.kind == kind::MESSAGE {
            let bytes = frame.payload.into_bytes().map_err(unread)?;
            return decode_bytes(&bytes, incoming(frame.held)).map(Received::Value).map_err(Unread::Codec);
        }
        pending(frame).map(Received::Several)
    })
    .map(|received| received.unwrap_or(Received::End))
}

/// Receives a value or a batch without decoding and without waiting. Returns `None` at end of file.
pub(crate) fn receive_undecoded(end: BorrowedFd<'_>) -> Result<Option<Pending>, Unread> {
    with_datagram(end, Some(Instant::now()), |datagram, descriptors| {
        pending(frame::open(datagram, descriptors).map_err(unread)?)
    })
}

fn with_datagram<R>(
    end: BorrowedFd<'_>,
    deadline: Deadline,
    open: impl FnOnce(&[u8], Vec<OwnedFd>) -> Result<R, Unread>,
) -> Result<Option<R>, Unread> {
    // A thread behind the end of its thread-locals has no buffer to keep.
    let mut buffer = INCOMING.try_with(Cell::take).unwrap_or_default();
    buffer.resize(HEADER + DATAGRAM_INLINE_MAX, 0);
    let opened = match socket::receive_into(end, &mut buffer, deadline) {
        Ok(None) => Ok(None),
        Ok(Some(received)) if received.control_truncated => Err(Unread::DescriptorsLost),
        Ok(Some(received)) => open(&buffer[..received.length], received.descriptors).map(Some),
        Err(error) => Err(unread(error)),
    };
    let _ = INCOMING.try_with(|kept| kept.set(buffer));
    opened
}

/// Tells a datagram that is no message from a failure of the system.
fn unread(error: io::Error) -> Unread {
    match error.kind() {
        io::ErrorKind::InvalidData => Unread::Codec(error.into()),
        _ => Unread::Os(error),
    }
}

fn incoming(held: Vec<OwnedFd>) -> fds::ReceivedFds {
    fds::ReceivedFds::new(held.into_iter().map(ValueFd::new).collect())
}

/// Copies the values of a frame out of the datagram.
fn pending(frame: Opened<'_>) -> Result<Pending, Unread> {
    let invalid = |text: String| Unread::Codec(Error::new(text));
    let left = match (frame.kind, frame.head) {
        (kind::MESSAGE, _) => 1,
        (kind::BATCH, Part::Bytes(head)) => {
            let count = head.try_into().map(u32::from_le_bytes).ok().filter(|count| (1..=BATCH_VALUES).contains(count));
            count.ok_or_else(|| invalid("a batch of messages does not say how many they are".to_owned()))?
        }
        (kind, _) => return Err(invalid(format!("a frame of kind {kind} where a message was to come"))),
    };
    let bytes = match frame.payload {
        Part::Bytes(bytes) => PendingBytes::Heap(bytes.to_vec()),
        Part::File(file) => PendingBytes::Mapped(file.map().map_err(unread)?),
    };
    let descriptors = fds::ReceivedFds::new(frame.held.into_iter().map(ValueFd::private).collect());
    Ok(Pending { bytes, progress: PayloadProgress::start(descriptors), left })
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::ipc::codec;

    fn received<T: DeserializeOwned>(receiver: &OwnedFd) -> T {
        match receive(receiver.as_fd(), None) {
            Ok(Received::Value(value)) => value,
            Ok(Received::Several(mut pending)) => pending.next().unwrap().unwrap(),
            other => panic!("{:?}", other.map(|_| "the end")),
        }
    }

    fn there_and_back<T: Serialize + DeserializeOwned>(value: &T) -> T {
        let (sender, receiver) = socket::one_way().unwrap();
        send(sender.as_fd(), value, None).unwrap();
        received(&receiver)
    }

    #[test]
    fn a_batch_arrives_whole_and_in_order() {
        let (sender, receiver) = socket::one_way().unwrap();
        let mut batch = Batch::new();
        for value in 0..100_u64 {
            assert!(!batch.push(&(value, ())).unwrap());
        }
        batch.send(sender.as_fd(), None).unwrap();
        let Ok(Received::Several(mut pending)) = receive::<(u64, ())>(receiver.as_fd(), None) else { panic!() };
        let values: Vec<_> = std::iter::from_fn(|| pending.next::<(u64, ())>()).map(Result::unwrap).collect();
        assert_eq!(values, (0..100).map(|value| (value, ())).collect::<Vec<_>>());
        assert!(pending.is_empty());
    }

    #[test]
    fn a_batch_that_ends_too_early_gives_what_it_has() {
        let mut encoder = codec::Encoder::new(codec::scratch(), codec::encode::InMemory);
        [true, false].iter().for_each(|value| encoder.push(value).unwrap());
        let bytes = PendingBytes::Heap(encoder.scratch.buffer.clone());
        let mut pending = Pending { bytes, progress: PayloadProgress::default(), left: 3 };
        assert!(matches!(pending.next::<bool>(), Some(Ok(true))));
        assert!(matches!(pending.next::<bool>(), Some(Ok(false))));
        assert!(matches!(pending.next::<u8>(), Some(Err(_))));
        assert!(pending.next::<u8>().is_none());
    }

    #[test]
    fn messages_of_every_size_arrive() {
        for length in
            [0, 1, 61, 62, 63, 5000, DATAGRAM_INLINE_MAX - 1, DATAGRAM_INLINE_MAX, DATAGRAM_INLINE_MAX + 1, 3_000_000]
        {
            let text = "x".repeat(length);
            assert_eq!(there_and_back(&text), text);
        }
    }

    #[test]
    fn what_is_no_message_costs_itself_alone() {
        let (sender, receiver) = socket::one_way().unwrap();
        let forged = [io::IoSlice::new(b"something else")];
        socket::send(sender.as_fd(), &forged, &[], None.into()).unwrap();
        send(sender.as_fd(), &7, None).unwrap();
        assert!(matches!(receive::<i32>(receiver.as_fd(), None), Err(Unread::Codec(_))));
        assert_eq!(received::<i32>(&receiver), 7);
        drop(sender);
        assert!(matches!(receive::<i32>(receiver.as_fd(), None), Ok(Received::End)));
    }

    #[test]
    fn a_value_may_send_another_one_while_it_is_encoded() {
        struct Sends<'a>(BorrowedFd<'a>);
        impl Serialize for Sends<'_> {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                send(self.0, &"inner", None).map_err(|_| serde::ser::Error::custom("unsent"))?;
                "outer".serialize(serializer)
            }
        }
        let (sender, receiver) = socket::one_way().unwrap();
        send(sender.as_fd(), &Sends(sender.as_fd()), None).unwrap();
        assert_eq!(received::<String>(&receiver), "inner");
        assert_eq!(received::<String>(&receiver), "outer");
    }
}
