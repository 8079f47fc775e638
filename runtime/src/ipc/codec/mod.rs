//! The format in which values travel: compact, fast, and self-describing.
//!
//! A value arrives as its `Serialize` and `Deserialize` round-trip through any self-describing format, or not at all.
//! The format carries serde's whole data model, with the names of fields and variants, and answers every request of a
//! `Deserialize`. `docs/format.md` describes the format byte by byte.
//!
//! - [`encode`]: values to bytes, with the [`shapes`] of structs told once in a message
//! - [`decode`]: bytes to values; a struct is read by position where its shape is what the type expects, else by names
//! - [`numbers`]: vectors of numbers are copied as a whole
//! - [`depth`]: how deep a value may nest
//!
//! Nothing here knows of processes, descriptors or tasks.

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

/// The scratch of this thread's last encoder, or new scratch.
///
/// New scratch serves a `Serialize` that encodes another value, and a thread without thread-locals (at its end).
pub(crate) fn scratch() -> Box<Scratch> {
    SCRATCH.try_with(Cell::take).ok().flatten().unwrap_or_default()
}

/// Keeps scratch for this thread's next encoder.
pub(crate) fn keep(scratch: Box<Scratch>) {
    // A thread without thread-locals encodes nothing more.
    let _ = SCRATCH.try_with(|kept| kept.set(Some(scratch)));
}

/// Encodes a value into a buffer, in place of what was there.
///
/// # Errors
/// As the value's own `Serialize`; if it nests too deep.
pub fn to_buffer<T: Serialize + ?Sized>(value: &T, buffer: &mut Vec<u8>) -> Result<(), Error> {
    let mut scratch = scratch();
    let encoded = encode::message(value, buffer, &mut scratch);
    keep(scratch);
    encoded
}

/// Encodes a value.
///
/// # Errors
/// As the value's own `Serialize`; if it nests too deep.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Error> {
    let mut buffer = Vec::new();
    to_buffer(value, &mut buffer)?;
    Ok(buffer)
}

/// Decodes a value.
///
/// # Errors
/// As the value's own `Deserialize`; if the bytes are not one value of the format; if it nests too deep.
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
