//! The attribute says which arguments it has.

use offspring::child_task;

#[child_task(retries = 3)]
fn nothing() {}

pub fn used() -> offspring::Call<()> {
    nothing::call()
}

fn main() {}
