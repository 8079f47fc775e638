//! Encoded values: arguments on their way to a child, results on their way back.
//!
//! The codec is postcard behind serde. Small values are encoded in place, larger ones in a vector, and whatever would
//! not fit into a datagram goes straight into a memory file, so that there is never a second copy of something big.

use std::io;
use std::sync::Arc;

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{INLINE_MAX, MESSAGE_MAX};
use crate::sys::mmap::{Mapping, MemoryFile, SealedFile};

/// One or more encoded values, cheap to clone whatever their size.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
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
    pub(crate) const EMPTY: Self = Self::Small { length: 0, bytes: [0; SMALL] };

    /// Encodes one value.
    pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Self, CodecError> {
        let mut encoder = Encoder::default();
        encoder.push(value)?;
        encoder.finish()
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Small { length, .. } => usize::from(*length),
            Self::Heap(bytes) => bytes.len(),
            Self::File(file) => file.len(),
        }
    }

    /// The bytes, wherever they are.
    pub(crate) fn bytes(&self) -> io::Result<Bytes<'_>> {
        Ok(match self {
            Self::Small { length, bytes } => Bytes::Borrowed(&bytes[..usize::from(*length)]),
            Self::Heap(bytes) => Bytes::Borrowed(bytes),
            Self::File(file) => Bytes::Mapped(file.map()?),
        })
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        match u8::try_from(bytes.len()) {
            Ok(length) if bytes.len() <= SMALL => {
                let mut small = [0; SMALL];
                small[..bytes.len()].copy_from_slice(&bytes);
                Self::Small { length, bytes: small }
            }
            _ => Self::Heap(bytes.into()),
        }
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
                "the type asks its decoder what comes next (serde's untagged or flattened), which a compact encoding cannot tell"
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
}

impl Default for Encoder {
    fn default() -> Self {
        Self { serializer: postcard::Serializer { output: Sink::default() } }
    }
}

impl Encoder {
    /// Appends one value.
    pub(crate) fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        let encoded = value.serialize(&mut self.serializer);
        match self.serializer.output.failure.take() {
            Some(failure) => Err(CodecError(failure.to_string())),
            None => encoded.map_err(CodecError::from),
        }
    }

    pub(crate) fn finish(self) -> Result<Payload, CodecError> {
        self.serializer.output.into_payload().map_err(|error| CodecError(error.to_string()))
    }
}

/// Where encoded bytes go: a small buffer, then a vector, then a memory file that the vector is the buffer of.
struct Sink {
    length: usize,
    small: [u8; SMALL],
    heap: Vec<u8>,
    file: Option<MemoryFile>,
    /// The codec's error type cannot carry an I/O error.
    failure: Option<io::Error>,
}

impl Default for Sink {
    fn default() -> Self {
        Self { length: 0, small: [0; SMALL], heap: Vec::new(), file: None, failure: None }
    }
}

impl Sink {
    fn extend(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (start, end) = (self.length, self.length + bytes.len());
        if end > MESSAGE_MAX {
            let text = format!("the encoded value is longer than {MESSAGE_MAX} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
        self.length = end;
        if end <= SMALL {
            self.small[start..end].copy_from_slice(bytes);
            return Ok(());
        }
        if start <= SMALL && self.heap.is_empty() && self.file.is_none() {
            self.heap.extend_from_slice(&self.small[..start]);
        }
        if self.heap.len() + bytes.len() > SPILL {
            let file = match &mut self.file {
                Some(file) => file,
                none => none.insert(MemoryFile::new()?),
            };
            file.write(&self.heap)?;
            self.heap.clear();
            if bytes.len() > SPILL {
                return file.write(bytes);
            }
        }
        self.heap.extend_from_slice(bytes);
        Ok(())
    }

    fn into_payload(self) -> io::Result<Payload> {
        match self.file {
            Some(mut file) => {
                file.write(&self.heap)?;
                Ok(Payload::File(Arc::new(file.seal()?)))
            }
            None if self.length <= SMALL => Ok(Payload::Small { length: self.length as u8, bytes: self.small }),
            None => Ok(Payload::Heap(self.heap.into())),
        }
    }
}

impl Flavor for Sink {
    type Output = Self;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.extend(bytes).map_err(|error| {
            self.failure = Some(error);
            postcard::Error::SerializeBufferFull
        })
    }

    fn finalize(self) -> postcard::Result<Self> {
        Ok(self)
    }
}

/// Reads several values one after another.
pub(crate) struct Decoder<'a> {
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn pull<T: DeserializeOwned>(&mut self) -> Result<T, CodecError> {
        let (value, rest) = postcard::take_from_bytes(self.rest)?;
        self.rest = rest;
        Ok(value)
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

/// Decodes a payload of exactly one value.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let mut decoder = Decoder::new(bytes);
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
            assert_eq!(decode::<Vec<u8>>(&payload.bytes().unwrap()).unwrap(), value, "{length} bytes");
            let text = "é".repeat(length);
            let payload = Payload::encode(&(&text, length)).unwrap();
            assert_eq!(decode::<(String, usize)>(&payload.bytes().unwrap()).unwrap(), (text, length));
        }
    }

    #[test]
    fn small_is_in_place_and_big_is_in_a_file() {
        assert!(matches!(Payload::encode(&7_u64).unwrap(), Payload::Small { length: 1, .. }));
        assert!(matches!(Payload::encode(&vec![1_u8; 1000]).unwrap(), Payload::Heap(_)));
        assert!(matches!(Payload::encode(&vec![1_u8; INLINE_MAX]).unwrap(), Payload::File(_)));
    }

    #[test]
    fn leftovers_and_early_ends_are_errors() {
        assert!(decode::<u8>(&[1, 2]).is_err());
        assert!(decode::<(u8, u8)>(&[1]).is_err());
        assert!(decode::<String>(&[200, 1, b'x']).is_err());
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
