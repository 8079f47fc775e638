//! An error that is none cannot be reported.

use offspring::child_task;

struct Odd;

#[child_task(report)]
fn odd() -> Result<u8, Odd> {
    Err(Odd)
}

fn main() {}
