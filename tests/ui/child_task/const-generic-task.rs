//! A task has no const parameters.

use offspring::child_task;

#[child_task]
fn zeros<const N: usize>() -> Vec<u8> {
    vec![0; N]
}

fn main() {}
