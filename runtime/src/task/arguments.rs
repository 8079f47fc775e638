//! The arguments of one call and the result of one task, encoded and decoded.
//!
//! The parent encodes arguments with an [`ArgumentEncoder`]. The child decodes the same arguments with an
//! [`ArgumentDecoder`], runs the task, and encodes the result as an [`EncodedOutput`]. The parent decodes the result
//! with [`decode_output`].

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ipc::codec;
use crate::ipc::wire::fds;
use crate::ipc::wire::payload::{self, Payload, PayloadDecoder};

/// Encodes the arguments of one call, in the order of the signature.
#[derive(Default)]
pub struct ArgumentEncoder {
    values: payload::PayloadEncoder,
    /// The first argument that could not be encoded.
    failure: Option<codec::Error>,
}

impl ArgumentEncoder {
    /// Returns an encoder without arguments.
    pub fn new() -> Self {
        Self::default()
    }

    /// Encodes the next argument. Keeps the first failure for [`finish`](Self::finish).
    pub(super) fn push<T: Serialize>(&mut self, value: &T, name: &'static str) {
        if self.failure.is_none() {
            self.failure = self.values.push(value).err().map(|error| error.in_argument(name));
        }
    }

    pub(super) fn finish(self) -> Result<Payload, codec::Error> {
        match self.failure {
            Some(failure) => Err(failure),
            None => self.values.finish(),
        }
    }
}

/// Decodes the arguments of one call, in the order of the signature.
pub struct ArgumentDecoder<'a> {
    values: PayloadDecoder<'a>,
}

impl<'a> ArgumentDecoder<'a> {
    pub(crate) fn new(bytes: &'a [u8], descriptors: fds::ReceivedFds) -> Self {
        Self { values: PayloadDecoder::new(bytes, descriptors) }
    }

    pub(crate) fn pull<T: DeserializeOwned>(&mut self) -> Result<T, UndecodableArguments> {
        self.values.pull().map_err(|error| UndecodableArguments(error.to_string()))
    }

    /// Decodes the next argument. An error names the argument and the path inside of the argument.
    pub(super) fn pull_named<T: DeserializeOwned>(&mut self, name: &'static str) -> Result<T, UndecodableArguments> {
        self.values.pull().map_err(|error| UndecodableArguments(error.in_argument(name).to_string()))
    }

    /// Checks that every byte and every descriptor of the call has been decoded.
    ///
    /// # Errors
    /// [`UndecodableArguments`] if the call has more arguments than the task.
    pub fn finish(&mut self) -> Result<(), UndecodableArguments> {
        let values = std::mem::replace(&mut self.values, PayloadDecoder::new(&[], fds::ReceivedFds::default()));
        values.finish().map_err(|error| UndecodableArguments(error.to_string()))
    }
}

/// The reason why arguments could not be decoded.
#[derive(Debug)]
pub struct UndecodableArguments(pub(crate) String);

/// The encoded result of a task, or the reason why the result could not be encoded.
#[derive(Debug)]
pub struct EncodedOutput(pub(crate) Result<Payload, codec::Error>);

/// Decodes a result in the process that started the task. The error is a text.
pub(crate) type Decode<T> = fn(Payload) -> Result<T, String>;

/// Decodes a result that came from another process.
pub(crate) fn decode_output<T: DeserializeOwned>(output: Payload) -> Result<T, String> {
    payload::decode(output).map_err(|error| error.to_string())
}
