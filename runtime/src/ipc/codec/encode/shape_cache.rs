//! The shapes of earlier structs.
//!
//! A *shape* is the list of the field names of a serialised struct. A message has the names of each shape once, at the
//! first use. Every further struct of the shape is the shape's number and the values.
//!
//! Serde hands over each field name together with the field's value. The encoder therefore bets on the last shape of a
//! struct with the same name and the same number of fields, and checks each name against the bet.
//!
//! The name of a variant is a shape of a single name, and needs no bet.

use crate::ipc::codec::tag::{LENGTH_MAX, MAX_SHAPES};

/// The names of a struct in order, each behind a byte with the length.
#[derive(Debug)]
struct CachedShape {
    key: ShapeKey,
    names: Box<[u8]>,
    /// The count of the names. The struct may have announced a different count.
    fields: usize,
    /// The last message with this shape, and the shape's number in that message.
    message: u64,
    number: u32,
}

/// The key of a shape. A wrong key costs a lost bet, and changes no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ShapeKey {
    /// The address of the name of the struct or variant.
    address: usize,
    fields: usize,
}

impl ShapeKey {
    pub(super) fn of_struct(name: &'static str, fields: usize) -> Self {
        Self { address: name.as_ptr().addr(), fields }
    }

    pub(super) fn of_variant(name: &'static str) -> Self {
        Self { address: name.as_ptr().addr(), fields: usize::MAX }
    }

    #[inline(always)]
    fn slot(self) -> usize {
        let mixed = (self.address as u64 ^ (self.fields as u64).rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 48) as usize % SLOTS
    }
}

/// Most shapes in the cache.
const MOST: usize = SLOTS / 2;
const SLOTS: usize = 512;

/// The longest name in a shape: the length takes one byte.
pub(super) const NAME_MAX: usize = LENGTH_MAX;

/// The shapes of the thread's earlier messages.
#[derive(Debug)]
pub(super) struct ShapeCache {
    list: Vec<CachedShape>,
    /// A hash table of the list: a place plus 1, at the key's slot or behind. 0 is free.
    slots: [u16; SLOTS],
    message: u64,
    in_message: u32,
}

/// How a message refers to a shape.
pub(super) enum Mention {
    Number(u32),
    /// The names. The shape is new to the message and gets the next number.
    Names,
}

impl Default for ShapeCache {
    fn default() -> Self {
        Self { list: Vec::new(), slots: [0; SLOTS], message: 1, in_message: 0 }
    }
}

impl ShapeCache {
    /// Begins a message, as yet without shapes.
    pub(super) fn begin(&mut self) {
        if self.list.len() == MOST {
            self.list.clear();
            self.slots.fill(0);
        }
        self.message += 1;
        self.in_message = 0;
    }

    /// Returns the count of the message's shapes.
    pub(super) fn mark(&self) -> u32 {
        self.in_message
    }

    /// Removes the message's shapes since a mark.
    pub(super) fn rewind(&mut self, mark: u32) {
        for shape in &mut self.list {
            if shape.message == self.message && shape.number >= mark {
                shape.message = 0;
            }
        }
        self.in_message = mark;
    }

    /// Returns the last shape of a key.
    #[inline]
    pub(super) fn find(&self, key: ShapeKey) -> Option<usize> {
        let mut slot = key.slot();
        loop {
            let place = usize::from(self.slots[slot]).checked_sub(1)?;
            if self.list[place].key == key {
                return Some(place);
            }
            slot = (slot + 1) % SLOTS;
        }
    }

    #[inline(always)]
    pub(super) fn names(&self, place: usize) -> &[u8] {
        self.list.get(place).map_or(&[], |shape| &shape.names)
    }

    /// Returns the shape's key, and the names before `end`.
    pub(super) fn first_names(&self, place: usize, end: usize) -> (ShapeKey, Vec<u8>) {
        let shape = &self.list[place];
        (shape.key, shape.names[..end].to_vec())
    }

    pub(super) fn fields(&self, place: usize) -> usize {
        self.list[place].fields
    }

    /// Mentions a shape in the message. Returns `None` if the message has too many shapes.
    #[inline(always)]
    pub(super) fn mention(&mut self, place: usize) -> Option<Mention> {
        let shape = &mut self.list[place];
        if shape.message == self.message {
            return Some(Mention::Number(shape.number));
        }
        if self.in_message == MAX_SHAPES {
            return None;
        }
        shape.message = self.message;
        shape.number = self.in_message;
        self.in_message += 1;
        Some(Mention::Names)
    }

    /// Adds a shape for the next bet. Returns `None` if the cache is full until the next message.
    #[cold]
    pub(super) fn learn(&mut self, key: ShapeKey, names: &[u8], fields: usize) -> Option<usize> {
        let known = self.list.iter().position(|shape| shape.key == key && *shape.names == *names);
        let place = match known {
            Some(place) => place,
            None if self.list.len() == MOST => return None,
            None => {
                self.list.push(CachedShape { key, names: names.into(), fields, message: 0, number: 0 });
                self.list.len() - 1
            }
        };
        let mut slot = key.slot();
        while let Some(other) = usize::from(self.slots[slot]).checked_sub(1)
            && self.list[other].key != key
        {
            slot = (slot + 1) % SLOTS;
        }
        self.slots[slot] = place as u16 + 1;
        Some(place)
    }
}

pub(super) fn push_name(names: &mut Vec<u8>, name: &str) {
    names.push(name.len() as u8);
    names.extend_from_slice(name.as_bytes());
}

/// Returns whether `names` begin with `name`.
#[inline(always)]
pub(super) fn is_next(names: &[u8], name: &str) -> bool {
    names.split_first().is_some_and(|(length, names)| {
        usize::from(*length) == name.len() && names.get(..name.len()).is_some_and(|next| next == name.as_bytes())
    })
}

/// Counts the names of a shape.
pub(super) fn count_names(mut names: &[u8]) -> usize {
    let mut count = 0;
    while let Some((length, rest)) = names.split_first() {
        names = rest.get(usize::from(*length)..).unwrap_or_default();
        count += 1;
    }
    count
}
