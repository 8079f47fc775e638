//! The values of a message, from its version to its last value.

use serde::de::DeserializeOwned;

use super::decoder::Decoder;
use crate::ipc::codec::error::Error;
use crate::ipc::codec::tag;

impl<'de> Decoder<'de> {
    /// Decodes the next value.
    ///
    /// The first attempt gives each value as written. A type made for JSON may refuse an `Option` where the type takes
    /// a text and a number, or bytes where the type takes a list. If the first attempt fails and `can_try_again`
    /// returns `true`, a second attempt gives each value in the JSON form. The error is the error of the first attempt.
    ///
    /// # Errors
    /// - an error of the value's `Deserialize`
    /// - malformed bytes
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
}

#[cold]
fn unknown_version(version: u8) -> Error {
    let own = tag::VERSION;
    Error::new(format!("the value is in version {version} of the format, and this program reads version {own}"))
}
