//! What processes say to each other and what they share: channels, locks, memory, and the bytes and descriptors on a link.
//!
//! Imports run downward: `channel`, `sync`, `shm`, `fd`, `reactor`, `spin`, `wire`, `codec`.

pub(crate) mod channel;
pub(crate) mod codec;
pub(crate) mod fd;
pub(crate) mod reactor;
pub mod shm;
pub(crate) mod spin;
pub mod sync;
pub(crate) mod wire;
