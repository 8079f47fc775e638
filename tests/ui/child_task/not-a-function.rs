//! Only functions are tasks.

use offspring::child_task;

#[child_task]
pub struct Options {
    width: u32,
}

#[child_task]
const WIDTH: u32 = 1;

pub fn the_item_is_still_there() -> (Options, u32) {
    (Options { width: 1 }, WIDTH)
}

fn main() {}
