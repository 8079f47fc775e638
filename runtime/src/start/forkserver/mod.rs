//! A forkserver is a small, single-threaded copy of this program that makes children on request.
//!
//! ```text
//!   this process                             forkserver (one thread)            child
//!   ── spawn, SERVE ───────────────────────▶ guard, #[preload]s
//!   ◀──────────────────────────────── READY
//!   ── FORK: the child's end of a link ────▶ clone(CLONE_PARENT | CLONE_PIDFD) ▶ look into the link
//!   (meanwhile: what is this process now?)                                        │
//!   ── order, lifeline ──────────────────────────────────────────────────────────▶│ arm the lifeline
//!   ◀────────────────────────── pid, pidfd                                        │
//!   ◀─────────────────────────────────────────────────────────────────── HANDSHAKE ───┤
//!                                                                                 ▼ task
//!   ◀────────────────────────────────────────────────────────────────── outcome; waitid
//! ```
//!
//! The child is a true child of *this* process: it has its `getppid`, its `waitpid` and its exit status, and the death of
//! the server in between changes nothing. The server takes no part in the child's life after the clone, and sees no
//! orders: those go to the child. This process reads what it is at the moment (which the child is to become) while the
//! server clones; if it turns out that the server is stale, the child gets no order and is thrown away.
//!
//! A *spare* is such a child made ahead. How many there are to be is in `habit`; those that wait are in
//! `children::spares`; what they do meanwhile, in `child::spare`. A start takes the oldest, and falls back to the
//! way above where there is none:
//!
//! ```text
//!   this process                             forkserver                          spare
//!   ── SPARE: the spare's end of a link ───▶ clone ─────────────────────────────▶ arm a lifeline, hook panics
//!   ◀──────────────────────────────────────────────── WAITING: pidfd, lifeline ───┤ wait
//!   what is this process now?                                                     │
//!   ── order ────────────────────────────────────────────────────────────────────▶│
//!   ── SPARE: the next one ────────────────▶ …                                    │
//!   ◀─────────────────────────────────────────────────────────────────── TAKEN ───┤
//!                                                                                 ▼ task
//! ```
//!
//! A spare that dies before it has said `TAKEN` has not begun its order: the start goes on with another child. One that
//! has lost patience first closes its link to further orders, and then looks a last time whether one has come.
//!
//! A *template* serves one pool of the method `fork` in the same way, but is a copy of this process, as it was when the
//! pool was made: so are its children, the pool's workers, long after this process has other threads. Its children
//! take nothing over of what this process has become since, and there is no other when it has died or grown stale.
//!
//! | descriptor | made by | held by | end of file means |
//! | --- | --- | --- | --- |
//! | server link | this process | this process and the server | to the server: leave; to this process: the server is gone |
//! | child link | this process, for each child | this process and the child; the server for a moment | to the child: nobody waits for it |
//! | lifeline | this process; for a spare, the server | the server; each child has its own | – |
//!
//! **Invariant:** the server never has a second thread, so a clone never copies a held lock.
//! **Invariant:** this process, the server and its children are in one pid namespace, so that all have the same numbers.
//! **Invariant:** a child says hello (with its pid, which the kernel adds) before it begins its task. So when a server
//! dies between clone and answer, either a hello tells the child's pid, or the end of the link tells that none has begun.

mod diff;
mod handle;
mod launcher;
mod request;
mod server_loop;
mod server_startup;
mod spare_policy;
mod zygote;

pub(crate) use launcher::ForkServer;
pub(crate) use server_startup::serve;
pub use server_startup::{Preload, PreloadOutput};
pub(crate) use spare_policy::set_spares;
pub(crate) use zygote::Template;
