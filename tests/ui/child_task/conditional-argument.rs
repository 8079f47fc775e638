//! A task has the same arguments in every build.

use offspring::child_task;

#[child_task]
fn open(path: String, #[cfg(any())] mode: u32) -> usize {
    path.len()
}

fn main() {}
