//! A value with a known tag.
//!
//! `Deserializer` for [`Value`] is in `deserializer`.

use super::decoder::Decoder;
use crate::ipc::codec::error::Error;
use crate::ipc::codec::tag;
/// A value. The decoder stands behind the tag.
pub(super) struct Value<'a, 'de> {
    pub(super) decoder: &'a mut Decoder<'de>,
    pub(super) tag: u8,
}

impl<'a, 'de> Value<'a, 'de> {
    /// Returns the content of a `Some`, or the value itself. In JSON, a `Some` equals the content.
    #[inline]
    pub(super) fn unwrapped(mut self) -> Result<Self, Error> {
        while self.tag == tag::SOME {
            self.tag = self.decoder.byte()?;
        }
        Ok(self)
    }

    #[inline(always)]
    pub(super) fn is_text(&self) -> bool {
        usize::from(self.tag) <= tag::SHORT_MAX || self.tag == tag::TEXT
    }

    /// Returns whether the value is a single number.
    pub(super) fn is_number(&self) -> bool {
        (tag::U8..=tag::I64_WHOLE).contains(&self.tag)
    }
}

impl<'de> Decoder<'de> {
    /// Decodes a value of several parts, a level deeper. Records a failure in `is_spoilt`.
    #[inline]
    pub(super) fn nested<T>(&mut self, decode: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        self.depth.enter()?;
        let decoded = decode(self);
        self.depth.leave();
        self.is_spoilt |= decoded.is_err();
        decoded
    }

    /// Decodes the value of a tag. Passes over the value if `decode` has read nothing.
    #[inline(always)]
    pub(super) fn decode<T>(
        &mut self,
        tag: u8,
        decode: impl FnOnce(Value<'_, 'de>) -> Result<T, Error>,
    ) -> Result<T, Error> {
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
    pub(super) fn value(&mut self) -> Result<Value<'_, 'de>, Error> {
        let tag = self.byte()?;
        Ok(Value { decoder: self, tag })
    }
}
