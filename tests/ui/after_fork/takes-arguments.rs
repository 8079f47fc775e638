//! An after-fork function takes no arguments.

use offspring::after_fork;

#[after_fork]
fn load(_path: String) {}

fn main() {}
