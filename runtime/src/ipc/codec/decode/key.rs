//! Keys of maps, names of fields, and names of variants.

use serde::de::{self, Deserializer, Visitor};

use super::buffer::is_key_of_buffer;
use super::bytes::to_text;
use super::value::Value;
use crate::ipc::codec::depth::unwritten_option;
use crate::ipc::codec::error::Error;
use crate::ipc::codec::tag;

/// A key of a map, or the name of a field.
///
/// In JSON all keys are text. A type may therefore write keys as numbers and read the keys as text, or the reverse.
pub(super) struct MapKey<'a, 'de> {
    pub(super) key: Key<'a, 'de>,
    /// Whether the key is the name of a struct's field.
    pub(super) is_field: bool,
    /// The options asked for and not written.
    pub(super) levels: u8,
}

pub(super) enum Key<'a, 'de> {
    Name(&'de [u8]),
    Value(Value<'a, 'de>),
}

impl<'a, 'de> Key<'a, 'de> {
    /// Returns the text of the key, or the value if the key is no text.
    #[inline]
    fn text(self) -> Result<Result<&'de str, Value<'a, 'de>>, Error> {
        match self {
            Self::Name(name) => to_text(name).map(Ok),
            Self::Value(value) => {
                let value = value.unwrapped()?;
                Ok(if value.is_text() { Ok(value.decoder.text(value.tag)?) } else { Err(value) })
            }
        }
    }
}

macro_rules! from_text {
    ($($deserialize:ident $visit:ident)*) => {
        $(#[inline]
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.key.text()? {
                Ok(text) => match text.parse() {
                    Ok(number) => visitor.$visit(number),
                    Err(_) => visitor.visit_borrowed_str(text),
                },
                Err(value) => value.$deserialize(visitor),
            }
        })*
    };
}

macro_rules! as_value {
    ($($deserialize:ident ($($argument:ident: $ty:ty),*))*) => {
        $(#[inline]
        fn $deserialize<V: Visitor<'de>>(self, $($argument: $ty,)* visitor: V) -> Result<V::Value, Error> {
            match self.key {
                Key::Value(value) => value.$deserialize($($argument,)* visitor),
                Key::Name(name) => visitor.visit_borrowed_str(to_text(name)?),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for MapKey<'_, 'de> {
    type Error = Error;

    from_text! {
        deserialize_bool visit_bool
        deserialize_u8 visit_u8
        deserialize_i8 visit_i8
        deserialize_u16 visit_u16
        deserialize_i16 visit_i16
        deserialize_u32 visit_u32
        deserialize_i32 visit_i32
        deserialize_u64 visit_u64
        deserialize_i64 visit_i64
        deserialize_u128 visit_u128
        deserialize_i128 visit_i128
        deserialize_f32 visit_f32
        deserialize_f64 visit_f64
    }

    as_value! {
        deserialize_bytes()
        deserialize_byte_buf()
        deserialize_unit()
        deserialize_unit_struct(name: &'static str)
        deserialize_seq()
        deserialize_tuple(length: usize)
        deserialize_tuple_struct(name: &'static str, length: usize)
        deserialize_map()
        deserialize_struct(name: &'static str, fields: &'static [&'static str])
        deserialize_ignored_any()
    }

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        // A struct may be read from the buffer later, and would take a number for the position of a field.
        match self.key {
            Key::Value(value) if !is_key_of_buffer::<V>() => value.deserialize_any(visitor),
            _ => self.deserialize_str(visitor),
        }
    }

    /// Gives a number as text, to a visitor of text.
    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.key.text()? {
            Ok(text) => visitor.visit_borrowed_str(text),
            Err(value) if value.is_number() => visitor.visit_string(value.decoder.number(value.tag)?.to_string()),
            Err(Value { tag: tag::TRUE, .. }) => visitor.visit_borrowed_str("true"),
            Err(Value { tag: tag::FALSE, .. }) => visitor.visit_borrowed_str("false"),
            Err(value) => value.deserialize_any(visitor),
        }
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.key {
            Key::Name(name) if self.is_field => Identifier(name).deserialize_identifier(visitor),
            _ => self.deserialize_str(visitor),
        }
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        match &mut self.key {
            Key::Value(Value { tag: tag::NONE | tag::UNIT, .. }) => return visitor.visit_none(),
            Key::Value(value) if value.tag == tag::SOME => {
                value.decoder.depth.enter()?;
                value.tag = value.decoder.byte()?;
            }
            _ => self.levels = unwritten_option(self.levels)?,
        }
        visitor.visit_some(self)
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.key {
            Key::Value(value) => value.deserialize_enum(name, variants, visitor),
            Key::Name(name) => visitor.visit_enum(de::value::BorrowedStrDeserializer::new(to_text(name)?)),
        }
    }

    fn is_human_readable(&self) -> bool {
        true
    }
}

/// The name of a variant or of a struct's field.
pub(super) struct Identifier<'de>(pub(super) &'de [u8]);

impl<'de> Deserializer<'de> for Identifier<'de> {
    type Error = Error;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(to_text(self.0)?)
    }

    /// Gives bytes to a visitor of serde's derive, without a check of UTF-8.
    #[inline]
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if std::any::type_name::<V>().ends_with("::__FieldVisitor") {
            return visitor.visit_borrowed_bytes(self.0);
        }
        self.deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct
        seq tuple tuple_struct map struct enum ignored_any
    }
}
