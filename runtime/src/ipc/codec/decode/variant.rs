//! Variants of enums.

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, Error as _, Unexpected, Visitor};

use super::key::Identifier;
use super::value::Value;
use super::{Decoder, Error};

/// A variant of an enum.
pub(super) struct Variant<'a, 'de> {
    pub(super) decoder: &'a mut Decoder<'de>,
    pub(super) name: &'de [u8],
    pub(super) has_value: bool,
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
        self.decoder.decode(tag, decode).map_err(|error| error.in_variant(&String::from_utf8_lossy(self.name)))
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
