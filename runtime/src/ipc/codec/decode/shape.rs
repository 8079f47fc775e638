//! Shapes of structs as a message tells them, and whether a struct can be read by position.

use std::any::TypeId;

use super::super::shapes::MOST_IN_MESSAGE;
use super::{Decoder, Error, tag};

/// The shapes that the message has told, by number. Most messages have one or none, for which no memory is needed.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    pub(super) first: Option<Shape>,
    pub(super) others: Vec<Shape>,
}

impl Shapes {
    #[inline(always)]
    pub(super) fn get(&mut self, number: usize) -> Option<&mut Shape> {
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

    /// Adds a shape, and returns its number.
    #[inline]
    pub(super) fn push(&mut self, shape: Shape) -> Result<usize, Error> {
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
pub(super) struct Shape {
    /// Where in the message its names are.
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) fields: usize,
    pub(super) verdict: Verdict,
}

/// Whether a visitor can take the values of a shape by their positions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verdict {
    pub(super) visitor: TypeId,
    /// Address and number of the names that the visitor expects.
    pub(super) expected: (usize, usize),
    pub(super) holds: bool,
}

/// A mention of a shape.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mention<'de> {
    pub(super) names: &'de [u8],
    pub(super) fields: usize,
    /// `None` for a shape without a number.
    pub(super) number: Option<usize>,
}

impl<'de> Mention<'de> {
    /// The only name of a variant's shape.
    #[inline]
    pub(super) fn first(&self) -> Result<&'de [u8], Error> {
        next_name(&mut { self.names })
    }
}

impl<'de> Decoder<'de> {
    #[inline]
    pub(super) fn mention(&mut self) -> Result<Mention<'de>, Error> {
        let number = self.length()?;
        match number.checked_sub(tag::FIRST_SHAPE) {
            Some(number) => {
                let shape = self.shapes.get(number).ok_or_else(|| Error::new("a shape that the value has not told"))?;
                Ok(Mention { names: &self.input[shape.start..shape.end], fields: shape.fields, number: Some(number) })
            }
            None => self.new_shape(number),
        }
    }

    pub(super) fn new_shape(&mut self, kind: usize) -> Result<Mention<'de>, Error> {
        let fields = self.length()?;
        let length = self.length()?;
        let start = self.at();
        let names = self.bytes(length)?;
        if fields > length {
            return Err(Error::new("a shape of more names than it has"));
        }
        if kind == tag::PASSING_SHAPE {
            return Ok(Mention { names, fields, number: None });
        }
        let verdict = Verdict { visitor: typeid::of::<()>(), expected: (0, 0), holds: false };
        let number = self.shapes.push(Shape { start, end: start + length, fields, verdict })?;
        Ok(Mention { names, fields, number: Some(number) })
    }

    /// Whether the visitor can be given the values of a shape in their order.
    ///
    /// True if the shape's names equal the expected names, in order, and serde's derive has written the visitor. A visitor written by
    /// hand may take no sequence, and gets the names.
    #[inline]
    pub(super) fn has_positions<V>(&mut self, mention: Mention<'_>, expected: &'static [&'static str]) -> bool {
        if self.is_plain {
            return false;
        }
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
    let mut decoder = Decoder::over(names);
    let length = decoder.length()?;
    let name = decoder.bytes(length)?;
    *names = decoder.rest;
    Ok(name)
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
