//! The first byte of each value. `docs/format.md` describes what follows each of them.

/// Of the format. The first byte of a message.
pub(crate) const VERSION: u8 = 1;

/// Up to this many bytes of text, the tag itself is the length.
pub(super) const SHORT_MAX: usize = 0x3F;

/// The longest length of one byte. Longer ones are one of the three marks and 2, 4 or 8 bytes.
pub(super) const LENGTH_MAX: usize = 0xFC;
pub(super) const LENGTH_16: u8 = 0xFD;
pub(super) const LENGTH_32: u8 = 0xFE;
pub(super) const LENGTH_64: u8 = 0xFF;

/// The bytes of an encoded length.
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

/// In place of a shape's number: its names follow, and it gets the next number.
pub(super) const NEW_SHAPE: usize = 0;
/// The same, without a number.
pub(super) const PASSING_SHAPE: usize = 1;
/// What is added to a shape's number.
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

// Each of these begins a range: the tag minus the first of its range is the number of bytes that follow.
pub(super) const U16: u8 = 0x70;
pub(super) const I16: u8 = 0x74;
pub(super) const U32: u8 = 0x78;
pub(super) const I32: u8 = 0x80;
pub(super) const U64: u8 = 0x88;
pub(super) const I64: u8 = 0x98;

/// A number's tag when all of its bytes follow, as they do in a block of numbers.
pub(super) const U16_WHOLE: u8 = U16 + 2;
pub(super) const I16_WHOLE: u8 = I16 + 2;
pub(super) const U32_WHOLE: u8 = U32 + 4;
pub(super) const I32_WHOLE: u8 = I32 + 4;
pub(super) const U64_WHOLE: u8 = U64 + 8;
pub(super) const I64_WHOLE: u8 = I64 + 8;

/// Whether anything follows a value's tag.
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

/// The bytes of a number in a block, if there are blocks of this kind.
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
