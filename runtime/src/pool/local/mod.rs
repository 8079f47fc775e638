//! Links of a pool to workers that are child processes of this one.

pub(super) mod handle;
mod protocol;
mod ring;
pub(super) mod worker;
