//! Something has to run an async `main`.

use offspring::process_main;

#[process_main]
/// Docs run nothing.
async fn main() {}
