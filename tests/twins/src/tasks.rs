//! A module of two crates of one name.

use offspring::child_task;

/// Returns the crate of this task.
#[child_task]
pub fn which() -> String {
    if option_env!("CARGO_BIN_NAME").is_some() { "binary" } else { "library" }.to_owned()
}

/// The same under a given name.
#[child_task(name = "named")]
pub fn named() -> String {
    which()
}
