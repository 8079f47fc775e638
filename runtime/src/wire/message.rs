//! Single values as datagrams, for channels: the same frames as on a link, without a copy on either side.
//!
//! A value is encoded into a buffer that this thread keeps, sent from there, received into another one, and decoded there:
//! a small message costs neither an allocation nor a descriptor.

use std::cell::Cell;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::frame::{self, Body, HEADER, Opened, Outgoing};
use super::payload::{CodecError, Encoder, Part, decode_bytes};
use super::{INLINE_MAX, fds};
use crate::sys::fd::{self, Descriptor};
use crate::sys::mmap::Mapping;
use crate::sys::poll::Deadline;
use crate::sys::socket::{self, Received};

/// The kind of a frame that is one message.
const MESSAGE: u8 = 64;

thread_local! {
    /// Taken while it is used: a value whose encoding sends another one makes do with a new buffer.
    static OUTGOING: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static INCOMING: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Why a message was not sent.
#[derive(Debug)]
pub(crate) enum Unsent {
    Codec(CodecError),
    Os(io::Error),
}

/// Why a message was not received.
#[derive(Debug)]
pub(crate) enum Unread {
    /// It is gone, and the next one may be better.
    Codec(CodecError),
    /// The same: this process may not open more descriptors.
    DescriptorsLost,
    Os(io::Error),
}

/// Sends one value; waits while the queue is full, until `deadline`.
pub(crate) fn send<T: Serialize>(end: BorrowedFd<'_>, value: &T, deadline: Deadline) -> Result<(), Unsent> {
    let mut encoder = Encoder::reusing(OUTGOING.take());
    encoder.push(value).map_err(Unsent::Codec)?;
    let (encoded, held) = encoder.finish_in_place().map_err(Unsent::Os)?;
    let body = Body { part: encoded.part(), held: &held };
    let sent = Outgoing { kind: MESSAGE, head: &[], body, descriptors: &[] }.send(end, deadline);
    OUTGOING.set(encoded.into_buffer());
    sent.map_err(Unsent::Os)
}

/// Receives one value; `None` when no end is left that could send one. Waits until `deadline`.
pub(crate) fn receive<T: DeserializeOwned>(end: BorrowedFd<'_>, deadline: Deadline) -> Result<Option<T>, Unread> {
    let mut buffer = INCOMING.take();
    buffer.resize(HEADER + INLINE_MAX, 0);
    let received = socket::receive_into(end, &mut buffer, deadline);
    let value = match received {
        Ok(None) => Ok(None),
        Ok(Some(received)) if received.control_truncated => Err(Unread::DescriptorsLost),
        Ok(Some(received)) => open(&buffer[..received.length], received.descriptors).map(Some),
        Err(error) => Err(unread(error)),
    };
    INCOMING.set(buffer);
    value
}

/// What was received is no message, or the system would not receive it.
fn unread(error: io::Error) -> Unread {
    match error.kind() {
        io::ErrorKind::InvalidData => Unread::Codec(CodecError(error.to_string())),
        _ => Unread::Os(error),
    }
}

/// A message that has been received and not decoded, or what is wrong with it.
///
/// A memory file is mapped and closed, so that any number of such messages takes no descriptor but those of their values. A
/// forked child lets go of these, as of its parent's other ends.
#[derive(Debug)]
pub(crate) struct Raw(Result<(Content, Vec<Arc<Descriptor>>), Unread>);

#[derive(Debug)]
enum Content {
    Heap(Vec<u8>),
    Mapped(Mapping),
}

impl Raw {
    /// What it takes in memory, in bytes.
    pub(crate) fn len(&self) -> usize {
        let content = match &self.0 {
            Ok((Content::Heap(bytes), _)) => bytes.len(),
            Ok((Content::Mapped(mapping), _)) => mapping.len(),
            Err(_) => 0,
        };
        size_of::<Self>() + content
    }

    pub(crate) fn open<T: DeserializeOwned>(self) -> Result<T, Unread> {
        let (content, held) = self.0?;
        let bytes: &[u8] = match &content {
            Content::Heap(bytes) => bytes,
            Content::Mapped(mapping) => mapping,
        };
        decode_bytes(bytes, fds::Incoming::new(held)).map_err(Unread::Codec)
    }

    fn taken(datagram: &[u8], received: Received) -> Result<(Content, Vec<Arc<Descriptor>>), Unread> {
        if received.control_truncated {
            return Err(Unread::DescriptorsLost);
        }
        let (payload, held) = parts(datagram, received.descriptors)?;
        let content = match payload {
            Part::Bytes(bytes) => Content::Heap(bytes.to_vec()),
            Part::File(file) => Content::Mapped(file.map().map_err(unread)?),
        };
        Ok((content, held.into_iter().map(fd::end).collect()))
    }
}

/// Receives a message without decoding it; what is none is noticed when it is opened.
///
/// # Errors
/// As [`socket::receive_into`], but for `InvalidData`.
pub(crate) fn receive_raw(end: BorrowedFd<'_>, deadline: Deadline) -> io::Result<Option<Raw>> {
    let mut buffer = INCOMING.take();
    buffer.resize(HEADER + INLINE_MAX, 0);
    let raw = match socket::receive_into(end, &mut buffer, deadline) {
        Ok(received) => Ok(received.map(|received| Raw(Raw::taken(&buffer[..received.length], received)))),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(Some(Raw(Err(unread(error))))),
        Err(error) => Err(error),
    };
    INCOMING.set(buffer);
    raw
}

/// Decodes a message.
fn open<T: DeserializeOwned>(datagram: &[u8], descriptors: Vec<OwnedFd>) -> Result<T, Unread> {
    let (payload, held) = parts(datagram, descriptors)?;
    let bytes = payload.into_bytes().map_err(unread)?;
    let held = held.into_iter().map(|fd| Arc::new(Descriptor::new(fd))).collect();
    decode_bytes(&bytes, fds::Incoming::new(held)).map_err(Unread::Codec)
}

/// The payload of a message, and the descriptors that its value holds.
fn parts(datagram: &[u8], descriptors: Vec<OwnedFd>) -> Result<(Part<'_>, Vec<OwnedFd>), Unread> {
    let Opened { kind, payload, held, .. } = frame::open(datagram, descriptors).map_err(unread)?;
    if kind != MESSAGE {
        return Err(Unread::Codec(CodecError(format!("a frame of kind {kind} where a message was to come"))));
    }
    Ok((payload, held))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    fn there_and_back<T: Serialize + DeserializeOwned>(value: &T) -> T {
        let (sender, receiver) = socket::one_way().unwrap();
        send(sender.as_fd(), value, None).unwrap();
        receive(receiver.as_fd(), None).unwrap().unwrap()
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
        socket::send(sender.as_fd(), &forged, &[], None).unwrap();
        send(sender.as_fd(), &7, None).unwrap();
        assert!(matches!(receive::<i32>(receiver.as_fd(), None), Err(Unread::Codec(_))));
        assert!(matches!(receive::<i32>(receiver.as_fd(), None), Ok(Some(7))));
        drop(sender);
        assert!(matches!(receive::<i32>(receiver.as_fd(), None), Ok(None)));
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
        assert_eq!(receive::<String>(receiver.as_fd(), None).unwrap().unwrap(), "inner");
        assert_eq!(receive::<String>(receiver.as_fd(), None).unwrap().unwrap(), "outer");
    }
}
