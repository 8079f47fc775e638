//! Without `self` the attribute cannot know that it stands in an `impl` block: the compiler says so, of its struct.

use offspring::child_task;

struct Image;

impl Image {
    #[child_task]
    fn resize(width: u32) -> u32 {
        width
    }
}

fn main() {}
