//! Values to bytes.

use std::io;

use serde::ser::{self, Serialize};

use super::depth::Depth;
use super::error::Error;
use super::shapes::{Key, Mention, NAME_MAX, Shapes};
use super::{decode, numbers, tag};

/// Where the bytes go for which a buffer has no room.
pub(crate) trait Sink {
    /// Gives `buffer` room for `more` bytes. May take out what is in it.
    fn make_room(&mut self, buffer: &mut Vec<u8>, more: usize) -> io::Result<()>;

    /// Takes bytes that go behind those in `buffer`.
    fn append(&mut self, buffer: &mut Vec<u8>, bytes: &[u8]) -> io::Result<()>;

    /// The bytes that were taken out.
    fn taken(&self) -> usize;

    /// Replaces one of them.
    fn patch(&mut self, at: usize, byte: u8) -> io::Result<()>;
}

/// Leaves everything in the buffer, however much it is.
#[derive(Debug, Default)]
pub(crate) struct InMemory;

impl Sink for InMemory {
    fn make_room(&mut self, buffer: &mut Vec<u8>, more: usize) -> io::Result<()> {
        buffer.reserve(more);
        Ok(())
    }

    fn append(&mut self, buffer: &mut Vec<u8>, bytes: &[u8]) -> io::Result<()> {
        buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn taken(&self) -> usize {
        0
    }

    fn patch(&mut self, _at: usize, _byte: u8) -> io::Result<()> {
        Err(io::ErrorKind::InvalidInput.into())
    }
}

/// What an encoder works with and can be used again: a buffer, and the shapes of structs that were seen.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) buffer: Vec<u8>,
    shapes: Shapes,
}

/// Encodes one value after another into one message.
#[derive(Debug)]
pub(crate) struct Encoder<S> {
    pub(crate) scratch: Box<Scratch>,
    pub(crate) sink: S,
}

impl<S: Sink> Encoder<S> {
    /// Begins a message in the scratch's buffer.
    pub(crate) fn new(mut scratch: Box<Scratch>, sink: S) -> Self {
        scratch.buffer.clear();
        scratch.shapes.begin();
        Self { scratch, sink }
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> usize {
        self.sink.taken() + self.scratch.buffer.len()
    }

    /// Appends a value.
    ///
    /// # Errors
    /// As the value's own `Serialize`, or what the sink says. The message is then what it was before, unless the sink has taken out a
    /// part of the value; then it is of no use.
    #[inline]
    pub(crate) fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let Scratch { buffer, shapes } = &mut *self.scratch;
        push(value, buffer, shapes, &mut self.sink)
    }
}

/// Encodes a value as a message of its own, in place of what is in the buffer.
#[inline]
pub(super) fn message<T: Serialize + ?Sized>(
    value: &T,
    buffer: &mut Vec<u8>,
    scratch: &mut Scratch,
) -> Result<(), Error> {
    buffer.clear();
    scratch.shapes.begin();
    push(value, buffer, &mut scratch.shapes, &mut InMemory)
}

#[inline]
fn push<T: Serialize + ?Sized, S: Sink>(
    value: &T,
    buffer: &mut Vec<u8>,
    shapes: &mut Shapes,
    sink: &mut S,
) -> Result<(), Error> {
    let mark = (buffer.len(), sink.taken(), shapes.mark());
    let mut writer = Writer { buffer, shapes, sink, depth: Depth::default() };
    let written = if writer.len() == 0 { writer.byte(tag::VERSION) } else { Ok(()) };
    let written = written.and_then(|()| value.serialize(&mut writer));
    if written.is_err() {
        writer.rewind(mark);
    }
    written
}

/// What serde writes to.
#[derive(Debug)]
pub(crate) struct Writer<'m, S> {
    buffer: &'m mut Vec<u8>,
    shapes: &'m mut Shapes,
    sink: &'m mut S,
    depth: Depth,
}

