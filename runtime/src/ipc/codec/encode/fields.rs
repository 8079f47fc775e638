//! Structs, encoded by a bet on the shape.

use serde::ser::{self, Serialize};

use super::shape_cache::{NAME_MAX, ShapeKey, count_names, is_next, push_name};
use super::sink::Sink;
use super::writer::Writer;
use crate::ipc::codec::error::Error;
use crate::ipc::codec::tag;

impl<'m, S: Sink> Writer<'m, S> {
    #[inline(always)]
    pub(super) fn fields<'a>(
        &'a mut self,
        name: &'static str,
        length: usize,
    ) -> Result<StructWriter<'a, 'm, S>, Error> {
        self.depth.enter()?;
        let key = ShapeKey::of_struct(name, length);
        let head = self.position();
        let place = self.shapes.find(key);
        let named = match place.map(|place| (self.shapes.mention(place), place)) {
            Some((Some(mention), place)) => {
                self.byte(tag::STRUCT)?;
                self.mention(mention, place)?;
                None
            }
            unknown => Some(self.unknown(unknown.is_none().then_some(key), length)?),
        };
        Ok(StructWriter { writer: self, place: place.unwrap_or_default() as u32, at: 0, head, named })
    }

    /// Begins a struct of an unknown shape.
    #[cold]
    fn unknown(&mut self, key: Option<ShapeKey>, length: usize) -> Result<Box<NamedFields>, Error> {
        self.byte(tag::MAP)?;
        self.length(length)?;
        Ok(Box::new(NamedFields { key, ..NamedFields::default() }))
    }
}

/// Encodes a struct. The names of the fields are compared with the shape of the bet.
#[derive(Debug)]
pub(super) struct StructWriter<'a, 'm, S> {
    writer: &'a mut Writer<'m, S>,
    /// The shape of the bet. All earlier fields match the shape. The next name begins at `at`.
    place: u32,
    at: u32,
    /// The position of the struct's tag in the message.
    head: usize,
    /// The names of a struct of an unknown shape, or after a lost bet.
    named: Option<Box<NamedFields>>,
}

/// The names of the earlier fields, for a new shape. `key` is `None` if a name is too long for a shape.
#[derive(Debug, Default)]
struct NamedFields {
    key: Option<ShapeKey>,
    names: Vec<u8>,
    fields: usize,
}

impl<S: Sink> StructWriter<'_, '_, S> {
    #[inline(always)]
    pub(super) fn push<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        let names = self.writer.shapes.names(self.place as usize);
        if self.named.is_none() && names.get(self.at as usize..).is_some_and(|names| is_next(names, name)) {
            self.at += 1 + name.len() as u32;
        } else {
            self.name(name)?;
        }
        match value.serialize(&mut *self.writer) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.writer.spoil(error).in_field(name)),
        }
    }

    /// Writes the name of a field.
    #[cold]
    fn name(&mut self, name: &'static str) -> Result<(), Error> {
        let named = self.lose_bet()?;
        if name.len() > NAME_MAX {
            named.key = None;
        }
        push_name(&mut named.names, name);
        named.fields += 1;
        self.writer.text(name)
    }

    /// Writes the further fields with names.
    #[cold]
    fn lose_bet(&mut self) -> Result<&mut NamedFields, Error> {
        let named = match self.named.take() {
            Some(named) => named,
            None => {
                self.writer.patch(self.head, tag::PARTIAL)?;
                self.writer.byte(tag::REST)?;
                let (key, names) = self.writer.shapes.first_names(self.place as usize, self.at as usize);
                let fields = count_names(&names);
                Box::new(NamedFields { key: Some(key), names, fields })
            }
        };
        Ok(self.named.insert(named))
    }

    #[inline(always)]
    pub(super) fn finish(self) -> Result<(), Error> {
        self.writer.depth.leave();
        let names = self.writer.shapes.names(self.place as usize);
        if self.named.is_none() && names.len() == self.at as usize { Ok(()) } else { self.finish_named() }
    }

    #[cold]
    fn finish_named(mut self) -> Result<(), Error> {
        self.lose_bet()?;
        if let Some(NamedFields { key: Some(key), names, fields }) = self.named.as_deref() {
            self.writer.shapes.learn(*key, names, *fields);
        }
        self.writer.byte(tag::END)
    }
}

impl<S: Sink> ser::SerializeStruct for StructWriter<'_, '_, S> {
    type Ok = ();
    type Error = Error;

    // Inlined into the caller, where each name is a constant.
    #[inline(always)]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        self.push(name, value)
    }

    #[inline(always)]
    fn end(self) -> Result<(), Error> {
        self.finish()
    }
}
