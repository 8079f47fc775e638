//! The bytes of a message, up to the place of the next one.

use std::io;

use super::shape_cache::{Mention, ShapeCache};
use super::sink::Sink;
use crate::ipc::codec::depth::Depth;
use crate::ipc::codec::error::Error;
use crate::ipc::codec::tag;

/// What serde writes to.
#[derive(Debug)]
pub(super) struct Writer<'m, S> {
    pub(super) buffer: &'m mut Vec<u8>,
    pub(super) shapes: &'m mut ShapeCache,
    pub(super) sink: &'m mut S,
    pub(super) depth: Depth,
    /// Whether a part of the value has failed. A `Serialize` may go on regardless, behind what there is of that part.
    pub(super) is_spoilt: bool,
}

impl<'m, S: Sink> Writer<'m, S> {
    pub(super) fn len(&self) -> usize {
        self.sink.taken() + self.buffer.len()
    }

    /// Takes a part's failure down.
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

    /// Takes back a value that has failed, as far as it is here.
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

    /// Makes sure that `more` bytes can be put into the buffer.
    #[inline(always)]
    pub(super) fn room(&mut self, more: usize) -> Result<(), Error> {
        if self.has_room(more) { Ok(()) } else { self.make_room(more) }
    }

    #[cold]
    pub(super) fn make_room(&mut self, more: usize) -> Result<(), Error> {
        self.sink.make_room(self.buffer, more).map_err(of_sink)
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
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.sink.append(self.buffer, bytes).map_err(of_sink)
    }

    /// Replaces a byte that was written before.
    #[cold]
    pub(super) fn patch(&mut self, at: usize, byte: u8) -> Result<(), Error> {
        match at.checked_sub(self.sink.taken()) {
            Some(place) => {
                self.buffer[place] = byte;
                Ok(())
            }
            None => self.sink.patch(at, byte).map_err(of_sink),
        }
    }

    /// A tag that counts the bytes behind it, and as many of the lowest bytes of a number.
    #[inline(always)]
    pub(super) fn shortened(&mut self, first: u8, number: u64, bytes: u32) -> Result<(), Error> {
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

    /// In two's complement; the sign is that of the last byte.
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
    pub(super) fn long_length(&mut self, length: usize) -> Result<(), Error> {
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
    pub(super) fn names(&mut self, place: usize) -> Result<(), Error> {
        self.length(tag::NEW_SHAPE)?;
        self.length(self.shapes.fields(place))?;
        let length = self.shapes.names(place).len();
        self.length(length)?;
        self.room(length)?;
        self.buffer.extend_from_slice(self.shapes.names(place));
        Ok(())
    }
}

/// What a sink refuses is told by its own words.
#[cold]
fn of_sink(error: io::Error) -> Error {
    Error::new(error.to_string())
}
