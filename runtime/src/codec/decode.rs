//! Bytes to values.
//!
//! The bytes may come from anywhere. Every length is checked against the bytes that are there before anything is allocated for it,
//! and a value inside a value counts against the [depth](super::depth).

use std::any::TypeId;

use serde::Deserialize;
use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, Error as _, Unexpected, Visitor};

use super::depth::Depth;
use super::error::Error;
use super::shapes::MOST_IN_MESSAGE;
use super::{numbers, tag};

/// Decodes one value after another from one message.
#[derive(Debug)]
pub(crate) struct Decoder<'de> {
    input: &'de [u8],
    rest: &'de [u8],
    shapes: Shapes,
    depth: Depth,
}

/// How far a message has been decoded.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    at: usize,
    shapes: Shapes,
}

/// The shapes that the message has told, by number. Most messages have one or none, for which no memory is needed.
#[derive(Debug, Default)]
struct Shapes {
    first: Option<Shape>,
    others: Vec<Shape>,
}

impl Shapes {
    #[inline(always)]
    fn get(&mut self, number: usize) -> Option<&mut Shape> {
        match number.checked_sub(1) {
            None => self.first.as_mut(),
            Some(number) => self.others.get_mut(number),
        }
    }

    /// Adds a shape, and returns its number.
    #[inline]
    fn push(&mut self, shape: Shape) -> Result<usize, Error> {
        if self.first.is_none() {
            self.first = Some(shape);
            return Ok(0);
        }
        if self.others.len() >= MOST_IN_MESSAGE as usize {
            return Err(Error::new("a value of more shapes than it may tell"));
        }
        self.others.push(shape);
        Ok(self.others.len())
    }
}

/// A shape that the message has told.
#[derive(Debug)]
struct Shape {
    /// Where in the message its names are.
    start: usize,
    end: usize,
    fields: usize,
    verdict: Verdict,
}

/// Whether a visitor can take the values of a shape by their positions.
#[derive(Clone, Copy, Debug)]
struct Verdict {
    visitor: TypeId,
    /// Address and number of the names that the visitor expects.
    expected: (usize, usize),
    holds: bool,
}

/// A mention of a shape.
#[derive(Clone, Copy, Debug)]
struct Mention<'de> {
    names: &'de [u8],
    fields: usize,
    /// `None` for a shape without a number.
    number: Option<usize>,
}

impl<'de> Decoder<'de> {
    pub(crate) fn new(input: &'de [u8]) -> Self {
        Self::resume(input, Progress::default())
    }

    /// Goes on with a message that was decoded in part.
    pub(crate) fn resume(input: &'de [u8], progress: Progress) -> Self {
        let rest = input.get(progress.at..).unwrap_or_default();
        Self { input, rest, shapes: progress.shapes, depth: Depth::default() }
    }

    pub(crate) fn into_progress(self) -> Progress {
        Progress { at: self.at(), shapes: self.shapes }
    }

