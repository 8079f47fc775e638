//! A forkserver is a small, single-threaded copy of this program that forks children on request.
//!
//! The life of a child, in order:
//!
//! ```text
//!   this process                             forkserver (one thread)            child
//!   ── spawn, SERVE ───────────────────────▶ guard, #[preload]s
//!   ◀──────────────────────────────── READY
//!   ── FORK: the child's end of a link ────▶ clone(CLONE_PARENT | CLONE_PIDFD) ▶ read the link
//!   (meanwhile) read /proc, find drift                                            │
//!   ── SPEC, lifeline ───────────────────────────────────────────────────────────▶│ arm the lifeline
//!   ◀──────────────────── FORKED: pid, pidfd                                      │
//!   ◀───────────────────────────────────────────────────────────────── HANDSHAKE ─┤
//!                                                                                 ▼ task
//!   ◀─────────────────────────────────────────────────────────────────── RETURNED; waitid
//! ```
//!
//! The child is a child of *this* process (`CLONE_PARENT`): `getppid`, `waitpid` and exit status are those of any
//! child. The server takes no part in the child's life after the clone and never sees a spec. The death of the server
//! changes nothing for the child.
//!
//! A child must be like this process at the moment of the start, not like the server. So this process reads its own
//! state (`drift.rs`) at each start. The spec carries the differences from the server (`settings_diff.rs`). A server
//! whose children could not follow is replaced, and the child ends without a spec.
//!
//! A *spare* is a child made ahead. [`set_spares`] sets the number; `this_process::spares` holds the spares that wait;
//! and `child::spare` is the spare's side. A start takes the oldest spare. Without a spare a start takes the way above.
//!
//! ```text
//!   this process                             forkserver                          spare
//!   ── SPARE: the spare's end of a link ───▶ clone ─────────────────────────────▶ arm a lifeline, hook panics
//!   ◀──────────────────────────────────────────────── WAITING: pidfd, lifeline ───┤ wait
//!   read /proc, find drift                                                        │
//!   ── SPEC ─────────────────────────────────────────────────────────────────────▶│
//!   ── SPARE: the next one ────────────────▶ …                                    │
//!   ◀─────────────────────────────────────────────────────────────────── TAKEN ───┤
//!                                                                                 ▼ task
//! ```
//!
//! A spare that dies before the message `TAKEN` has not begun the task: the start goes on with another child.
//!
//! A *template* serves one pool of the method `fork` in the same way. A template is a copy of this process from when
//! the pool was made, and so are the template's children, the pool's workers, also long after this process has started
//! threads. Workers take over no later settings of this process. A template that dies or drifts is not replaced.
//!
//! | file | process | job |
//! | --- | --- | --- |
//! | `launcher.rs` | this process | a start: attempts until the child has started |
//! | `drift.rs` | this process | reads `/proc`: can a child of this server be like this process? |
//! | `settings_diff.rs` | this process | the settings that a child must change in itself |
//! | `request.rs` | this process | one request to a forkserver or a template |
//! | `handle.rs` | this process | the running server: start, lock, replacement |
//! | `spare_policy.rs` | this process | the number of spares |
//! | `server_startup.rs` | forkserver | from the guard to `READY`: preloads |
//! | `server_loop.rs` | forkserver, template | requests and clones, until the link ends |
//! | `template.rs` | both | the template of a `fork` pool |
//!
//! | descriptor | made by | held by | end of file means |
//! | --- | --- | --- | --- |
//! | server link | this process | this process and the server | server: exit. This process: the server is gone |
//! | child link | this process | this process and the child; the server for a moment | child: no parent waits |
//! | lifeline | this process; for a spare, the server | the server; each child its own | – |
//!
//! **Invariant:** the server never has a second thread, so a clone never copies a held lock.
//! **Invariant:** this process, the server and the children are in one pid namespace, so a pid means the same to each.
//! **Invariant:** a child sends the handshake, with the pid added by the kernel, before the task. So after the death of
//! a server between clone and answer, either a handshake tells the child's pid, or the end of the link tells that no
//! task has begun.

mod drift;
mod handle;
mod launcher;
mod request;
mod server_loop;
mod server_startup;
mod settings_diff;
mod spare_policy;
mod template;

pub(crate) use launcher::{ForkServer, ensure_known};
pub(crate) use server_startup::serve;
pub use server_startup::{Preload, PreloadOutput};
pub(crate) use spare_policy::set_spares;
pub(crate) use template::Template;
