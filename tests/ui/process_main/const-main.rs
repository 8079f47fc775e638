//! `main` is no constant function.

use offspring::process_main;

#[process_main]
const fn main() {}