    /// The bytes behind the last value.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    /// The next value.
    ///
    /// # Errors
    /// As the value's own `Deserialize`; if the bytes are no message.
    #[inline]
    pub(crate) fn pull<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        self.depth.reset();
        if self.at() == 0 {
            self.version()?;
        }
        T::deserialize(self.value()?)
    }

    fn version(&mut self) -> Result<(), Error> {
        match self.byte()? {
            tag::VERSION => Ok(()),
            other => Err(Error::new(format!(
                "the value is in version {other} of the format, and this program reads version {}",
                tag::VERSION
            ))),
        }
    }

    fn at(&self) -> usize {
        self.input.len() - self.rest.len()
    }

    #[inline]
    fn value(&mut self) -> Result<Value<'_, 'de>, Error> {
        let tag = self.byte()?;
        Ok(Value { decoder: self, tag })
    }

    #[inline(always)]
    fn byte(&mut self) -> Result<u8, Error> {
        let (byte, rest) = self.rest.split_first().ok_or_else(too_short)?;
        self.rest = rest;
        Ok(*byte)
    }

    #[inline(always)]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (array, rest) = self.rest.split_first_chunk().ok_or_else(too_short)?;
        self.rest = rest;
        Ok(*array)
    }

    #[inline(always)]
    fn bytes(&mut self, length: usize) -> Result<&'de [u8], Error> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or_else(too_short)?;
        self.rest = rest;
        Ok(bytes)
    }

    #[inline(always)]
    fn length(&mut self) -> Result<usize, Error> {
        match self.byte()? {
            short if usize::from(short) <= tag::LENGTH_MAX => Ok(short.into()),
            mark => self.long_length(mark),
        }
    }

    #[cold]
    fn long_length(&mut self, mark: u8) -> Result<usize, Error> {
        let length = match mark {
            tag::LENGTH_16 => u16::from_le_bytes(self.array()?).into(),
            tag::LENGTH_32 => u32::from_le_bytes(self.array()?).into(),
            _ => u64::from_le_bytes(self.array()?),
        };
        usize::try_from(length).map_err(|_| too_short())
    }

    /// The number of a few little-endian bytes.
    #[inline(always)]
    fn unsigned(&mut self, bytes: u8) -> Result<u64, Error> {
        let bytes = usize::from(bytes);
        if let Some(word) = self.rest.first_chunk() {
            self.rest = &self.rest[bytes..];
            let mask = u64::MAX.checked_shr(u64::BITS - 8 * bytes as u32).unwrap_or(0);
            return Ok(u64::from_le_bytes(*word) & mask);
        }
        let mut word = [0; 8];
        word[..bytes].copy_from_slice(self.bytes(bytes)?);
        Ok(u64::from_le_bytes(word))
    }

    /// The same in two's complement.
    #[inline(always)]
    fn signed(&mut self, bytes: u8) -> Result<i64, Error> {
        let number = self.unsigned(bytes)?;
        let unused = u64::BITS - 8 * u32::from(bytes);
        Ok((number.checked_shl(unused).unwrap_or(0) as i64) >> unused.min(u64::BITS - 1))
    }

    #[inline]
    fn text(&mut self, tag: u8) -> Result<&'de str, Error> {
        let length = if usize::from(tag) <= tag::SHORT_MAX { usize::from(tag) } else { self.length()? };
        to_text(self.bytes(length)?)
    }

    #[inline]
    fn mention(&mut self) -> Result<Mention<'de>, Error> {
        let number = self.length()?;
        match number.checked_sub(tag::FIRST_SHAPE) {
            Some(number) => {
                let shape = self.shapes.get(number).ok_or_else(|| Error::new("a shape that the value has not told"))?;
                Ok(Mention { names: &self.input[shape.start..shape.end], fields: shape.fields, number: Some(number) })
            }
            None => self.new_shape(number),
        }
    }

    fn new_shape(&mut self, kind: usize) -> Result<Mention<'de>, Error> {
        let fields = self.length()?;
        let length = self.length()?;
        let start = self.at();
        let names = self.bytes(length)?;
        if kind == tag::PASSING_SHAPE {
            return Ok(Mention { names, fields, number: None });
        }
        let verdict = Verdict { visitor: typeid::of::<()>(), expected: (0, 0), holds: false };
        let number = self.shapes.push(Shape { start, end: start + length, fields, verdict })?;
        Ok(Mention { names, fields, number: Some(number) })
    }

    /// Whether the visitor can be given the values of a shape in their order.
    ///
    /// The names must be those that the visitor expects, in its order, and the visitor must be one that takes values by position: one
    /// that serde's derive has written. Any other visitor gets the names.
    #[inline]
    fn has_positions<V>(&mut self, mention: Mention<'_>, expected: &'static [&'static str]) -> bool {
        let visitor = typeid::of::<V>();
        let address = (expected.as_ptr().addr(), expected.len());
        let verdict = mention.number.and_then(|number| Some(&mut self.shapes.get(number)?.verdict));
        if let Some(verdict) = &verdict
            && verdict.visitor == visitor
            && verdict.expected == address
        {
            return verdict.holds;
        }
        let holds = mention.fields == expected.len() && is_derived::<V>() && are_names(mention.names, expected);
        if let Some(verdict) = verdict {
            *verdict = Verdict { visitor, expected: address, holds };
        }
        holds
    }

    /// Passes over a value.
    fn skip(&mut self, tag: u8) -> Result<(), Error> {
        self.depth.enter()?;
        match tag {
            tag::UNIT | tag::NONE | tag::FALSE | tag::TRUE => {}
            tag::SOME => self.skip_next()?,
            tag::UNIT_VARIANT => drop(self.mention()?),
            tag::VARIANT => {
                self.mention()?;
                self.skip_next()?;
            }
            tag::BYTES => {
                let length = self.length()?;
                self.bytes(length)?;
            }
            tag::CHAR => drop(self.bytes(3)?),
            tag::SEQ => {
                self.length()?;
                while self.skip_element()? {}
            }
            tag::MAP => {
                self.length()?;
                while self.skip_element()? {}
            }
            tag::STRUCT => {
                for _ in 0..self.mention()?.fields {
                    self.skip_next()?;
                }
            }
            tag::PARTIAL => {
                self.mention()?;
                while self.rest.first() != Some(&tag::REST) {
                    self.skip_next()?;
                }
                self.byte()?;
                while self.skip_element()? {}
            }
            tag::NUMBERS => {
                let (number, count) = (self.byte()?, self.length()?);
                self.run(number, count)?;
            }
            _ if usize::from(tag) <= tag::SHORT_MAX || tag == tag::TEXT => drop(self.text(tag)?),
            _ => drop(self.number(tag)?),
        }
        self.depth.leave();
        Ok(())
    }

    fn skip_next(&mut self) -> Result<(), Error> {
        let tag = self.byte()?;
        self.skip(tag)
    }

    /// Whether there was one.
    fn skip_element(&mut self) -> Result<bool, Error> {
        match self.byte()? {
            tag::END => return Ok(false),
            tag::RUN => drop(self.next_run()?),
            tag => self.skip(tag)?,
        }
        Ok(true)
    }

    #[inline]
    fn elements<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        let hint = self.length()?;
        // A sequence of one run is a block of numbers.
        let before = self.rest;
        if before.first() == Some(&tag::RUN) {
            self.byte()?;
            let run = self.next_run()?;
            if self.rest.first() == Some(&tag::END) {
                self.byte()?;
                return run.visit(visitor);
            }
            self.rest = before;
        }
        self.depth.enter()?;
        let hint = hint.min(self.rest.len());
        let mut elements = Elements { decoder: self, hint, index: 0, run: Run::default(), is_over: false };
        let value = visitor.visit_seq(&mut elements)?;
        elements.finish()?;
        Ok(value)
    }

    /// The numbers of a block.
    #[inline]
    fn run(&mut self, number: u8, count: usize) -> Result<Run<'de>, Error> {
        let size = tag::number_size(number).ok_or_else(|| unknown(number))?;
        let numbers = self.bytes(count.checked_mul(size).ok_or_else(too_short)?)?;
        Ok(Run { number, size, numbers })
    }

    /// The numbers of a run in a sequence.
    #[inline]
    fn next_run(&mut self) -> Result<Run<'de>, Error> {
        let number = self.byte()?;
        let count = u32::from_le_bytes(self.array()?);
        self.run(number, count as usize)
    }

    #[inline]
    fn number(&mut self, tag: u8) -> Result<Number, Error> {
        Ok(match tag {
            tag::U8 => Number::U8(self.byte()?),
            tag::I8 => Number::I8(self.byte()? as i8),
            tag::U16..=tag::U16_WHOLE => Number::U16(self.unsigned(tag - tag::U16)? as u16),
            tag::I16..=tag::I16_WHOLE => Number::I16(self.signed(tag - tag::I16)? as i16),
            tag::U32..=tag::U32_WHOLE => Number::U32(self.unsigned(tag - tag::U32)? as u32),
            tag::I32..=tag::I32_WHOLE => Number::I32(self.signed(tag - tag::I32)? as i32),
            tag::U64..=tag::U64_WHOLE => Number::U64(self.unsigned(tag - tag::U64)?),
            tag::I64..=tag::I64_WHOLE => Number::I64(self.signed(tag - tag::I64)?),
            tag::U128 => Number::U128(u128::from_le_bytes(self.array()?)),
            tag::I128 => Number::I128(i128::from_le_bytes(self.array()?)),
            tag::F32 => Number::F32(f32::from_le_bytes(self.array()?)),
            tag::F64 => Number::F64(f64::from_le_bytes(self.array()?)),
            other => return Err(unknown(other)),
        })
    }
}

