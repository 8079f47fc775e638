//! The format in which values travel: compact, fast, and self-describing.
//!
//! A value arrives as by any other self-describing format, or not at all. The format carries serde's whole data model,
//! with the names of fields and variants, and answers every request of a `Deserialize`. `docs/format.md` describes the
//! format byte by byte.
//!
//! - [`encode`]: values to bytes. A message has the names of a struct once.
//! - [`decode`]: bytes to values. A struct is read by position if the names in the message are the names of the type in
//!   the same order, and otherwise by name.
//! - [`numbers`]: vectors of numbers, copied as a whole
//! - [`depth`]: the limit of nesting
//! - [`error`]: the message of a failure, and the path to the failed part
//! - [`tag`]: the first byte of each value
//!
//! **Invariant:** the format knows no processes, descriptors or tasks.

pub(crate) mod decode;
mod depth;
pub(crate) mod encode;
mod error;
mod numbers;
mod tag;
#[cfg(test)]
mod tests;

use std::cell::Cell;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use decode::{Decoder, Progress};
pub(crate) use encode::{Encoder, Scratch, Sink};
pub use error::Error;

thread_local! {
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

/// Returns the scratch of the last encoder of the current thread, or new scratch.
///
/// New scratch serves a `Serialize` with an encoder of its own, and a thread without thread-locals, as at the end of
/// the thread.
pub(crate) fn scratch() -> Box<Scratch> {
    SCRATCH.try_with(Cell::take).ok().flatten().unwrap_or_default()
}

/// Keeps scratch for the next encoder of the current thread.
pub(crate) fn keep(scratch: Box<Scratch>) {
    // A thread without thread-locals encodes nothing more.
    let _ = SCRATCH.try_with(|kept| kept.set(Some(scratch)));
}

/// Encodes a value into a buffer, in place of the earlier content.
///
/// # Errors
/// - an error of the value's `Serialize`
/// - a value with too many levels of nesting
pub fn to_buffer<T: Serialize + ?Sized>(value: &T, buffer: &mut Vec<u8>) -> Result<(), Error> {
    let mut scratch = scratch();
    let encoded = encode::message(value, buffer, &mut scratch);
    keep(scratch);
    encoded
}

/// Encodes a value.
///
/// # Errors
/// - an error of the value's `Serialize`
/// - a value with too many levels of nesting
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Error> {
    let mut buffer = Vec::new();
    to_buffer(value, &mut buffer)?;
    Ok(buffer)
}

/// Decodes a value.
///
/// # Errors
/// - an error of the value's `Deserialize`
/// - bytes other than one value of the format
/// - a value with too many levels of nesting
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let mut decoder = Decoder::new(bytes);
    let mut value = decoder.pull(|| true);
    if decoder.left() > 0 && value.is_ok() {
        value = Err(left_over(decoder.left()));
    }
    value
}

#[cold]
fn left_over(bytes: usize) -> Error {
    Error::new(format!("{bytes} bytes are left over behind the value"))
}
