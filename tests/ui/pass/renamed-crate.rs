//! `crate = path` is for programs that know the runtime by another path.

#![deny(warnings)]

mod prelude {
    pub use offspring as processes;
}

use prelude::processes;

#[processes::child_task(crate = crate::prelude::processes)]
fn square(x: u32) -> u32 {
    x * x
}

#[processes::preload(crate = processes, name = "warm up")]
fn preload() -> Result<(), String> {
    Ok(())
}

#[processes::after_fork(crate = processes)]
fn after_fork() {}

#[processes::process_main(crate = processes, start_method = "spawn")]
fn main() {
    let _ = square::call(2);
}