#[cold]
fn too_short() -> Error {
    Error::new("the encoded value ends too early")
}

#[cold]
fn unknown(tag: u8) -> Error {
    Error::new(format!("the encoded value has a byte {tag:#04x} where another value begins"))
}

#[inline]
fn to_text(bytes: &[u8]) -> Result<&str, Error> {
    str::from_utf8(bytes).map_err(|_| Error::new("a text in the encoded value is not UTF-8"))
}

/// The names of a shape that an encoder remembers.
pub(super) fn names(mut names: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = names.split_first()?;
        let (name, rest) = rest.split_at_checked((*length).into())?;
        names = rest;
        Some(name)
    })
}

/// Whether bytes of the same length are equal. Names are short: they are compared as two words that may overlap.
#[inline(always)]
fn is_same(one: &[u8], other: &[u8]) -> bool {
    match one.len() {
        0..4 => one.iter().eq(other),
        4..8 => one.first_chunk::<4>() == other.first_chunk() && one.last_chunk::<4>() == other.last_chunk(),
        8..=16 => one.first_chunk::<8>() == other.first_chunk() && one.last_chunk::<8>() == other.last_chunk(),
        _ => one == other,
    }
}

#[inline]
fn are_names(mut names: &[u8], expected: &[&str]) -> bool {
    for name in expected {
        let Some((length, rest)) = names.split_first() else { return false };
        let Some((next, rest)) = rest.split_at_checked(name.len()) else { return false };
        if usize::from(*length) != name.len() || !is_same(next, name.as_bytes()) {
            return false;
        }
        names = rest;
    }
    names.is_empty()
}

/// Whether serde's derive has written a visitor, by its name. If it had another name, all would be as right, and slower.
fn is_derived<V>() -> bool {
    let name = std::any::type_name::<V>();
    name.ends_with("::__Visitor") || (name.ends_with('>') && name.contains("::__Visitor<"))
}

/// Whether a visitor only keeps what it is given, for a `Deserialize` that follows (serde's `untagged`, `tag` and `flatten`).
///
/// What is kept there has no place for some of what this format tells, so that it is told as JSON would.
#[inline]
fn is_buffer<V>() -> bool {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Only(()),
    }
    typeid::of::<V>() == numbers::visitor_of::<Untagged>()
}

#[derive(Clone, Copy, Debug)]
enum Number {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    U64(u64),
    I64(i64),
    U128(u128),
    I128(i128),
    F32(f32),
    F64(f64),
}

