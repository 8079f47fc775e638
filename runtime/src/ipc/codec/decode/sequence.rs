//! Sequences and tuples.

use serde::de::{self, DeserializeSeed, Error as _, Visitor};

use super::decoder::Decoder;
use super::run::{NumberRun, RunNumber};
use super::value::Value;
use crate::ipc::codec::error::Error;
use crate::ipc::codec::tag;

impl<'de> Decoder<'de> {
    #[inline]
    fn elements<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        let hint = self.hint()?;
        // A sequence of one run is a block of numbers.
        let before = self.rest;
        if before.first() == Some(&tag::RUN) {
            self.byte()?;
            let run = self.next_run()?;
            if self.rest.first() == Some(&tag::END) {
                self.byte()?;
                return run.visit(visitor, self.is_plain);
            }
            self.rest = before;
        }
        self.nested(|decoder| {
            let mut elements = SequenceAccess { decoder, hint, index: 0, run: NumberRun::default(), is_over: false };
            let mut value = visitor.visit_seq(&mut elements);
            if value.is_ok()
                && let Err(error) = elements.finish()
            {
                value = Err(error);
            }
            value
        })
    }
}

impl<'de> Value<'_, 'de> {
    #[inline]
    pub(super) fn sequence<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Self { decoder, tag } = self;
        let number = match tag {
            tag::SEQ => return decoder.elements(visitor),
            tag::NUMBERS => decoder.byte()?,
            _ => tag::U8,
        };
        let count = decoder.length()?;
        decoder.run(number, count)?.visit(visitor, decoder.is_plain)
    }
}

/// The elements of a sequence, some of which may be runs of numbers.
pub(super) struct SequenceAccess<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    hint: usize,
    index: usize,
    run: NumberRun<'de>,
    /// Whether the end of the sequence has been read.
    is_over: bool,
}

impl<'de> SequenceAccess<'_, 'de> {
    /// Reads the tag of the next element. Returns `None` at a run, after reading the run, and at the end.
    #[inline(always)]
    fn next_tag(&mut self) -> Result<Option<u8>, Error> {
        if self.is_over {
            return Ok(None);
        }
        match self.decoder.byte()? {
            tag::END => {
                self.is_over = true;
                Ok(None)
            }
            tag::RUN => {
                self.run = self.decoder.next_run()?;
                Ok(None)
            }
            tag => Ok(Some(tag)),
        }
    }

    #[inline]
    fn is_at_end(&self) -> bool {
        self.is_over && self.run.numbers.is_empty()
    }

    #[inline]
    fn finish(&mut self) -> Result<(), Error> {
        // The visitor of a tuple stops after the last element, before the end is read.
        while !self.is_at_end() {
            if !self.run.numbers.is_empty() || self.next_tag()?.is_some() {
                return Err(Error::invalid_length(self.index + 1, &"fewer elements"));
            }
        }
        Ok(())
    }
}

impl<'de> de::SeqAccess<'de> for SequenceAccess<'_, 'de> {
    type Error = Error;

    #[inline(always)]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        loop {
            let decoded = if let Some((bytes, rest)) = self.run.numbers.split_at_checked(self.run.size.max(1)) {
                self.run.numbers = rest;
                let is_plain = self.decoder.is_plain;
                seed.deserialize(RunNumber::new(self.run.number, bytes, is_plain))
            } else {
                match self.next_tag()? {
                    Some(tag) => self.decoder.decode(tag, |value| seed.deserialize(value)),
                    None if self.is_at_end() => return Ok(None),
                    None => continue,
                }
            };
            return match decoded {
                Ok(value) => {
                    self.index += 1;
                    Ok(Some(value))
                }
                Err(error) => Err(error.at_index(self.index)),
            };
        }
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.hint.saturating_sub(self.index))
    }
}
