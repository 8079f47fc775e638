//! Encoded values: arguments on the way to a child, results on the way back.
//!
//! The [`codec`] writes into a buffer that each thread keeps for the next value. From there bytes go
//! one of three ways, by length:
//!
//! | encoded bytes | end up in | cost |
//! | --- | --- | --- |
//! | up to 62 | the [`Payload`] itself | no allocation |
//! | up to 112 KiB | a shared slice on the heap | one allocation and one copy |
//! | more | a sealed memory file, written while the codec runs | no second copy of the value in memory |
//!
//! The files of more than 16 payloads are mapped and closed, and cost a copy when they are sent.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::fds::{self, ValueFd};
use super::limits::{DATAGRAM_INLINE_MAX, MESSAGE_MAX};
use crate::ipc::codec::{self, Error, Progress, Sink};
use crate::sys;
use crate::sys::mmap::{Mapping, MemoryFile, SealedFile};
use crate::sys::socket;

/// Encoded values with their descriptors. A clone costs a reference count, or a copy of up to 62 bytes.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    content: Content,
    /// The list that positions in the bytes refer to.
    pub(crate) descriptors: Vec<ValueFd>,
}

#[derive(Clone, Debug)]
enum Content {
    /// Up to [`SMALL`] bytes, without an allocation.
    Small {
        length: u8,
        bytes: [u8; SMALL],
    },
    Heap(Arc<[u8]>),
    File(Arc<SealedFile>),
    /// A file without the descriptor. A sender copies the bytes into another file.
    Mapped(Arc<Mapping>),
}

/// How many payloads in this process keep the descriptor of their file, so that a sender makes no copy. Further ones
/// are mapped, so that the number of descriptors does not depend on the number of payloads.
const KEPT_FILES: usize = 16;

const SMALL: usize = 62;

/// The length from which bytes go into a memory file. Leaves 16 KiB of a datagram to the head of the frame.
const SPILL: usize = DATAGRAM_INLINE_MAX - 16 * 1024;

impl Payload {
    pub(crate) const EMPTY: Self =
        Self { content: Content::Small { length: 0, bytes: [0; SMALL] }, descriptors: Vec::new() };

    /// Encodes one value.
    pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        let mut encoder = PayloadEncoder::default();
        encoder.push(value)?;
        encoder.finish()
    }

    /// Copies a received part of a frame, and takes over the descriptors.
    pub(crate) fn received(part: Part<'_>, descriptors: Vec<OwnedFd>) -> Self {
        let descriptors = descriptors.into_iter().map(ValueFd::new).collect();
        let content = match part {
            Part::Bytes(bytes) => Content::from(bytes),
            Part::File(file) => Content::File(file),
        };
        Self { content, descriptors }
    }

    /// Copies bytes that were received outside of a frame, and hold no descriptors.
    pub(crate) fn local(bytes: &[u8]) -> Self {
        Self { content: Content::from(bytes), descriptors: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.part().len()
    }

    pub(crate) fn part(&self) -> Part<'_> {
        match &self.content {
            Content::Small { length, bytes } => Part::Bytes(&bytes[..usize::from(*length)]),
            Content::Heap(bytes) => Part::Bytes(bytes),
            Content::File(file) => Part::File(Arc::clone(file)),
            Content::Mapped(mapping) => Part::Bytes(mapping),
        }
    }

    /// Maps the memory file, if there is one, and lets go of the descriptor.
    pub(crate) fn without_file(mut self) -> Self {
        if let Content::File(file) = self.content {
            self.content = Content::mapped(file);
        }
        self
    }

    /// Returns the bytes. Maps the memory file, if there is one.
    pub(crate) fn bytes(&self) -> io::Result<PayloadBytes<'_>> {
        self.part().into_bytes()
    }
}

impl Content {
    /// Maps a file, and lets go of the descriptor. A file that cannot be mapped stays open.
    fn mapped(file: Arc<SealedFile>) -> Self {
        let Ok(mapping) = file.map() else { return Self::File(file) };
        drop(file);
        socket::keep_reserve();
        Self::Mapped(Arc::new(mapping))
    }
}

