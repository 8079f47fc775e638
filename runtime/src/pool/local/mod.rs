//! The transport to workers that are child processes of this one: rings in shared memory, and the worker's link.
//!
//! | part | process | job |
//! | --- | --- | --- |
//! | `start` | parent | starts a worker by the pool's start method |
//! | `hook` | parent | the calls that each worker makes before its first job and after its last |
//! | `link` | parent | the [`WorkerLink`](super::transport::WorkerLink) to one worker |
//! | `worker` | worker | takes jobs, runs their tasks, sends outcomes |
//! | `protocol` | both | slots and frames, and how both describe a call |
//! | `ring` | both | the two queues in shared memory; `ring/README.md` has the steps |

mod hook;
mod link;
mod protocol;
mod ring;
mod start;
mod worker;

pub(super) use hook::{Hook, Hooks};
pub(super) use link::LocalLink;
pub(super) use start::{LocalStart, WorkerRecipe, worker_builder};
pub use worker::is_cancelled;
