//! A declaration has nothing to run.

use offspring::child_task;

trait Resize {
    #[child_task]
    fn resize(width: u32) -> u32;
}

fn main() {}
