//! Going to sleep and being woken, without a lost wake-up: see "Sleeping" in `README.md`.

use std::sync::atomic::Ordering::{AcqRel, Relaxed, SeqCst};

use super::layout::{AtomicU64, fence};

/// The target of a side that sleeps until the next event of any kind.
pub(super) const ANY: u64 = 1;

/// Announces that this side sleeps until the other side's counter has reached `target`, which is not 0. The caller must
/// look for work once more before the sleep.
pub(super) fn announce(flag: &AtomicU64, target: u64) {
    flag.store(target, Relaxed);
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

/// Whether the other side is to be woken, after this side's counter has become `count`. Takes the announcement.
pub(super) fn must_wake(flag: &AtomicU64, count: u64) -> bool {
    fence(SeqCst);
    let target = flag.load(Relaxed);
    target != 0 && count >= target && flag.compare_exchange(target, 0, AcqRel, Relaxed).is_ok()
}
