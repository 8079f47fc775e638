//! The rings between a pool and one worker, in memory that both have. See `README.md` beside this file.

mod layout;
mod parent;
mod sleeper;

mod worker;

pub(super) use layout::{Head, INLINE_BYTES, Memory, SLOTS, WORDS};
pub(super) use parent::{Corrupt, ParentSide};
pub(super) use worker::WorkerSide;
