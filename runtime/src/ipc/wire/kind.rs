//! The number of each kind of frame on a link, with the frame's direction and the meaning of head and payload.
//!
//! | numbers | frames of |
//! | --- | --- |
//! | 1 to 15 | a child, to its parent |
//! | 16 to 31 | a parent, to its child or forkserver |
//! | 32 to 47 | a forkserver, to its parent |
//! | 64 to 79 | channels and pools, in either direction |
//!
//! Slots in the rings of a pool have kinds of their own, in `pool/local/protocol.rs`.

/// Child to parent: the handshake of a child of the forkserver. The kernel adds the pid of the child.
pub(crate) const HANDSHAKE: u8 = 1;
/// Child to parent: the payload is the task's result.
pub(crate) const RETURNED: u8 = 2;
/// Child to parent: the head is a `Panic`.
pub(crate) const PANICKED: u8 = 3;
/// Child or forkserver to parent: the head is a `Refusal`; the task was not begun.
pub(crate) const REFUSED: u8 = 4;
/// Child to parent: the head is the reason why the result could not be encoded.
pub(crate) const UNENCODABLE: u8 = 5;
/// Spare to parent: ready. The descriptors are the pidfd and the lifeline of the spare. The kernel adds the pid.
pub(crate) const WAITING: u8 = 6;
/// Spare to parent: the spec has arrived, and the task begins.
pub(crate) const TAKEN: u8 = 7;

/// Parent to child: the head is a `ChildSpec`, the payload the arguments.
pub(crate) const SPEC: u8 = 16;
/// Parent to forkserver: serve.
pub(crate) const SERVE: u8 = 17;
/// Parent to forkserver: the descriptor is the link of a new child.
pub(crate) const FORK: u8 = 18;
/// Parent to forkserver: the descriptor is the link of a new spare.
pub(crate) const SPARE: u8 = 19;

/// Forkserver to parent: the preloads are done.
pub(crate) const READY: u8 = 32;
/// Forkserver to parent: the head is the pid of the child, the descriptor the pidfd.
pub(crate) const FORKED: u8 = 33;

/// Sender to receiver of a channel or duplex: the payload is one value.
pub(crate) const MESSAGE: u8 = 64;
/// Sender to receiver of a channel: the payload is several values in a row, the head the number of values (`u32`).
pub(crate) const BATCH: u8 = 65;

/// Between a pool and a worker: a payload too long for a slot of the ring. The head is the number of the slot.
pub(crate) const OUT_OF_LINE: u8 = 72;
