//! Wherever a mutex of std stands in a type, it is copied, and whatever it is called.

use offspring::child_task;

type Shared = std::sync::Arc<std::sync::Mutex<Vec<u8>>>;

#[child_task]
fn all(_: Vec<std::sync::Mutex<u64>>, _: Option<Shared>, _: (u8, [Shared; 2])) {}

#[child_task]
fn back(n: u64) -> Result<std::sync::Mutex<u64>, String> {
    Ok(std::sync::Mutex::new(n))
}

fn main() {}
