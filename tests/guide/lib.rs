//! Programs of the guide that use crates which `offspring` itself is built and tested without.

/// Threads and rayon.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guide/threads.md")]
mod threads {}

/// Services with tokio.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guide/tokio.md")]
mod tokio {}

/// Logging and progress bars.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guide/logging.md")]
mod logging {}
