//! Runs and blocks of numbers.

use serde::de::{self, DeserializeSeed, Deserializer, Error as _, Visitor};

use super::buffer::is_buffer;
use super::bytes::{too_short, unknown};
use super::decoder::Decoder;
use super::number::Number;
use crate::ipc::codec::depth::unwritten_option;
use crate::ipc::codec::error::Error;
use crate::ipc::codec::tag;

impl<'de> Decoder<'de> {
    /// Reads the numbers of a block.
    #[inline]
    pub(super) fn run(&mut self, number: u8, count: usize) -> Result<NumberRun<'de>, Error> {
        let size = tag::number_size(number).ok_or_else(|| unknown(number))?;
        let numbers = self.bytes(count.checked_mul(size).ok_or_else(too_short)?)?;
        Ok(NumberRun { number, size, numbers })
    }

    /// Reads the numbers of a run in a sequence.
    #[inline]
    pub(super) fn next_run(&mut self) -> Result<NumberRun<'de>, Error> {
        let number = self.byte()?;
        let count = u32::from_le_bytes(self.array()?);
        self.run(number, count as usize)
    }
}

/// Successive numbers of the same type.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NumberRun<'de> {
    /// The tag of the numbers.
    pub(super) number: u8,
    pub(super) size: usize,
    pub(super) numbers: &'de [u8],
}

impl<'de> NumberRun<'de> {
    #[inline]
    pub(super) fn visit<V: Visitor<'de>>(self, visitor: V, is_plain: bool) -> Result<V::Value, Error> {
        let all = self.numbers.len();
        let mut left = None;
        let value = visitor.visit_seq(RunAccess { run: self, is_plain, all, left: &mut left })?;
        match left {
            Some(0) => Ok(value),
            _ => Err(Error::invalid_length(all / self.size, &"fewer elements")),
        }
    }
}

/// The elements of a sequence of a single run. The visitor owns the access, which therefore stays in registers.
pub(super) struct RunAccess<'a, 'de> {
    run: NumberRun<'de>,
    is_plain: bool,
    /// The bytes of all numbers.
    all: usize,
    /// The bytes of the unread numbers, written at the end of the access.
    left: &'a mut Option<usize>,
}

impl Drop for RunAccess<'_, '_> {
    #[inline]
    fn drop(&mut self) {
        *self.left = Some(self.run.numbers.len());
    }
}

impl<'de> de::SeqAccess<'de> for RunAccess<'_, 'de> {
    type Error = Error;

    #[inline(always)]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let NumberRun { number, size, numbers } = self.run;
        if numbers.is_empty() {
            return Ok(None);
        }
        let (bytes, rest) = numbers.split_at_checked(size).ok_or_else(too_short)?;
        self.run.numbers = rest;
        match seed.deserialize(RunNumber::new(number, bytes, self.is_plain)) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(error.at_index((self.all - numbers.len()) / size)),
        }
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.run.numbers.len() / self.run.size.max(1))
    }
}

/// A number of a run, without a tag in the message.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunNumber<'de> {
    tag: u8,
    bytes: &'de [u8],
    is_plain: bool,
    /// The options asked for and not written.
    levels: u8,
}

macro_rules! in_run {
    ($($deserialize:ident $visit:ident $number:ident $tag:ident;)*) => {
        $(#[inline]
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.bytes.first_chunk() {
                Some(bytes) if self.tag == tag::$tag && !self.is_plain => {
                    visitor.$visit($number::from_le_bytes(*bytes))
                }
                _ => self.number()?.visit_plain(visitor),
            }
        })*
    };
}

impl<'de> RunNumber<'de> {
    #[inline(always)]
    pub(super) fn new(tag: u8, bytes: &'de [u8], is_plain: bool) -> Self {
        Self { tag, bytes, is_plain, levels: 0 }
    }

    #[cold]
    fn number(self) -> Result<Number, Error> {
        Decoder::over(self.bytes).number(self.tag)
    }
}

impl<'de> Deserializer<'de> for RunNumber<'de> {
    type Error = Error;

    in_run! {
        deserialize_u8 visit_u8 u8 U8;
        deserialize_i8 visit_i8 i8 I8;
        deserialize_u16 visit_u16 u16 U16_WHOLE;
        deserialize_i16 visit_i16 i16 I16_WHOLE;
        deserialize_u32 visit_u32 u32 U32_WHOLE;
        deserialize_i32 visit_i32 i32 I32_WHOLE;
        deserialize_u64 visit_u64 u64 U64_WHOLE;
        deserialize_i64 visit_i64 i64 I64_WHOLE;
        deserialize_u128 visit_u128 u128 U128;
        deserialize_i128 visit_i128 i128 I128;
        deserialize_f32 visit_f32 f32 F32;
        deserialize_f64 visit_f64 f64 F64;
    }

    #[inline(never)]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let number = self.number()?;
        if self.is_plain || is_buffer::<V>() { number.visit_plain(visitor) } else { number.visit(visitor) }
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(Self { levels: unwritten_option(self.levels)?, ..self })
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct enum
        identifier ignored_any
    }

    fn is_human_readable(&self) -> bool {
        true
    }
}
