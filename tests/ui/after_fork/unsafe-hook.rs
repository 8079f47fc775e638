//! An after-fork function is safe.

use offspring::after_fork;

#[after_fork]
unsafe fn load() {}

fn main() {}
