//! Whether this process is a copy of the one that made something: counted at every fork, so that it costs no system call to ask.
//!
//! A clone by the forkserver is not counted: what cares was not made there.
//!
//! Source: pthread_atfork(3).

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// Of which generation of copies this process is.
static COPIES: AtomicU32 = AtomicU32::new(0);

/// The generation that this process is of, which no copy of it that is made from now on is of.
#[inline]
pub(crate) fn generation() -> u32 {
    COPIES.load(Ordering::Relaxed)
}

/// Lets every fork count, and leave its copy a robust list as `robust_list` says.
pub(crate) fn note_copies() {
    static HANDLER: Once = Once::new();
    extern "C" fn count() {
        COPIES.fetch_add(1, Ordering::Relaxed);
        #[cfg(target_env = "musl")]
        super::robust_list::of_forks::renew();
    }
    #[cfg(target_env = "musl")]
    let before: Option<unsafe extern "C" fn()> = Some(super::robust_list::of_forks::note);
    #[cfg(not(target_env = "musl"))]
    let before = None;
    // SAFETY: the handlers touch an atomic and, with musl, the calling thread's robust list.
    HANDLER.call_once(|| unsafe {
        libc::pthread_atfork(before, None, Some(count));
    });
}
