//! Bytes to values.
//!
//! The bytes may come from anywhere. Every length is checked against the bytes that are there before anything is
//! allocated for it, and a value inside a value counts against the [depth](super::depth).
//!
//! A container reads the tag of the value that comes next, and gives it to that value with the rest: see [`Value`].

mod entries;
mod key;
mod number;
mod sequence;
mod shape;
mod value;
mod variant;

use serde::de::DeserializeOwned;

pub(super) use self::key::{ShownKey, key};
pub(super) use self::shape::names;
use self::shape::{Shape, Shapes};
use self::value::Value;
use super::depth::Depth;
use super::error::Error;
use super::tag;

/// Decodes one value after another from one message.
#[derive(Debug)]
pub(crate) struct Decoder<'de> {
    input: &'de [u8],
    rest: &'de [u8],
    shapes: Shapes,
    /// The last shape without a number.
    passing: Option<Shape>,
    depth: Depth,
    /// Elements that sequences and maps may still announce. Each takes a byte at least, so that no honest message
    /// announces more, and no other makes room for more than that.
    announced: usize,
    /// Whether values are told as JSON would tell them.
    is_plain: bool,
    /// Whether a value has failed in its midst. A `Deserialize` may go on regardless, with the rest of that value for
    /// the next one.
    is_spoilt: bool,
}

/// How far a message has been decoded.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    at: usize,
    shapes: Shapes,
}

impl<'de> Decoder<'de> {
    pub(crate) fn new(input: &'de [u8]) -> Self {
        Self::resume(input, Progress::default())
    }

    /// Goes on with a message that was decoded in part.
    pub(crate) fn resume(input: &'de [u8], progress: Progress) -> Self {
        let rest = input.get(progress.at..).unwrap_or_default();
        Self {
            input,
            rest,
            shapes: progress.shapes,
            passing: None,
            depth: Depth::default(),
            announced: rest.len(),
            is_plain: false,
            is_spoilt: false,
        }
    }

    /// Over bytes that are a part of a message.
    #[inline]
    fn over(part: &'de [u8]) -> Self {
        Self::resume(part, Progress::default())
    }

    pub(crate) fn into_progress(self) -> Progress {
        Progress { at: self.at(), shapes: self.shapes }
    }

    /// The bytes behind the last value.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    /// The next value.
    ///
    /// The first attempt tells everything as it was written. A type that was made for JSON may not know some of that:
    /// it takes a text and a number, but no `Option` of one, or a list, but no bytes. If the first attempt fails, and
    /// what it has done can be done again, a second one tells everything as JSON would.
    ///
    /// # Errors
    /// As the value's own `Deserialize`; if the bytes are no message.
    #[inline]
    pub(crate) fn pull<T: DeserializeOwned>(&mut self, can_try_again: impl FnOnce() -> bool) -> Result<T, Error> {
        if self.at() == 0 {
            self.version()?;
        }
        let (rest, shapes) = (self.rest, self.shapes.len());
        let mut value = self.attempt();
        if value.is_err() && can_try_again() {
            let plain = self.attempt_plain(rest, shapes);
            if plain.is_ok() {
                value = plain;
            }
        }
        value
    }

    /// Decodes a value of several parts, which are a level deeper. Takes a failure down.
    #[inline]
    fn nested<T>(&mut self, decode: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        self.depth.enter()?;
        let decoded = decode(self);
        self.depth.leave();
        self.is_spoilt |= decoded.is_err();
        decoded
    }

    /// Decodes the value of a tag. Passes over a value that `decode` has not looked at.
    #[inline(always)]
    fn decode<T>(&mut self, tag: u8, decode: impl FnOnce(Value<'_, 'de>) -> Result<T, Error>) -> Result<T, Error> {
        let before = self.rest.len();
        let mut decoded = decode(Value { decoder: self, tag });
        if self.rest.len() == before
            && tag::has_more(tag)
            && decoded.is_ok()
            && let Err(error) = self.skip(tag)
        {
            decoded = Err(error);
        }
        decoded
    }

