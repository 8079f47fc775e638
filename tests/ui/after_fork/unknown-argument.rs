//! The attribute says which arguments it has.

use offspring::after_fork;

#[after_fork(timeout = "5s")]
fn load() {}

fn main() {}
