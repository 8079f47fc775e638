//! The role of this process for its parent: a child, a forkserver, or neither.
//!
//! | descriptor | use | closed |
//! | --- | --- | --- |
//! | link | this child's end of the socket to its parent | by the kernel at the end of this process |
//! | lifeline | the read side of the parent's pipe, armed | the same |
//!
//! A copy of the child closes both. The parent waits for the end of the child's own, not for that of a copy.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::sys;
use crate::sys::fork::FreshCopy;
use crate::sys::fork_private::ForkPrivateFd;

/// The descriptors by which a child is bound to its parent.
#[derive(Debug)]
struct ParentTie {
    link: Arc<ForkPrivateFd>,
    /// Open for good: the kernel kills this process when the pipe ends.
    _lifeline: ForkPrivateFd,
}

static PARENT: Mutex<Option<ParentTie>> = Mutex::new(None);

static IS_SERVER: AtomicBool = AtomicBool::new(false);

/// Keeps the link of this process to its parent, and the lifeline, which is armed.
pub(crate) fn bind_to_parent(link: &Arc<ForkPrivateFd>, lifeline: OwnedFd) {
    let tie = ParentTie { link: Arc::clone(link), _lifeline: ForkPrivateFd::new(lifeline) };
    *sys::lock(&PARENT) = Some(tie);
}

/// Returns this child's end of its link.
pub(crate) fn link_to_parent() -> Option<Arc<ForkPrivateFd>> {
    sys::lock(&PARENT).as_ref().map(|tie| Arc::clone(&tie.link))
}

/// Notes that this process is a forkserver, which has no children of its own.
pub(crate) fn note_server() {
    IS_SERVER.store(true, Ordering::Relaxed);
}

/// Returns whether this process is a forkserver.
pub(crate) fn is_server() -> bool {
    IS_SERVER.load(Ordering::Relaxed)
}

/// Leaves the original's role to the original, in a fresh copy of the process.
pub(super) fn after_fork(_copy: &FreshCopy) {
    IS_SERVER.store(false, Ordering::Relaxed);
    // The descriptors are closed by their numbers; a drop would write to the original's memory.
    std::mem::forget(sys::lock(&PARENT).take());
}
