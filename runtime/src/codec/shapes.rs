//! The shapes of structs, as the encoder knows them.
//!
//! A *shape* is the list of names of the fields that one struct was serialised with. A message has each shape once, where it is
//! first used; from then on a struct of that shape is its number and its values. serde tells the names one by one, each with its
//! value, so the encoder bets on the shape that a struct of this name had before, and checks each name against it.
//!
//! The name of an enum's variant is a shape of one name, which is known at once.

/// Names in the order of their fields, each behind its length as one byte.
#[derive(Debug)]
struct Shape {
    key: Key,
    names: Box<[u8]>,
    /// How many they are, which need not be what the struct had announced.
    fields: usize,
    /// The message that has it, by its number here, and its number there.
    message: u64,
    number: u32,
}

/// By which a shape is looked for. It decides what is bet on, not what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// Of the struct's name, or of the variant's.
    address: usize,
    fields: usize,
}

impl Key {
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

/// Most shapes that are known at a time.
const MOST: usize = SLOTS / 2;
const SLOTS: usize = 512;

/// The longest name that is remembered: its length takes one byte.
pub(super) const NAME_MAX: usize = super::tag::LENGTH_MAX;

/// Most shapes in one message, so that a decoder can keep them all.
pub(super) const MOST_IN_MESSAGE: u32 = 1 << 16;

/// All shapes that were seen before.
#[derive(Debug)]
pub(super) struct Shapes {
    list: Vec<Shape>,
    /// One more than places in the list, each at its key's slot or behind it; 0 is free.
    slots: [u16; SLOTS],
    message: u64,
    in_message: u32,
}

/// How a message refers to a shape.
pub(super) enum Mention {
    /// By the number that it got.
    Number(u32),
    /// By its names: it has the next number from here on.
    Names,
}

impl Default for Shapes {
    fn default() -> Self {
        Self { list: Vec::new(), slots: [0; SLOTS], message: 1, in_message: 0 }
    }
}

impl Shapes {
    /// Begins a message, which has no shapes yet.
    pub(super) fn begin(&mut self) {
        if self.list.len() == MOST {
            self.list.clear();
            self.slots.fill(0);
        }
        self.message += 1;
        self.in_message = 0;
    }

    /// The shapes that the message has so far.
    pub(super) fn mark(&self) -> u32 {
        self.in_message
    }

    /// Takes back what the message got since a mark.
    pub(super) fn rewind(&mut self, mark: u32) {
        for shape in &mut self.list {
            if shape.message == self.message && shape.number >= mark {
                shape.message = 0;
            }
        }
        self.in_message = mark;
    }

    /// The shape that was seen last under this key.
    #[inline]
    pub(super) fn find(&self, key: Key) -> Option<usize> {
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

    /// The names that begin before `end`, and what the shape is looked for by.
    pub(super) fn first_names(&self, place: usize, end: usize) -> (Key, Vec<u8>) {
        let shape = &self.list[place];
        (shape.key, shape.names[..end].to_vec())
    }

    pub(super) fn fields(&self, place: usize) -> usize {
        self.list[place].fields
    }

    /// Mentions a shape in the message; `None` if the message has too many.
    #[inline(always)]
    pub(super) fn mention(&mut self, place: usize) -> Option<Mention> {
        let shape = &mut self.list[place];
        if shape.message == self.message {
            return Some(Mention::Number(shape.number));
        }
        if self.in_message == MOST_IN_MESSAGE {
            return None;
        }
        shape.message = self.message;
        shape.number = self.in_message;
        self.in_message += 1;
        Some(Mention::Names)
    }

    /// Remembers what a struct was serialised with; `None` if there is no room until the next message.
    #[cold]
    pub(super) fn learn(&mut self, key: Key, names: &[u8], fields: usize) -> Option<usize> {
        let known = self.list.iter().position(|shape| shape.key == key && *shape.names == *names);
        let place = match known {
            Some(place) => place,
            None if self.list.len() == MOST => return None,
            None => {
                self.list.push(Shape { key, names: names.into(), fields, message: 0, number: 0 });
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