impl<'m, S: Sink> Writer<'m, S> {
    fn len(&self) -> usize {
        self.sink.taken() + self.buffer.len()
    }

    /// Takes back a value that has failed, as far as it is here.
    #[cold]
    fn rewind(&mut self, (length, taken, shapes): (usize, usize, u32)) {
        if taken == self.sink.taken() {
            self.buffer.truncate(length);
            self.shapes.rewind(shapes);
        }
    }

    #[inline(always)]
    fn has_room(&self, more: usize) -> bool {
        self.buffer.capacity() - self.buffer.len() >= more
    }

    /// Makes sure that `more` bytes can be put into the buffer.
    #[inline(always)]
    fn room(&mut self, more: usize) -> Result<(), Error> {
        if self.has_room(more) { Ok(()) } else { self.make_room(more) }
    }

    #[cold]
    fn make_room(&mut self, more: usize) -> Result<(), Error> {
        self.sink.make_room(self.buffer, more).map_err(of_sink)
    }

    #[inline(always)]
    fn byte(&mut self, byte: u8) -> Result<(), Error> {
        self.fixed([byte])
    }

    #[inline(always)]
    fn fixed<const N: usize>(&mut self, bytes: [u8; N]) -> Result<(), Error> {
        self.room(N)?;
        self.buffer.extend_from_slice(&bytes);
        Ok(())
    }

    #[inline(always)]
    fn raw(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.has_room(bytes.len()) {
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        self.append(bytes)
    }

    #[cold]
    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.sink.append(self.buffer, bytes).map_err(of_sink)
    }

    /// Replaces a byte that was written before.
    #[cold]
    fn patch(&mut self, at: usize, byte: u8) -> Result<(), Error> {
        match at.checked_sub(self.sink.taken()) {
            Some(place) => {
                self.buffer[place] = byte;
                Ok(())
            }
            None => self.sink.patch(at, byte).map_err(of_sink),
        }
    }

    /// A tag that counts the bytes behind it, and as many of the lowest bytes of a number.
    #[inline(always)]
    fn shortened(&mut self, first: u8, number: u64, bytes: u32) -> Result<(), Error> {
        const WHOLE: usize = 9;
        self.room(WHOLE)?;
        let mut written = [0; WHOLE];
        written[0] = first + bytes as u8;
        written[1..].copy_from_slice(&number.to_le_bytes());
        let end = self.buffer.len() + 1 + bytes as usize;
        self.buffer.extend_from_slice(&written);
        self.buffer.truncate(end);
        Ok(())
    }

    #[inline(always)]
    fn unsigned(&mut self, first: u8, number: u64) -> Result<(), Error> {
        self.shortened(first, number, (u64::BITS - number.leading_zeros()).div_ceil(8))
    }

    /// In two's complement; the sign is that of the last byte.
    #[inline(always)]
    fn signed(&mut self, first: u8, number: i64) -> Result<(), Error> {
        let magnitude = (number ^ (number >> 63)) as u64;
        let bytes = if number == 0 { 0 } else { (u64::BITS + 1 - magnitude.leading_zeros()).div_ceil(8) };
        self.shortened(first, number as u64, bytes)
    }

    #[inline(always)]
    fn length(&mut self, length: usize) -> Result<(), Error> {
        if length <= tag::LENGTH_MAX { self.byte(length as u8) } else { self.long_length(length) }
    }

    #[cold]
    fn long_length(&mut self, length: usize) -> Result<(), Error> {
        if let Ok(length) = u16::try_from(length) {
            self.byte(tag::LENGTH_16)?;
            return self.fixed(length.to_le_bytes());
        }
        if let Ok(length) = u32::try_from(length) {
            self.byte(tag::LENGTH_32)?;
            return self.fixed(length.to_le_bytes());
        }
        self.byte(tag::LENGTH_64)?;
        self.fixed((length as u64).to_le_bytes())
    }

