//! The shapes in a message, and the check whether a struct is read by position.

use std::any::TypeId;

use super::bytes::{length, too_short};
use crate::ipc::codec::error::Error;
use crate::ipc::codec::tag::MAX_SHAPES;

/// The shapes of a message by number. The first shape needs no allocation, and most messages have no second shape.
#[derive(Debug, Default)]
pub(super) struct ShapeTable {
    first: Option<Shape>,
    others: Vec<Shape>,
}

impl ShapeTable {
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

    /// Adds a shape under the next number.
    #[inline]
    pub(super) fn push(&mut self, shape: Shape) -> Result<&mut Shape, Error> {
        if self.first.is_none() {
            return Ok(self.first.insert(shape));
        }
        // One more is the first.
        if self.others.len() + 1 >= MAX_SHAPES as usize {
            return Err(Error::new("a message of more shapes than the format allows"));
        }
        self.others.push(shape);
        self.others.last_mut().ok_or_else(untold)
    }
}

/// A shape of a message.
#[derive(Debug)]
pub(super) struct Shape {
    /// The place of the names in the message.
    start: usize,
    end: usize,
    pub(super) fields: usize,
    /// The result of the last check.
    check: Option<PositionCheck>,
}

/// The answer whether a visitor takes the values of a shape by position.
#[derive(Debug)]
struct PositionCheck {
    visitor: TypeId,
    /// Address and number of the expected names.
    expected: (usize, usize),
    holds: bool,
}

impl Shape {
    pub(super) fn new(start: usize, length: usize, fields: usize) -> Self {
        Self { start, end: start + length, fields, check: None }
    }

    #[inline(always)]
    pub(super) fn names<'de>(&self, message: &'de [u8]) -> &'de [u8] {
        &message[self.start..self.end]
    }

    /// Returns whether a visitor takes the values of the shape in order, without names.
    ///
    /// True if the shape's names equal the expected names, in order, and serde's derive has written the visitor. A
    /// visitor written by hand may take no sequence, and gets the names.
    #[inline(always)]
    pub(super) fn has_positions<V>(&mut self, names: &[u8], expected: &'static [&'static str]) -> bool {
        let visitor = typeid::of::<V>();
        let address = (expected.as_ptr().addr(), expected.len());
        if let Some(check) = &self.check
            && check.expected == address
            && check.visitor == visitor
        {
            return check.holds;
        }
        let holds = self.fields == expected.len() && is_derived::<V>() && are_names(names, expected);
        self.check = Some(PositionCheck { visitor, expected: address, holds });
        holds
    }
}

/// Removes the first name from `names` and returns the name.
#[inline]
pub(super) fn next_name<'de>(names: &mut &'de [u8]) -> Result<&'de [u8], Error> {
    let (length, rest) = length(names)?;
    let (name, rest) = rest.split_at_checked(length).ok_or_else(too_short)?;
    *names = rest;
    Ok(name)
}

#[cold]
pub(super) fn untold() -> Error {
    Error::new("a shape that the value has not told")
}

/// Returns whether two names of the same length are equal. A name of 4 to 16 bytes is compared as two words, which may
/// overlap.
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
    // With the sum checked, the compiler drops bounds checks in the loop.
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

/// Returns whether serde's derive has written a visitor, by the name of the visitor's type.
///
/// If derive chose another name, structs would go by names, with the same values and at lower speed.
fn is_derived<V>() -> bool {
    let name = std::any::type_name::<V>();
    // Some versions of the compiler show the lifetime. A generic type of the user adds parameters.
    name.ends_with("::__Visitor") || name.ends_with("::__Visitor<'_>") || is_generic(name)
}

/// Returns whether the visitor's type has the name, and not only a parameter of the type.
#[cold]
fn is_generic(name: &str) -> bool {
    let Some(at) = name.find("::__Visitor<") else { return false };
    let before = &name[..at];
    name.ends_with('>') && before.matches('<').count() == before.matches('>').count()
}
