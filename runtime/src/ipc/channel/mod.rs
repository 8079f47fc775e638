//! Channels: typed messages between any processes of the program.
//!
//! ```text
//! Sender ──┐ encode                                decode ┌── Receiver      any number of each, in any process,
//! Sender ──┼───────▶ one SOCK_SEQPACKET socket ───────────┼── Receiver      sent along like other values
//! Sender ──┘         (the queue, in the kernel)           └── Receiver
//! ```
//!
//! A message is one datagram: whole or absent, whoever dies when. Nothing of a channel lies in memory that a killed process
//! could leave in disorder, there is no lock to die with, no thread that feeds it, and no name to be left behind.
//!
//! | descriptor | who has it | when it closes | what that means |
//! | --- | --- | --- | --- |
//! | sending socket | each process with a [`Sender`], once for all its clones | with the last clone | the last of all processes': receivers read what is left, then [`Disconnected`](RecvErrorKind::Disconnected) |
//! | receiving socket | each process with a [`Receiver`], likewise | likewise | the last of all processes': senders get their value back, [`Disconnected`](SendErrorKind::Disconnected); what was queued is dropped |
//! | either, in a [`Call`](crate::Call) or in a message under way | that call or message | when it is dropped or received | as if a process had it |
//! | either of both, in a child by `fork` | only if the task was given it | as above | the parent's other ends are closed in it |
//! | memory file of a big message | the queue, then the receiver | when it is decoded | nothing |
//!
//! A closure run by [`fork`](crate::fork) is the exception to the last line but one: it has everything that its parent has, and
//! should drop what it does not use.

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
pub use wait::{Waitable, wait};

use end::End;

use crate::error::Error;
use crate::sys::socket;

/// Makes a channel for values of type `T`.
///
/// Both ends can be cloned and used from any number of threads and processes: passed to a task as an argument, returned from
/// one, sent through another channel, inside of any type that serde carries.
///
/// # Capacity
/// The queue is a socket's buffer: about 200 KiB (`net.core.wmem_default`), of which each message takes its encoded size and
/// some 700 bytes. That is 278 small messages, or 3 of 64 KiB. A sender that finds it full waits until three quarters of it
/// have been received: the kernel wakes senders then, and not for each place. Values that are encoded in
/// more than 112 KiB travel in a memory file and take a small message's place. The largest message is 1 GiB.
///
/// # ChildSpec and fairness
/// Messages of one sender arrive in the order in which they were sent; those of several are interleaved as they come. Each
/// message goes to one receiver, whichever has waited longest in [`recv`](Receiver::recv), and to nobody else: a
/// receiver that is killed takes with it what it has received, and no more.
///
/// # Errors
/// [`LimitReached`](crate::ErrorKind::LimitReached) if two more descriptors may not be opened.
///
/// # Example
/// ```
/// use offspring::{Receiver, Sender, channel, child_task};
///
/// #[child_task]
/// fn lengths(words: Receiver<String>, out: Sender<usize>) {
///     for word in words.iter().flatten() {
///         out.send(word.len()).expect("somebody receives");
///     }
/// }
///
/// #[offspring::process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let (words, to_count) = channel()?;
///     let (counted, lengths) = channel()?;
///     let child = lengths::start(to_count, counted)?;
///     for word in ["one", "three"] {
///         words.send(word.to_owned())?;
///     }
///     drop(words); // the last sender: the child's loop ends
///     let total: usize = lengths.iter().sum::<Result<usize, _>>()?;
///     child.join()?;
///     assert_eq!(total, 8);
///     Ok(())
/// }
/// ```
///
/// Source: unix(7), socketpair(2).
pub fn channel<T>() -> Result<(Sender<T>, Receiver<T>), Error> {
    let (sender, receiver) = socket::one_way().map_err(|error| Error::os("cannot make a channel", error))?;
    Ok((Sender::new(End::new(sender)), Receiver::new(End::new(receiver))))
}
