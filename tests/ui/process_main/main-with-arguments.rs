//! `main` takes no arguments.

use offspring::process_main;

#[process_main]
fn main(_arguments: Vec<String>) {}
