//! How deep a value may nest.
//!
//! A value inside a value takes a frame of the stack of the thread that encodes or decodes it, of a size that only the compiler
//! knows. So the limit is what is left of the stack, and it is asked for from a depth on that any stack has room for.

use super::error::Error;
use crate::sys::headroom;

/// Levels that are not checked.
const UNCHECKED: u32 = 16;

/// Levels where the end of the stack is unknown: as many as serde_json allows everywhere.
const WITHOUT_BOUNDS: u32 = 128;

/// Stack that is left to what a value's own code does at the innermost level, and to dropping what has been decoded so far.
const RESERVE: usize = 128 * 1024;

/// Levels of one value inside of another.
#[derive(Debug, Default)]
pub(super) struct Depth {
    levels: u32,
    /// What was left of the stack at the first level that is checked.
    at_first: usize,
}

impl Depth {
    #[inline(always)]
    pub(super) fn enter(&mut self) -> Result<(), Error> {
        self.levels += 1;
        if self.levels > UNCHECKED { self.check(RESERVE) } else { Ok(()) }
    }

    #[inline(always)]
    pub(super) fn leave(&mut self) {
        self.levels -= 1;
    }

    pub(super) fn reset(&mut self) {
        self.levels = 0;
    }

    /// Checks for a value that is taken into a buffer first (serde does so for `untagged`, `tag` and `flatten`): what it becomes
    /// then takes larger frames, which begin where these began.
    #[inline(always)]
    pub(super) fn check_buffered(&mut self) -> Result<(), Error> {
        if self.levels > UNCHECKED { self.check(RESERVE.max(self.at_first / 3 * 2)) } else { Ok(()) }
    }

    #[cold]
    fn check(&mut self, reserve: usize) -> Result<(), Error> {
        let left = headroom::left();
        if self.levels == UNCHECKED + 1 {
            self.at_first = left.unwrap_or(0);
        }
        let has_room = left.map_or(self.levels <= WITHOUT_BOUNDS, |left| left >= reserve);
        if has_room {
            return Ok(());
        }
        Err(Error::new(format!(
            "the value nests {} levels deep, for which the stack of this thread is too small; send it as a flat list, or use a \
             thread with a larger stack",
            self.levels
        )))
    }
}
