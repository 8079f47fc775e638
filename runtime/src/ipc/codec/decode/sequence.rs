//! Sequences, tuples and blocks of numbers; and structs that are read by position.

use std::marker::PhantomData;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, Error as _, Visitor};

use super::number::Number;
use super::shape::next_name;
use super::value::is_buffer;
use super::{Decoder, Error, tag, too_short, unknown};

impl<'de> Decoder<'de> {
    #[inline]
    pub(super) fn elements<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        let hint = self.hint()?;
        // A sequence of one run is a block of numbers.
        let before = self.rest;
        if before.first() == Some(&tag::RUN) {
            self.byte()?;
            let run = self.next_run()?;
            if self.rest.first() == Some(&tag::END) {
                self.byte()?;
                return run.visit(visitor, self.is_plain);
            }
            self.rest = before;
        }
        self.nested(|decoder| {
            let mut elements = Elements { decoder, hint, index: 0, run: Run::default(), is_over: false };
            let mut value = visitor.visit_seq(&mut elements);
            if value.is_ok()
                && let Err(error) = elements.finish()
            {
                value = Err(error);
            }
            value
        })
    }

    /// The numbers of a block.
    #[inline]
    pub(super) fn run(&mut self, number: u8, count: usize) -> Result<Run<'de>, Error> {
        let size = tag::number_size(number).ok_or_else(|| unknown(number))?;
        let numbers = self.bytes(count.checked_mul(size).ok_or_else(too_short)?)?;
        Ok(Run { number, size, numbers })
    }

    /// The numbers of a run in a sequence.
    #[inline]
    pub(super) fn next_run(&mut self) -> Result<Run<'de>, Error> {
        let number = self.byte()?;
        let count = u32::from_le_bytes(self.array()?);
        self.run(number, count as usize)
    }
}

/// Numbers of one type that follow each other.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Run<'de> {
    /// Their tag.
    pub(super) number: u8,
    pub(super) size: usize,
    pub(super) numbers: &'de [u8],
}

impl<'de> Run<'de> {
    #[inline]
    pub(super) fn visit<V: Visitor<'de>>(self, visitor: V, is_plain: bool) -> Result<V::Value, Error> {
        let all = self.numbers.len();
        let mut left = None;
        let value = visitor.visit_seq(Numbers { run: self, is_plain, all, left: &mut left })?;
        match left {
            Some(0) => Ok(value),
            _ => Err(Error::invalid_length(all / self.size, &"fewer elements")),
        }
    }
}

/// The elements of a sequence that is one run. The visitor owns it, so that the compiler need not keep it in memory.
pub(super) struct Numbers<'a, 'de> {
    pub(super) run: Run<'de>,
    pub(super) is_plain: bool,
    /// Bytes at the start.
    pub(super) all: usize,
    /// Bytes at the end.
    pub(super) left: &'a mut Option<usize>,
}

impl Drop for Numbers<'_, '_> {
    #[inline]
    fn drop(&mut self) {
        *self.left = Some(self.run.numbers.len());
    }
}

impl<'de> de::SeqAccess<'de> for Numbers<'_, 'de> {
    type Error = Error;

    #[inline(always)]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Run { number, size, numbers } = self.run;
        if numbers.is_empty() {
            return Ok(None);
        }
        let (bytes, rest) = numbers.split_at_checked(size).ok_or_else(too_short)?;
        self.run.numbers = rest;
        match seed.deserialize(InRun { tag: number, bytes, is_plain: self.is_plain, levels: 0 }) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(error.at_index((self.all - numbers.len()) / size)),
        }
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.run.numbers.len() / self.run.size.max(1))
    }
}

/// The elements of a sequence.
pub(super) struct Elements<'a, 'de> {
    pub(super) decoder: &'a mut Decoder<'de>,
    pub(super) hint: usize,
    pub(super) index: usize,
    pub(super) run: Run<'de>,
    /// Whether nothing follows the run.
    pub(super) is_over: bool,
}

