//! Going to sleep and being woken, without a lost wake-up: see "Sleeping" in `README.md`.

use std::sync::atomic::Ordering::{AcqRel, Relaxed, SeqCst};

use super::layout::{AtomicU64, fence};

/// Announces a sleep of this side. `awaited` is the purpose of the sleep, and not 0. The caller must look once more
/// before the sleep.
pub(super) fn announce(flag: &AtomicU64, awaited: u64) {
    flag.store(awaited, Relaxed);
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

/// Whether to wake the other side after a store: a sleep is announced, and `is_there` says so of its purpose. Takes the
/// announcement.
pub(super) fn must_wake(flag: &AtomicU64, is_there: impl FnOnce(u64) -> bool) -> bool {
    fence(SeqCst);
    let awaited = flag.load(Relaxed);
    awaited != 0 && is_there(awaited) && flag.compare_exchange(awaited, 0, AcqRel, Relaxed).is_ok()
}
