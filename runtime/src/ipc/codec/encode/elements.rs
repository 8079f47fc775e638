//! Sequences and tuples.

use serde::ser::{self, Serialize};

use super::sink::Sink;
use super::writer::Writer;
use crate::ipc::codec::error::Error;
use crate::ipc::codec::{numbers, tag};

impl<'m, S: Sink> Writer<'m, S> {
    #[inline(always)]
    pub(super) fn elements<'a>(&'a mut self, length: Option<usize>) -> Result<SequenceWriter<'a, 'm, S>, Error> {
        self.depth.enter()?;
        self.byte(tag::SEQ)?;
        self.length(length.unwrap_or(0))?;
        let has_runs = length.is_none_or(|length| length >= RUN_MIN);
        Ok(SequenceWriter { writer: self, index: 0, has_runs, run: 0, run_start: 0 })
    }
}

/// The least count of numbers for a run.
const RUN_MIN: usize = 8;

/// Encodes a sequence or a tuple. Successive numbers of the same type become a run.
#[derive(Debug)]
pub(super) struct SequenceWriter<'a, 'm, S> {
    writer: &'a mut Writer<'m, S>,
    /// The count of the elements before the open run.
    index: usize,
    has_runs: bool,
    /// The tag of the numbers in the open run, which is at the end of the buffer. 0 without an open run.
    run: u8,
    /// The place of the run's first number in the buffer. An open run stays in the buffer.
    run_start: usize,
}

impl<S: Sink> SequenceWriter<'_, '_, S> {
    #[inline(always)]
    pub(super) fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        if self.has_runs
            && let Some((tag, bytes)) = numbers::number(value)
        {
            if tag != self.run || !self.writer.has_room(bytes.len()) {
                self.open_run(tag)?;
            }
            self.writer.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        self.close_run();
        self.index += 1;
        match value.serialize(&mut *self.writer) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.writer.spoil(error).at_index(self.index - 1)),
        }
    }

    #[cold]
    fn open_run(&mut self, tag: u8) -> Result<(), Error> {
        /// The bytes in front of the numbers.
        const HEAD: usize = 2 + size_of::<u32>();
        self.close_run();
        self.writer.room(HEAD + 256)?;
        self.writer.fixed([tag::RUN, tag, 0, 0, 0, 0])?;
        self.run = tag;
        self.run_start = self.writer.buffer.len();
        Ok(())
    }

    #[inline(always)]
    fn close_run(&mut self) {
        if self.run != 0 {
            self.end_run();
        }
    }

    #[cold]
    fn end_run(&mut self) {
        let start = self.run_start;
        let buffer = &mut *self.writer.buffer;
        let numbers = (buffer.len() - start) / tag::number_size(self.run).unwrap_or(1);
        buffer[start - size_of::<u32>()..start].copy_from_slice(&(numbers as u32).to_le_bytes());
        self.index += numbers;
        self.run = 0;
        // A short run hints at a tuple of many kinds of numbers, for which runs do not pay.
        self.has_runs = numbers >= RUN_MIN / 2;
    }

    #[inline]
    pub(super) fn finish(mut self) -> Result<(), Error> {
        self.close_run();
        self.writer.depth.leave();
        self.writer.byte(tag::END)
    }
}

macro_rules! elements {
    ($($kind:ident $push:ident;)*) => {
        $(impl<S: Sink> ser::$kind for SequenceWriter<'_, '_, S> {
            type Ok = ();
            type Error = Error;

            #[inline(always)]
            fn $push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.push(value)
            }

            #[inline]
            fn end(self) -> Result<(), Error> {
                self.finish()
            }
        })*
    };
}

elements! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
}
