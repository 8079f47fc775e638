//! An after-fork function returns nothing.

use offspring::after_fork;

#[after_fork]
fn forked() -> Result<(), String> {
    Ok(())
}

fn main() {}
