//! Bytes to values.
//!
//! The bytes may come from anywhere. Every length is checked against the bytes that are there before anything is
//! allocated for it, and a value inside a value counts against the [depth](super::depth).
//!
//! A container reads the tag of the value that comes next, and gives it to that value with the rest: see [`Value`].

mod buffer;
mod bytes;
mod decoder;
mod deserializer;
mod entries;
mod key;
mod message;
mod number;
mod position;
mod run;
mod sequence;
mod shape;
mod shown_key;
mod skip;
mod value;
mod variant;

pub(crate) use self::decoder::{Decoder, Progress};
pub(super) use self::shown_key::shown_key;
