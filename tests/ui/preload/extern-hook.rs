//! A preload function is a Rust function.

use offspring::preload;

#[preload]
extern "C" fn load() {}

fn main() {}
