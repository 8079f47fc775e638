//! A message and the position in the message, with reads of single bytes, lengths and shapes.

use super::bytes::{length, to_text, too_short};
use super::shape::{Shape, ShapeTable, next_name, untold};
use crate::ipc::codec::depth::Depth;
use crate::ipc::codec::error::Error;
use crate::ipc::codec::tag;

/// Decodes the values of a message in sequence.
#[derive(Debug)]
pub(crate) struct Decoder<'de> {
    pub(super) input: &'de [u8],
    pub(super) rest: &'de [u8],
    pub(super) shapes: ShapeTable,
    /// The last shape without a number.
    passing: Option<Shape>,
    pub(super) depth: Depth,
    /// Most further elements for which sequences and maps may announce room. Starts at the count of the unread
    /// bytes, since an element takes at least a byte.
    pub(super) announced: usize,
    /// Whether values are given in the JSON form.
    pub(super) is_plain: bool,
    /// Whether a container has failed. A `Deserialize` may continue after the failure, and would take the rest of the
    /// container for the next value.
    pub(super) is_spoilt: bool,
}

/// The position in a message that is decoded in part.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    at: usize,
    shapes: ShapeTable,
}

impl<'de> Decoder<'de> {
    pub(crate) fn new(input: &'de [u8]) -> Self {
        Self::resume(input, Progress::default())
    }

    /// Continues with a message at an earlier position.
    pub(crate) fn resume(input: &'de [u8], progress: Progress) -> Self {
        let rest = input.get(progress.at..).unwrap_or_default();
        Self {
            input,
            rest,
            shapes: progress.shapes,
            passing: None,
            depth: Depth::default(),
            announced: rest.len(),
            is_plain: false,
            is_spoilt: false,
        }
    }

    /// Decodes a part of a message. A mention of a shape outside of the part is an error.
    #[inline]
    pub(super) fn over(part: &'de [u8]) -> Self {
        Self::resume(part, Progress::default())
    }

    pub(crate) fn into_progress(self) -> Progress {
        Progress { at: self.at(), shapes: self.shapes }
    }

    /// Returns the count of the unread bytes.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn at(&self) -> usize {
        self.input.len() - self.rest.len()
    }

    #[inline(always)]
    pub(super) fn byte(&mut self) -> Result<u8, Error> {
        let (byte, rest) = self.rest.split_first().ok_or_else(too_short)?;
        self.rest = rest;
        Ok(*byte)
    }

    #[inline(always)]
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (array, rest) = self.rest.split_first_chunk().ok_or_else(too_short)?;
        self.rest = rest;
        Ok(*array)
    }

    #[inline(always)]
    pub(super) fn bytes(&mut self, length: usize) -> Result<&'de [u8], Error> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or_else(too_short)?;
        self.rest = rest;
        Ok(bytes)
    }

    #[inline(always)]
    pub(super) fn length(&mut self) -> Result<usize, Error> {
        let (length, rest) = length(self.rest)?;
        self.rest = rest;
        Ok(length)
    }

    /// Reads a length hint, and returns the number of elements to make room for.
    #[inline]
    pub(super) fn hint(&mut self) -> Result<usize, Error> {
        let hint = self.length()?.min(self.announced);
        self.announced -= hint;
        Ok(hint)
    }

    /// Reads an unsigned number of up to 8 little-endian bytes.
    #[inline(always)]
    pub(super) fn unsigned(&mut self, bytes: u8) -> Result<u64, Error> {
        let bytes = usize::from(bytes);
        if let Some(word) = self.rest.first_chunk() {
            self.rest = &self.rest[bytes..];
            return Ok(u64::from_le_bytes(*word) & LOWEST[bytes]);
        }
        self.last_unsigned(bytes)
    }

    /// Reads an unsigned number from a message with fewer than 8 further bytes.
    #[cold]
    fn last_unsigned(&mut self, bytes: usize) -> Result<u64, Error> {
        let mut word = [0; 8];
        word[..bytes].copy_from_slice(self.bytes(bytes)?);
        Ok(u64::from_le_bytes(word))
    }

    /// Reads a number in two's complement of up to 8 bytes.
    #[inline(always)]
    pub(super) fn signed(&mut self, bytes: u8) -> Result<i64, Error> {
        let number = self.unsigned(bytes)?;
        let unused = u64::BITS - 8 * u32::from(bytes);
        Ok((number.checked_shl(unused).unwrap_or(0) as i64) >> unused.min(u64::BITS - 1))
    }

    #[inline]
    pub(super) fn text(&mut self, tag: u8) -> Result<&'de str, Error> {
        let length = if usize::from(tag) <= tag::SHORT_MAX { usize::from(tag) } else { self.length()? };
        to_text(self.bytes(length)?)
    }

    /// Reads the mention of a shape. A reference to the shape is returned in a register, where a copy is not.
    #[inline(always)]
    pub(super) fn mention(&mut self) -> Result<&mut Shape, Error> {
        match self.rest.split_first() {
            Some((&short, rest)) if (tag::FIRST_SHAPE..=tag::LENGTH_MAX).contains(&short.into()) => {
                self.rest = rest;
                self.shapes.get(usize::from(short) - tag::FIRST_SHAPE).ok_or_else(untold)
            }
            _ => self.long_mention(),
        }
    }

    /// Reads the mention of a new shape, or a number of more than a byte.
    #[inline(never)]
    fn long_mention(&mut self) -> Result<&mut Shape, Error> {
        let number = self.length()?;
        match number.checked_sub(tag::FIRST_SHAPE) {
            Some(number) => self.shapes.get(number).ok_or_else(untold),
            None => self.new_shape(number),
        }
    }

    #[inline]
    fn new_shape(&mut self, kind: usize) -> Result<&mut Shape, Error> {
        let (fields, rest) = length(self.rest)?;
        let (length, rest) = length(rest)?;
        let start = self.input.len() - rest.len();
        self.rest = rest.get(length..).ok_or_else(too_short)?;
        if fields > length {
            return Err(Error::new("a shape of more names than it has"));
        }
        let shape = Shape::new(start, length, fields);
        if kind == tag::PASSING_SHAPE { Ok(self.passing.insert(shape)) } else { self.shapes.push(shape) }
    }

    /// Reads the mention of a shape, and returns the names.
    #[inline]
    pub(super) fn names(&mut self) -> Result<&'de [u8], Error> {
        let message = self.input;
        Ok(self.mention()?.names(message))
    }

    /// Reads the mention of a variant's shape, and returns the name.
    #[inline(always)]
    pub(super) fn variant_name(&mut self) -> Result<&'de [u8], Error> {
        next_name(&mut self.names()?)
    }
}

/// Masks of the lowest 0 to 8 bytes.
const LOWEST: [u64; 9] =
    [0, 0xFF, 0xFFFF, 0xFF_FFFF, u32::MAX as u64, u64::MAX >> 24, u64::MAX >> 16, u64::MAX >> 8, u64::MAX];
