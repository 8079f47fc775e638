//! A name is not empty.

use offspring::preload;

#[preload(name = "")]
fn load() {}

fn main() {}
