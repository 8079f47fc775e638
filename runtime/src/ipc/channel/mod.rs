//! Channels: typed messages between any processes of the program.
//!
//! ```text
//! Sender ──┐ encode                                decode ┌── Receiver      any number of each, in any process,
//! Sender ──┼───────▶ one SOCK_SEQPACKET socket ───────────┼── Receiver      sent along like other values
//! Sender ──┘         (the queue, in the kernel)           └── Receiver
//! ```
//!
//! 1. [`Sender::send`] encodes the value and sends the bytes as one datagram. A full socket makes the sender wait.
//! 2. The kernel keeps the datagram until a receiver takes it. The end of the sending process changes nothing.
//! 3. [`Receiver::recv`] takes one datagram and decodes the value.
//! 4. The kernel reports the last close of either end to the other side.
//!
//! A message is whole or absent, whichever process is killed at whichever moment. A channel has no memory that a killed
//! process could leave in disorder, no lock, no thread, and no name to be left behind.
//!
//! | descriptor | held by | closed by |
//! | --- | --- | --- |
//! | sending socket | each process with a [`Sender`], once for all clones | the last clone |
//! | receiving socket | each process with a [`Receiver`], once for all clones | the last clone |
//! | either socket, in a [`Call`](crate::Call) | the call | the last clone of the call |
//! | either socket, in a message in transit | the queue | the receiving process |
//! | memory file of a long message | the queue, then the receiver | the decoding |
//!
//! After the last close of the sending socket, receivers read the rest, then fail with
//! [`Disconnected`](RecvErrorKind::Disconnected). After the last close of the receiving socket, senders fail with
//! [`Disconnected`](SendErrorKind::Disconnected), and the kernel drops the queue.
//!
//! A child by `fork` closes the channel ends of the parent that are no arguments of the task. A closure run by
//! [`fork`](crate::fork) keeps all ends of the parent, and should drop the unused ends.
//!
//! | module | job |
//! | --- | --- |
//! | `error` | the errors of senders and receivers |
//! | `end` | one socket, shared by clones, passed on as a descriptor |
//! | `inbox` | messages received ahead of use |
//! | `sender`, `receiver`, `duplex` | the ends as users hold them |
//! | `future` | sending and receiving without blocking a thread |
//! | `wait` | waiting for several sources at once |

mod duplex;
mod end;
mod error;
mod future;
mod inbox;
mod receiver;
mod sender;
mod wait;

pub use duplex::{Duplex, duplex};
pub use error::{RecvError, RecvErrorKind, RequestError, SendError, SendErrorKind};
#[cfg(feature = "stream")]
pub use future::RecvStream;
pub use future::{RecvFuture, SendFuture};
pub use receiver::{Iter, Receiver};
pub use sender::Sender;
pub(crate) use wait::PollSource;
pub use wait::{Waitable, wait};

use end::End;

use crate::error::Error;
use crate::sys::socket;

/// Makes a channel for values of type `T`.
///
/// Both ends can be cloned, and used from any number of threads and processes. An end travels as an argument or result
/// of a task, in a message on another channel, and inside any type that serde carries.
///
/// # Capacity
///
/// The queue is the buffer of a socket: about 200 KiB (`net.core.wmem_default`). Each message takes its encoded size
/// and about 700 bytes, so that 278 small messages fit, or 3 of 64 KiB. Values of more than 112 KiB travel in a memory
/// file, and take the room of a small message. The largest message is 1 GiB.
///
/// A sender waits for room in a full queue. The kernel wakes senders after receivers have taken three quarters of the
/// queue, not after each message.
///
/// # Order and fairness
///
/// Messages of one sender arrive in the order of sending. Messages of several senders are interleaved in the order of
/// arrival. Each message goes to one receiver: to the longest waiting [`recv`](Receiver::recv). A killed
/// receiver takes along the messages already received, and no more.
///
/// # Errors
///
/// - [`LimitReached`](crate::ErrorKind::LimitReached): a limit on descriptors leaves no room for two.
/// - [`Os`](crate::ErrorKind::Os): the kernel refuses a socket pair, under seccomp for instance.
///
/// # Examples
///
/// ```
/// use offspring::{Receiver, Sender, channel, child_task};
///
/// #[child_task]
/// fn lengths(words: Receiver<String>, lengths: Sender<usize>) {
///     for word in words.iter().flatten() {
///         lengths.send(word.len()).expect("the parent receives");
///     }
/// }
///
/// #[offspring::process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let (words, child_words) = channel()?;
///     let (child_lengths, lengths) = channel()?;
///     let child = lengths::start(child_words, child_lengths)?;
///     for word in ["one", "three"] {
///         words.send(word.to_owned())?;
///     }
///     drop(words); // the last sender: ends the loop of the child
///     let total: usize = lengths.iter().sum::<Result<usize, _>>()?;
///     child.join()?;
///     assert_eq!(total, 8);
///     Ok(())
/// }
/// ```
///
/// Source: [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html),
/// [socketpair(2)](https://man7.org/linux/man-pages/man2/socketpair.2.html).
pub fn channel<T>() -> Result<(Sender<T>, Receiver<T>), Error> {
    let (sender, receiver) = socket::one_way().map_err(|error| Error::os("cannot make a channel", error))?;
    Ok((Sender::new(End::new(sender)), Receiver::new(End::new(receiver))))
}
