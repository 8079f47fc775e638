//! The first byte of each value. `docs/format.md` describes the content behind each tag.

/// The version of the format, which is the first byte of a message.
pub(crate) const VERSION: u8 = 1;

/// The most bytes of a text with the length as tag.
pub(super) const SHORT_MAX: usize = 0x3F;

/// The greatest length of one byte. A greater length is a mark and 2, 4 or 8 bytes.
pub(super) const LENGTH_MAX: usize = 0xFC;
pub(super) const LENGTH_16: u8 = 0xFD;
pub(super) const LENGTH_32: u8 = 0xFE;
pub(super) const LENGTH_64: u8 = 0xFF;

/// Returns the bytes of an encoded length.
pub(super) fn length_size(length: usize) -> usize {
    match length {
        0..=LENGTH_MAX => 1,
        _ if u16::try_from(length).is_ok() => 1 + size_of::<u16>(),
        _ if u32::try_from(length).is_ok() => 1 + size_of::<u32>(),
        _ => 1 + size_of::<u64>(),
    }
}

/// Most shapes with a number in one message. A decoder keeps all of them.
pub(super) const MAX_SHAPES: u32 = 1 << 16;

/// In place of a shape's number: the names follow, and the shape gets the next number.
pub(super) const NEW_SHAPE: usize = 0;
/// In place of a shape's number: the names follow, and the shape gets no number.
pub(super) const PASSING_SHAPE: usize = 1;
/// The difference between a shape's number and the number in a message.
pub(super) const FIRST_SHAPE: usize = 2;

pub(super) const UNIT: u8 = 0x40;
pub(super) const NONE: u8 = 0x41;
pub(super) const SOME: u8 = 0x42;
pub(super) const FALSE: u8 = 0x43;
pub(super) const TRUE: u8 = 0x44;
pub(super) const CHAR: u8 = 0x45;
pub(super) const TEXT: u8 = 0x46;
pub(super) const BYTES: u8 = 0x47;
/// Elements up to an [`END`].
pub(super) const SEQ: u8 = 0x48;
/// Keys and values up to an [`END`].
pub(super) const MAP: u8 = 0x49;
/// The values of all fields of a shape.
pub(super) const STRUCT: u8 = 0x4A;
/// The values of the first fields of a shape, a [`REST`], and keys and values up to an [`END`].
pub(super) const PARTIAL: u8 = 0x4B;
pub(super) const UNIT_VARIANT: u8 = 0x4C;
pub(super) const VARIANT: u8 = 0x4D;
/// A whole sequence of numbers of one type.
pub(super) const NUMBERS: u8 = 0x4E;

/// In place of an element: the next elements are numbers of one type.
pub(super) const RUN: u8 = 0x4F;
pub(super) const REST: u8 = 0x50;
pub(super) const END: u8 = 0x51;

pub(super) const U8: u8 = 0x60;
pub(super) const I8: u8 = 0x61;
pub(super) const F32: u8 = 0x62;
pub(super) const F64: u8 = 0x63;
pub(super) const U128: u8 = 0x64;
pub(super) const I128: u8 = 0x65;

// Each tag below begins a range. The distance of a tag from the first tag of the range is the count of the bytes
// behind.
pub(super) const U16: u8 = 0x70;
pub(super) const I16: u8 = 0x74;
pub(super) const U32: u8 = 0x78;
pub(super) const I32: u8 = 0x80;
pub(super) const U64: u8 = 0x88;
pub(super) const I64: u8 = 0x98;

/// The tag of a number with all bytes, as in a block of numbers.
pub(super) const U16_WHOLE: u8 = U16 + 2;
pub(super) const I16_WHOLE: u8 = I16 + 2;
pub(super) const U32_WHOLE: u8 = U32 + 4;
pub(super) const I32_WHOLE: u8 = I32 + 4;
pub(super) const U64_WHOLE: u8 = U64 + 8;
pub(super) const I64_WHOLE: u8 = I64 + 8;

/// Returns whether a value has bytes behind the tag.
#[inline(always)]
pub(super) fn has_more(tag: u8) -> bool {
    HAS_MORE[usize::from(tag)]
}

const HAS_MORE: [bool; 256] = {
    let mut has_more = [true; 256];
    let alone = [0, UNIT, NONE, FALSE, TRUE, U16, I16, U32, I32, U64, I64];
    let mut place = 0;
    while place < alone.len() {
        has_more[alone[place] as usize] = false;
        place += 1;
    }
    has_more
};

/// Returns the bytes of a number in a block, or `None` if the tag has no blocks.
pub(super) fn number_size(tag: u8) -> Option<usize> {
    Some(match tag {
        U8 | I8 => 1,
        U16_WHOLE | I16_WHOLE => 2,
        F32 | U32_WHOLE | I32_WHOLE => 4,
        F64 | U64_WHOLE | I64_WHOLE => 8,
        U128 | I128 => 16,
        _ => return None,
    })
}