impl Number {
    /// As what it was written.
    #[inline]
    fn visit<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::U8(number) => visitor.visit_u8(number),
            Self::I8(number) => visitor.visit_i8(number),
            Self::U16(number) => visitor.visit_u16(number),
            Self::I16(number) => visitor.visit_i16(number),
            Self::U32(number) => visitor.visit_u32(number),
            Self::I32(number) => visitor.visit_i32(number),
            Self::U64(number) => visitor.visit_u64(number),
            Self::I64(number) => visitor.visit_i64(number),
            Self::U128(number) => visitor.visit_u128(number),
            Self::I128(number) => visitor.visit_i128(number),
            Self::F32(number) => visitor.visit_f32(number),
            Self::F64(number) => visitor.visit_f64(number),
        }
    }

    /// As JSON tells it: integers of one kind each, whether there is a sign or not.
    #[inline]
    fn visit_plain<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let integer = match self {
            Self::U8(number) => return visitor.visit_u64(number.into()),
            Self::U16(number) => return visitor.visit_u64(number.into()),
            Self::U32(number) => return visitor.visit_u64(number.into()),
            Self::U64(number) => return visitor.visit_u64(number),
            Self::U128(number) => {
                return match u64::try_from(number) {
                    Ok(number) => visitor.visit_u64(number),
                    Err(_) => visitor.visit_u128(number),
                };
            }
            Self::I8(number) => number.into(),
            Self::I16(number) => number.into(),
            Self::I32(number) => number.into(),
            Self::I64(number) => number.into(),
            Self::I128(number) => number,
            Self::F32(_) | Self::F64(_) => return self.visit(visitor),
        };
        match (u64::try_from(integer), i64::try_from(integer)) {
            (Ok(number), _) => visitor.visit_u64(number),
            (_, Ok(number)) => visitor.visit_i64(number),
            _ => visitor.visit_i128(integer),
        }
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::U8(number) => number.fmt(f),
            Self::I8(number) => number.fmt(f),
            Self::U16(number) => number.fmt(f),
            Self::I16(number) => number.fmt(f),
            Self::U32(number) => number.fmt(f),
            Self::I32(number) => number.fmt(f),
            Self::U64(number) => number.fmt(f),
            Self::I64(number) => number.fmt(f),
            Self::U128(number) => number.fmt(f),
            Self::I128(number) => number.fmt(f),
            Self::F32(number) => number.fmt(f),
            Self::F64(number) => number.fmt(f),
        }
    }
}

/// A value whose tag has been read.
struct Value<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    tag: u8,
}

impl<'a, 'de> Value<'a, 'de> {
    /// What is in an `Option`, for a type that asks for something else: JSON does not tell them apart either.
    #[inline]
    fn unwrapped(mut self) -> Result<Self, Error> {
        while self.tag == tag::SOME {
            self.tag = self.decoder.byte()?;
        }
        Ok(self)
    }

    #[inline(always)]
    fn is_text(&self) -> bool {
        usize::from(self.tag) <= tag::SHORT_MAX || self.tag == tag::TEXT
    }

    /// Whether the tag is that of a number.
    fn is_number(&self) -> bool {
        (tag::U8..=tag::I64_WHOLE).contains(&self.tag)
    }

    /// For a number where another type of number was written, if one was written at all.
    #[cold]
    fn as_number<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let value = self.unwrapped()?;
        if value.is_number() {
            value.decoder.number(value.tag)?.visit_plain(visitor)
        } else {
            value.deserialize_any(visitor)
        }
    }

    #[inline]
    fn sequence<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Self { decoder, tag } = self;
        let number = match tag {
            tag::SEQ => return decoder.elements(visitor),
            tag::NUMBERS => decoder.byte()?,
            _ => tag::U8,
        };
        let count = decoder.length()?;
        decoder.run(number, count)?.visit(visitor)
    }

    /// Values with their names. `is_struct`: whether a struct was asked for, so that the keys can be nothing but names of fields.
    #[inline]
    fn entries<V: Visitor<'de>>(self, visitor: V, is_struct: bool) -> Result<V::Value, Error> {
        let names = match self.tag {
            tag::MAP => Names::Pairs { hint: self.decoder.length()? },
            tag::STRUCT => {
                let Mention { names, fields, .. } = self.decoder.mention()?;
                Names::Shape { names, left: fields }
            }
            tag::PARTIAL => Names::Partial { names: self.decoder.mention()?.names },
            _ => Names::Shape { names: self.decoder.mention()?.names, left: 1 },
        };
        self.entries_of(names, visitor, is_struct)
    }

    #[inline]
    fn entries_of<V: Visitor<'de>>(self, names: Names<'de>, visitor: V, is_struct: bool) -> Result<V::Value, Error> {
        let decoder = self.decoder;
        decoder.depth.enter()?;
        let mut entries = Entries { decoder, names, is_struct, key: KeyOf::Encoded(&[]) };
        let value = visitor.visit_map(&mut entries)?;
        entries.finish()?;
        Ok(value)
    }

    #[inline]
    fn positions<V: Visitor<'de>>(self, visitor: V, mention: Mention<'de>) -> Result<V::Value, Error> {
        let decoder = self.decoder;
        decoder.depth.enter()?;
        let mut positions = Positions { decoder, names: mention.names, left: mention.fields, fields: mention.fields };
        let value = visitor.visit_seq(&mut positions)?;
        if positions.left > 0 {
            return Err(Error::invalid_length(mention.fields, &"a struct of fewer fields"));
        }
        positions.decoder.depth.leave();
        Ok(value)
    }
}

