//! A task owns its text.

use offspring::child_task;

#[child_task]
fn length(text: &str) -> usize {
    text.len()
}

pub fn used() -> offspring::Call<usize> {
    length::call("text")
}

fn main() {}