    #[inline(always)]
    fn text(&mut self, text: &str) -> Result<(), Error> {
        if text.len() <= tag::SHORT_MAX {
            self.room(1 + tag::SHORT_MAX)?;
            self.buffer.push(text.len() as u8);
            self.buffer.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        self.byte(tag::TEXT)?;
        self.length(text.len())?;
        self.raw(text.as_bytes())
    }

    /// The tag of a variant, and its name as a shape.
    #[inline]
    fn variant(&mut self, kind: u8, name: &'static str) -> Result<(), Error> {
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
        Writer { buffer, shapes, sink: &mut InMemory, depth: Depth::default() }.length(name.len())?;
        self.length(buffer.len() + name.len())?;
        self.raw(buffer)?;
        self.raw(name.as_bytes())
    }

    #[inline(always)]
    fn mention(&mut self, mention: Mention, place: usize) -> Result<(), Error> {
        match mention {
            Mention::Number(number) => self.length(number as usize + tag::FIRST_SHAPE),
            Mention::Names => self.names(place),
        }
    }

    #[inline(never)]
    fn names(&mut self, place: usize) -> Result<(), Error> {
        self.length(tag::NEW_SHAPE)?;
        self.length(self.shapes.fields(place))?;
        let length = self.shapes.names(place).len();
        self.length(length)?;
        self.room(length)?;
        self.buffer.extend_from_slice(self.shapes.names(place));
        Ok(())
    }

    #[inline(always)]
    fn fields<'a>(&'a mut self, name: &'static str, length: usize) -> Result<Fields<'a, 'm, S>, Error> {
        self.depth.enter()?;
        let key = Key::of_struct(name, length);
        let head = self.len();
        let place = self.shapes.find(key);
        let named = match place.map(|place| (self.shapes.mention(place), place)) {
            Some((Some(mention), place)) => {
                self.byte(tag::STRUCT)?;
                self.mention(mention, place)?;
                None
            }
            unknown => Some(self.unknown(unknown.is_none().then_some(key), length)?),
        };
        Ok(Fields { writer: self, place: place.unwrap_or_default() as u32, at: 0, head, named })
    }

    /// A struct whose shape is not known before its end.
    #[cold]
    fn unknown(&mut self, key: Option<Key>, length: usize) -> Result<Box<Named>, Error> {
        self.byte(tag::MAP)?;
        self.length(length)?;
        Ok(Box::new(Named { key, ..Named::default() }))
    }

    #[inline(always)]
    fn elements<'a>(&'a mut self, length: Option<usize>) -> Result<Elements<'a, 'm, S>, Error> {
        self.depth.enter()?;
        self.byte(tag::SEQ)?;
        self.length(length.unwrap_or(0))?;
        let has_runs = length.is_none_or(|length| length >= RUN_MIN);
        Ok(Elements { writer: self, index: 0, has_runs, run: 0, run_start: 0 })
    }
}

/// What a sink refuses is told by its own words.
#[cold]
fn of_sink(error: io::Error) -> Error {
    Error::new(error.to_string())
}

fn push_name(names: &mut Vec<u8>, name: &str) {
    names.push(name.len() as u8);
    names.extend_from_slice(name.as_bytes());
}

/// Whether names begin with this one.
#[inline(always)]
fn is_next(names: &[u8], name: &str) -> bool {
    names.split_first().is_some_and(|(length, names)| {
        usize::from(*length) == name.len() && names.get(..name.len()).is_some_and(|next| next == name.as_bytes())
    })
}