    #[inline]
    fn attempt<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        self.depth.reset();
        self.announced = self.rest.len();
        self.is_spoilt = false;
        let tag = self.byte()?;
        let mut decoded = self.decode(tag, |value| T::deserialize(value));
        if self.is_spoilt && decoded.is_ok() {
            decoded = Err(Error::new("a part of the value cannot be decoded, and its type has gone on without it"));
        }
        decoded
    }

    #[cold]
    fn attempt_plain<T: DeserializeOwned>(&mut self, rest: &'de [u8], shapes: usize) -> Result<T, Error> {
        self.rest = rest;
        self.shapes.truncate(shapes);
        self.is_plain = true;
        let value = self.attempt();
        self.is_plain = false;
        value
    }

    #[inline]
    fn version(&mut self) -> Result<(), Error> {
        match self.byte()? {
            tag::VERSION => Ok(()),
            other => Err(unknown_version(other)),
        }
    }

    fn at(&self) -> usize {
        self.input.len() - self.rest.len()
    }

    #[inline]
    fn value(&mut self) -> Result<Value<'_, 'de>, Error> {
        let tag = self.byte()?;
        Ok(Value { decoder: self, tag })
    }

    #[inline(always)]
    fn byte(&mut self) -> Result<u8, Error> {
        let (byte, rest) = self.rest.split_first().ok_or_else(too_short)?;
        self.rest = rest;
        Ok(*byte)
    }

    #[inline(always)]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (array, rest) = self.rest.split_first_chunk().ok_or_else(too_short)?;
        self.rest = rest;
        Ok(*array)
    }

    #[inline(always)]
    fn bytes(&mut self, length: usize) -> Result<&'de [u8], Error> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or_else(too_short)?;
        self.rest = rest;
        Ok(bytes)
    }

    #[inline(always)]
    fn length(&mut self) -> Result<usize, Error> {
        let (length, rest) = length(self.rest)?;
        self.rest = rest;
        Ok(length)
    }

    /// A number of elements to make room for.
    #[inline]
    fn hint(&mut self) -> Result<usize, Error> {
        let hint = self.length()?.min(self.announced);
        self.announced -= hint;
        Ok(hint)
    }

    /// The number of a few little-endian bytes.
    #[inline(always)]
    fn unsigned(&mut self, bytes: u8) -> Result<u64, Error> {
        let bytes = usize::from(bytes);
        if let Some(word) = self.rest.first_chunk() {
            self.rest = &self.rest[bytes..];
            return Ok(u64::from_le_bytes(*word) & LOWEST[bytes]);
        }
        self.last_unsigned(bytes)
    }

    /// The same where fewer than 8 bytes are left.
    #[cold]
    fn last_unsigned(&mut self, bytes: usize) -> Result<u64, Error> {
        let mut word = [0; 8];
        word[..bytes].copy_from_slice(self.bytes(bytes)?);
        Ok(u64::from_le_bytes(word))
    }

    /// A number in two's complement.
    #[inline(always)]
    fn signed(&mut self, bytes: u8) -> Result<i64, Error> {
        let number = self.unsigned(bytes)?;
        let unused = u64::BITS - 8 * u32::from(bytes);
        Ok((number.checked_shl(unused).unwrap_or(0) as i64) >> unused.min(u64::BITS - 1))
    }

    #[inline]
    fn text(&mut self, tag: u8) -> Result<&'de str, Error> {
        let length = if usize::from(tag) <= tag::SHORT_MAX { usize::from(tag) } else { self.length()? };
        to_text(self.bytes(length)?)
    }

    /// Passes over a value.
    fn skip(&mut self, tag: u8) -> Result<(), Error> {
        self.depth.enter()?;
        match tag {
            tag::UNIT | tag::NONE | tag::FALSE | tag::TRUE => {}
            tag::SOME => self.skip_next()?,
            tag::UNIT_VARIANT => drop(self.names()?),
            tag::VARIANT => {
                self.names()?;
                self.skip_next()?;
            }
            tag::BYTES => {
                let length = self.length()?;
                self.bytes(length)?;
            }
            tag::CHAR => drop(self.bytes(3)?),
            tag::SEQ => {
                self.length()?;
                while self.skip_element()? {}
            }
            tag::MAP => {
                self.length()?;
                while self.skip_element()? {}
            }
            tag::STRUCT => {
                for _ in 0..self.mention()?.fields {
                    self.skip_next()?;
                }
            }
            tag::PARTIAL => {
                self.names()?;
                while self.rest.first() != Some(&tag::REST) {
                    self.skip_next()?;
                }
                self.byte()?;
                while self.skip_element()? {}
            }
            tag::NUMBERS => {
                let (number, count) = (self.byte()?, self.length()?);
                self.run(number, count)?;
            }
            _ if usize::from(tag) <= tag::SHORT_MAX || tag == tag::TEXT => drop(self.text(tag)?),
            _ => drop(self.number(tag)?),
        }
        self.depth.leave();
        Ok(())
    }

    fn skip_next(&mut self) -> Result<(), Error> {
        let tag = self.byte()?;
        self.skip(tag)
    }

    /// Whether there was one.
    fn skip_element(&mut self) -> Result<bool, Error> {
        match self.byte()? {
            tag::END => return Ok(false),
            tag::RUN => drop(self.next_run()?),
            tag => self.skip(tag)?,
        }
        Ok(true)
    }
}

/// A length, and the bytes behind it.
#[inline(always)]
fn length(bytes: &[u8]) -> Result<(usize, &[u8]), Error> {
    match bytes.split_first() {
        Some((short, rest)) if usize::from(*short) <= tag::LENGTH_MAX => Ok(((*short).into(), rest)),
        Some((mark, rest)) => long_length(*mark, rest),
        None => Err(too_short()),
    }
}

#[cold]
fn long_length(mark: u8, bytes: &[u8]) -> Result<(usize, &[u8]), Error> {
    let mut decoder = Decoder::over(bytes);
    let length = match mark {
        tag::LENGTH_16 => u16::from_le_bytes(decoder.array()?).into(),
        tag::LENGTH_32 => u32::from_le_bytes(decoder.array()?).into(),
        _ => u64::from_le_bytes(decoder.array()?),
    };
    let length = usize::try_from(length).map_err(|_| too_short())?;
    Ok((length, decoder.rest))
}

/// Masks of the lowest bytes, up to eight.
const LOWEST: [u64; 9] =
    [0, 0xFF, 0xFFFF, 0xFF_FFFF, u32::MAX as u64, u64::MAX >> 24, u64::MAX >> 16, u64::MAX >> 8, u64::MAX];

#[cold]
fn too_short() -> Error {
    Error::new("the encoded value ends too early")
}

#[cold]
fn unknown_version(version: u8) -> Error {
    let own = tag::VERSION;
    Error::new(format!("the value is in version {version} of the format, and this program reads version {own}"))
}

#[cold]
fn unknown(tag: u8) -> Error {
    Error::new(format!("the encoded value has a byte {tag:#04x} where another value begins"))
}

#[inline]
fn to_text(bytes: &[u8]) -> Result<&str, Error> {
    str::from_utf8(bytes).map_err(|_| Error::new("a text in the encoded value is not UTF-8"))
}
