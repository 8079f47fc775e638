//! A frame: header, head (small and structured), payload (of any size) and descriptors, sent as one datagram.
//!
//! ```text
//! datagram     header │ head │ payload
//! header       magic u32 │ kind u8 │ flags u8 │ descriptors u16 │ head_len u32 │ held u32 │ payload_len u64
//! descriptors  [head in a memory file] [payload in a memory file] held by the payload… further descriptors…
//! ```
//!
//! Numbers are little-endian. A frame is never empty, since a datagram of length 0 reads like end of file. The sender
//! may be hostile: a receiver checks every number of the header against the datagram before allocating anything.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::fds::{self, ValueFd};
use super::limits::{DATAGRAM_INLINE_MAX, MESSAGE_MAX};
use super::payload::{Part, Payload, decode_bytes};
use crate::sys::mmap::{MemoryFile, SealedFile};
use crate::sys::poll::{self, Deadline};
use crate::sys::socket::{self, Datagram, MAX_DESCRIPTORS, SendTimeout, SenderCredentials};

const MAGIC: u32 = u32::from_le_bytes(*b"OFS1");
/// The length of the header in bytes.
pub(crate) const HEADER: usize = 24;
const HEAD_IN_FILE: u8 = 1;
const PAYLOAD_IN_FILE: u8 = 2;

/// A frame to be sent.
#[derive(Debug)]
pub(crate) struct OutgoingFrame<'a> {
    pub(crate) kind: u8,
    pub(crate) head: &'a [u8],
    pub(crate) body: Body<'a>,
    pub(crate) descriptors: &'a [BorrowedFd<'a>],
}

/// The payload of a frame to be sent, borrowed from a [`Payload`] or from an encoder.
#[derive(Clone, Debug)]
pub(crate) struct Body<'a> {
    pub(crate) part: Part<'a>,
    pub(crate) held: &'a [ValueFd],
}

impl<'a> From<&'a Payload> for Body<'a> {
    fn from(payload: &'a Payload) -> Self {
        Self { part: payload.part(), held: &payload.descriptors }
    }
}

impl Body<'_> {
    pub(crate) const EMPTY: Self = Self { part: Part::Bytes(&[]), held: &[] };
}

impl OutgoingFrame<'_> {
    /// Sends the frame. Waits for room in a full link until `timeout`.
    ///
    /// # Errors
    /// - The errors of [`socket::send`].
    /// - `FileTooLarge`: the limit on file sizes forbids a memory file of the payload's size.
    /// - `InvalidInput`: more descriptors than one datagram carries.
    pub(crate) fn send(self, link: BorrowedFd<'_>, timeout: impl Into<SendTimeout>) -> io::Result<()> {
        let timeout = timeout.into();
        match self.send_with(link, timeout, DATAGRAM_INLINE_MAX) {
            // The socket's buffer is smaller than usual. Memory files leave only the header to the datagram.
            Err(error) if socket::is_too_long(&error) => self.send_with(link, timeout, 0),
            other => other,
        }
    }

    fn send_with(&self, link: BorrowedFd<'_>, timeout: SendTimeout, inline_max: usize) -> io::Result<()> {
        let (head, head_file) = split(Part::Bytes(self.head), inline_max)?;
        let (payload, payload_file) = split(self.body.part.clone(), inline_max.saturating_sub(head.len()))?;
        let held = self.body.held.iter().map(|descriptor| descriptor.fd());
        let files = head_file.iter().chain(&payload_file).map(|file| Ok(file.as_fd()));
        let descriptors =
            files.chain(held).chain(self.descriptors.iter().copied().map(Ok)).collect::<io::Result<Vec<_>>>()?;
        if descriptors.len() > MAX_DESCRIPTORS {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{} descriptors in one message; {MAX_DESCRIPTORS} are possible", descriptors.len()),
            ));
        }
        let flag = |file: &Option<_>, flag| if file.is_some() { flag } else { 0 };
        let header = Header {
            kind: self.kind,
            flags: flag(&head_file, HEAD_IN_FILE) | flag(&payload_file, PAYLOAD_IN_FILE),
            descriptors: descriptors.len() as u16,
            head: self.head.len() as u32,
            held: self.body.held.len() as u32,
            payload: self.body.part.len() as u64,
        };
        let encoded = header.encode();
        let parts = [IoSlice::new(&encoded), IoSlice::new(head), IoSlice::new(payload)];
        let sent = socket::send(link, &parts, &descriptors, timeout);
        if header.flags != 0 {
            drop((head_file, payload_file));
            socket::keep_reserve();
        }
        sent
    }
}

