//! A preload function has no async runtime.

use offspring::preload;

#[preload]
async fn load() {}

fn main() {}
