//! The values of a message, one after another.

use serde::Serialize;

use super::shape_cache::ShapeCache;
use super::sink::{InMemory, Sink};
use super::writer::Writer;
use crate::ipc::codec::depth::Depth;
use crate::ipc::codec::error::Error;
use crate::ipc::codec::tag;

/// What an encoder works with and can be used again: a buffer, and the shapes of structs that were seen.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) buffer: Vec<u8>,
    shapes: ShapeCache,
}

/// Encodes one value after another into one message.
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

    /// Bytes so far.
    pub(crate) fn len(&self) -> usize {
        self.sink.taken() + self.scratch.buffer.len()
    }

    /// Appends a value.
    ///
    /// # Errors
    /// As the value's own `Serialize`, or what the sink says. The message is then what it was before, unless the sink
    /// has taken out a part of the value; then it is of no use.
    #[inline]
    pub(crate) fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let Scratch { buffer, shapes } = &mut *self.scratch;
        push(value, buffer, shapes, &mut self.sink)
    }
}

/// Encodes a value as a message of its own, in place of what is in the buffer.
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
    let written = if writer.len() == 0 { writer.byte(tag::VERSION) } else { Ok(()) };
    let written = written.and_then(|()| value.serialize(&mut writer)).and_then(|()| writer.is_whole());
    if written.is_err() {
        writer.rewind(mark);
    }
    written
}