/// Returns the bytes for the datagram and the file for the descriptor list. One of the two is empty.
fn split(part: Part<'_>, room: usize) -> io::Result<(&[u8], Option<Arc<SealedFile>>)> {
    match part {
        Part::Bytes(bytes) if bytes.len() <= room => Ok((bytes, None)),
        Part::Bytes(bytes) => Ok((&[], Some(Arc::new(sealed(bytes)?)))),
        Part::File(file) => Ok((&[], Some(file))),
    }
}

fn sealed(bytes: &[u8]) -> io::Result<SealedFile> {
    let mut file = socket::open_with_reserve(MemoryFile::new)?;
    file.write(bytes)?;
    file.seal()
}

/// Whether an error says that no process has the other end of the link.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

/// The longest wait of a frame to be sent. Links are nearly empty: only the user's limit on descriptors in transit
/// makes a frame wait.
pub(crate) const SEND_TIMEOUT: SendTimeout = SendTimeout::Limit(Duration::from_secs(10));

/// Sends a frame with one value as head. Waits for room in a full link, up to [`SEND_TIMEOUT`].
///
/// # Errors
/// As [`OutgoingFrame::send`].
pub(crate) fn send_value<T: Serialize>(
    link: BorrowedFd<'_>,
    kind: u8,
    value: &T,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let head = Payload::encode(value).map_err(io::Error::other)?;
    let head = head.bytes()?;
    OutgoingFrame { kind, head: &head, body: Body::EMPTY, descriptors }.send(link, SEND_TIMEOUT)
}

/// A received frame.
#[derive(Debug)]
pub(crate) struct ReceivedFrame {
    pub(crate) kind: u8,
    pub(crate) head: Payload,
    pub(crate) payload: Payload,
    pub(crate) descriptors: Vec<OwnedFd>,
    /// The sending process, on a link with [`socket::identify_senders`].
    pub(crate) sender: Option<SenderCredentials>,
}

