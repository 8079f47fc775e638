//! The format in which values travel: compact, fast, and self-describing.
//!
//! A value arrives as what its own `Serialize` and `Deserialize` make of each other through any self-describing format, or not at
//! all. The format therefore carries what serde's data model has, names of fields and variants included, and answers whatever a
//! `Deserialize` asks for. It is described byte by byte in `docs/format.md`.
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
mod shapes;
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

/// What this thread's last encoder has left, or new.
///
/// A value whose `Serialize` encodes another one, and a thread that is past the end of its thread-locals, make do with new scratch.
pub(crate) fn scratch() -> Box<Scratch> {
    SCRATCH.try_with(Cell::take).ok().flatten().unwrap_or_default()
}

/// Keeps scratch for this thread's next encoder.
pub(crate) fn keep(scratch: Box<Scratch>) {
    // Without its thread-locals, the thread has no use for it.
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
    let value = decoder.pull(|| true)?;
    match decoder.left() {
        0 => Ok(value),
        left => Err(Error::new(format!("{left} bytes are left over behind the value"))),
    }
}
