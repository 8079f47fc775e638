//! Where the tokens do not show what is returned, the compiler tells that it is no `Result`.

use offspring::child_task;

type Width = u32;

#[child_task(report)]
fn load() -> Width {
    1
}

fn main() {}
