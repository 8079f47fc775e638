//! The bytes of a message.

use super::shape_cache::{Mention, ShapeCache};
use super::sink::Sink;
use crate::ipc::codec::depth::Depth;
use crate::ipc::codec::error::Error;
use crate::ipc::codec::tag;

/// Writes bytes, lengths, texts and shapes. Serde's `Serializer` is in `serializer`.
#[derive(Debug)]
pub(super) struct Writer<'m, S> {
    pub(super) buffer: &'m mut Vec<u8>,
    pub(super) shapes: &'m mut ShapeCache,
    pub(super) sink: &'m mut S,
    pub(super) depth: Depth,
    /// Whether a part of the value has failed. A `Serialize` may continue after the failure, behind the incomplete
    /// part.
    pub(super) is_spoilt: bool,
}

impl<'m, S: Sink> Writer<'m, S> {
    /// Returns the position of the next byte in the message.
    pub(super) fn position(&self) -> usize {
        self.sink.message_len(self.buffer)
    }

    /// Records the failure of a part.
    #[cold]
    pub(super) fn spoil(&mut self, error: Error) -> Error {
        self.is_spoilt = true;
        error
    }

    pub(super) fn is_whole(&self) -> Result<(), Error> {
        if !self.is_spoilt {
            return Ok(());
        }
        Err(Error::new("a part of the value cannot be encoded, and its type has gone on without it"))
    }

    /// Removes the bytes and shapes of a failed value, unless the sink has taken a part of the value.
    #[cold]
    pub(super) fn rewind(&mut self, (length, taken, shapes): (usize, usize, u32)) {
        if taken == self.sink.taken() {
            self.buffer.truncate(length);
            self.shapes.rewind(shapes);
        }
    }

    #[inline(always)]
    pub(super) fn has_room(&self, more: usize) -> bool {
        self.buffer.capacity() - self.buffer.len() >= more
    }

    /// Ensures room for `more` bytes in the buffer.
    #[inline(always)]
    pub(super) fn room(&mut self, more: usize) -> Result<(), Error> {
        if self.has_room(more) { Ok(()) } else { self.make_room(more) }
    }

    #[cold]
    fn make_room(&mut self, more: usize) -> Result<(), Error> {
        self.sink.make_room(self.buffer, more).map_err(Error::from)
    }

    #[inline(always)]
    pub(super) fn byte(&mut self, byte: u8) -> Result<(), Error> {
        self.fixed([byte])
    }

    #[inline(always)]
    pub(super) fn fixed<const N: usize>(&mut self, bytes: [u8; N]) -> Result<(), Error> {
        self.room(N)?;
        self.buffer.extend_from_slice(&bytes);
        Ok(())
    }

    #[inline(always)]
    pub(super) fn raw(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.has_room(bytes.len()) {
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        self.append(bytes)
    }

    #[cold]
    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.sink.append(self.buffer, bytes).map_err(Error::from)
    }

    /// Replaces an earlier byte of the message.
    #[cold]
    pub(super) fn patch(&mut self, at: usize, byte: u8) -> Result<(), Error> {
        match at.checked_sub(self.sink.taken()) {
            Some(place) => {
                self.buffer[place] = byte;
                Ok(())
            }
            None => self.sink.patch(at, byte).map_err(Error::from),
        }
    }

    /// Writes the lowest `bytes` bytes of a number behind a tag. The tag is `first` plus the count of the bytes.
    #[inline(always)]
    fn shortened(&mut self, first: u8, number: u64, bytes: u32) -> Result<(), Error> {
        const WHOLE: usize = 9;
        self.room(WHOLE)?;
        let mut written = [0; WHOLE];
        written[0] = first + bytes as u8;
        written[1..].copy_from_slice(&number.to_le_bytes());
        let end = self.buffer.len() + 1 + bytes as usize;
        self.buffer.extend_from_slice(&written);
        self.buffer.truncate(end);
        Ok(())
    }

    #[inline(always)]
    pub(super) fn unsigned(&mut self, first: u8, number: u64) -> Result<(), Error> {
        self.shortened(first, number, (u64::BITS - number.leading_zeros()).div_ceil(8))
    }

    /// Writes a number in two's complement. The highest bit of the last byte is the sign.
    #[inline(always)]
    pub(super) fn signed(&mut self, first: u8, number: i64) -> Result<(), Error> {
        let magnitude = (number ^ (number >> 63)) as u64;
        let bytes = if number == 0 { 0 } else { (u64::BITS + 1 - magnitude.leading_zeros()).div_ceil(8) };
        self.shortened(first, number as u64, bytes)
    }

    #[inline(always)]
    pub(super) fn length(&mut self, length: usize) -> Result<(), Error> {
        if length <= tag::LENGTH_MAX { self.byte(length as u8) } else { self.long_length(length) }
    }

    #[cold]
    fn long_length(&mut self, length: usize) -> Result<(), Error> {
        if let Ok(length) = u16::try_from(length) {
            self.byte(tag::LENGTH_16)?;
            return self.fixed(length.to_le_bytes());
        }
        if let Ok(length) = u32::try_from(length) {
            self.byte(tag::LENGTH_32)?;
            return self.fixed(length.to_le_bytes());
        }
        self.byte(tag::LENGTH_64)?;
        self.fixed((length as u64).to_le_bytes())
    }

    #[inline(always)]
    pub(super) fn text(&mut self, text: &str) -> Result<(), Error> {
        if text.len() <= tag::SHORT_MAX {
            self.room(1 + tag::SHORT_MAX)?;
            self.buffer.push(text.len() as u8);
            self.buffer.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        self.byte(tag::TEXT)?;
        self.length(text.len())?;
        self.raw(text.as_bytes())
    }

    #[inline(always)]
    pub(super) fn mention(&mut self, mention: Mention, place: usize) -> Result<(), Error> {
        match mention {
            Mention::Number(number) => self.length(number as usize + tag::FIRST_SHAPE),
            Mention::Names => self.names(place),
        }
    }

    #[inline(never)]
    fn names(&mut self, place: usize) -> Result<(), Error> {
        self.length(tag::NEW_SHAPE)?;
        self.length(self.shapes.fields(place))?;
        let length = self.shapes.names(place).len();
        self.length(length)?;
        self.room(length)?;
        self.buffer.extend_from_slice(self.shapes.names(place));
        Ok(())
    }
}
