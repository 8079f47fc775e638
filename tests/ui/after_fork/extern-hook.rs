//! An after-fork function is a Rust function.

use offspring::after_fork;

#[after_fork]
extern "C" fn load() {}

fn main() {}
