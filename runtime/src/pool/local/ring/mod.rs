//! The rings between a pool and one worker, in memory that both have. See `README.md` beside this file.

mod layout;
mod parent;
mod sleeper;
#[cfg(all(test, not(loom)))]
mod tests;
mod worker;

pub(super) use layout::{Awaited, Head, INLINE_BYTES, Memory, SLOTS, WORDS};
pub(super) use parent::{Corrupt, ParentSide};
pub(super) use worker::WorkerSide;
