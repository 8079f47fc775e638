//! Only functions run.

use offspring::preload;

#[preload]
static MODEL: u32 = 1;

fn main() {}