impl ReceivedFrame {
    /// Decodes the head.
    ///
    /// # Errors
    /// `InvalidData`: the head is no `T`.
    pub(crate) fn head<T: DeserializeOwned>(&self) -> io::Result<T> {
        let decoded = decode_bytes(&self.head.bytes()?, fds::ReceivedFds::default());
        decoded.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

/// Receives a frame. Waits until `deadline`. Returns `None` at end of file.
///
/// # Errors
/// - `TimedOut`: no frame until `deadline`.
/// - `InvalidData`: the datagram is no frame.
/// - `QuotaExceeded`: a limit on descriptors cost the frame some of the descriptors.
pub(crate) fn receive(link: BorrowedFd<'_>, deadline: Deadline) -> io::Result<Option<ReceivedFrame>> {
    wait_for(link, deadline, try_receive)
}

fn wait_for(
    link: BorrowedFd<'_>,
    deadline: Deadline,
    try_receive: fn(BorrowedFd<'_>) -> io::Result<Option<ReceivedFrame>>,
) -> io::Result<Option<ReceivedFrame>> {
    loop {
        match try_receive(link) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => return other,
        }
        let [ready] = poll::readable([link], deadline)?;
        if !ready {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
}

/// Receives a frame without waiting.
///
/// # Errors
/// As [`receive`], and `WouldBlock` without a frame.
pub(crate) fn try_receive(link: BorrowedFd<'_>) -> io::Result<Option<ReceivedFrame>> {
    match socket::receive(link, HEADER + DATAGRAM_INLINE_MAX)? {
        Some(datagram) if datagram.descriptors_lost => {
            let text = "a message has lost its descriptors, since this process may not open more (RLIMIT_NOFILE)";
            Err(io::Error::new(io::ErrorKind::QuotaExceeded, text))
        }
        Some(datagram) => Header::decode(&datagram.bytes)?.open_datagram(datagram).map(Some),
        None => Ok(None),
    }
}

/// Receives a frame that is of use without descriptors too. A frame with lost descriptors arrives with an empty list.
///
/// # Errors
/// As [`receive`], without `QuotaExceeded`.
pub(crate) fn receive_at_least_head(link: BorrowedFd<'_>, deadline: Deadline) -> io::Result<Option<ReceivedFrame>> {
    wait_for(link, deadline, try_receive_at_least_head)
}

fn try_receive_at_least_head(link: BorrowedFd<'_>) -> io::Result<Option<ReceivedFrame>> {
    let Some(mut datagram) = socket::receive(link, HEADER + DATAGRAM_INLINE_MAX)? else { return Ok(None) };
    let mut header = Header::decode(&datagram.bytes)?;
    if datagram.descriptors_lost {
        datagram.descriptors.clear();
        (header.descriptors, header.held) = (0, 0);
    }
    header.open_datagram(datagram).map(Some)
}

/// Parses a datagram in place.
///
/// # Errors
/// `InvalidData`: the datagram is no frame.
pub(crate) fn open(datagram: &[u8], descriptors: Vec<OwnedFd>) -> io::Result<Opened<'_>> {
    Header::decode(datagram)?.open(&datagram[HEADER..], descriptors)
}

/// A parsed frame that borrows from the datagram.
#[derive(Debug)]
pub(crate) struct Opened<'a> {
    pub(crate) kind: u8,
    pub(crate) head: Part<'a>,
    pub(crate) payload: Part<'a>,
    /// The descriptors of the payload's values.
    pub(crate) held: Vec<OwnedFd>,
    pub(crate) descriptors: Vec<OwnedFd>,
}

/// The first [`HEADER`] bytes. Lengths are in bytes, `descriptors` and `held` are counts.
struct Header {
    kind: u8,
    flags: u8,
    descriptors: u16,
    head: u32,
    held: u32,
    payload: u64,
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text.to_owned())
}

impl Header {
    fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[0..4].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[4] = self.kind;
        bytes[5] = self.flags;
        bytes[6..8].copy_from_slice(&self.descriptors.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.head.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.held.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.payload.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> io::Result<Self> {
        let Some(bytes) = bytes.first_chunk::<HEADER>() else {
            return Err(invalid("a message is shorter than its header"));
        };
        let [m0, m1, m2, m3, kind, flags, d0, d1, h0, h1, h2, h3, k0, k1, k2, k3, payload @ ..] = *bytes;
        if u32::from_le_bytes([m0, m1, m2, m3]) != MAGIC {
            return Err(invalid("a message does not begin as offspring's do"));
        }
        Ok(Self {
            kind,
            flags,
            descriptors: u16::from_le_bytes([d0, d1]),
            head: u32::from_le_bytes([h0, h1, h2, h3]),
            held: u32::from_le_bytes([k0, k1, k2, k3]),
            payload: u64::from_le_bytes(payload),
        })
    }

    /// Copies head and payload out of the datagram.
    fn open_datagram(&self, datagram: Datagram) -> io::Result<ReceivedFrame> {
        let Opened { kind, head, payload, held, descriptors } =
            self.open(&datagram.bytes[HEADER..], datagram.descriptors)?;
        Ok(ReceivedFrame {
            kind,
            head: Payload::received(head, Vec::new()),
            payload: Payload::received(payload, held),
            descriptors,
            sender: datagram.sender,
        })
    }

    /// Splits the body into head and payload, and the descriptors into files, held and further descriptors.
    fn open<'a>(&self, body: &'a [u8], descriptors: Vec<OwnedFd>) -> io::Result<Opened<'a>> {
        if usize::from(self.descriptors) != descriptors.len() {
            return Err(invalid("a message has not the descriptors that it announces"));
        }
        let length = |announced: u64| usize::try_from(announced).ok().filter(|length| *length <= MESSAGE_MAX);
        let (Some(head), Some(payload)) = (length(self.head.into()), length(self.payload)) else {
            return Err(invalid("a message announces more bytes than are allowed"));
        };
        let mut rest = body;
        let mut descriptors = descriptors.into_iter();
        let mut part = |length: usize, in_file: u8| -> io::Result<Part<'a>> {
            if self.flags & in_file != 0 {
                let file = descriptors.next().ok_or_else(|| invalid("a message lacks the file that it announces"))?;
                return Ok(Part::File(Arc::new(SealedFile::accept(file, length)?)));
            }
            let (bytes, after) =
                rest.split_at_checked(length).ok_or_else(|| invalid("a message is shorter than it announces"))?;
            rest = after;
            Ok(Part::Bytes(bytes))
        };
        let head = part(head, HEAD_IN_FILE)?;
        let payload = part(payload, PAYLOAD_IN_FILE)?;
        if !rest.is_empty() {
            return Err(invalid("a message is longer than it announces"));
        }
        if self.held as usize > descriptors.len() {
            return Err(invalid("a message has not the descriptors that its value holds"));
        }
        let held = descriptors.by_ref().take(self.held as usize).collect();
        Ok(Opened { kind: self.kind, head, payload, held, descriptors: descriptors.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(head: &[u8], value: &Vec<u8>) -> ReceivedFrame {
        let (ours, theirs) = socket::pair().unwrap();
        let null = crate::sys::fd::null().unwrap();
        let payload = Payload::encode(value).unwrap();
        let frame = OutgoingFrame { kind: 3, head, body: Body::from(&payload), descriptors: &[null.as_fd()] };
        frame.send(theirs.as_fd(), SEND_TIMEOUT).unwrap();
        receive(ours.as_fd(), None).unwrap().unwrap()
    }

    #[test]
    fn frames_of_every_size_arrive() {
        for head in [0, 10, 5000, DATAGRAM_INLINE_MAX, DATAGRAM_INLINE_MAX + 1] {
            for length in [0, 50, 1000, DATAGRAM_INLINE_MAX - 100, DATAGRAM_INLINE_MAX, 2_000_000] {
                let value: Vec<u8> = vec![7; length];
                let frame = round_trip(&vec![1; head], &value);
                assert_eq!(frame.kind, 3);
                assert_eq!(frame.head.len(), head);
                assert_eq!(frame.descriptors.len(), 1);
                assert_eq!(crate::ipc::wire::payload::decode::<Vec<u8>>(frame.payload).unwrap(), value);
            }
        }
    }

    fn header() -> Header {
        Header { kind: 1, flags: 0, descriptors: 0, head: 2, held: 0, payload: 3 }
    }

    fn error_of(header: &Header, body: &[u8], descriptors: Vec<OwnedFd>) -> String {
        header.open(body, descriptors).unwrap_err().to_string()
    }

    #[test]
    fn forged_headers_are_refused_before_they_cost_anything() {
        assert!(header().open(&[0; 5], vec![]).is_ok());
        assert!(error_of(&header(), &[0; 4], vec![]).contains("shorter"));
        assert!(error_of(&header(), &[0; 6], vec![]).contains("longer"));
        assert!(error_of(&Header { payload: u64::MAX, ..header() }, &[0; 5], vec![]).contains("allowed"));
        assert!(error_of(&Header { descriptors: 1, ..header() }, &[0; 5], vec![]).contains("descriptors"));
        assert!(error_of(&Header { held: 1, ..header() }, &[0; 5], vec![]).contains("holds"));
        assert!(error_of(&Header { flags: PAYLOAD_IN_FILE, ..header() }, &[0; 2], vec![]).contains("lacks the file"));
        let null = vec![crate::sys::fd::null().unwrap()];
        assert!(
            error_of(&Header { flags: PAYLOAD_IN_FILE, descriptors: 1, ..header() }, &[0; 2], null).contains("sealed")
        );
    }

    #[test]
    fn what_is_no_frame_says_so() {
        assert!(Header::decode(b"short").is_err());
        assert!(Header::decode(&[0; HEADER]).is_err());
        assert!(Header::decode(&header().encode()).is_ok());
    }
}
