//! Frames on a link: bytes and descriptors, without knowledge of tasks.
//!
//! A link is a `SOCK_SEQPACKET` socket pair: between a parent and a child, a parent and a forkserver, or the ends of a
//! channel. A sender encodes values into a payload, puts the payload into a frame, and sends the frame as one datagram.
//! A receiver checks the frame's header, then decodes the payload.
//!
//! | module | job |
//! | --- | --- |
//! | [`limits`] | the two sizes that every module below keeps to |
//! | [`kind`] | the number of each kind of frame |
//! | [`fds`] | descriptors inside of values |
//! | [`payload`] | encoded values, in memory or in a memory file |
//! | [`frame`] | one datagram: header, head, payload, descriptors |
//! | [`message`] | values and batches of values on a channel |
//!
//! Imports run from the bottom of the table to the top.
//!
//! | descriptor | opened by | closed by |
//! | --- | --- | --- |
//! | link | the room that starts a child, a worker or a channel | the same room |
//! | memory file of a long part | the sender, in `payload` or `frame` | the payload; at the receiver the mapping |
//! | descriptor in a value | the owner of the value | the value; at the receiver `ReceivedFds` or a value |

pub(crate) mod fds;
pub(crate) mod frame;
pub(crate) mod kind;
pub(crate) mod limits;
pub(crate) mod message;
pub(crate) mod payload;
