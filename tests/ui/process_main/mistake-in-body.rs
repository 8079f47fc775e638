//! The body is left to the compiler.

use offspring::process_main;

#[process_main]
fn main() {
    let x: u32 = "text";
}
