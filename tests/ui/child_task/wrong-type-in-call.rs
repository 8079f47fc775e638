//! A call is checked like the function itself.

use offspring::child_task;

#[child_task]
fn square(x: u32) -> u32 {
    x * x
}

pub fn used() {
    let _ = square::call("3");
    let _ = square::start(1, 2);
}

fn main() {}
