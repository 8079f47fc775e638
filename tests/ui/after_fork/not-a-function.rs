//! Only functions run.

use offspring::after_fork;

#[after_fork]
static MODEL: u32 = 1;

fn main() {}
