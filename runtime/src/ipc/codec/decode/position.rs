//! Structs that are read by position.

use std::marker::PhantomData;

use serde::de::{self, Deserialize, DeserializeSeed, Error as _, Visitor};

use super::decoder::Decoder;
use super::shape::next_name;
use super::value::Value;
use crate::ipc::codec::error::Error;

impl<'de> Value<'_, 'de> {
    #[inline]
    pub(super) fn positions<V: Visitor<'de>>(
        self,
        visitor: V,
        names: &'de [u8],
        fields: usize,
    ) -> Result<V::Value, Error> {
        self.decoder.nested(|decoder| {
            let mut left = fields;
            let mut value = visitor.visit_seq(PositionAccess { decoder, names, fields, left: &mut left });
            if left > 0 && value.is_ok() {
                value = Err(Error::invalid_length(fields, &"a struct of fewer fields"));
            }
            value
        })
    }
}

/// The values of a struct by position. The visitor owns the access, which therefore stays in registers.
pub(super) struct PositionAccess<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    names: &'de [u8],
    left: &'a mut usize,
    fields: usize,
}

/// Adds a field to the path of an error. Takes no reference to the access, so that the access stays in registers.
#[cold]
fn in_field(mut names: &[u8], field: usize, error: Error) -> Error {
    let name = (0..=field).map(|_| next_name(&mut names)).last();
    match name {
        Some(Ok(name)) => error.in_field(&String::from_utf8_lossy(name)),
        _ => error,
    }
}

impl<'de> de::SeqAccess<'de> for PositionAccess<'_, 'de> {
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
