//! The struct of a task has the name of a module, where `handle` would help.

use offspring::child_task;

mod resize {}

#[child_task]
fn resize() {}

fn main() {}
