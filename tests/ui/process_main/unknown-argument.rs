//! The attribute says which arguments it has.

use offspring::process_main;

#[process_main(timeout = "5s", start_method)]
fn main() {}
