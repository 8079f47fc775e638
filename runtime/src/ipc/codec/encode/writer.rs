//! Single values, and the beginnings of those that hold others.

use std::io;

use serde::ser::{self, Serialize};

use super::super::{numbers, tag};
use super::elements::Elements;
use super::entries::Entries;
use super::fields::Fields;
use super::variant::OfVariant;
use super::{Depth, Error, Shapes, Sink};

/// What serde writes to.
#[derive(Debug)]
pub(in super::super) struct Writer<'m, S> {
    pub(super) buffer: &'m mut Vec<u8>,
    pub(super) shapes: &'m mut Shapes,
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
}

/// What a sink refuses is told by its own words.
#[cold]
fn of_sink(error: io::Error) -> Error {
    Error::new(error.to_string())
}

impl<'a, 'm, S: Sink> ser::Serializer for &'a mut Writer<'m, S> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Elements<'a, 'm, S>;
    type SerializeTuple = Elements<'a, 'm, S>;
    type SerializeTupleStruct = Elements<'a, 'm, S>;
    type SerializeTupleVariant = OfVariant<Elements<'a, 'm, S>>;
    type SerializeMap = Entries<'a, 'm, S>;
    type SerializeStruct = Fields<'a, 'm, S>;
    type SerializeStructVariant = OfVariant<Fields<'a, 'm, S>>;

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.byte(if value { tag::TRUE } else { tag::FALSE })
    }

    #[inline]
    fn serialize_i8(self, value: i8) -> Result<(), Error> {
        self.fixed([tag::I8, value as u8])
    }

    #[inline]
    fn serialize_i16(self, value: i16) -> Result<(), Error> {
        self.signed(tag::I16, value.into())
    }

    #[inline]
    fn serialize_i32(self, value: i32) -> Result<(), Error> {
        self.signed(tag::I32, value.into())
    }

    #[inline]
    fn serialize_i64(self, value: i64) -> Result<(), Error> {
        self.signed(tag::I64, value)
    }

    #[inline]
    fn serialize_i128(self, value: i128) -> Result<(), Error> {
        self.byte(tag::I128)?;
        self.fixed(value.to_le_bytes())
    }

    #[inline]
    fn serialize_u8(self, value: u8) -> Result<(), Error> {
        self.fixed([tag::U8, value])
    }

    #[inline]
    fn serialize_u16(self, value: u16) -> Result<(), Error> {
        self.unsigned(tag::U16, value.into())
    }

    #[inline]
    fn serialize_u32(self, value: u32) -> Result<(), Error> {
        self.unsigned(tag::U32, value.into())
    }

    #[inline]
    fn serialize_u64(self, value: u64) -> Result<(), Error> {
        self.unsigned(tag::U64, value)
    }

    #[inline]
    fn serialize_u128(self, value: u128) -> Result<(), Error> {
        self.byte(tag::U128)?;
        self.fixed(value.to_le_bytes())
    }

    #[inline]
    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        let [a, b, c, d] = value.to_le_bytes();
        self.fixed([tag::F32, a, b, c, d])
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
        self.fixed([tag::F64, a, b, c, d, e, f, g, h])
    }

    #[inline]
    fn serialize_char(self, value: char) -> Result<(), Error> {
        let [a, b, c, _] = u32::from(value).to_le_bytes();
        self.fixed([tag::CHAR, a, b, c])
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.text(value)
    }

    #[inline]
    fn serialize_bytes(self, value: &[u8]) -> Result<(), Error> {
        self.byte(tag::BYTES)?;
        self.length(value.len())?;
        self.raw(value)
    }

    #[inline]
    fn serialize_none(self) -> Result<(), Error> {
        self.byte(tag::NONE)
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        self.depth.enter()?;
        self.byte(tag::SOME)?;
        value.serialize(&mut *self)?;
        self.depth.leave();
        Ok(())
    }

    #[inline]
    fn serialize_unit(self) -> Result<(), Error> {
        self.byte(tag::UNIT)
    }

    #[inline]
    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Error> {
        self.byte(tag::UNIT)
    }

    #[inline]
    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> Result<(), Error> {
        self.variant(tag::UNIT_VARIANT, variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Result<(), Error> {
        self.depth.enter()?;
        value.serialize(&mut *self)?;
        self.depth.leave();
        Ok(())
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.depth.enter()?;
        self.variant(tag::VARIANT, variant)?;
        value.serialize(&mut *self).map_err(|error| error.in_variant(variant))?;
        self.depth.leave();
        Ok(())
    }

    #[inline(always)]
    fn serialize_seq(self, length: Option<usize>) -> Result<Elements<'a, 'm, S>, Error> {
        self.elements(length)
    }

    #[inline(always)]
    fn serialize_tuple(self, length: usize) -> Result<Elements<'a, 'm, S>, Error> {
        self.elements(Some(length))
    }

    #[inline(always)]
    fn serialize_tuple_struct(self, _name: &'static str, length: usize) -> Result<Elements<'a, 'm, S>, Error> {
        self.elements(Some(length))
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        self.variant(tag::VARIANT, variant)?;
        Ok(OfVariant { held: self.elements(Some(length))?, variant })
    }

    #[inline]
    fn serialize_map(self, length: Option<usize>) -> Result<Entries<'a, 'm, S>, Error> {
        self.depth.enter()?;
        self.byte(tag::MAP)?;
        self.length(length.unwrap_or(0))?;
        Ok(Entries { writer: self, key: 0 })
    }

    #[inline(always)]
    fn serialize_struct(self, name: &'static str, length: usize) -> Result<Fields<'a, 'm, S>, Error> {
        self.fields(name, length)
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        self.variant(tag::VARIANT, variant)?;
        Ok(OfVariant { held: self.fields(variant, length)?, variant })
    }

    #[inline]
    fn collect_seq<I>(self, iterable: I) -> Result<(), Error>
    where
        I: IntoIterator<Item: Serialize>,
    {
        if let Some((number, bytes)) = numbers::block(&iterable) {
            self.fixed([tag::NUMBERS, number])?;
            self.length(bytes.len() / tag::number_size(number).unwrap_or(1))?;
            return self.raw(bytes);
        }
        let iterator = iterable.into_iter();
        let mut elements = self.elements(match iterator.size_hint() {
            (least, Some(most)) if least == most => Some(least),
            _ => None,
        })?;
        for element in iterator {
            elements.push(&element)?;
        }
        elements.finish()
    }

    fn is_human_readable(&self) -> bool {
        true
    }
}
