//! Serde's requests to a value.
//!
//! A type may request another kind of value than the written kind. The request is then answered by the JSON form, such
//! as text for the variant of an enum, or a map for a struct. For a request without an answer, the error is serde's
//! own.

use serde::de::{Deserializer, Visitor};

use super::buffer::is_buffer;
use super::bytes::to_text;
use super::value::Value;
use super::variant::VariantHead;
use crate::ipc::codec::error::Error;
use crate::ipc::codec::{numbers, tag};
use crate::sys::huge_pages;

macro_rules! numbers {
    ($($deserialize:ident $visit:ident $tags:pat => |$decoder:ident, $tag:ident| $read:expr;)*) => {
        $(#[inline]
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.tag {
                $tags if !self.decoder.is_plain => {
                    let ($decoder, $tag) = (self.decoder, self.tag);
                    let _ = $tag;
                    visitor.$visit($read)
                }
                _ => self.into_number(visitor),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for Value<'_, 'de> {
    type Error = Error;

    numbers! {
        deserialize_u8 visit_u8 tag::U8 => |decoder, tag| decoder.byte()?;
        deserialize_i8 visit_i8 tag::I8 => |decoder, tag| decoder.byte()? as i8;
        deserialize_u16 visit_u16 tag::U16..=tag::U16_WHOLE => |decoder, tag| decoder.unsigned(tag - tag::U16)? as u16;
        deserialize_i16 visit_i16 tag::I16..=tag::I16_WHOLE => |decoder, tag| decoder.signed(tag - tag::I16)? as i16;
        deserialize_u32 visit_u32 tag::U32..=tag::U32_WHOLE => |decoder, tag| decoder.unsigned(tag - tag::U32)? as u32;
        deserialize_i32 visit_i32 tag::I32..=tag::I32_WHOLE => |decoder, tag| decoder.signed(tag - tag::I32)? as i32;
        deserialize_u64 visit_u64 tag::U64..=tag::U64_WHOLE => |decoder, tag| decoder.unsigned(tag - tag::U64)?;
        deserialize_i64 visit_i64 tag::I64..=tag::I64_WHOLE => |decoder, tag| decoder.signed(tag - tag::I64)?;
        deserialize_u128 visit_u128 tag::U128 => |decoder, tag| u128::from_le_bytes(decoder.array()?);
        deserialize_i128 visit_i128 tag::I128 => |decoder, tag| i128::from_le_bytes(decoder.array()?);
        deserialize_f32 visit_f32 tag::F32 => |decoder, tag| f32::from_le_bytes(decoder.array()?);
        deserialize_f64 visit_f64 tag::F64 => |decoder, tag| f64::from_le_bytes(decoder.array()?);
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let is_buffer = is_buffer::<V>();
        if is_buffer {
            self.decoder.depth.check_buffered()?;
        }
        let is_plain = is_buffer || self.decoder.is_plain;
        match self.tag {
            _ if self.is_text() => visit_text(self.decoder.text(self.tag)?, visitor),
            tag::UNIT => visitor.visit_unit(),
            tag::NONE if is_plain => visitor.visit_unit(),
            tag::NONE => visitor.visit_none(),
            tag::SOME => {
                let value = self.decoder.value()?;
                // A buffer would lose an `Option` in an `Option`.
                let is_nested = matches!(value.tag, tag::UNIT | tag::NONE | tag::SOME);
                let Value { decoder, tag } = value;
                let is_transparent = is_plain && !(is_buffer && is_nested);
                decoder.nested(|decoder| {
                    decoder.decode(tag, |value| {
                        if is_transparent { value.deserialize_any(visitor) } else { visitor.visit_some(value) }
                    })
                })
            }
            tag::FALSE => visitor.visit_bool(false),
            tag::TRUE => visitor.visit_bool(true),
            tag::CHAR => {
                let [a, b, c] = self.decoder.array()?;
                let number = u32::from_le_bytes([a, b, c, 0]);
                let letter = char::from_u32(number).ok_or_else(|| Error::new("a `char` that is none"))?;
                if is_plain { visitor.visit_string(letter.into()) } else { visitor.visit_char(letter) }
            }
            tag::BYTES if self.decoder.is_plain => self.sequence(visitor),
            tag::BYTES => {
                let length = self.decoder.length()?;
                match self.decoder.bytes(length)? {
                    large if length >= huge_pages::LARGE => visitor.visit_byte_buf(large_vec(large)),
                    bytes => visitor.visit_borrowed_bytes(bytes),
                }
            }
            tag::SEQ | tag::NUMBERS => self.sequence(visitor),
            tag::MAP | tag::STRUCT | tag::PARTIAL | tag::VARIANT => self.entries(visitor, false),
            tag::UNIT_VARIANT => visitor.visit_borrowed_str(to_text(self.decoder.variant_name()?)?),
            tag => {
                let number = self.decoder.number(tag)?;
                if is_plain { number.visit_plain(visitor) } else { number.visit(visitor) }
            }
        }
    }

    #[inline]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.tag {
            tag::FALSE => visitor.visit_bool(false),
            tag::TRUE => visitor.visit_bool(true),
            _ => self.unwrapped()?.deserialize_any(visitor),
        }
    }

    #[inline]
    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.unwrapped()?.deserialize_any(visitor)
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.is_text() {
            return visit_text(self.decoder.text(self.tag)?, visitor);
        }
        self.unwrapped()?.deserialize_any(visitor)
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.is_text() {
            return visitor.visit_borrowed_bytes(self.decoder.text(self.tag)?.as_bytes());
        }
        self.unwrapped()?.deserialize_any(visitor)
    }

    #[inline]
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        match self.tag {
            tag::NONE | tag::UNIT => return visitor.visit_none(),
            tag::SOME => self.tag = self.decoder.byte()?,
            _ => {}
        }
        let Self { decoder, tag } = self;
        decoder.nested(|decoder| decoder.decode(tag, |value| visitor.visit_some(value)))
    }

    #[inline]
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let value = self.unwrapped()?;
        match value.tag {
            tag::UNIT | tag::NONE => visitor.visit_unit(),
            _ => value.deserialize_any(visitor),
        }
    }

    #[inline]
    fn deserialize_unit_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        /// The start of the names by which serde_json marks raw JSON. serde_json writes a struct of such a name, and
        /// reads a newtype of a map.
        const JSON: &str = "$serde_json::private::";
        if name.starts_with(JSON) && matches!(self.tag, tag::STRUCT | tag::MAP) {
            return self.entries(visitor, true);
        }
        let Self { decoder, tag } = self;
        decoder.depth.enter()?;
        let value = visitor.visit_newtype_struct(Value { decoder: &mut *decoder, tag });
        decoder.depth.leave();
        value
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.tag {
            tag::NUMBERS => {
                let before = self.decoder.rest;
                let (number, count) = (self.decoder.byte()?, self.decoder.length()?);
                let run = self.decoder.run(number, count)?;
                if let Some(numbers) = numbers::collect::<V>(number, run.numbers) {
                    return Ok(numbers);
                }
                self.decoder.rest = before;
                self.sequence(visitor)
            }
            tag::SEQ | tag::BYTES => self.sequence(visitor),
            _ => self.unwrapped()?.sequence_or_any(visitor),
        }
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, Error> {
        self.unwrapped()?.sequence_or_any(visitor)
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.unwrapped()?.sequence_or_any(visitor)
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.unwrapped()?.deserialize_any(visitor)
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if self.tag != tag::STRUCT {
            return self.fields(visitor);
        }
        let message = self.decoder.input;
        let shape = self.decoder.mention()?;
        let (names, count) = (shape.names(message), shape.fields);
        if shape.has_positions::<V>(names, fields) && !self.decoder.is_plain {
            // `fields.len()` equals the count of the shape, and is a constant for the compiler.
            return self.positions(visitor, names, fields.len());
        }
        self.fields_of(names, count, visitor)
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let value = self.unwrapped()?;
        let named = if matches!(value.tag, tag::UNIT_VARIANT | tag::VARIANT) {
            let has_value = value.tag == tag::VARIANT;
            VariantHead { name: value.decoder.variant_name()?, has_value, end: &[] }
        } else if value.is_text() || matches!(value.tag, tag::MAP | tag::STRUCT | tag::PARTIAL) {
            value.decoder.other_variant(value.tag)?
        } else {
            return value.deserialize_any(visitor);
        };
        value.decoder.variant(named, visitor)
    }

    #[inline]
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.decoder.skip(self.tag)?;
        visitor.visit_unit()
    }

    fn is_human_readable(&self) -> bool {
        true
    }
}