impl From<&[u8]> for Content {
    fn from(bytes: &[u8]) -> Self {
        match u8::try_from(bytes.len()) {
            Ok(length) if bytes.len() <= SMALL => {
                let mut small = [0; SMALL];
                small[..bytes.len()].copy_from_slice(bytes);
                Self::Small { length, bytes: small }
            }
            _ => Self::Heap(bytes.into()),
        }
    }
}

/// Encoded bytes in place: in memory, or in a file that is not mapped yet.
#[derive(Clone, Debug)]
pub(crate) enum Part<'a> {
    Bytes(&'a [u8]),
    File(Arc<SealedFile>),
}

impl<'a> Part<'a> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::File(file) => file.len(),
        }
    }

    pub(crate) fn into_bytes(self) -> io::Result<PayloadBytes<'a>> {
        Ok(match self {
            Self::Bytes(bytes) => PayloadBytes::Borrowed(bytes),
            Self::File(file) => PayloadBytes::Mapped(file.map()?),
        })
    }
}

/// The bytes of a payload in memory.
#[derive(Debug)]
pub(crate) enum PayloadBytes<'a> {
    Borrowed(&'a [u8]),
    Mapped(Mapping),
}

impl std::ops::Deref for PayloadBytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Mapped(mapping) => mapping,
        }
    }
}

/// Encodes values one after another into one payload.
pub(crate) struct PayloadEncoder {
    values: codec::Encoder<Spill>,
    descriptors: Vec<ValueFd>,
    /// The failure of a value that is already in the file in part. The payload is of no use then.
    failure: Option<Error>,
}

impl Default for PayloadEncoder {
    fn default() -> Self {
        Self { values: codec::Encoder::new(codec::scratch(), Spill::default()), descriptors: Vec::new(), failure: None }
    }
}

impl PayloadEncoder {
    /// The number of bytes so far.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether the values hold descriptors, for which a frame has little room.
    pub(crate) fn holds_descriptors(&self) -> bool {
        !self.descriptors.is_empty()
    }

    /// Appends one value.
    pub(crate) fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let descriptors = self.descriptors.len();
        let pushed = fds::encoding(&mut self.descriptors, || self.values.push(value));
        if pushed.is_err() {
            self.descriptors.truncate(descriptors);
        }
        let pushed = pushed.and_then(|()| check_length(self.len()).map_err(Error::from));
        // Bytes in a buffer are taken back by the codec. Bytes in the file stay there.
        if let Err(error) = &pushed
            && self.values.sink.file.is_some()
        {
            self.failure = Some(error.clone());
        }
        pushed
    }

    pub(crate) fn finish(self) -> Result<Payload, Error> {
        let Self { values, descriptors, failure } = self;
        if let Some(failure) = failure {
            return Err(failure);
        }
        let codec::Encoder { scratch, mut sink } = values;
        let file = sink.close(&scratch.buffer);
        let content: Result<_, Error> = match file {
            Ok(Some(file)) if SealedFile::open_files() > KEPT_FILES => Ok(Content::mapped(file)),
            Ok(Some(file)) => Ok(Content::File(file)),
            Ok(None) => Ok(Content::from(&*scratch.buffer)),
            Err(error) => Err(error.into()),
        };
        sink.keep(scratch);
        Ok(Payload { content: content?, descriptors })
    }

    /// Finishes without a copy: the bytes stay in the buffer of the thread until [`Encoded::reuse`].
    pub(crate) fn finish_in_place(self) -> io::Result<(Encoded, Vec<ValueFd>)> {
        if let Some(failure) = self.failure {
            return Err(io::Error::other(failure));
        }
        let codec::Encoder { scratch, mut sink } = self.values;
        let sealed = sink.close(&scratch.buffer)?;
        Ok((Encoded { scratch, sink, sealed }, self.descriptors))
    }
}

