//! A task is a Rust function.

use offspring::child_task;

#[child_task]
extern "C" fn callback(code: i32) -> i32 {
    code
}

fn main() {}
