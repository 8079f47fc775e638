//! Variants of enums.

use serde::ser::{self, Serialize};

use super::elements::SequenceWriter;
use super::fields::StructWriter;
use super::shape_cache::{NAME_MAX, ShapeKey, is_next, push_name};
use super::sink::Sink;
use super::writer::Writer;
use crate::ipc::codec::error::Error;
use crate::ipc::codec::tag;

impl<'m, S: Sink> Writer<'m, S> {
    /// Writes the tag of a variant, and the name as a shape.
    #[inline]
    pub(super) fn variant(&mut self, kind: u8, name: &'static str) -> Result<(), Error> {
        self.byte(kind)?;
        let known = self.shapes.find(ShapeKey::of_variant(name));
        match known.filter(|place| is_next(self.shapes.names(*place), name)) {
            Some(place) => match self.shapes.mention(place) {
                Some(mention) => self.mention(mention, place),
                None => self.passing(name),
            },
            None => self.new_variant(name),
        }
    }

    #[cold]
    fn new_variant(&mut self, name: &'static str) -> Result<(), Error> {
        if name.len() > NAME_MAX {
            return self.passing(name);
        }
        let mut names = Vec::with_capacity(1 + name.len());
        push_name(&mut names, name);
        let place = self.shapes.learn(ShapeKey::of_variant(name), &names, 1);
        match place.and_then(|place| Some((self.shapes.mention(place)?, place))) {
            Some((mention, place)) => self.mention(mention, place),
            None => self.passing(name),
        }
    }

    /// Writes the name as a shape without a number.
    #[cold]
    fn passing(&mut self, name: &str) -> Result<(), Error> {
        self.length(tag::PASSING_SHAPE)?;
        self.length(1)?;
        self.length(tag::length_size(name.len()) + name.len())?;
        self.length(name.len())?;
        self.raw(name.as_bytes())
    }
}

/// Encodes the content of a variant.
#[derive(Debug)]
pub(super) struct VariantWriter<V> {
    pub(super) held: V,
    pub(super) variant: &'static str,
}

impl<S: Sink> ser::SerializeStructVariant for VariantWriter<StructWriter<'_, '_, S>> {
    type Ok = ();
    type Error = Error;

    #[inline(always)]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        self.held.push(name, value).map_err(|error| error.in_variant(self.variant))
    }

    #[inline(always)]
    fn end(self) -> Result<(), Error> {
        self.held.finish()
    }
}

impl<S: Sink> ser::SerializeTupleVariant for VariantWriter<SequenceWriter<'_, '_, S>> {
    type Ok = ();
    type Error = Error;

    #[inline(always)]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.held.push(value).map_err(|error| error.in_variant(self.variant))
    }

    #[inline(always)]
    fn end(self) -> Result<(), Error> {
        self.held.finish()
    }
}
