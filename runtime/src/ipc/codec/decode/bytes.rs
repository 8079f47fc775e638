//! Lengths and texts in a slice of a message, and the errors of malformed bytes.

use crate::ipc::codec::error::Error;
use crate::ipc::codec::tag;

/// Returns a length, and the bytes behind the length.
#[inline(always)]
pub(super) fn length(bytes: &[u8]) -> Result<(usize, &[u8]), Error> {
    match bytes.split_first() {
        Some((short, rest)) if usize::from(*short) <= tag::LENGTH_MAX => Ok(((*short).into(), rest)),
        Some((mark, rest)) => long_length(*mark, rest),
        None => Err(too_short()),
    }
}

#[cold]
fn long_length(mark: u8, bytes: &[u8]) -> Result<(usize, &[u8]), Error> {
    let size = match mark {
        tag::LENGTH_16 => size_of::<u16>(),
        tag::LENGTH_32 => size_of::<u32>(),
        _ => size_of::<u64>(),
    };
    let (length, rest) = bytes.split_at_checked(size).ok_or_else(too_short)?;
    let mut word = [0; size_of::<u64>()];
    word[..size].copy_from_slice(length);
    let length = usize::try_from(u64::from_le_bytes(word)).map_err(|_| too_short())?;
    Ok((length, rest))
}

#[cold]
pub(super) fn too_short() -> Error {
    Error::new("the encoded value ends too early")
}

#[cold]
pub(super) fn unknown(tag: u8) -> Error {
    Error::new(format!("the encoded value has a byte {tag:#04x} where another value begins"))
}

#[inline]
pub(super) fn to_text(bytes: &[u8]) -> Result<&str, Error> {
    str::from_utf8(bytes).map_err(|_| Error::new("a text in the encoded value is not UTF-8"))
}
