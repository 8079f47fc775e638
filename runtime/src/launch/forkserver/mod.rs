//! A forkserver is a small, single-threaded copy of this program that makes children on request.
//!
//! ```text
//!   this process                     forkserver (one thread)            child
//!   ── spawn, SERVE ───────────────▶ guard, #[preload]s
//!   ◀──────────────────────── READY
//!   order into a new link
//!   ── FORK, the link's other end ─▶ clone(CLONE_PARENT | CLONE_PIDFD) ▶ bootstrap: order, task
//!   ◀────────────────── pid, pidfd
//!   ◀───────────────────────────────────────────────────────────────── outcome; waitid
//! ```
//!
//! The child is a true child of *this* process: it has its `getppid`, its `waitpid` and its exit status, and the death of
//! the server in between changes nothing. The server takes no part in the child's life after the clone, and reads no
//! orders: the child finds its order in the link.
//!
//! | descriptor | made by | held by | end of file means |
//! | --- | --- | --- | --- |
//! | server link | this process | this process and the server | to the server: leave; to this process: the server is gone |
//! | child link | this process, for each child | this process and the child; the server for a moment | to the child: nobody waits for it |
//! | lifeline | this process | the server; each child has its own | – |
//!
//! **Invariant:** the server never has a second thread, so a clone never copies a held lock.
//! **Invariant:** a child says hello (with its pid, which the kernel adds) before it begins its task. So when a server dies
//! between clone and answer, either a hello tells the child's pid, or the end of the link tells that no task has begun.

mod client;
mod server;

pub(crate) use client::ForkServer;
pub(crate) use server::serve;
pub use server::{Preload, PreloadOutput};
