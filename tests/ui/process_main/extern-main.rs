//! `main` is a Rust function.

use offspring::process_main;

#[process_main]
extern "C" fn main() {}