macro_rules! numbers {
    ($($deserialize:ident $visit:ident $tags:pat => |$decoder:ident, $tag:ident| $read:expr;)*) => {
        $(#[inline]
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.tag {
                $tags => {
                    let ($decoder, $tag) = (self.decoder, self.tag);
                    let _ = $tag;
                    visitor.$visit($read)
                }
                _ => self.as_number(visitor),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for Value<'_, 'de> {
    type Error = Error;

    numbers! {
        deserialize_u8 visit_u8 tag::U8 => |decoder, tag| decoder.byte()?;
        deserialize_i8 visit_i8 tag::I8 => |decoder, tag| decoder.byte()? as i8;
        deserialize_u16 visit_u16 tag::U16..=tag::U16_WHOLE => |decoder, tag| decoder.unsigned(tag - tag::U16)? as u16;
        deserialize_i16 visit_i16 tag::I16..=tag::I16_WHOLE => |decoder, tag| decoder.signed(tag - tag::I16)? as i16;
        deserialize_u32 visit_u32 tag::U32..=tag::U32_WHOLE => |decoder, tag| decoder.unsigned(tag - tag::U32)? as u32;
        deserialize_i32 visit_i32 tag::I32..=tag::I32_WHOLE => |decoder, tag| decoder.signed(tag - tag::I32)? as i32;
        deserialize_u64 visit_u64 tag::U64..=tag::U64_WHOLE => |decoder, tag| decoder.unsigned(tag - tag::U64)?;
        deserialize_i64 visit_i64 tag::I64..=tag::I64_WHOLE => |decoder, tag| decoder.signed(tag - tag::I64)?;
        deserialize_u128 visit_u128 tag::U128 => |decoder, tag| u128::from_le_bytes(decoder.array()?);
        deserialize_i128 visit_i128 tag::I128 => |decoder, tag| i128::from_le_bytes(decoder.array()?);
        deserialize_f32 visit_f32 tag::F32 => |decoder, tag| f32::from_le_bytes(decoder.array()?);
        deserialize_f64 visit_f64 tag::F64 => |decoder, tag| f64::from_le_bytes(decoder.array()?);
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let is_buffer = is_buffer::<V>();
        if is_buffer {
            self.decoder.depth.check_buffered()?;
        }
        match self.tag {
            _ if self.is_text() => visitor.visit_borrowed_str(self.decoder.text(self.tag)?),
            tag::UNIT => visitor.visit_unit(),
            tag::NONE if is_buffer => visitor.visit_unit(),
            tag::NONE => visitor.visit_none(),
            tag::SOME => {
                let value = self.decoder.value()?;
                // An `Option` in an `Option` would be lost.
                if is_buffer && !matches!(value.tag, tag::UNIT | tag::NONE | tag::SOME) {
                    return value.deserialize_any(visitor);
                }
                value.decoder.depth.enter()?;
                let Value { decoder, tag } = value;
                let value = visitor.visit_some(Value { decoder: &mut *decoder, tag })?;
                decoder.depth.leave();
                Ok(value)
            }
            tag::FALSE => visitor.visit_bool(false),
            tag::TRUE => visitor.visit_bool(true),
            tag::CHAR => {
                let [a, b, c] = self.decoder.array()?;
                let number = u32::from_le_bytes([a, b, c, 0]);
                let letter = char::from_u32(number).ok_or_else(|| Error::new("a `char` that is none"))?;
                if is_buffer { visitor.visit_string(letter.into()) } else { visitor.visit_char(letter) }
            }
            tag::BYTES => {
                let length = self.decoder.length()?;
                visitor.visit_borrowed_bytes(self.decoder.bytes(length)?)
            }
            tag::SEQ | tag::NUMBERS => self.sequence(visitor),
            tag::MAP | tag::STRUCT | tag::PARTIAL | tag::VARIANT => self.entries(visitor, false),
            tag::UNIT_VARIANT => visitor.visit_borrowed_str(to_text(self.decoder.mention()?.first()?)?),
            tag => {
                let number = self.decoder.number(tag)?;
                if is_buffer { number.visit_plain(visitor) } else { number.visit(visitor) }
            }
        }
    }

    #[inline]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.unwrapped()?.deserialize_any(visitor)
    }

    #[inline]
    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.unwrapped()?.deserialize_any(visitor)
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.is_text() {
            return visitor.visit_borrowed_str(self.decoder.text(self.tag)?);
        }
        self.unwrapped()?.deserialize_any(visitor)
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.is_text() {
            return visitor.visit_borrowed_bytes(self.decoder.text(self.tag)?.as_bytes());
        }
        self.unwrapped()?.deserialize_any(visitor)
    }

    #[inline]
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        match self.tag {
            tag::NONE | tag::UNIT => return visitor.visit_none(),
            tag::SOME => self.tag = self.decoder.byte()?,
            _ => {}
        }
        let Self { decoder, tag } = self;
        decoder.depth.enter()?;
        let value = visitor.visit_some(Value { decoder: &mut *decoder, tag })?;
        decoder.depth.leave();
        Ok(value)
    }

    #[inline]
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let value = self.unwrapped()?;
        match value.tag {
            tag::UNIT | tag::NONE => visitor.visit_unit(),
            _ => value.deserialize_any(visitor),
        }
    }

    #[inline]
    fn deserialize_unit_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        /// serde_json writes what is to stay JSON as a struct of such a name, and reads it as a newtype that is a map.
        const JSON: &str = "$serde_json::private::";
        if name.starts_with(JSON) && matches!(self.tag, tag::STRUCT | tag::MAP) {
            return self.entries(visitor, true);
        }
        visitor.visit_newtype_struct(self)
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.tag {
            tag::NUMBERS => {
                let before = self.decoder.rest;
                let (number, count) = (self.decoder.byte()?, self.decoder.length()?);
                let run = self.decoder.run(number, count)?;
                if let Some(numbers) = numbers::collect::<V>(number, run.numbers) {
                    return Ok(numbers);
                }
                self.decoder.rest = before;
                self.sequence(visitor)
            }
            tag::SEQ | tag::BYTES => self.sequence(visitor),
            _ => self.unwrapped()?.sequence_or_any(visitor),
        }
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, Error> {
        self.unwrapped()?.sequence_or_any(visitor)
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.unwrapped()?.sequence_or_any(visitor)
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.unwrapped()?.deserialize_any(visitor)
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let value = self.unwrapped()?;
        match value.tag {
            tag::STRUCT => {
                let mention = value.decoder.mention()?;
                if value.decoder.has_positions::<V>(mention, fields) {
                    return value.positions(visitor, mention);
                }
                value.entries_of(Names::Shape { names: mention.names, left: mention.fields }, visitor, true)
            }
            tag::MAP | tag::PARTIAL | tag::VARIANT => value.entries(visitor, true),
            _ => value.deserialize_any(visitor),
        }
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let value = self.unwrapped()?;
        let (name, has_value, is_map) = match value.tag {
            tag::UNIT_VARIANT => (value.decoder.mention()?.first()?, false, false),
            tag::VARIANT => (value.decoder.mention()?.first()?, true, false),
            _ if value.is_text() => (value.decoder.text(value.tag)?.as_bytes(), false, false),
            tag::MAP | tag::STRUCT | tag::PARTIAL => match value.decoder.single_name(value.tag)? {
                Some(name) => (name, true, value.tag == tag::MAP),
                None => return Err(Error::invalid_type(Unexpected::Map, &"an enum, as a map of one entry")),
            },
            _ => return value.deserialize_any(visitor),
        };
        let decoder = value.decoder;
        decoder.depth.enter()?;
        let variant = Variant { decoder: &mut *decoder, name, has_value };
        let value = visitor.visit_enum(variant)?;
        if is_map && decoder.byte()? != tag::END {
            return Err(Error::invalid_type(Unexpected::Map, &"an enum, as a map of one entry"));
        }
        decoder.depth.leave();
        Ok(value)
    }

    #[inline]
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.decoder.skip(self.tag)?;
        visitor.visit_unit()
    }

    fn is_human_readable(&self) -> bool {
        true
    }
}

