//! The address of a function means nothing in another process.

use offspring::child_task;

#[child_task]
fn apply(f: fn(u32) -> u32, x: u32) -> u32 {
    f(x)
}

fn main() {}
