//! Unread values.

use super::decoder::Decoder;
use crate::ipc::codec::error::Error;
use crate::ipc::codec::tag;

impl Decoder<'_> {
    /// Passes over the content of a value.
    ///
    /// # Errors
    /// - malformed bytes
    /// - too many levels of nesting
    pub(super) fn skip(&mut self, tag: u8) -> Result<(), Error> {
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

    pub(super) fn skip_next(&mut self) -> Result<(), Error> {
        let tag = self.byte()?;
        self.skip(tag)
    }

    /// Passes over an element or a run. Returns `false` at the end of the sequence or map.
    fn skip_element(&mut self) -> Result<bool, Error> {
        match self.byte()? {
            tag::END => return Ok(false),
            tag::RUN => drop(self.next_run()?),
            tag => self.skip(tag)?,
        }
        Ok(true)
    }
}
