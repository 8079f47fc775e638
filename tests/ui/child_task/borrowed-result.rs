//! The result of a task cannot borrow.

use offspring::child_task;

#[child_task]
fn greeting() -> &'static str {
    "hello"
}

pub fn used() -> offspring::Call<&'static str> {
    greeting::call()
}

fn main() {}
