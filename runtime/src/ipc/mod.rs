//! Communication between processes: channels, locks, shared memory, and the frames on a link.
//!
//! | room | job |
//! | --- | --- |
//! | [`channel`] | typed messages between any processes, and waiting for several sources |
//! | [`sync`] | locks |
//! | [`shm`] | shared memory |
//! | [`fd`] | open files in values |
//! | [`reactor`] | the thread that wakes futures |
//! | [`spin`] | the time to look before sleeping |
//! | [`wire`] | frames, payloads and descriptors on a link |
//! | [`codec`] | values as bytes |
//!
//! Imports run down the table.

pub(crate) mod channel;
pub(crate) mod codec;
pub(crate) mod fd;
pub(crate) mod reactor;
pub mod shm;
pub(crate) mod spin;
pub mod sync;
pub(crate) mod wire;
