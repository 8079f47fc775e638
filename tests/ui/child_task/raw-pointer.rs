//! An address means nothing in another process.

use offspring::child_task;

#[child_task]
fn read(from: *const u8) -> usize {
    from as usize
}

fn main() {}
