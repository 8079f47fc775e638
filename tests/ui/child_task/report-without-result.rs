//! Only a `Result` has an error to report.

use offspring::child_task;

#[child_task(report)]
fn nothing() {}

#[child_task(report)]
fn number() -> u32 {
    1
}

#[child_task(report)]
fn pair() -> (u8, u8) {
    (1, 2)
}

#[child_task(report)]
fn option() -> Option<u8> {
    None
}

fn main() {}
