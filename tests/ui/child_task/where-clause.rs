//! A `where` clause has nothing to say without parameters.

use offspring::child_task;

#[child_task]
fn same(x: String) -> String
where
    String: Clone,
{
    x
}

fn main() {}
