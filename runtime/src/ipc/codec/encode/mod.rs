//! Values to bytes.
//!
//! [`Encoder`] puts one value after another into a message. Serde writes to the [`Writer`], and to one of its parts for
//! each kind of container.

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
