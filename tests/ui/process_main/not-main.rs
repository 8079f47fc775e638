//! Only `main` is guarded.

use offspring::process_main;

#[process_main]
fn run() {}

fn main() {
    run();
}
