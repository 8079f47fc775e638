//! A task has no lifetimes; where a reference shows it, that is the one mistake.

use offspring::child_task;

#[child_task]
fn unused<'a>(x: u32) -> u32 {
    x
}

#[child_task]
fn used<'a>(x: &'a u32) -> u32 {
    *x
}

fn main() {}