impl<'de> Value<'_, 'de> {
    /// Gives a number in the JSON form, for a request of another type of number. Gives other values as written.
    #[cold]
    pub(super) fn into_number<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let value = self.unwrapped()?;
        if value.is_number() {
            value.decoder.number(value.tag)?.visit_plain(visitor)
        } else {
            value.deserialize_any(visitor)
        }
    }

    /// Gives a struct by the names of the fields, and other values as written.
    #[inline(never)]
    fn fields<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let value = self.unwrapped()?;
        match value.tag {
            tag::STRUCT | tag::MAP | tag::PARTIAL | tag::VARIANT => value.entries(visitor, true),
            _ => value.deserialize_any(visitor),
        }
    }

    #[inline]
    fn sequence_or_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.tag {
            tag::SEQ | tag::NUMBERS | tag::BYTES => self.sequence(visitor),
            _ => self.deserialize_any(visitor),
        }
    }
}

/// Gives a text. A large text is copied into large pages, since nearly every visitor would copy the text into small
/// pages.
#[inline(always)]
fn visit_text<'de, V: Visitor<'de>>(text: &'de str, visitor: V) -> Result<V::Value, Error> {
    if text.len() >= huge_pages::LARGE { visit_large_text(text, visitor) } else { visitor.visit_borrowed_str(text) }
}

#[cold]
fn visit_large_text<'de, V: Visitor<'de>>(text: &'de str, visitor: V) -> Result<V::Value, Error> {
    let mut copy = String::from_utf8(huge_pages::with_capacity(text.len())).unwrap_or_default();
    copy.push_str(text);
    visitor.visit_string(copy)
}

fn large_vec(bytes: &[u8]) -> Vec<u8> {
    let mut copy = huge_pages::with_capacity(bytes.len());
    copy.extend_from_slice(bytes);
    copy
}
