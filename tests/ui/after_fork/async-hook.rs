//! An after-fork function has no async runtime.

use offspring::after_fork;

#[after_fork]
async fn load() {}

fn main() {}