impl<'a, 'm, S: Sink> ser::Serializer for &'a mut Writer<'m, S> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Elements<'a, 'm, S>;
    type SerializeTuple = Elements<'a, 'm, S>;
    type SerializeTupleStruct = Elements<'a, 'm, S>;
    type SerializeTupleVariant = OfVariant<Elements<'a, 'm, S>>;
    type SerializeMap = Entries<'a, 'm, S>;
    type SerializeStruct = Fields<'a, 'm, S>;
    type SerializeStructVariant = OfVariant<Fields<'a, 'm, S>>;

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.byte(if value { tag::TRUE } else { tag::FALSE })
    }

    #[inline]
    fn serialize_i8(self, value: i8) -> Result<(), Error> {
        self.fixed([tag::I8, value as u8])
    }

    #[inline]
    fn serialize_i16(self, value: i16) -> Result<(), Error> {
        self.signed(tag::I16, value.into())
    }

    #[inline]
    fn serialize_i32(self, value: i32) -> Result<(), Error> {
        self.signed(tag::I32, value.into())
    }

    #[inline]
    fn serialize_i64(self, value: i64) -> Result<(), Error> {
        self.signed(tag::I64, value)
    }

    #[inline]
    fn serialize_i128(self, value: i128) -> Result<(), Error> {
        self.byte(tag::I128)?;
        self.fixed(value.to_le_bytes())
    }

    #[inline]
    fn serialize_u8(self, value: u8) -> Result<(), Error> {
        self.fixed([tag::U8, value])
    }

    #[inline]
    fn serialize_u16(self, value: u16) -> Result<(), Error> {
        self.unsigned(tag::U16, value.into())
    }

    #[inline]
    fn serialize_u32(self, value: u32) -> Result<(), Error> {
        self.unsigned(tag::U32, value.into())
    }

    #[inline]
    fn serialize_u64(self, value: u64) -> Result<(), Error> {
        self.unsigned(tag::U64, value)
    }

    #[inline]
    fn serialize_u128(self, value: u128) -> Result<(), Error> {
        self.byte(tag::U128)?;
        self.fixed(value.to_le_bytes())
    }

    #[inline]
    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        let [a, b, c, d] = value.to_le_bytes();
        self.fixed([tag::F32, a, b, c, d])
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
        self.fixed([tag::F64, a, b, c, d, e, f, g, h])
    }

    #[inline]
    fn serialize_char(self, value: char) -> Result<(), Error> {
        let [a, b, c, _] = u32::from(value).to_le_bytes();
        self.fixed([tag::CHAR, a, b, c])
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.text(value)
    }

    #[inline]
    fn serialize_bytes(self, value: &[u8]) -> Result<(), Error> {
        self.byte(tag::BYTES)?;
        self.length(value.len())?;
        self.raw(value)
    }

    #[inline]
    fn serialize_none(self) -> Result<(), Error> {
        self.byte(tag::NONE)
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        self.depth.enter()?;
        self.byte(tag::SOME)?;
        value.serialize(&mut *self)?;
        self.depth.leave();
        Ok(())
    }

    #[inline]
    fn serialize_unit(self) -> Result<(), Error> {
        self.byte(tag::UNIT)
    }

    #[inline]
    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Error> {
        self.byte(tag::UNIT)
    }

    #[inline]
    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> Result<(), Error> {
        self.variant(tag::UNIT_VARIANT, variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.depth.enter()?;
        self.variant(tag::VARIANT, variant)?;
        value.serialize(&mut *self).map_err(|error| error.in_variant(variant))?;
        self.depth.leave();
        Ok(())
    }

    #[inline(always)]
    fn serialize_seq(self, length: Option<usize>) -> Result<Elements<'a, 'm, S>, Error> {
        self.elements(length)
    }

    #[inline(always)]
    fn serialize_tuple(self, length: usize) -> Result<Elements<'a, 'm, S>, Error> {
        self.elements(Some(length))
    }

    #[inline(always)]
    fn serialize_tuple_struct(self, _name: &'static str, length: usize) -> Result<Elements<'a, 'm, S>, Error> {
        self.elements(Some(length))
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        self.variant(tag::VARIANT, variant)?;
        Ok(OfVariant { held: self.elements(Some(length))?, variant })
    }

    #[inline]
    fn serialize_map(self, length: Option<usize>) -> Result<Entries<'a, 'm, S>, Error> {
        self.depth.enter()?;
        self.byte(tag::MAP)?;
        self.length(length.unwrap_or(0))?;
        Ok(Entries { writer: self, key: 0 })
    }

    #[inline(always)]
    fn serialize_struct(self, name: &'static str, length: usize) -> Result<Fields<'a, 'm, S>, Error> {
        self.fields(name, length)
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        self.variant(tag::VARIANT, variant)?;
        Ok(OfVariant { held: self.fields(variant, length)?, variant })
    }

    #[inline]
    fn collect_seq<I>(self, iterable: I) -> Result<(), Error>
    where
        I: IntoIterator<Item: Serialize>,
    {
        if let Some((number, bytes)) = numbers::block(&iterable) {
            self.fixed([tag::NUMBERS, number])?;
            self.length(bytes.len() / tag::number_size(number).unwrap_or(1))?;
            return self.raw(bytes);
        }
        let iterator = iterable.into_iter();
        let mut elements = self.elements(match iterator.size_hint() {
            (least, Some(most)) if least == most => Some(least),
            _ => None,
        })?;
        for element in iterator {
            elements.push(&element)?;
        }
        elements.finish()
    }

    fn is_human_readable(&self) -> bool {
        true
    }
}

