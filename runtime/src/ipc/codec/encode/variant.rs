//! Variants of enums.

use serde::ser::{self, Serialize};

use super::super::shapes::{Key, Mention, NAME_MAX};
use super::elements::Elements;
use super::fields::{Fields, is_next, push_name};
use super::{Depth, Error, InMemory, Scratch, Sink, Writer, tag};

impl<'m, S: Sink> Writer<'m, S> {
    /// The tag of a variant, and its name as a shape.
    #[inline]
    pub(super) fn variant(&mut self, kind: u8, name: &'static str) -> Result<(), Error> {
        self.byte(kind)?;
        let known = self.shapes.find(Key::of_variant(name));
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
        let place = self.shapes.learn(Key::of_variant(name), &names, 1);
        match place.and_then(|place| Some((self.shapes.mention(place)?, place))) {
            Some((mention, place)) => self.mention(mention, place),
            None => self.passing(name),
        }
    }

    /// A shape of one name that gets no number.
    #[cold]
    fn passing(&mut self, name: &str) -> Result<(), Error> {
        self.length(tag::PASSING_SHAPE)?;
        self.length(1)?;
        let mut scratch = Scratch::default();
        let Scratch { buffer, shapes } = &mut scratch;
        Writer { buffer, shapes, sink: &mut InMemory, depth: Depth::default(), is_spoilt: false }.length(name.len())?;
        self.length(buffer.len() + name.len())?;
        self.raw(buffer)?;
        self.raw(name.as_bytes())
    }

    #[inline(always)]
    pub(super) fn mention(&mut self, mention: Mention, place: usize) -> Result<(), Error> {
        match mention {
            Mention::Number(number) => self.length(number as usize + tag::FIRST_SHAPE),
            Mention::Names => self.names(place),
        }
    }

    #[inline(never)]
    pub(super) fn names(&mut self, place: usize) -> Result<(), Error> {
        self.length(tag::NEW_SHAPE)?;
        self.length(self.shapes.fields(place))?;
        let length = self.shapes.names(place).len();
        self.length(length)?;
        self.room(length)?;
        self.buffer.extend_from_slice(self.shapes.names(place));
        Ok(())
    }
}

/// What a variant holds, being encoded.
#[derive(Debug)]
pub(in super::super) struct OfVariant<V> {
    pub(super) held: V,
    pub(super) variant: &'static str,
}

impl<S: Sink> ser::SerializeStructVariant for OfVariant<Fields<'_, '_, S>> {
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

impl<S: Sink> ser::SerializeTupleVariant for OfVariant<Elements<'_, '_, S>> {
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
