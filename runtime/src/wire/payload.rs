//! Encoded values: arguments on their way to a child, results on their way back.
//!
//! The codec is postcard behind serde. Small values are encoded in place, larger ones in a vector, and whatever would
//! not fit into a datagram goes straight into a memory file, so that there is never a second copy of something big.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{INLINE_MAX, MESSAGE_MAX, fds};
use crate::sys::fd::Descriptor;
use crate::sys::mmap::{Mapping, MemoryFile, SealedFile};

/// One or more encoded values with the descriptors that they hold; cheap to clone whatever their size.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    content: Content,
    /// What the values refer to by its place in this list.
    pub(crate) descriptors: Vec<Arc<Descriptor>>,
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
}

const SMALL: usize = 62;

/// A vector goes over to a memory file before a frame of it, with its head, could outgrow a datagram.
const SPILL: usize = INLINE_MAX - 16 * 1024;

impl Payload {
    pub(crate) const EMPTY: Self =
        Self { content: Content::Small { length: 0, bytes: [0; SMALL] }, descriptors: Vec::new() };

    /// Encodes one value.
    pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Self, CodecError> {
        let mut encoder = Encoder::default();
        encoder.push(value)?;
        encoder.finish()
    }

    /// What came in a frame.
    pub(crate) fn received(part: Part<'_>, descriptors: Vec<OwnedFd>) -> Self {
        let descriptors = descriptors.into_iter().map(|fd| Arc::new(Descriptor::new(fd))).collect();
        let content = match part {
            Part::Bytes(bytes) => Content::from(bytes),
            Part::File(file) => Content::File(file),
        };
        Self { content, descriptors }
    }

    /// Bytes that came otherwise than in a frame, and hold no descriptors.
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
        }
    }

    /// The bytes, wherever they are.
    pub(crate) fn bytes(&self) -> io::Result<Bytes<'_>> {
        self.part().into_bytes()
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

/// Encoded bytes where they are: in memory, or in a file that has yet to be mapped.
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

    pub(crate) fn into_bytes(self) -> io::Result<Bytes<'a>> {
        Ok(match self {
            Self::Bytes(bytes) => Bytes::Borrowed(bytes),
            Self::File(file) => Bytes::Mapped(file.map()?),
        })
    }
}

/// A payload's bytes in memory.
#[derive(Debug)]
pub(crate) enum Bytes<'a> {
    Borrowed(&'a [u8]),
    Mapped(Mapping),
}

impl std::ops::Deref for Bytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Mapped(mapping) => mapping,
        }
    }
}

/// Why a value could not be encoded or decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CodecError(pub(crate) String);

impl std::fmt::Display for CodecError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CodecError {}

impl From<postcard::Error> for CodecError {
    fn from(error: postcard::Error) -> Self {
        use postcard::Error;
        let text = match error {
            Error::DeserializeUnexpectedEnd => "the encoded value ends too early",
            Error::SerializeSeqLengthUnknown => {
                "a sequence or map of unknown length (serde's `flatten`, for instance) cannot be encoded"
            }
            Error::WontImplement => {
                "the type asks its decoder what comes next (serde's `untagged`, `tag` or `flatten`), which a compact encoding cannot tell"
            }
            Error::DeserializeBadBool
            | Error::DeserializeBadOption
            | Error::DeserializeBadVarint
            | Error::DeserializeBadUtf8
            | Error::DeserializeBadEnum => {
                return Self(format!(
                    "{error} (fields that serde's `skip_serializing_if` leaves out cannot be decoded)"
                ));
            }
            Error::SerdeSerCustom | Error::SerdeDeCustom => "the type's own serde implementation failed",
            other => return Self(other.to_string()),
        };
        Self(text.to_owned())
    }
}

/// Collects the encodings of several values.
pub(crate) struct Encoder {
    serializer: postcard::Serializer<Sink>,
    descriptors: Vec<Arc<Descriptor>>,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::reusing(Vec::new())
    }
}

impl Encoder {
    /// An encoder that fills a buffer which was used before, instead of a new one.
    pub(crate) fn reusing(mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        Self { serializer: postcard::Serializer { output: Sink::new(buffer) }, descriptors: Vec::new() }
    }

    /// In bytes.
    pub(crate) fn len(&self) -> usize {
        self.serializer.output.len()
    }

    /// Whether the values hold descriptors, of which there is not room for many.
    pub(crate) fn holds_descriptors(&self) -> bool {
        !self.descriptors.is_empty()
    }

    /// Appends one value.
    pub(crate) fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        let (encoded, refused) = fds::encoding(&mut self.descriptors, || value.serialize(&mut self.serializer));
        let failure = self.serializer.output.take_failure().map(|failure| failure.to_string());
        match failure.or(refused.filter(|_| encoded.is_err())) {
            Some(failure) => Err(CodecError(failure)),
            None => encoded.map_err(CodecError::from),
        }
    }

    pub(crate) fn finish(self) -> Result<Payload, CodecError> {
        let content = self.serializer.output.into_content().map_err(|error| CodecError(error.to_string()))?;
        Ok(Payload { content, descriptors: self.descriptors })
    }

    /// The same, with the bytes left in the buffer that the encoder was made with.
    pub(crate) fn finish_in_place(self) -> io::Result<(Encoded, Vec<Arc<Descriptor>>)> {
        Ok((self.serializer.output.into_encoded()?, self.descriptors))
    }
}

