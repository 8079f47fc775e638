//! `main` is safe.

use offspring::process_main;

#[process_main]
unsafe fn main() {}