/// Encoded bytes in the buffer of the thread, or in a file.
pub(crate) struct Encoded {
    scratch: Box<codec::Scratch>,
    sink: Spill,
    sealed: Option<Arc<SealedFile>>,
}

impl Encoded {
    pub(crate) fn part(&self) -> Part<'_> {
        match &self.sealed {
            Some(file) => Part::File(Arc::clone(file)),
            None => Part::Bytes(&self.scratch.buffer),
        }
    }

    /// Gives the buffer back to the thread.
    pub(crate) fn reuse(self) {
        self.sink.keep(self.scratch);
    }
}

/// The overflow of an encoder's buffer. The buffer grows up to [`SPILL`] bytes. Full, the buffer is emptied into a
/// memory file.
///
/// In a process that may open no more descriptors, the buffer grows on instead. A sender waits for a descriptor.
#[derive(Debug, Default)]
struct Spill {
    file: Option<MemoryFile>,
    has_no_file: bool,
}

/// The first capacity of a buffer, in bytes.
const FIRST: usize = 1024;

impl Spill {
    /// Moves the buffer's bytes, and `bytes` behind, into the file.
    fn spill(&mut self, buffer: &mut Vec<u8>, bytes: &[u8]) -> io::Result<()> {
        check_length(self.taken() + buffer.len() + bytes.len())?;
        let mut file = match self.file.take().map_or_else(MemoryFile::new, Ok) {
            Err(error) if sys::is_out_of_descriptors(&error) => {
                self.has_no_file = true;
                return self.append(buffer, bytes);
            }
            file => file?,
        };
        file.write(buffer)?;
        file.write(bytes)?;
        self.file = Some(file);
        buffer.clear();
        Ok(())
    }

    /// Appends the rest of the bytes to the file, and seals the file. Does nothing without a file.
    fn close(&mut self, buffer: &[u8]) -> io::Result<Option<Arc<SealedFile>>> {
        let Some(mut file) = self.file.take() else { return Ok(None) };
        file.write(buffer)?;
        Ok(Some(Arc::new(file.seal()?)))
    }

    /// The capacity beyond which a buffer is never used, as a full buffer is spilt first.
    fn largest_buffer(&self) -> usize {
        if self.has_no_file { usize::MAX } else { SPILL }
    }

    /// Gives the buffer back to the thread.
    fn keep(&self, mut scratch: Box<codec::Scratch>) {
        if self.has_no_file {
            scratch.buffer = Vec::new();
        }
        codec::keep(scratch);
    }
}

impl Sink for Spill {
    fn make_room(&mut self, buffer: &mut Vec<u8>, more: usize) -> io::Result<()> {
        if buffer.len() + more > self.largest_buffer() {
            self.spill(buffer, &[])?;
        }
        if self.has_no_file {
            check_length(buffer.len() + more)?;
        }
        if buffer.capacity() - buffer.len() < more {
            let capacity = (buffer.len() + more).max(2 * buffer.capacity()).max(FIRST);
            buffer.reserve_exact(capacity.min(self.largest_buffer().max(more)) - buffer.len());
        }
        Ok(())
    }

    fn append(&mut self, buffer: &mut Vec<u8>, bytes: &[u8]) -> io::Result<()> {
        if buffer.len() + bytes.len() > self.largest_buffer() {
            return self.spill(buffer, bytes);
        }
        self.make_room(buffer, bytes.len())?;
        buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn taken(&self) -> usize {
        self.file.as_ref().map_or(0, MemoryFile::len)
    }

    fn patch(&mut self, at: usize, byte: u8) -> io::Result<()> {
        self.file.as_mut().map_or_else(|| Err(io::ErrorKind::InvalidInput.into()), |file| file.patch(at, byte))
    }
}

fn check_length(length: usize) -> io::Result<()> {
    if length <= MESSAGE_MAX {
        return Ok(());
    }
    let text = format!("the encoded value is longer than {MESSAGE_MAX} bytes");
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

/// Decodes values one after another from one payload.
pub(crate) struct PayloadDecoder<'a> {
    values: codec::Decoder<'a>,
    descriptors: fds::ReceivedFds,
}

impl<'a> PayloadDecoder<'a> {
    pub(crate) fn new(bytes: &'a [u8], descriptors: fds::ReceivedFds) -> Self {
        Self::resume(bytes, PayloadProgress::start(descriptors))
    }

