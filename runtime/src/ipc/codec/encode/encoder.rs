//! The values of a message.

use serde::Serialize;

use super::shape_cache::ShapeCache;
use super::sink::{InMemory, Sink};
use super::writer::Writer;
use crate::ipc::codec::depth::Depth;
use crate::ipc::codec::error::Error;
use crate::ipc::codec::tag;

/// The reusable parts of an encoder: a buffer, and the shapes of earlier structs.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) buffer: Vec<u8>,
    shapes: ShapeCache,
}

/// Encodes values into a message.
#[derive(Debug)]
pub(crate) struct Encoder<S> {
    pub(crate) scratch: Box<Scratch>,
    pub(crate) sink: S,
}

impl<S: Sink> Encoder<S> {
    /// Begins a message in the scratch's buffer.
    pub(crate) fn new(mut scratch: Box<Scratch>, sink: S) -> Self {
        scratch.buffer.clear();
        scratch.shapes.begin();
        Self { scratch, sink }
    }

    /// Returns the length of the message in bytes.
    pub(crate) fn len(&self) -> usize {
        self.sink.message_len(&self.scratch.buffer)
    }

    /// Appends a value.
    ///
    /// # Errors
    /// - an error of the value's `Serialize`
    /// - an error of the sink
    ///
    /// The message has then the earlier values alone. If the sink has taken a part of the failed value, the message is
    /// of no further use.
    #[inline]
    pub(crate) fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let Scratch { buffer, shapes } = &mut *self.scratch;
        push(value, buffer, shapes, &mut self.sink)
    }
}

/// Encodes a value as a message, in place of the content of `buffer`.
#[inline]
pub(in crate::ipc::codec) fn message<T: Serialize + ?Sized>(
    value: &T,
    buffer: &mut Vec<u8>,
    scratch: &mut Scratch,
) -> Result<(), Error> {
    buffer.clear();
    scratch.shapes.begin();
    push(value, buffer, &mut scratch.shapes, &mut InMemory)
}

#[inline]
fn push<T: Serialize + ?Sized, S: Sink>(
    value: &T,
    buffer: &mut Vec<u8>,
    shapes: &mut ShapeCache,
    sink: &mut S,
) -> Result<(), Error> {
    let mark = (buffer.len(), sink.taken(), shapes.mark());
    let mut writer = Writer { buffer, shapes, sink, depth: Depth::default(), is_spoilt: false };
    let written = if writer.position() == 0 { writer.byte(tag::VERSION) } else { Ok(()) };
    let written = written.and_then(|()| value.serialize(&mut writer)).and_then(|()| writer.is_whole());
    if written.is_err() {
        writer.rewind(mark);
    }
    written
}
