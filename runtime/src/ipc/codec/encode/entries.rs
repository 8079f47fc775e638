//! Maps.

use serde::ser::{self, Serialize};

use super::{Error, Sink, Writer, tag};

/// A map that is being encoded.
#[derive(Debug)]
pub(in super::super) struct Entries<'a, 'm, S> {
    pub(super) writer: &'a mut Writer<'m, S>,
    /// Where the last key begins.
    pub(super) key: usize,
}

impl<S: Sink> Entries<'_, '_, S> {
    /// The last key, if it is still in the buffer.
    #[cold]
    fn locate(&self, error: Error) -> Error {
        let start = self.key.checked_sub(self.writer.sink.taken());
        let key = start.and_then(|start| self.writer.buffer.get(start..));
        error.at_key(key.unwrap_or_default())
    }
}

impl<S: Sink> ser::SerializeMap for Entries<'_, '_, S> {
    type Ok = ();
    type Error = Error;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.key = self.writer.len();
        key.serialize(&mut *self.writer).map_err(|error| self.writer.spoil(error))
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        match value.serialize(&mut *self.writer) {
            Ok(()) => Ok(()),
            Err(error) => {
                let error = self.writer.spoil(error);
                Err(self.locate(error))
            }
        }
    }

    #[inline]
    fn end(self) -> Result<(), Error> {
        self.writer.depth.leave();
        self.writer.byte(tag::END)
    }
}
