//! A mutex of std implements serde's traits, yet it is copied.

use std::sync::{Arc, Mutex};

use offspring::child_task;

#[child_task]
fn add(total: Arc<Mutex<u64>>, n: u64) {
    *total.lock().unwrap() += n;
}

fn main() {}
