//! Values to bytes.
//!
//! [`Encoder`] appends values to a message. The modules in order, each of which uses earlier modules alone:
//!
//! - `sink`, `shape_cache`, `writer`: the bytes of a message
//! - `elements`, `entries`, `fields`, `variant`: the parts of a container, by serde's traits
//! - `serializer`: serde's requests to a writer
//! - `encoder`: the values of a message
//!
//! A part of a container is a value again. The part writes to the same writer by serde's `Serialize`, so the modules of
//! the parts do not import the module `serializer`.

mod elements;
mod encoder;
mod entries;
mod fields;
mod serializer;
mod shape_cache;
mod sink;
mod variant;
mod writer;

pub(super) use self::encoder::message;
pub(crate) use self::encoder::{Encoder, Scratch};
#[cfg(test)]
pub(crate) use self::sink::InMemory;
pub(crate) use self::sink::Sink;