    /// Continues from the progress of an earlier decoder, in the same bytes.
    pub(crate) fn resume(bytes: &'a [u8], progress: PayloadProgress) -> Self {
        Self { values: codec::Decoder::resume(bytes, progress.values), descriptors: progress.descriptors }
    }

    /// Decodes the next value, which takes over its descriptors.
    pub(crate) fn pull<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        fds::decoding(&mut self.descriptors, || self.values.pull(fds::can_decode_again))
    }

    pub(crate) fn stop(self) -> PayloadProgress {
        PayloadProgress { values: self.values.into_progress(), descriptors: self.descriptors }
    }

    /// Checks that no bytes are left.
    ///
    /// # Errors
    /// Bytes left over: sender and receiver disagree about the types.
    pub(crate) fn finish(self) -> Result<(), Error> {
        match self.values.left() {
            0 => Ok(()),
            left => Err(Error::new(format!("{left} bytes are left over behind the last value"))),
        }
    }
}

/// The progress of a decoder between two values: the position in the bytes, and the descriptors not yet taken.
#[derive(Debug, Default)]
pub(crate) struct PayloadProgress {
    values: Progress,
    descriptors: fds::ReceivedFds,
}

impl PayloadProgress {
    pub(crate) fn start(descriptors: fds::ReceivedFds) -> Self {
        Self { descriptors, ..Self::default() }
    }
}

/// Decodes a payload of exactly one value, which takes over the descriptors.
pub(crate) fn decode<T: DeserializeOwned>(mut payload: Payload) -> Result<T, Error> {
    let descriptors = fds::ReceivedFds::new(std::mem::take(&mut payload.descriptors));
    let bytes = payload.bytes()?;
    decode_bytes(&bytes, descriptors)
}