impl<'de> Value<'_, 'de> {
    #[inline]
    fn sequence_or_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.tag {
            tag::SEQ | tag::NUMBERS | tag::BYTES => self.sequence(visitor),
            _ => self.deserialize_any(visitor),
        }
    }
}

impl<'de> Mention<'de> {
    /// The only name of a variant's shape.
    #[inline]
    fn first(&self) -> Result<&'de [u8], Error> {
        next_name(&mut { self.names })
    }
}

/// Takes the first name off.
#[inline]
fn next_name<'de>(names: &mut &'de [u8]) -> Result<&'de [u8], Error> {
    let mut decoder = Names::decoder(names);
    let length = decoder.length()?;
    let name = decoder.bytes(length)?;
    *names = decoder.rest;
    Ok(name)
}

impl<'de> Decoder<'de> {
    /// The only name of a value that is a map, if it is one of a text.
    #[cold]
    fn single_name(&mut self, tag: u8) -> Result<Option<&'de [u8]>, Error> {
        if tag != tag::MAP {
            let mention = self.mention()?;
            return if tag == tag::STRUCT && mention.fields == 1 { mention.first().map(Some) } else { Ok(None) };
        }
        self.length()?;
        let key = self.value()?;
        if key.is_text() { key.decoder.text(key.tag).map(|name| Some(name.as_bytes())) } else { Ok(None) }
    }
}

/// Numbers of one type that follow each other.
#[derive(Clone, Copy, Debug, Default)]
struct Run<'de> {
    /// Their tag.
    number: u8,
    size: usize,
    numbers: &'de [u8],
}

impl<'de> Run<'de> {
    #[inline]
    fn visit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let all = self.numbers.len();
        let mut left = None;
        let value = visitor.visit_seq(Numbers { run: self, all, left: &mut left })?;
        match left {
            Some(0) => Ok(value),
            _ => Err(Error::invalid_length(all / self.size, &"fewer elements")),
        }
    }
}

/// The elements of a sequence that is one run. The visitor owns it, so that the compiler need not keep it in memory.
struct Numbers<'a, 'de> {
    run: Run<'de>,
    /// Bytes at the start.
    all: usize,
    /// Bytes at the end.
    left: &'a mut Option<usize>,
}

impl Drop for Numbers<'_, '_> {
    #[inline]
    fn drop(&mut self) {
        *self.left = Some(self.run.numbers.len());
    }
}

impl<'de> de::SeqAccess<'de> for Numbers<'_, 'de> {
    type Error = Error;

