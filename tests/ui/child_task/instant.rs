//! An instant has no number to send.

use std::time::Instant;

use offspring::child_task;

#[child_task]
fn late(deadline: Instant) -> bool {
    Instant::now() > deadline
}

fn main() {}
