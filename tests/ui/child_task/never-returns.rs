//! A task that never returns has no result.

use offspring::child_task;

#[child_task]
fn serve() -> ! {
    loop {}
}

fn main() {}
