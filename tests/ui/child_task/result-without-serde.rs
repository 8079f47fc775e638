//! What serde cannot carry is no result.

use offspring::child_task;

pub struct Image {
    pub width: u32,
}

#[child_task]
pub fn load(width: u32) -> Image {
    Image { width }
}

fn main() {}
