//! A closure cannot be sent.

use offspring::child_task;

#[child_task]
fn apply(f: Box<dyn Fn(u32) -> u32>, x: u32) -> u32 {
    f(x)
}

fn main() {}