/// Encoded bytes that have not been copied out of the encoder's buffer.
pub(crate) struct Encoded {
    sink: Sink,
    sealed: Option<Arc<SealedFile>>,
}

impl Encoded {
    pub(crate) fn part(&self) -> Part<'_> {
        match &self.sealed {
            Some(file) => Part::File(Arc::clone(file)),
            None => Part::Bytes(self.sink.collected()),
        }
    }

    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.sink.buffer
    }
}

/// Where encoded bytes go: into `small` while `buffer` has no memory, then into that, and from there, whenever it is full, into
/// a memory file.
///
/// A codec hands over a vector of bytes one by one. What finds room in the buffer is therefore put there in the midst of the
/// loop of whoever encodes, in another crate as a rule; all the rest, limits included, waits for bytes that find none.
struct Sink {
    small: [u8; SMALL],
    small_length: u8,
    buffer: Vec<u8>,
    file: Option<MemoryFile>,
    /// The codec's error type cannot carry an I/O error.
    failure: Option<io::Error>,
}

/// The first memory that a buffer gets.
const FIRST: usize = 256;

impl Sink {
    fn new(buffer: Vec<u8>) -> Self {
        Self { small: [0; SMALL], small_length: 0, buffer, file: None, failure: None }
    }

    fn len(&self) -> usize {
        self.file.as_ref().map_or(0, MemoryFile::len) + self.collected().len()
    }

    /// What is not in the file.
    fn collected(&self) -> &[u8] {
        match self.small_length {
            0 => &self.buffer,
            length => &self.small[..usize::from(length)],
        }
    }

    /// What has gone wrong since this was asked last; that what lies in the buffer is over the limit shows only here.
    #[inline]
    fn take_failure(&mut self) -> Option<io::Error> {
        match self.failure.take() {
            None if self.file.is_some() => check_length(self.len()).err(),
            failure => failure,
        }
    }

    /// Takes bytes that the buffer has no room for.
    fn extend_otherwise(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        if self.buffer.capacity() == 0
            && let Some(room) = self.small[usize::from(self.small_length)..].get_mut(..bytes.len())
        {
            room.copy_from_slice(bytes);
            self.small_length += bytes.len() as u8;
            return Ok(());
        }
        self.spill_or_grow(bytes).map_err(|error| {
            self.failure = Some(error);
            postcard::Error::SerializeBufferFull
        })
    }

    #[cold]
    fn spill_or_grow(&mut self, bytes: &[u8]) -> io::Result<()> {
        check_length(self.len() + bytes.len())?;
        if bytes.len() > SPILL {
            return self.spill(bytes);
        }
        if self.collected().len() + bytes.len() > SPILL {
            self.spill(&[])?;
        }
        self.grow(self.collected().len() + bytes.len());
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// Gives the buffer memory for at least `length` bytes, and never for more than it may have before it is spilt.
    fn grow(&mut self, length: usize) {
        let capacity = length.max(2 * self.buffer.capacity()).clamp(FIRST, SPILL);
        self.buffer.reserve_exact(capacity - self.buffer.len());
        self.buffer.extend_from_slice(&self.small[..usize::from(self.small_length)]);
        self.small_length = 0;
    }

    /// Moves what is collected, and `bytes` behind it, into the file.
    fn spill(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.file.take().map_or_else(MemoryFile::new, Ok)?;
        file.write(self.collected())?;
        file.write(bytes)?;
        self.file = Some(file);
        self.small_length = 0;
        self.buffer.clear();
        Ok(())
    }

    /// Spills what is left over if there is a file, and seals it.
    fn close(&mut self) -> io::Result<Option<Arc<SealedFile>>> {
        let Some(mut file) = self.file.take() else { return Ok(None) };
        file.write(self.collected())?;
        Ok(Some(Arc::new(file.seal()?)))
    }

    fn into_content(mut self) -> io::Result<Content> {
        Ok(match self.close()? {
            Some(file) => Content::File(file),
            None if self.buffer.is_empty() => Content::Small { length: self.small_length, bytes: self.small },
            None => Content::Heap(self.buffer.into()),
        })
    }

    fn into_encoded(mut self) -> io::Result<Encoded> {
        let sealed = self.close()?;
        Ok(Encoded { sink: self, sealed })
    }
}

fn check_length(length: usize) -> io::Result<()> {
    if length <= MESSAGE_MAX {
        return Ok(());
    }
    let text = format!("the encoded value is longer than {MESSAGE_MAX} bytes");
    Err(io::Error::new(io::ErrorKind::FileTooLarge, text))
}

impl Flavor for Sink {
    type Output = Self;

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        if self.buffer.len() == self.buffer.capacity() {
            return self.extend_otherwise(&[byte]);
        }
        self.buffer.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        if bytes.len() > self.buffer.capacity() - self.buffer.len() {
            return self.extend_otherwise(bytes);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Self> {
        Ok(self)
    }
}

/// Reads several values one after another.
pub(crate) struct Decoder<'a> {
    rest: &'a [u8],
    descriptors: fds::Incoming,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(bytes: &'a [u8], descriptors: fds::Incoming) -> Self {
        Self { rest: bytes, descriptors }
    }

