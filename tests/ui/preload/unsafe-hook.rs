//! A preload function is safe.

use offspring::preload;

#[preload]
unsafe fn load() {}

fn main() {}
