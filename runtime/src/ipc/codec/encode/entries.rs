//! Maps.

use serde::ser::{self, Serialize};

use super::sink::Sink;
use super::writer::Writer;
use crate::ipc::codec::decode::shown_key;
use crate::ipc::codec::error::Error;
use crate::ipc::codec::tag;

#[derive(Debug)]
pub(super) struct MapWriter<'a, 'm, S> {
    pub(super) writer: &'a mut Writer<'m, S>,
    /// The position of the last key in the message.
    pub(super) key: usize,
}

impl<S: Sink> MapWriter<'_, '_, S> {
    /// Adds the last key to the path of an error, if the buffer still has the key.
    #[cold]
    fn locate(&self, error: Error) -> Error {
        let start = self.key.checked_sub(self.writer.sink.taken());
        let key = start.and_then(|start| self.writer.buffer.get(start..));
        error.at_key(key.and_then(shown_key))
    }
}

impl<S: Sink> ser::SerializeMap for MapWriter<'_, '_, S> {
    type Ok = ();
    type Error = Error;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.key = self.writer.position();
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
