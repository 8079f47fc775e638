//! So is a lock of std for many readers.

use std::sync::RwLock;

use offspring::child_task;

#[child_task]
fn read(table: RwLock<[u64; 4]>) -> u64 {
    table.read().unwrap().iter().sum()
}

fn main() {}
