//! A name is not empty.

use offspring::child_task;

#[child_task(name = "")]
fn nothing() {}

fn main() {}
