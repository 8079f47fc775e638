//! Values to bytes.
//!
//! [`Encoder`] puts one value after another into a message. Serde writes to the [`Writer`], and to one of its parts for
//! each kind of container.

mod elements;
mod entries;
mod fields;
mod variant;
mod writer;

use std::io;

use serde::Serialize;

use self::writer::Writer;
use super::depth::Depth;
use super::error::Error;
use super::shapes::Shapes;
use super::tag;

/// Where the bytes go for which a buffer has no room.
pub(crate) trait Sink {
    /// Gives `buffer` room for `more` bytes. May take out what is in it.
    fn make_room(&mut self, buffer: &mut Vec<u8>, more: usize) -> io::Result<()>;

    /// Takes bytes that go behind those in `buffer`.
    fn append(&mut self, buffer: &mut Vec<u8>, bytes: &[u8]) -> io::Result<()>;

    /// The bytes that were taken out.
    fn taken(&self) -> usize;

    /// Replaces one of them.
    fn patch(&mut self, at: usize, byte: u8) -> io::Result<()>;
}

/// Leaves everything in the buffer, however much it is.
#[derive(Debug, Default)]
pub(crate) struct InMemory;

impl Sink for InMemory {
    fn make_room(&mut self, buffer: &mut Vec<u8>, more: usize) -> io::Result<()> {
        buffer.reserve(more);
        Ok(())
    }

    fn append(&mut self, buffer: &mut Vec<u8>, bytes: &[u8]) -> io::Result<()> {
        buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn taken(&self) -> usize {
        0
    }

    fn patch(&mut self, _at: usize, _byte: u8) -> io::Result<()> {
        Err(io::ErrorKind::InvalidInput.into())
    }
}

/// What an encoder works with and can be used again: a buffer, and the shapes of structs that were seen.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) buffer: Vec<u8>,
    shapes: Shapes,
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
pub(super) fn message<T: Serialize + ?Sized>(
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
    shapes: &mut Shapes,
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
