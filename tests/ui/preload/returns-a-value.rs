//! A preload function returns nothing, or whether it worked.

use offspring::preload;

#[preload]
fn load() -> u32 {
    1
}

#[preload]
fn find() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}

fn main() {}
