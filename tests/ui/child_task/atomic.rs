//! An atomic implements serde's traits, yet it is copied.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use offspring::child_task;

#[child_task]
fn count(total: AtomicU64, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        total.fetch_add(1, Ordering::Relaxed);
    }
}

fn main() {}