/// Decodes exactly one value.
pub(crate) fn decode_bytes<T: DeserializeOwned>(bytes: &[u8], descriptors: fds::ReceivedFds) -> Result<T, Error> {
    let mut decoder = PayloadDecoder::new(bytes, descriptors);
    let value = decoder.pull()?;
    decoder.finish()?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_every_size_come_back() {
        for length in [0, 1, SMALL - 1, SMALL, SMALL + 1, 1000, SPILL - 3, SPILL, SPILL + 1, 3 * SPILL, 5_000_000] {
            let value: Vec<u8> = (0..length).map(|index| index as u8).collect();
            let payload = Payload::encode(&value).unwrap();
            assert_eq!(decode::<Vec<u8>>(payload).unwrap(), value, "{length} bytes");
            let text = "é".repeat(length);
            let payload = Payload::encode(&(&text, length)).unwrap();
            assert_eq!(decode::<(String, usize)>(payload).unwrap(), (text, length));
        }
    }

    #[test]
    fn pieces_of_every_size_are_put_behind_each_other() {
        let lengths =
            [0, 1, SMALL - 2, SMALL, FIRST - SMALL, FIRST, SPILL - FIRST, SPILL - 8, SPILL, SPILL + 1, 2 * SPILL];
        let pieces = lengths.iter().flat_map(|first| lengths.iter().map(move |second| (*first, *second)));
        for (first, second) in pieces {
            let bytes: Vec<u8> = (0..first).map(|index| index as u8).collect();
            let value = (&bytes, "x".repeat(second), first as u64, &bytes);
            let expected = codec::to_vec(&value).unwrap();
            let payload = Payload::encode(&value).unwrap();
            assert!(*payload.bytes().unwrap() == *expected, "{first} bytes, {second} letters");
            let mut encoder = PayloadEncoder::default();
            encoder.push(&value).unwrap();
            assert_eq!(encoder.len(), expected.len());
            let (encoded, _) = encoder.finish_in_place().unwrap();
            assert!(*encoded.part().into_bytes().unwrap() == *expected, "{first} bytes, {second} letters, used again");
            assert!(encoded.scratch.buffer.capacity() <= SPILL);
            encoded.reuse();
        }
    }

    /// A struct with different fields present each time: the codec changes the tag after the first fields are in the
    /// file.
    #[test]
    fn a_tag_is_changed_in_the_file_too() {
        #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        struct Changes {
            first: serde_bytes::ByteBuf,
            #[serde(skip_serializing_if = "Option::is_none", default)]
            second: Option<u8>,
            #[serde(skip_serializing_if = "Option::is_none", default)]
            third: Option<u8>,
        }
        for (second, third) in [(Some(1), None), (None, Some(2)), (Some(3), None), (None, None), (None, Some(4))] {
            for length in [0, 10, SPILL, 3 * SPILL] {
                let value = Changes { first: vec![7; length].into(), second, third };
                let payload = Payload::encode(&(1_u8, &value)).unwrap();
                assert_eq!(decode::<(u8, Changes)>(payload).unwrap(), (1, value));
            }
        }
    }

    #[test]
    fn numbers_one_by_one_go_into_the_file_in_runs() {
        let numbers: std::collections::VecDeque<f64> = (0..1_000_000).map(f64::from).collect();
        let payload = Payload::encode(&numbers).unwrap();
        assert!(payload.len() < 8_001_000);
        assert!(decode::<std::collections::VecDeque<f64>>(payload).unwrap() == numbers);
    }

    #[test]
    fn what_is_too_long_is_refused_wherever_it_ends() {
        let over = |encoder: &mut PayloadEncoder, value: &[u8]| {
            let error = encoder.push(serde_bytes::Bytes::new(value)).unwrap_err();
            assert!(error.text().contains("longer than"), "{error}");
        };
        over(&mut PayloadEncoder::default(), &vec![0; MESSAGE_MAX]);
        let mut encoder = PayloadEncoder::default();
        encoder.values.sink.file = Some(MemoryFile::filled(MESSAGE_MAX - 2, |_| ()).unwrap());
        encoder.push(&1_u8).unwrap();
        over(&mut encoder, &[2]);
    }

    #[test]
    fn small_is_in_place_and_big_is_in_a_file() {
        let content = |value: &[u8]| Payload::encode(value).unwrap().content;
        assert!(matches!(content(&[7]), Content::Small { .. }));
        assert!(matches!(content(&[1; 1000]), Content::Heap(_)));
        assert!(matches!(content(&[1; DATAGRAM_INLINE_MAX]), Content::File(_)));
    }

    #[test]
    fn leftovers_and_early_ends_are_errors() {
        let none = fds::ReceivedFds::default;
        let mut bytes = codec::to_vec("text").unwrap();
        assert!(decode_bytes::<String>(&bytes[..4], none()).is_err());
        bytes.push(1);
        assert!(decode_bytes::<String>(&bytes, none()).unwrap_err().text().contains("left over"));
        assert!(decode_bytes::<u8>(&[9, 9, 9], none()).unwrap_err().text().contains("version 9"));
    }

    #[test]
    fn a_value_that_fails_takes_its_descriptors_back() {
        struct Fails(ValueFd);
        impl Serialize for Fails {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                fds::attach(&self.0, serializer)?;
                Err(serde::ser::Error::custom("no"))
            }
        }
        let mut encoder = PayloadEncoder::default();
        let descriptor = ValueFd::new(crate::sys::fd::null().unwrap());
        assert_eq!(encoder.push(&Fails(descriptor)).unwrap_err().text(), "no");
        assert!(!encoder.holds_descriptors());
    }
}
