//! There are three start methods.

use offspring::process_main;

#[process_main(start_method = "thread")]
fn main() {}
