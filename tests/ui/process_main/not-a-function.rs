//! Only `main` is guarded.

use offspring::process_main;

#[process_main]
mod program {}

fn main() {}
