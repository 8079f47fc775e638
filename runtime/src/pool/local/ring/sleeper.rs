//! Going to sleep and being woken, without a lost wake-up: see "Sleeping" in `README.md`.

use std::sync::atomic::Ordering::{AcqRel, Relaxed, SeqCst};

use super::layout::{AtomicU64, fence};

/// Announces that this side goes to sleep. The caller must look for work once more before the sleep.
pub(super) fn announce(flag: &AtomicU64) {
    flag.store(1, Relaxed);
    // Pairs with the fence in `must_wake`: either this side sees the other side's store, or the other side sees the
    // flag.
    fence(SeqCst);
}

/// Withdraws the announcement.
pub(super) fn withdraw(flag: &AtomicU64) {
    flag.store(0, Relaxed);
}

/// Whether the other side sleeps, and was not woken.
pub(super) fn is_announced(flag: &AtomicU64) -> bool {
    flag.load(Relaxed) != 0
}

/// Whether the other side is to be woken, after a store for which it may sleep. Takes the announcement.
pub(super) fn must_wake(flag: &AtomicU64) -> bool {
    fence(SeqCst);
    flag.load(Relaxed) != 0 && flag.compare_exchange(1, 0, AcqRel, Relaxed).is_ok()
}
