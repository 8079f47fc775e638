//! `main` is not generic.

use offspring::process_main;

#[process_main]
fn main<T>() {}