/// Numbers of one type that are worth a run.
const RUN_MIN: usize = 8;

/// A sequence or tuple that is being encoded. Numbers of one type that follow each other are put together as a run.
#[derive(Debug)]
pub(crate) struct Elements<'a, 'm, S> {
    writer: &'a mut Writer<'m, S>,
    /// Elements so far that are in no run.
    index: usize,
    has_runs: bool,
    /// The tag of the numbers in the run at the end of the buffer; 0 if there is none.
    run: u8,
    /// Where in the buffer its numbers begin. It is not taken out before it is closed.
    run_start: usize,
}

impl<S: Sink> Elements<'_, '_, S> {
    #[inline(always)]
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        if self.has_runs
            && let Some((tag, bytes)) = numbers::number(value)
        {
            if tag != self.run || !self.writer.has_room(bytes.len()) {
                self.open_run(tag)?;
            }
            self.writer.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        self.close_run();
        self.index += 1;
        match value.serialize(&mut *self.writer) {
            Ok(()) => Ok(()),
            Err(error) => Err(error.at_index(self.index - 1)),
        }
    }

    #[cold]
    fn open_run(&mut self, tag: u8) -> Result<(), Error> {
        /// Room for a few numbers too.
        const HEAD: usize = 2 + size_of::<u32>();
        self.close_run();
        self.writer.room(HEAD + 256)?;
        self.writer.fixed([tag::RUN, tag, 0, 0, 0, 0])?;
        self.run = tag;
        self.run_start = self.writer.buffer.len();
        Ok(())
    }

    #[inline(always)]
    fn close_run(&mut self) {
        if self.run != 0 {
            self.end_run();
        }
    }

    #[cold]
    fn end_run(&mut self) {
        let start = self.run_start;
        let buffer = &mut *self.writer.buffer;
        let numbers = (buffer.len() - start) / tag::number_size(self.run).unwrap_or(1);
        buffer[start - size_of::<u32>()..start].copy_from_slice(&(numbers as u32).to_le_bytes());
        self.index += numbers;
        self.run = 0;
        // A tuple of many kinds of numbers.
        self.has_runs = numbers >= RUN_MIN / 2;
    }

    #[inline]
    fn finish(mut self) -> Result<(), Error> {
        self.close_run();
        self.writer.depth.leave();
        self.writer.byte(tag::END)
    }
}

macro_rules! elements {
    ($($kind:ident $push:ident;)*) => {
        $(impl<S: Sink> ser::$kind for Elements<'_, '_, S> {
            type Ok = ();
            type Error = Error;

            #[inline(always)]
            fn $push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.push(value)
            }

            #[inline]
            fn end(self) -> Result<(), Error> {
                self.finish()
            }
        })*
    };
}

