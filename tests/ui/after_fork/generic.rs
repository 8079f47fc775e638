//! An after-fork function is not generic.

use offspring::after_fork;

#[after_fork]
fn load<T>() {}

fn main() {}
