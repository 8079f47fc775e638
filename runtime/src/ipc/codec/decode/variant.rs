//! Variants of enums.

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, Error as _, Unexpected, Visitor};

use super::key::Identifier;
use super::value::Value;
use super::{Decoder, Error, tag};

/// A variant of an enum.
pub(super) struct Variant<'a, 'de> {
    pub(super) decoder: &'a mut Decoder<'de>,
    pub(super) name: &'de [u8],
    pub(super) has_value: bool,
}

/// The name of a variant, whether a value follows, and the bytes behind that value.
pub(super) struct Named<'de> {
    pub(super) name: &'de [u8],
    pub(super) has_value: bool,
    pub(super) end: &'static [u8],
}

impl<'de> Decoder<'de> {
    #[inline]
    pub(super) fn variant<V: Visitor<'de>>(&mut self, named: Named<'de>, visitor: V) -> Result<V::Value, Error> {
        let Named { name, has_value, end } = named;
        self.nested(|decoder| {
            let before = decoder.rest.len();
            let mut value = visitor.visit_enum(Variant { decoder: &mut *decoder, name, has_value });
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

    /// A variant that was written as a text or as a map of one entry.
    #[cold]
    pub(super) fn other_variant(&mut self, tag: u8) -> Result<Named<'de>, Error> {
        if usize::from(tag) <= tag::SHORT_MAX || tag == tag::TEXT {
            return Ok(Named { name: self.text(tag)?.as_bytes(), has_value: false, end: &[] });
        }
        let entry = self.single_entry(tag)?;
        self.is_spoilt |= entry.is_none();
        entry.ok_or_else(|| Error::invalid_type(Unexpected::Map, &"an enum, as a map of one entry"))
    }

    /// Passes over a variant's value that nothing has looked at, and takes what is behind it.
    #[cold]
    pub(super) fn finish_variant(&mut self, is_unread: bool, end: &[u8]) -> Result<(), Error> {
        if is_unread {
            self.skip_next()?;
        }
        if self.bytes(end.len())? != end {
            return Err(Error::invalid_type(Unexpected::Map, &"an enum, as a map of one entry"));
        }
        Ok(())
    }
}

impl<'a, 'de> de::EnumAccess<'de> for Variant<'a, 'de> {
    type Error = Error;
    type Variant = Self;

    #[inline]
    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Error> {
        let name = seed.deserialize(Identifier(self.name))?;
        Ok((name, self))
    }
}

impl<'a, 'de> Variant<'a, 'de> {
    #[inline]
    pub(super) fn with<T>(
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

impl<'de> de::VariantAccess<'de> for Variant<'_, 'de> {
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
