//! An argument is given once.

use offspring::child_task;

#[child_task(idempotent, timeout = "1s", idempotent, timeout = "2s")]
fn nothing() {}

fn main() {}
