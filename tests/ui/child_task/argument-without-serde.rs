//! What serde cannot carry is no argument.

use offspring::child_task;

pub struct Options {
    pub width: u32,
}

#[child_task]
pub fn resize(height: u32, options: Options) -> u32 {
    height + options.width
}

fn main() {}
