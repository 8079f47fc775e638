//! A task owns its slices, as vectors.

use offspring::child_task;

#[child_task]
fn sum(numbers: &[u32]) -> u32 {
    numbers.iter().sum()
}

fn main() {}