    #[inline(always)]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Run { number, size, numbers } = self.run;
        if numbers.is_empty() {
            return Ok(None);
        }
        let (bytes, rest) = numbers.split_at_checked(size).ok_or_else(too_short)?;
        self.run.numbers = rest;
        match seed.deserialize(InRun { tag: number, bytes }) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(error.at_index((self.all - numbers.len()) / size)),
        }
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.run.numbers.len() / self.run.size.max(1))
    }
}

/// The elements of a sequence.
struct Elements<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    hint: usize,
    index: usize,
    run: Run<'de>,
    /// Whether nothing follows the run.
    is_over: bool,
}

impl<'de> Elements<'_, 'de> {
    /// The tag of the next element that is in no run. Before that, there may be another run.
    #[inline(always)]
    fn next_tag(&mut self) -> Result<Option<u8>, Error> {
        if self.is_over {
            return Ok(None);
        }
        match self.decoder.byte()? {
            tag::END => {
                self.is_over = true;
                Ok(None)
            }
            tag::RUN => {
                self.run = self.decoder.next_run()?;
                Ok(None)
            }
            tag => Ok(Some(tag)),
        }
    }

    #[inline]
    fn is_at_end(&self) -> bool {
        self.is_over && self.run.numbers.is_empty()
    }

    #[inline]
    fn finish(&mut self) -> Result<(), Error> {
        // A tuple's visitor does not ask for an element behind the last.
        while !self.is_at_end() {
            if !self.run.numbers.is_empty() || self.next_tag()?.is_some() {
                return Err(Error::invalid_length(self.index + 1, &"fewer elements"));
            }
        }
        self.decoder.depth.leave();
        Ok(())
    }
}

impl<'de> de::SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Error;

    #[inline(always)]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        loop {
            let decoded = if let Some((bytes, rest)) = self.run.numbers.split_at_checked(self.run.size.max(1)) {
                self.run.numbers = rest;
                seed.deserialize(InRun { tag: self.run.number, bytes })
            } else {
                match self.next_tag()? {
                    Some(tag) => seed.deserialize(Value { decoder: self.decoder, tag }),
                    None if self.is_at_end() => return Ok(None),
                    None => continue,
                }
            };
            return match decoded {
                Ok(value) => {
                    self.index += 1;
                    Ok(Some(value))
                }
                Err(error) => Err(error.at_index(self.index)),
            };
        }
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.hint.saturating_sub(self.index))
    }
}

/// A number of a run.
#[derive(Clone, Copy, Debug)]
struct InRun<'de> {
    tag: u8,
    bytes: &'de [u8],
}

macro_rules! in_run {
    ($($deserialize:ident $visit:ident $number:ident $tag:ident;)*) => {
        $(#[inline]
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.bytes.first_chunk() {
                Some(bytes) if self.tag == tag::$tag => visitor.$visit($number::from_le_bytes(*bytes)),
                _ => self.number()?.visit_plain(visitor),
            }
        })*
    };
}

impl InRun<'_> {
    #[cold]
    fn number(self) -> Result<Number, Error> {
        Names::decoder(self.bytes).number(self.tag)
    }
}

impl<'de> Deserializer<'de> for InRun<'de> {
    type Error = Error;

    in_run! {
        deserialize_u8 visit_u8 u8 U8;
        deserialize_i8 visit_i8 i8 I8;
        deserialize_u16 visit_u16 u16 U16_WHOLE;
        deserialize_i16 visit_i16 i16 I16_WHOLE;
        deserialize_u32 visit_u32 u32 U32_WHOLE;
        deserialize_i32 visit_i32 i32 I32_WHOLE;
        deserialize_u64 visit_u64 u64 U64_WHOLE;
        deserialize_i64 visit_i64 i64 I64_WHOLE;
        deserialize_u128 visit_u128 u128 U128;
        deserialize_i128 visit_i128 i128 I128;
        deserialize_f32 visit_f32 f32 F32;
        deserialize_f64 visit_f64 f64 F64;
    }

    #[inline(never)]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let number = self.number()?;
        if is_buffer::<V>() { number.visit_plain(visitor) } else { number.visit(visitor) }
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }

    fn is_human_readable(&self) -> bool {
        true
    }
}

/// The values of a struct, by position.
struct Positions<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    names: &'de [u8],
    left: usize,
    fields: usize,
}

impl Positions<'_, '_> {
    #[cold]
    fn locate(&self, error: Error) -> Error {
        let mut names = self.names;
        let name = (0..self.fields - self.left).map(|_| next_name(&mut names)).last();
        match name {
            Some(Ok(name)) => error.in_field(&String::from_utf8_lossy(name)),
            _ => error,
        }
    }
}

impl<'de> de::SeqAccess<'de> for Positions<'_, 'de> {
    type Error = Error;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        match seed.deserialize(self.decoder.value()?) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(self.locate(error)),
        }
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// The entries of a map, or of a struct that is read by the names of its fields.
struct Entries<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    names: Names<'de>,
    is_struct: bool,
    /// Of the value that is next.
    key: KeyOf<'de>,
}

/// Where the names are.
enum Names<'de> {
    /// In a shape, as many as are left.
    Shape {
        names: &'de [u8],
        left: usize,
    },
    /// In a shape up to a mark, then each in front of its value.
    Partial {
        names: &'de [u8],
    },
    /// Each in front of its value. What the value said of their number is not to be relied on.
    Pairs {
        hint: usize,
    },
    Over,
}

