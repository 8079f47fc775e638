//! A task is safe to call.

use offspring::child_task;

#[child_task]
unsafe fn poke(address: usize) -> u8 {
    address as u8
}

fn main() {}
