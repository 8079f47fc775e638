//! The destination of bytes beyond the capacity of a buffer.

use std::io;

/// Takes the bytes of a message for which the buffer has no room.
pub(crate) trait Sink {
    /// Gives `buffer` room for `more` bytes. May remove the content of the buffer.
    fn make_room(&mut self, buffer: &mut Vec<u8>, more: usize) -> io::Result<()>;

    /// Appends bytes to the message, behind the content of `buffer`.
    fn append(&mut self, buffer: &mut Vec<u8>, bytes: &[u8]) -> io::Result<()>;

    /// Returns the count of the bytes removed from the buffer.
    fn taken(&self) -> usize;

    /// Returns the length of the message: the removed bytes and the content of `buffer`.
    #[inline(always)]
    fn message_len(&self, buffer: &[u8]) -> usize {
        self.taken() + buffer.len()
    }

    /// Replaces a removed byte.
    fn patch(&mut self, at: usize, byte: u8) -> io::Result<()>;
}

/// Keeps the whole message in the buffer, at any length.
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
