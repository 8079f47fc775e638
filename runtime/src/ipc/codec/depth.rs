//! The limit of nesting.
//!
//! Each level of nesting takes stack of the encoding or decoding thread. Only the compiler knows the size of a level,
//! so the rest of the stack is the limit. The first 16 levels go unchecked, since any stack has room for 16 levels.

use super::error::Error;
use crate::sys::headroom;

/// Levels without a check.
const UNCHECKED: u32 = 16;

/// Most levels in a buffer of serde's (`untagged`, `tag`, `flatten`). serde_json has the same limit for all values.
///
/// The conversion from the buffer has the frames of the user's types, of any size.
const BUFFERED: u32 = 128;

/// Most levels where the end of the stack is unknown. serde_json has the same limit for all values.
const WITHOUT_BOUNDS: u32 = 128;

/// Bytes of stack for the user's code at the innermost level, and for dropping a half-decoded value.
const RESERVE: usize = 128 * 1024;

/// Counts an `Option` of a type for which the message has no option.
///
/// # Errors
/// At 256 such options, since a type of nothing but options would ask without end.
pub(super) fn unwritten_option(levels: u8) -> Result<u8, Error> {
    levels.checked_add(1).ok_or_else(|| Error::new("a type of options without end"))
}

/// The nesting of the current value.
#[derive(Debug, Default)]
pub(super) struct Depth {
    levels: u32,
    /// Bytes of stack left at the first checked level.
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

    /// Checks the depth of a value in serde's buffer (`untagged`, `tag`, `flatten`). The conversion from the buffer
    /// takes larger frames, on the same stack.
    #[inline(always)]
    pub(super) fn check_buffered(&mut self) -> Result<(), Error> {
        match self.levels {
            0..=UNCHECKED => Ok(()),
            _ if self.levels <= BUFFERED => self.check(RESERVE.max(self.at_first / 3 * 2)),
            _ => Err(self.too_deep("serde keeps no more of it than JSON may have")),
        }
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
        Err(self.too_deep("for which the stack of this thread is too small; use a thread with a larger stack"))
    }

    #[cold]
    fn too_deep(&self, why: &str) -> Error {
        Error::new(format!("the value nests {} levels deep, {why}, or send it as a flat list", self.levels))
    }
}
