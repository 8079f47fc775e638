//! Threads wait at a barrier of std, processes do not.

use std::sync::{Arc, Barrier};

use offspring::child_task;

#[child_task]
fn meet(at: Arc<Barrier>) {
    at.wait();
}

fn main() {}
