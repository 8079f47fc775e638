//! The place of bytes for which a buffer has no room.

use std::io;

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
