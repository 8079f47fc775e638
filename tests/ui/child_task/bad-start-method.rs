//! There are three start methods.

use offspring::child_task;

#[child_task(start_method = "thread")]
fn nothing() {}

fn main() {}