    pub(crate) fn pull<T: DeserializeOwned>(&mut self) -> Result<T, CodecError> {
        let (taken, refused) = fds::decoding(&mut self.descriptors, || postcard::take_from_bytes(self.rest));
        let (value, rest) = match (taken, refused) {
            (Ok(taken), _) => taken,
            (Err(_), Some(refused)) => return Err(CodecError(refused)),
            (Err(error), None) => return Err(error.into()),
        };
        self.rest = rest;
        Ok(value)
    }

    /// How many bytes are left, and which descriptors.
    pub(crate) fn into_rest(self) -> (usize, fds::Incoming) {
        (self.rest.len(), self.descriptors)
    }

    /// # Errors
    /// If bytes are left over: then the two sides do not mean the same values.
    pub(crate) fn finish(self) -> Result<(), CodecError> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(CodecError(format!("{left} bytes are left over behind the last value"))),
        }
    }
}

/// Decodes a payload of exactly one value, which takes over its descriptors.
pub(crate) fn decode<T: DeserializeOwned>(mut payload: Payload) -> Result<T, CodecError> {
    let descriptors = fds::Incoming::new(std::mem::take(&mut payload.descriptors));
    let bytes = payload.bytes().map_err(|error| CodecError(error.to_string()))?;
    decode_bytes(&bytes, descriptors)
}

/// Decodes exactly one value.
pub(crate) fn decode_bytes<T: DeserializeOwned>(bytes: &[u8], descriptors: fds::Incoming) -> Result<T, CodecError> {
    let mut decoder = Decoder::new(bytes, descriptors);
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
            [0, 1, SMALL - 2, SMALL, FIRST - SMALL, FIRST, SPILL - FIRST, SPILL - 3, SPILL, SPILL + 1, 2 * SPILL];
        let pieces = lengths.iter().flat_map(|first| lengths.iter().map(move |second| (*first, *second)));
        let mut buffer = Vec::new();
        for (first, second) in pieces {
            let bytes: Vec<u8> = (0..first).map(|index| index as u8).collect();
            let value = (&bytes, "x".repeat(second), first as u64, &bytes);
            let expected = postcard::to_allocvec(&value).unwrap();
            let payload = Payload::encode(&value).unwrap();
            assert!(*payload.bytes().unwrap() == *expected, "{first} bytes, {second} letters");
            let mut encoder = Encoder::reusing(buffer);
            encoder.push(&value).unwrap();
            assert_eq!(encoder.len(), expected.len());
            let (encoded, _) = encoder.finish_in_place().unwrap();
            assert!(*encoded.part().into_bytes().unwrap() == *expected, "{first} bytes, {second} letters, used again");
            buffer = encoded.into_buffer();
            assert!(buffer.capacity() <= SPILL);
        }
    }

    #[test]
    fn what_is_too_long_is_refused_wherever_it_ends() {
        struct Raw<'a>(&'a [u8]);
        impl Serialize for Raw<'_> {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_bytes(self.0)
            }
        }
        let over = |encoder: &mut Encoder, value: &[u8]| {
            let error = encoder.push(&Raw(value)).unwrap_err();
            assert!(error.0.contains("longer than"), "{error}");
        };
        over(&mut Encoder::default(), &vec![0; MESSAGE_MAX]);
        for room in [0, 100] {
            let mut encoder = Encoder::reusing(Vec::with_capacity(room));
            encoder.serializer.output.file = Some(MemoryFile::filled(MESSAGE_MAX - 1, |_| ()).unwrap());
            encoder.push(&1_u8).unwrap();
            over(&mut encoder, &[2]);
        }
    }

    #[test]
    fn small_is_in_place_and_big_is_in_a_file() {
        let content = |value: &[u8]| Payload::encode(value).unwrap().content;
        assert!(matches!(content(&[7]), Content::Small { length: 2, .. }));
        assert!(matches!(content(&[1; 1000]), Content::Heap(_)));
        assert!(matches!(content(&[1; INLINE_MAX]), Content::File(_)));
    }

    #[test]
    fn leftovers_and_early_ends_are_errors() {
        let none = fds::Incoming::default;
        assert!(decode_bytes::<u8>(&[1, 2], none()).is_err());
        assert!(decode_bytes::<(u8, u8)>(&[1], none()).is_err());
        assert!(decode_bytes::<String>(&[200, 1, b'x'], none()).is_err());
    }

    #[test]
    fn what_the_codec_cannot_carry_says_why() {
        struct Endless;
        impl Serialize for Endless {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(std::iter::from_fn(|| None::<u8>))
            }
        }
        let error = Payload::encode(&Endless).unwrap_err();
        assert!(error.0.contains("unknown length"), "{error}");
    }
}