impl<'de> Names<'de> {
    fn decoder(names: &'de [u8]) -> Decoder<'de> {
        Decoder { input: names, rest: names, shapes: Shapes::default(), depth: Depth::default() }
    }
}

#[derive(Clone, Copy)]
enum KeyOf<'de> {
    Name(&'de [u8]),
    /// What lies behind includes the key.
    Encoded(&'de [u8]),
}

impl<'de> Entries<'_, 'de> {
    /// The next name from a shape, if it is from there.
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

    /// The tag of the next key.
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
        let is_over = matches!(self.names, Names::Over) || (self.next_name()?.is_none() && self.next_tag()?.is_none());
        if !is_over {
            return Err(Error::custom("a map has more entries than were asked for"));
        }
        self.decoder.depth.leave();
        Ok(())
    }

    #[cold]
    fn locate(&self, error: Error) -> Error {
        match self.key {
            KeyOf::Name(name) => error.in_field(&String::from_utf8_lossy(name)),
            KeyOf::Encoded(key) => error.at_key(key),
        }
    }
}

impl<'de> de::MapAccess<'de> for Entries<'_, 'de> {
    type Error = Error;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        if let Some(name) = self.next_name()? {
            self.key = KeyOf::Name(name);
            return seed.deserialize(MapKey { key: Key::Name(name), is_field: self.is_struct }).map(Some);
        }
        let before = self.decoder.rest;
        let Some(tag) = self.next_tag()? else { return Ok(None) };
        self.key = KeyOf::Encoded(before);
        let value = Value { decoder: self.decoder, tag };
        seed.deserialize(MapKey { key: Key::Value(value), is_field: self.is_struct }).map(Some)
    }

    #[inline]
    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.decoder.value()?).map_err(|error| self.locate(error))
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(match self.names {
            Names::Shape { left, .. } => left,
            Names::Pairs { hint } => hint.min(self.decoder.rest.len()),
            Names::Partial { .. } | Names::Over => 0,
        })
    }
}

/// A key of a map, or the name of a field.
///
/// In JSON all keys are text. A type may count on that: it writes its keys as numbers and reads them as text, or the other way
/// round.
struct MapKey<'a, 'de> {
    key: Key<'a, 'de>,
    /// Whether it can be nothing but the name of a struct's field.
    is_field: bool,
}

enum Key<'a, 'de> {
    Name(&'de [u8]),
    Value(Value<'a, 'de>),
}

impl<'a, 'de> Key<'a, 'de> {
    /// As text, if it is one.
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
        // What is kept for later may be read as a struct, whose visitor would take a number for a field's position.
        match self.key {
            Key::Value(value) if !is_buffer::<V>() => value.deserialize_any(visitor),
            _ => self.deserialize_str(visitor),
        }
    }

    /// A number becomes text, for a visitor of text.
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
            Key::Value(value) if !self.is_field => value.deserialize_any(visitor),
            _ => self.deserialize_str(visitor),
        }
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        if let Key::Value(value) = &mut self.key {
            match value.tag {
                tag::NONE | tag::UNIT => return visitor.visit_none(),
                tag::SOME => value.tag = value.decoder.byte()?,
                _ => {}
            }
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
struct Identifier<'de>(&'de [u8]);

impl<'de> Deserializer<'de> for Identifier<'de> {
    type Error = Error;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(to_text(self.0)?)
    }

    /// A visitor that serde's derive has written takes bytes as well, which need not be looked at twice.
    #[inline]
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if std::any::type_name::<V>().ends_with("::__FieldVisitor") {
            return visitor.visit_borrowed_bytes(self.0);
        }
        self.deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct
        seq tuple tuple_struct map struct enum ignored_any
    }
}

/// A variant of an enum.
struct Variant<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    name: &'de [u8],
    has_value: bool,
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
    fn with<T>(
        self,
        expected: &'static str,
        decode: impl FnOnce(Value<'_, 'de>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if !self.has_value {
            return Err(Error::invalid_type(Unexpected::UnitVariant, &expected));
        }
        decode(self.decoder.value()?).map_err(|error| error.in_variant(&String::from_utf8_lossy(self.name)))
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

/// A key for a person to read.
pub(super) enum ShownKey {
    Text(String),
    Other(String),
}

/// Reads the key of a map's entry, if it is a text or a number.
pub(super) fn key(encoded: &[u8]) -> Option<ShownKey> {
    const SHOWN: usize = 64;
    let mut decoder = Names::decoder(encoded);
    let value = decoder.value().ok()?;
    if value.is_text() {
        return Some(ShownKey::Text(value.decoder.text(value.tag).ok()?.chars().take(SHOWN).collect()));
    }
    if value.is_number() {
        return Some(ShownKey::Other(value.decoder.number(value.tag).ok()?.to_string()));
    }
    let Mention { names, .. } =
        if value.tag == tag::UNIT_VARIANT { value.decoder.mention().ok()? } else { return None };
    next_name(&mut { names }).ok().map(|name| ShownKey::Other(String::from_utf8_lossy(name).into_owned()))
}
