//! Serde's requests to a writer.

use serde::ser::{self, Serialize};

use super::elements::SequenceWriter;
use super::entries::MapWriter;
use super::fields::StructWriter;
use super::sink::Sink;
use super::variant::VariantWriter;
use super::writer::Writer;
use crate::ipc::codec::error::Error;
use crate::ipc::codec::{numbers, tag};

impl<'a, 'm, S: Sink> ser::Serializer for &'a mut Writer<'m, S> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = SequenceWriter<'a, 'm, S>;
    type SerializeTuple = SequenceWriter<'a, 'm, S>;
    type SerializeTupleStruct = SequenceWriter<'a, 'm, S>;
    type SerializeTupleVariant = VariantWriter<SequenceWriter<'a, 'm, S>>;
    type SerializeMap = MapWriter<'a, 'm, S>;
    type SerializeStruct = StructWriter<'a, 'm, S>;
    type SerializeStructVariant = VariantWriter<StructWriter<'a, 'm, S>>;

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
    fn serialize_seq(self, length: Option<usize>) -> Result<SequenceWriter<'a, 'm, S>, Error> {
        self.elements(length)
    }

    #[inline(always)]
    fn serialize_tuple(self, length: usize) -> Result<SequenceWriter<'a, 'm, S>, Error> {
        self.elements(Some(length))
    }

    #[inline(always)]
    fn serialize_tuple_struct(self, _name: &'static str, length: usize) -> Result<SequenceWriter<'a, 'm, S>, Error> {
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
        Ok(VariantWriter { held: self.elements(Some(length))?, variant })
    }

    #[inline]
    fn serialize_map(self, length: Option<usize>) -> Result<MapWriter<'a, 'm, S>, Error> {
        self.depth.enter()?;
        self.byte(tag::MAP)?;
        self.length(length.unwrap_or(0))?;
        Ok(MapWriter { writer: self, key: 0 })
    }

    #[inline(always)]
    fn serialize_struct(self, name: &'static str, length: usize) -> Result<StructWriter<'a, 'm, S>, Error> {
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
        Ok(VariantWriter { held: self.fields(variant, length)?, variant })
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
