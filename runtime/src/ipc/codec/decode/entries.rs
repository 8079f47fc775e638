//! Maps, and structs that are read by the names of their fields.

use serde::de::{self, DeserializeSeed, Error as _, Visitor};

use super::decoder::Decoder;
use super::key::{Key, MapKey};
use super::shape::next_name;
use super::shown_key::shown_key;
use super::value::Value;
use crate::ipc::codec::error::Error;
use crate::ipc::codec::tag;

impl<'de> Value<'_, 'de> {
    #[inline(never)]
    pub(super) fn fields_of<V: Visitor<'de>>(
        self,
        names: &'de [u8],
        left: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.entries_of(Names::Shape { names, left }, visitor, true)
    }

    /// Gives a map, or the fields of a struct by names. `is_struct` says whether the type requests a struct, for which
    /// all keys are names of fields.
    #[inline]
    pub(super) fn entries<V: Visitor<'de>>(self, visitor: V, is_struct: bool) -> Result<V::Value, Error> {
        let names = match self.tag {
            tag::MAP => Names::Pairs { hint: self.decoder.hint()? },
            tag::STRUCT => {
                let message = self.decoder.input;
                let shape = self.decoder.mention()?;
                Names::Shape { names: shape.names(message), left: shape.fields }
            }
            tag::PARTIAL => Names::Partial { names: self.decoder.names()? },
            _ => Names::Shape { names: self.decoder.names()?, left: 1 },
        };
        self.entries_of(names, visitor, is_struct)
    }

    #[inline]
    fn entries_of<V: Visitor<'de>>(self, names: Names<'de>, visitor: V, is_struct: bool) -> Result<V::Value, Error> {
        self.decoder.nested(|decoder| {
            let mut entries = EntryAccess { decoder, names, is_struct, has_value: false, key: KeyOf::Encoded(&[]) };
            let mut value = visitor.visit_map(&mut entries);
            if value.is_ok()
                && let Err(error) = entries.finish()
            {
                value = Err(error);
            }
            value
        })
    }
}

/// The entries of a map, or the fields of a struct by names.
pub(super) struct EntryAccess<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    names: Names<'de>,
    is_struct: bool,
    /// Whether the next part is the value of a key.
    has_value: bool,
    /// The key of the next value.
    key: KeyOf<'de>,
}

/// The place of the names.
pub(super) enum Names<'de> {
    /// The next `left` names of a shape.
    Shape {
        names: &'de [u8],
        left: usize,
    },
    /// The names of a shape up to a mark, and then a key before each value.
    Partial {
        names: &'de [u8],
    },
    /// A key before each value. The message may give a wrong number of keys.
    Pairs {
        hint: usize,
    },
    Over,
}

/// The last key, for the path of an error.
#[derive(Clone, Copy)]
pub(super) enum KeyOf<'de> {
    Name(&'de [u8]),
    /// The message from the key on.
    Encoded(&'de [u8]),
}

impl<'de> EntryAccess<'_, 'de> {
    /// Returns the next name of the shape. `None` if a key follows in the message or the map ends.
    #[inline]
    fn next_name(&mut self) -> Result<Option<&'de [u8]>, Error> {
        match &mut self.names {
            Names::Shape { left: 0, .. } => {
                self.names = Names::Over;
                Ok(None)
            }
            Names::Shape { names, left } => {
                *left -= 1;
                next_name(names).map(Some)
            }
            Names::Partial { names } => {
                if self.decoder.rest.first() != Some(&tag::REST) {
                    return next_name(names).map(Some);
                }
                self.decoder.byte()?;
                self.names = Names::Pairs { hint: 0 };
                Ok(None)
            }
            Names::Pairs { .. } | Names::Over => Ok(None),
        }
    }

    /// Reads the tag of the next key.
    #[inline]
    fn next_tag(&mut self) -> Result<Option<u8>, Error> {
        if matches!(self.names, Names::Over) {
            return Ok(None);
        }
        match self.decoder.byte()? {
            tag::END => {
                self.names = Names::Over;
                Ok(None)
            }
            tag => Ok(Some(tag)),
        }
    }

    #[inline]
    fn finish(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.has_value) {
            self.decoder.skip_next()?;
        }
        let is_over = matches!(self.names, Names::Over) || (self.next_name()?.is_none() && self.next_tag()?.is_none());
        if !is_over {
            return Err(Error::custom("a map has more entries than were asked for"));
        }
        Ok(())
    }

    #[cold]
    fn locate(&self, error: Error) -> Error {
        match self.key {
            KeyOf::Name(name) => error.in_field(&String::from_utf8_lossy(name)),
            KeyOf::Encoded(key) => error.at_key(shown_key(key)),
        }
    }
}

impl<'de> de::MapAccess<'de> for EntryAccess<'_, 'de> {
    type Error = Error;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        if std::mem::replace(&mut self.has_value, true) {
            self.decoder.skip_next()?;
        }
        if let Some(name) = self.next_name()? {
            self.key = KeyOf::Name(name);
            return seed.deserialize(MapKey { key: Key::Name(name), is_field: self.is_struct, levels: 0 }).map(Some);
        }
        let before = self.decoder.rest;
        let Some(tag) = self.next_tag()? else {
            self.has_value = false;
            return Ok(None);
        };
        self.key = KeyOf::Encoded(before);
        let is_field = self.is_struct;
        let key =
            self.decoder.decode(tag, |value| seed.deserialize(MapKey { key: Key::Value(value), is_field, levels: 0 }));
        self.decoder.is_spoilt |= key.is_err();
        key.map(Some)
    }

    #[inline]
    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        self.has_value = false;
        let tag = self.decoder.byte()?;
        self.decoder.decode(tag, |value| seed.deserialize(value)).map_err(|error| self.locate(error))
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(match self.names {
            Names::Shape { left, .. } => left,
            Names::Pairs { hint } => hint,
            Names::Partial { .. } | Names::Over => 0,
        })
    }
}
