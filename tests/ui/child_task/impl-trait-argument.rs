//! An argument has one exact type.

use offspring::child_task;

#[child_task]
fn show(value: impl std::fmt::Display) -> String {
    value.to_string()
}

pub fn used() -> offspring::Call<String> {
    show::call(1)
}

fn main() {}
