//! A preload function takes no arguments.

use offspring::preload;

#[preload]
fn load(_path: String) {}

fn main() {}
