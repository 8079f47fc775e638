//! The sizes that decide how bytes travel, and which lengths a receiver believes.

/// Bytes up to this length travel inside a datagram. Longer ones travel in a sealed memory file, passed as a
/// descriptor.
///
/// A memory file costs about 25 µs to make and more to map; a datagram of 128 KiB costs about 20 µs. The usual buffer
/// of a socket (`net.core.wmem_default`, 208 KiB) holds one such datagram.
pub(crate) const DATAGRAM_INLINE_MAX: usize = 128 * 1024;

/// The longest value accepted from another process, in bytes. Checked before any allocation for the value.
pub(crate) const MESSAGE_MAX: usize = 1 << 30;