elements! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
}

/// A map that is being encoded.
#[derive(Debug)]
pub(crate) struct Entries<'a, 'm, S> {
    writer: &'a mut Writer<'m, S>,
    /// Where the last key begins.
    key: usize,
}

impl<S: Sink> Entries<'_, '_, S> {
    /// The last key, if it is still in the buffer.
    #[cold]
    fn locate(&self, error: Error) -> Error {
        let start = self.key.checked_sub(self.writer.sink.taken());
        let key = start.and_then(|start| self.writer.buffer.get(start..));
        error.at_key(key.unwrap_or_default())
    }
}

impl<S: Sink> ser::SerializeMap for Entries<'_, '_, S> {
    type Ok = ();
    type Error = Error;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.key = self.writer.len();
        key.serialize(&mut *self.writer)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(&mut *self.writer).map_err(|error| self.locate(error))
    }

    #[inline]
    fn end(self) -> Result<(), Error> {
        self.writer.depth.leave();
        self.writer.byte(tag::END)
    }
}

/// A struct that is being encoded.
#[derive(Debug)]
pub(crate) struct Fields<'a, 'm, S> {
    writer: &'a mut Writer<'m, S>,
    /// The shape that was bet on. All fields so far are its own, and the names of the others begin `at` this place.
    place: u32,
    at: u32,
    /// Where the struct's tag is.
    head: usize,
    /// Of a struct without a shape, or whose bet is lost.
    named: Option<Box<Named>>,
}

/// The names that are written in front of their values. They are collected to be remembered, if they can be.
#[derive(Debug, Default)]
struct Named {
    key: Option<Key>,
    names: Vec<u8>,
    fields: usize,
}

impl<S: Sink> Fields<'_, '_, S> {
    #[inline(always)]
    fn push<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        let names = self.writer.shapes.names(self.place as usize);
        if self.named.is_none() && names.get(self.at as usize..).is_some_and(|names| is_next(names, name)) {
            self.at += 1 + name.len() as u32;
        } else {
            self.name(name)?;
        }
        match value.serialize(&mut *self.writer) {
            Ok(()) => Ok(()),
            Err(error) => Err(error.in_field(name)),
        }
    }

    /// Writes a field's name.
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

    /// From here on, the fields are written with their names.
    #[cold]
    fn lose_bet(&mut self) -> Result<&mut Named, Error> {
        let named = match self.named.take() {
            Some(named) => named,
            None => {
                self.writer.patch(self.head, tag::PARTIAL)?;
                self.writer.byte(tag::REST)?;
                let (key, names) = self.writer.shapes.first_names(self.place as usize, self.at as usize);
                let fields = decode::names(&names).count();
                Box::new(Named { key: Some(key), names, fields })
            }
        };
        Ok(self.named.insert(named))
    }

    #[inline(always)]
    fn finish(self) -> Result<(), Error> {
        self.writer.depth.leave();
        let names = self.writer.shapes.names(self.place as usize);
        if self.named.is_none() && names.len() == self.at as usize { Ok(()) } else { self.finish_named() }
    }

    #[cold]
    fn finish_named(mut self) -> Result<(), Error> {
        self.lose_bet()?;
        if let Some(Named { key: Some(key), names, fields }) = self.named.as_deref() {
            self.writer.shapes.learn(*key, names, *fields);
        }
        self.writer.byte(tag::END)
    }
}

/// What a variant holds, being encoded.
#[derive(Debug)]
pub(crate) struct OfVariant<V> {
    held: V,
    variant: &'static str,
}

impl<S: Sink> ser::SerializeStruct for Fields<'_, '_, S> {
    type Ok = ();
    type Error = Error;

    // Where it is called, so that each name is compared as the constant that it is.
    #[inline(always)]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        self.push(name, value)
    }

    #[inline(always)]
    fn end(self) -> Result<(), Error> {
        self.finish()
    }
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
