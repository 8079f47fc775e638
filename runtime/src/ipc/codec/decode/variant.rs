//! Variants of enums.

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, Error as _, Unexpected, Visitor};

use super::decoder::Decoder;
use super::key::Identifier;
use super::shape::next_name;
use super::value::Value;
use crate::ipc::codec::error::Error;
use crate::ipc::codec::tag;

/// A variant of an enum, for serde's `EnumAccess` and `VariantAccess`.
pub(super) struct VariantAccess<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    pub(super) name: &'de [u8],
    pub(super) has_value: bool,
}

/// The name of a variant, whether a value follows, and the expected bytes behind the value.
pub(super) struct VariantHead<'de> {
    pub(super) name: &'de [u8],
    pub(super) has_value: bool,
    pub(super) end: &'static [u8],
}

impl<'de> Decoder<'de> {
    #[inline]
    pub(super) fn variant<V: Visitor<'de>>(&mut self, named: VariantHead<'de>, visitor: V) -> Result<V::Value, Error> {
        let VariantHead { name, has_value, end } = named;
        self.nested(|decoder| {
            let before = decoder.rest.len();
            let mut value = visitor.visit_enum(VariantAccess { decoder: &mut *decoder, name, has_value });
            let is_unread = has_value && decoder.rest.len() == before;
            if (is_unread || !end.is_empty())
                && value.is_ok()
                && let Err(error) = decoder.finish_variant(is_unread, end)
            {
                value = Err(error);
            }
            value
        })
    }

    /// Reads a variant in the JSON form: a text, or a map of a single entry.
    #[cold]
    pub(super) fn other_variant(&mut self, tag: u8) -> Result<VariantHead<'de>, Error> {
        if usize::from(tag) <= tag::SHORT_MAX || tag == tag::TEXT {
            return Ok(VariantHead { name: self.text(tag)?.as_bytes(), has_value: false, end: &[] });
        }
        let entry = self.single_entry(tag)?;
        self.is_spoilt |= entry.is_none();
        entry.ok_or_else(|| Error::invalid_type(Unexpected::Map, &"an enum, as a map of one entry"))
    }

    /// Reads the only key of a map. Returns `None` if the key is no name.
    #[cold]
    fn single_entry(&mut self, tag: u8) -> Result<Option<VariantHead<'de>>, Error> {
        match tag {
            tag::STRUCT => {
                let message = self.input;
                let shape = self.mention()?;
                return if shape.fields == 1 {
                    Ok(Some(VariantHead { name: next_name(&mut shape.names(message))?, has_value: true, end: &[] }))
                } else {
                    Ok(None)
                };
            }
            tag::PARTIAL => {
                let mut names = self.names()?;
                if self.rest.first() != Some(&tag::REST) {
                    let name = next_name(&mut names)?;
                    return Ok(Some(VariantHead { name, has_value: true, end: &[tag::REST, tag::END] }));
                }
                self.byte()?;
            }
            _ => drop(self.length()?),
        }
        let key = self.value()?.unwrapped()?;
        let name = match key.tag {
            tag::UNIT_VARIANT => Some(key.decoder.variant_name()?),
            _ if key.is_text() => Some(key.decoder.text(key.tag)?.as_bytes()),
            _ => None,
        };
        Ok(name.map(|name| VariantHead { name, has_value: true, end: &[tag::END] }))
    }

    /// Passes over the value of a variant if the value is unread, and over the expected bytes behind the value.
    #[cold]
    fn finish_variant(&mut self, is_unread: bool, end: &[u8]) -> Result<(), Error> {
        if is_unread {
            self.skip_next()?;
        }
        if self.bytes(end.len())? != end {
            return Err(Error::invalid_type(Unexpected::Map, &"an enum, as a map of one entry"));
        }
        Ok(())
    }
}

impl<'a, 'de> de::EnumAccess<'de> for VariantAccess<'a, 'de> {
    type Error = Error;
    type Variant = Self;

    #[inline]
    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Error> {
        let name = seed.deserialize(Identifier(self.name))?;
        Ok((name, self))
    }
}

impl<'a, 'de> VariantAccess<'a, 'de> {
    #[inline]
    fn with<T>(
        self,
        expected: &'static str,
        decode: impl FnOnce(Value<'_, 'de>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if !self.has_value {
            return Err(Error::invalid_type(Unexpected::UnitVariant, &expected));
        }
        let tag = self.decoder.byte()?;
        let mut decoded = self.decoder.decode(tag, decode);
        if let Err(error) = decoded {
            decoded = Err(error.in_variant(&String::from_utf8_lossy(self.name)));
        }
        decoded
    }
}

impl<'de> de::VariantAccess<'de> for VariantAccess<'_, 'de> {
    type Error = Error;

    #[inline]
    fn unit_variant(self) -> Result<(), Error> {
        if self.has_value { self.with("unit variant", |value| <()>::deserialize(value)) } else { Ok(()) }
    }

    #[inline]
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        self.with("newtype variant", |value| seed.deserialize(value))
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Error> {
        self.with("tuple variant", |value| value.deserialize_tuple(length, visitor))
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        self.with("struct variant", |value| value.deserialize_struct("", fields, visitor))
    }
}
