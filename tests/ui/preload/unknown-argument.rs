//! The attribute says which arguments it has.

use offspring::preload;

#[preload(timeout = "5s")]
fn load() {}

fn main() {}
