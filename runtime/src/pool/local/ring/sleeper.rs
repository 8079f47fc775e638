//! Going to sleep and being woken, without a lost wake-up: see "Sleeping" in `README.md`.

use std::sync::atomic::Ordering::{AcqRel, Relaxed, SeqCst};

use super::layout::{AtomicU64, fence};

/// Says that this side goes to sleep. It must look once more whether there is something to do before it does.
pub(super) fn announce(flag: &AtomicU64) {
    flag.store(1, Relaxed);
    // Pairs with the one in `must_wake`: either this side sees what the other has stored, or that one sees the flag.
    fence(SeqCst);
}

/// Says that this side is awake after all.
pub(super) fn withdraw(flag: &AtomicU64) {
    flag.store(0, Relaxed);
}

/// Whether the other side sleeps, and was not told to wake up.
pub(super) fn is_announced(flag: &AtomicU64) -> bool {
    flag.load(Relaxed) != 0
}

/// Whether the other side is to be woken, after something was stored that it may be waiting for. It is told once.
pub(super) fn must_wake(flag: &AtomicU64) -> bool {
    fence(SeqCst);
    flag.load(Relaxed) != 0 && flag.compare_exchange(1, 0, AcqRel, Relaxed).is_ok()
}
