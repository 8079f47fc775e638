//! Blocks of numbers, which are copied as a whole.
//!
//! Serde hands over the elements of a sequence one by one, without their type. The types of Rust reveal a `Vec<f64>` in
//! both directions:
//!
//! - Encoding: `Vec<f64>` calls `collect_seq` with a `&Vec<f64>`.
//! - Decoding: `Vec<f64>` calls `deserialize_seq` with a visitor of a certain type. A probe learns the type by
//!   deserialising a `Vec<f64>`.
//!
//! Any other visitor gets the elements one by one.

use std::any::TypeId;
use std::fmt;

use bytemuck::Pod;
use serde::de::{Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::tag;
use crate::sys::{cast, huge_pages};

/// A type of number with blocks.
trait BlockNumber: Pod + DeserializeOwned {
    /// The tag in a block.
    const TAG: u8;
}

macro_rules! numbers {
    ($($(#[$cfg:meta])? $number:ident $tag:ident;)*) => {
        $($(#[$cfg])? impl BlockNumber for $number {
            const TAG: u8 = tag::$tag;
        })*

        /// Returns the tag and the bytes of a value of a number type, or of a reference to a number.
        #[inline]
        pub(super) fn number<T: ?Sized>(value: &T) -> Option<(u8, &[u8])> {
            $($(#[$cfg])? if let Some(number) = cast::reference::<T, $number>(value) {
                return Some(($number::TAG, bytemuck::bytes_of(number)));
            })*
            None
        }

        /// Returns the tag of the numbers and the bytes of a `Vec`, a slice or an array of numbers.
        #[inline]
        pub(super) fn block<I>(iterable: &I) -> Option<(u8, &[u8])> {
            $($(#[$cfg])? if let Some(numbers) = cast::slice::<I, $number>(iterable) {
                return Some(($number::TAG, bytemuck::cast_slice(numbers)));
            })*
            None
        }

        /// Copies a block into a `Vec`, if the visitor is the visitor of `Vec` for the type of the numbers.
        #[inline]
        pub(super) fn collect<'de, V: Visitor<'de>>(tag: u8, bytes: &[u8]) -> Option<V::Value> {
            $($(#[$cfg])? if tag == $number::TAG && typeid::of::<V>() == visitor_of::<Vec<$number>>() {
                return cast::value::<Vec<$number>, V::Value>(copy(bytes)).ok();
            })*
            None
        }
    };
}

// Blocks have the bytes of the memory of a little-endian machine. On other machines, numbers go one by one.
#[cfg(target_endian = "little")]
numbers! {
    u8 U8;
    i8 I8;
    u16 U16_WHOLE;
    i16 I16_WHOLE;
    u32 U32_WHOLE;
    i32 I32_WHOLE;
    u64 U64_WHOLE;
    i64 I64_WHOLE;
    u128 U128;
    i128 I128;
    f32 F32;
    f64 F64;
    #[cfg(target_pointer_width = "64")] usize U64_WHOLE;
    #[cfg(target_pointer_width = "64")] isize I64_WHOLE;
}

#[cfg(target_endian = "big")]
numbers! {
    u8 U8;
    i8 I8;
}

/// Copies a block of numbers. The bytes may have any alignment.
fn copy<T: BlockNumber>(bytes: &[u8]) -> Vec<T> {
    let mut numbers = huge_pages::with_capacity(bytes.len() / size_of::<T>());
    numbers.extend(bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned::<T>));
    numbers
}

/// Returns the type of the visitor by which a `T` is deserialised.
#[inline]
pub(super) fn visitor_of<T: for<'de> Deserialize<'de>>() -> TypeId {
    match T::deserialize(Probe) {
        Err(Found(visitor)) => visitor,
        Ok(_) => typeid::of::<()>(),
    }
}

/// Returns the type of the visitor by which a `T` deserialises the first key of a map.
#[inline]
pub(super) fn key_visitor_of<T: for<'de> Deserialize<'de>>() -> TypeId {
    match T::deserialize(KeyProbe) {
        Err(Found(visitor)) => visitor,
        Ok(_) => typeid::of::<()>(),
    }
}

/// A deserializer of a map, which returns the type of the visitor of the first key as an error.
struct KeyProbe;

impl<'de> Deserializer<'de> for KeyProbe {
    type Error = Found;

    #[inline(always)]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Found> {
        visitor.visit_map(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> MapAccess<'de> for KeyProbe {
    type Error = Found;

    #[inline(always)]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Found> {
        seed.deserialize(Probe).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Found> {
        seed.deserialize(Probe)
    }
}

/// A deserializer, which returns the type of the visitor as an error.
struct Probe;

struct Found(TypeId);

impl<'de> Deserializer<'de> for Probe {
    type Error = Found;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Found> {
        Err(Found(typeid::of::<V>()))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl serde::de::Error for Found {
    fn custom<T: fmt::Display>(_text: T) -> Self {
        Self(typeid::of::<()>())
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a probe's visitor")
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl std::error::Error for Found {}
