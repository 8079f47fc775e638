//! Single values as datagrams, for channels: the same frames as on a link, without a copy on either side.
//!
//! A value is encoded into a buffer that this thread keeps, sent from there, received into another one, and decoded there:
//! a small message costs neither an allocation nor a descriptor.

use std::cell::Cell;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Instant;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::fds::{self, ValueFd};
use super::frame::{self, Body, HEADER, Opened, OutgoingFrame};
use super::payload::{Decoder, Encoder, Part, State, decode_bytes};
use super::{INLINE_MAX, kind};
use crate::ipc::codec::Error;
use crate::sys::mmap::Mapping;
use crate::sys::poll::Deadline;
use crate::sys::socket;

thread_local! {
    /// Taken while it is used: a value whose decoding receives another one makes do with a new buffer.
    static INCOMING: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Why a message was not sent.
#[derive(Debug)]
pub(crate) enum Unsent {
    Codec(Error),
    Os(io::Error),
}

/// Why a message was not received.
#[derive(Debug)]
pub(crate) enum Unread {
    /// It is gone, and the next one may be better.
    Codec(Error),
    /// The same: this process may not open more descriptors.
    DescriptorsLost,
    Os(io::Error),
}

/// Sends one value; waits while the queue is full, until `deadline`.
pub(crate) fn send<T: Serialize>(end: BorrowedFd<'_>, value: &T, deadline: Deadline) -> Result<(), Unsent> {
    let mut encoder = Encoder::default();
    encoder.push(value).map_err(Unsent::Codec)?;
    deliver(end, encoder, kind::MESSAGE, &[], deadline)
}

fn deliver(end: BorrowedFd<'_>, encoder: Encoder, kind: u8, head: &[u8], deadline: Deadline) -> Result<(), Unsent> {
    let (encoded, held) = encoder.finish_in_place().map_err(Unsent::Os)?;
    let body = Body { part: encoded.part(), held: &held };
    let sent = OutgoingFrame { kind, head, body, descriptors: &[] }.send(end, deadline);
    encoded.reuse();
    sent.map_err(Unsent::Os)
}

/// Several values that travel together.
pub(crate) struct Batch {
    encoder: Encoder,
    count: u32,
}

/// A batch is sent when it is as long as this: long enough that a system call for it costs little for each value, short
/// enough that several fit into a socket's buffer.
const BATCH_BYTES: usize = 32 * 1024;
const BATCH_VALUES: u32 = 4096;

impl Batch {
    pub(crate) fn new() -> Self {
        Self { encoder: Encoder::default(), count: 0 }
    }

    /// Appends a value; whether the batch is full with it.
    pub(crate) fn push<T: Serialize>(&mut self, value: &T) -> Result<bool, Unsent> {
        self.encoder.push(value).map_err(Unsent::Codec)?;
        self.count += 1;
        Ok(self.count == BATCH_VALUES || self.encoder.len() >= BATCH_BYTES || self.encoder.holds_descriptors())
    }

    /// Sends the values; waits while the queue is full, until `deadline`.
    pub(crate) fn send(self, end: BorrowedFd<'_>, deadline: Deadline) -> Result<(), Unsent> {
        deliver(end, self.encoder, kind::BATCH, &self.count.to_le_bytes(), deadline)
    }
}

/// What has been received and not decoded: the rest of a batch, or a message that was taken in while there was no use for it.
///
/// A memory file is mapped and closed, so that any number of such messages takes no descriptor but those of their values. A
/// forked child lets go of these, as of its parent's other ends.
#[derive(Debug)]
pub(crate) struct Pending {
    content: Content,
    state: State,
    left: u32,
}

#[derive(Debug)]
enum Content {
    Heap(Vec<u8>),
    Mapped(Mapping),
}

impl std::ops::Deref for Content {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Heap(bytes) => bytes,
            Self::Mapped(mapping) => mapping,
        }
    }
}

impl Pending {
    /// What it takes in memory, in bytes.
    pub(crate) fn len(&self) -> usize {
        size_of::<Self>() + self.content.len()
    }

    /// The next value; `None` when there is no more. What follows one that cannot be decoded cannot be found, and is given up.
    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> Option<Result<T, Unread>> {
        self.left = self.left.checked_sub(1)?;
        let mut decoder = Decoder::resume(&self.content, std::mem::take(&mut self.state));
        let value = decoder.pull();
        self.state = decoder.stop();
        if value.is_err() {
            self.left = 0;
        }
        Some(value.map_err(Unread::Codec))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.left == 0
    }
}

/// What was received on a channel.
#[derive(Debug)]
pub(crate) enum Received<T> {
    Value(T),
    /// A batch, with its first value still in it.
    Several(Pending),
    /// No end is left that could send.
    End,
}

/// Receives a value or a batch of them; waits until `deadline`.
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

/// Receives a value or a batch without decoding it; `None` when no end is left that could send. Does not wait.
pub(crate) fn take_in(end: BorrowedFd<'_>) -> Result<Option<Pending>, Unread> {
    with_datagram(end, Some(Instant::now()), |datagram, descriptors| {
        pending(frame::open(datagram, descriptors).map_err(unread)?)
    })
}

fn with_datagram<R>(
    end: BorrowedFd<'_>,
    deadline: Deadline,
    open: impl FnOnce(&[u8], Vec<OwnedFd>) -> Result<R, Unread>,
) -> Result<Option<R>, Unread> {
    // A thread that is past the end of its thread-locals has no buffer to keep.
    let mut buffer = INCOMING.try_with(Cell::take).unwrap_or_default();
    buffer.resize(HEADER + INLINE_MAX, 0);
    let opened = match socket::receive_into(end, &mut buffer, deadline) {
        Ok(None) => Ok(None),
        Ok(Some(received)) if received.control_truncated => Err(Unread::DescriptorsLost),
        Ok(Some(received)) => open(&buffer[..received.length], received.descriptors).map(Some),
        Err(error) => Err(unread(error)),
    };
    let _ = INCOMING.try_with(|kept| kept.set(buffer));
    opened
}

/// What was received is no message, or the system would not receive it.
fn unread(error: io::Error) -> Unread {
    match error.kind() {
        io::ErrorKind::InvalidData => Unread::Codec(Error::new(error.to_string())),
        _ => Unread::Os(error),
    }
}

fn incoming(held: Vec<OwnedFd>) -> fds::ReceivedFds {
    fds::ReceivedFds::new(held.into_iter().map(ValueFd::new).collect())
}

/// Copies a frame's values out of its datagram, for later.
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
    let content = match frame.payload {
        Part::Bytes(bytes) => Content::Heap(bytes.to_vec()),
        Part::File(file) => Content::Mapped(file.map().map_err(unread)?),
    };
    let descriptors = fds::ReceivedFds::new(frame.held.into_iter().map(ValueFd::private).collect());
    Ok(Pending { content, state: State::start(descriptors), left })
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
        let content = Content::Heap(encoder.scratch.buffer.clone());
        let mut pending = Pending { content, state: State::default(), left: 3 };
        assert!(matches!(pending.next::<bool>(), Some(Ok(true))));
        assert!(matches!(pending.next::<bool>(), Some(Ok(false))));
        assert!(matches!(pending.next::<u8>(), Some(Err(_))));
        assert!(pending.next::<u8>().is_none());
    }

    #[test]
    fn messages_of_every_size_arrive() {
        for length in [0, 1, 61, 62, 63, 5000, INLINE_MAX - 1, INLINE_MAX, INLINE_MAX + 1, 3_000_000] {
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
