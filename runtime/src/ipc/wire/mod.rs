//! Bytes and descriptors on a link, without their meaning.
//!
//! A link is a `SOCK_SEQPACKET` pair between a parent and one child (or forkserver). What travels on it are
//! [`frame`]s; the values inside of them are [`payload`]s.

pub(crate) mod fds;
pub(crate) mod frame;
pub(crate) mod kind;
pub(crate) mod message;
pub(crate) mod payload;

/// Up to here bytes travel inside a datagram; above, in a sealed memory file of which only the descriptor travels.
///
/// A memory file costs some 25 µs to make and more to map, a datagram of this size about 20 µs; a socket's usual buffer
/// (`net.core.wmem_default`, 208 KiB) holds one such datagram.
pub(crate) const INLINE_MAX: usize = 128 * 1024;

/// The largest value that one process accepts from another, checked before anything is allocated for it.
pub(crate) const MESSAGE_MAX: usize = 1 << 30;
