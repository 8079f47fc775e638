//! A module of two crates of one name.

use offspring::child_task;

/// Which of the two crates this is.
#[child_task]
pub fn which() -> String {
    if option_env!("CARGO_BIN_NAME").is_some() { "binary" } else { "library" }.to_owned()
}

/// The same under a name that was given.
#[child_task(name = "named")]
pub fn named() -> String {
    which()
}
