//! Bytes to values.
//!
//! The bytes may come from anywhere. Every length is checked against the present bytes before an allocation. A value
//! inside a value counts against the [depth](super::depth).
//!
//! A container reads the tag of the next value, and makes a [`Value`](value::Value) of the tag and the decoder. Serde
//! reads the value by `Deserializer`. The modules in order, each of which uses earlier modules alone:
//!
//! - `bytes`, `shape`, `decoder`: lengths, texts and shapes in a message
//! - `number`, `run`, `skip`: single numbers, blocks of numbers, unread values
//! - `value`: a value with a known tag
//! - `key`, `entries`, `sequence`, `position`, `variant`: the parts of a container, by serde's access traits
//! - `deserializer`: serde's requests to a value
//! - `message`: the values of a message
//!
//! A part of a container is a value again. The access traits reach the `Deserializer` of a value through serde's
//! `DeserializeSeed`, so the modules of the parts do not import the module `deserializer`.

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
