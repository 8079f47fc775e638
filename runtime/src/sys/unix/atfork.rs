//! Handlers that the C library runs at every fork(2), whether this crate or foreign code forks.
//!
//! A clone(2) that does not go through the C library's `fork` runs none of them, nor do the clones of the forkserver
//! (`fork::clone_sibling`), which call the handlers' work by themselves.
//!
//! Source: pthread_atfork(3).

pub(super) type Handler = unsafe extern "C" fn();

/// Registers handlers for good: one for before a fork, and one for the copy.
///
/// # Safety
/// The handlers make async-signal-safe calls only, since foreign code may fork a process that has threads.
pub(super) unsafe fn register(before: Option<Handler>, in_copy: Handler) {
    // SAFETY: the caller's promise. It fails without memory alone; then the process cannot go on for long.
    unsafe { libc::pthread_atfork(before, None, Some(in_copy)) };
}
