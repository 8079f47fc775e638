//! A preload function is not generic.

use offspring::preload;

#[preload]
fn load<T>() {}

fn main() {}
