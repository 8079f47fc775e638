//! The struct of a task must not hide a primitive type.

use offspring::child_task;

#[child_task]
fn str(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[child_task(handle = u8)]
fn byte() {}

pub fn the_module_still_works(x: u8) -> &'static str {
    if x == 0 { "zero" } else { "more" }
}

fn main() {}