impl<'de> Elements<'_, 'de> {
    /// The tag of the next element that is in no run. Before that, there may be another run.
    #[inline(always)]
    pub(super) fn next_tag(&mut self) -> Result<Option<u8>, Error> {
        if self.is_over {
            return Ok(None);
        }
        match self.decoder.byte()? {
            tag::END => {
                self.is_over = true;
                Ok(None)
            }
            tag::RUN => {
                self.run = self.decoder.next_run()?;
                Ok(None)
            }
            tag => Ok(Some(tag)),
        }
    }

    #[inline]
    pub(super) fn is_at_end(&self) -> bool {
        self.is_over && self.run.numbers.is_empty()
    }

    #[inline]
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        // A tuple's visitor does not ask for an element behind the last.
        while !self.is_at_end() {
            if !self.run.numbers.is_empty() || self.next_tag()?.is_some() {
                return Err(Error::invalid_length(self.index + 1, &"fewer elements"));
            }
        }
        Ok(())
    }
}

impl<'de> de::SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Error;

    #[inline(always)]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        loop {
            let decoded = if let Some((bytes, rest)) = self.run.numbers.split_at_checked(self.run.size.max(1)) {
                self.run.numbers = rest;
                let is_plain = self.decoder.is_plain;
                seed.deserialize(InRun { tag: self.run.number, bytes, is_plain, levels: 0 })
            } else {
                match self.next_tag()? {
                    Some(tag) => self.decoder.decode(tag, |value| seed.deserialize(value)),
                    None if self.is_at_end() => return Ok(None),
                    None => continue,
                }
            };
            return match decoded {
                Ok(value) => {
                    self.index += 1;
                    Ok(Some(value))
                }
                Err(error) => Err(error.at_index(self.index)),
            };
        }
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.hint.saturating_sub(self.index))
    }
}

/// Counts an `Option` that a type asks for where none was written. A type of nothing but such options would ask for
/// ever.
pub(super) fn unwritten_level(levels: u8) -> Result<u8, Error> {
    levels.checked_add(1).ok_or_else(|| Error::new("a type of options without end"))
}

/// A number of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct InRun<'de> {
    pub(super) tag: u8,
    pub(super) bytes: &'de [u8],
    is_plain: bool,
    /// Options that were asked for and not written.
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

impl InRun<'_> {
    #[cold]
    pub(super) fn number(self) -> Result<Number, Error> {
        Decoder::over(self.bytes).number(self.tag)
    }
}

impl<'de> Deserializer<'de> for InRun<'de> {
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
        visitor.visit_some(Self { levels: unwritten_level(self.levels)?, ..self })
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

/// The values of a struct, by position.
pub(super) struct Positions<'a, 'de> {
    pub(super) decoder: &'a mut Decoder<'de>,
    pub(super) names: &'de [u8],
    pub(super) left: &'a mut usize,
    pub(super) fields: usize,
}

/// Puts the name of a field in front of an error. It takes no reference to the fields, so that the compiler need not
/// keep their count in memory.
#[cold]
fn in_field(mut names: &[u8], field: usize, error: Error) -> Error {
    let name = (0..=field).map(|_| next_name(&mut names)).last();
    match name {
        Some(Ok(name)) => error.in_field(&String::from_utf8_lossy(name)),
        _ => error,
    }
}

impl<'de> de::SeqAccess<'de> for Positions<'_, 'de> {
    type Error = Error;

    #[inline(always)]
    fn next_element<T: Deserialize<'de>>(&mut self) -> Result<Option<T>, Error> {
        self.next_element_seed(PhantomData)
    }

    #[inline(always)]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        *self.left = left;
        let tag = self.decoder.byte()?;
        match self.decoder.decode(tag, |value| seed.deserialize(value)) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(in_field(self.names, self.fields - left - 1, error)),
        }
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(*self.left)
    }
}
