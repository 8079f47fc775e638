//! `main` returns what `main` may return.

use offspring::process_main;

#[process_main]
fn main() -> u32 {
    1
}
