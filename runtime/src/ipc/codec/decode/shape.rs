//! Shapes of structs as a message tells them, and whether a struct can be read by position.

use std::any::TypeId;

use super::super::shapes::MOST_IN_MESSAGE;
use super::{Decoder, Error, length, tag, too_short};

/// The shapes that the message has told, by number. Most messages have one or none, for which no memory is needed.
#[derive(Debug, Default)]
pub(super) struct Shapes {
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

    #[inline]
    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.len()
    }

    pub(super) fn truncate(&mut self, length: usize) {
        self.others.truncate(length.saturating_sub(1));
        if length == 0 {
            self.first = None;
        }
    }

    /// Adds a shape under the next number.
    #[inline]
    fn push(&mut self, shape: Shape) -> Result<&mut Shape, Error> {
        if self.first.is_none() {
            return Ok(self.first.insert(shape));
        }
        if self.others.len() >= MOST_IN_MESSAGE as usize {
            return Err(Error::new("a value of more shapes than it may tell"));
        }
        self.others.push(shape);
        self.others.last_mut().ok_or_else(untold)
    }
}

/// A shape that the message has told.
#[derive(Debug)]
pub(super) struct Shape {
    /// Where in the message its names are.
    start: usize,
    end: usize,
    pub(super) fields: usize,
    /// The last one.
    verdict: Option<Verdict>,
}

/// Whether a visitor can take the values of a shape by their positions.
#[derive(Debug)]
struct Verdict {
    visitor: TypeId,
    /// Address and number of the names that the visitor expects.
    expected: (usize, usize),
    holds: bool,
}

impl Shape {
    #[inline(always)]
    pub(super) fn names<'de>(&self, message: &'de [u8]) -> &'de [u8] {
        &message[self.start..self.end]
    }

    /// Whether the visitor can be given the values of the shape in their order.
    ///
    /// True if the shape's names equal the expected names, in order, and serde's derive has written the visitor. A
    /// visitor written by hand may take no sequence, and gets the names.
    #[inline(always)]
    pub(super) fn has_positions<V>(&mut self, names: &[u8], expected: &'static [&'static str]) -> bool {
        let visitor = typeid::of::<V>();
        let address = (expected.as_ptr().addr(), expected.len());
        if let Some(verdict) = &self.verdict
            && verdict.expected == address
            && verdict.visitor == visitor
        {
            return verdict.holds;
        }
        let holds = self.fields == expected.len() && is_derived::<V>() && are_names(names, expected);
        self.verdict = Some(Verdict { visitor, expected: address, holds });
        holds
    }
}

impl<'de> Decoder<'de> {
    /// The shape that is mentioned next. As a reference, it is returned in a register.
    #[inline(always)]
    pub(super) fn mention(&mut self) -> Result<&mut Shape, Error> {
        match self.rest.split_first() {
            Some((&short, rest)) if (tag::FIRST_SHAPE..=tag::LENGTH_MAX).contains(&short.into()) => {
                self.rest = rest;
                self.shapes.get(usize::from(short) - tag::FIRST_SHAPE).ok_or_else(untold)
            }
            _ => self.long_mention(),
        }
    }

    /// A mention of a shape that is new, or whose number takes more than a byte.
    #[inline(never)]
    fn long_mention(&mut self) -> Result<&mut Shape, Error> {
        let number = self.length()?;
        match number.checked_sub(tag::FIRST_SHAPE) {
            Some(number) => self.shapes.get(number).ok_or_else(untold),
            None => self.new_shape(number),
        }
    }

    #[inline]
    fn new_shape(&mut self, kind: usize) -> Result<&mut Shape, Error> {
        let (fields, rest) = length(self.rest)?;
        let (length, rest) = length(rest)?;
        let start = self.input.len() - rest.len();
        self.rest = rest.get(length..).ok_or_else(too_short)?;
        if fields > length {
            return Err(Error::new("a shape of more names than it has"));
        }
        let shape = Shape { start, end: start + length, fields, verdict: None };
        if kind == tag::PASSING_SHAPE { Ok(self.passing.insert(shape)) } else { self.shapes.push(shape) }
    }

    /// The names of the shape that is mentioned next.
    #[inline]
    pub(super) fn names(&mut self) -> Result<&'de [u8], Error> {
        let message = self.input;
        Ok(self.mention()?.names(message))
    }

    /// The name of a variant, whose shape is mentioned next.
    #[inline(always)]
    pub(super) fn variant_name(&mut self) -> Result<&'de [u8], Error> {
        next_name(&mut self.names()?)
    }
}

/// The names of a shape that an encoder remembers.
pub(in super::super) fn names(mut names: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = names.split_first()?;
        let (name, rest) = rest.split_at_checked((*length).into())?;
        names = rest;
        Some(name)
    })
}

/// Takes the first name off.
#[inline]
pub(super) fn next_name<'de>(names: &mut &'de [u8]) -> Result<&'de [u8], Error> {
    let (length, rest) = length(names)?;
    let (name, rest) = rest.split_at_checked(length).ok_or_else(too_short)?;
    *names = rest;
    Ok(name)
}

#[cold]
fn untold() -> Error {
    Error::new("a shape that the value has not told")
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
    // Once, for all of the checks below.
    if names.len() != expected.iter().map(|name| 1 + name.len()).sum::<usize>() {
        return false;
    }
    for name in expected {
        let Some((length, rest)) = names.split_first() else { return false };
        let Some((next, rest)) = rest.split_at_checked(name.len()) else { return false };
        if usize::from(*length) != name.len() || !is_same(next, name.as_bytes()) {
            return false;
        }
        names = rest;
    }
    true
}

/// Whether serde's derive has written a visitor, by its name. If it had another name, all would be as right, and
/// slower.
fn is_derived<V>() -> bool {
    let name = std::any::type_name::<V>();
    // With the lifetime that it has in some versions of the compiler, or the parameters of the user's type.
    name.ends_with("::__Visitor") || name.ends_with("::__Visitor<'_>") || is_generic(name)
}

/// Whether the visitor itself has that name, and not a parameter of another one.
#[cold]
fn is_generic(name: &str) -> bool {
    let Some(at) = name.find("::__Visitor<") else { return false };
    let before = &name[..at];
    name.ends_with('>') && before.matches('<').count() == before.matches('>').count()
}
