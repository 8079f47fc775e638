//! A result has one exact type.

use offspring::child_task;

#[child_task]
fn below(n: u32) -> impl Iterator<Item = u32> {
    0..n
}

fn main() {}
