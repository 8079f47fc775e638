//! A method is no task.

use offspring::child_task;

struct Image;

impl Image {
    #[child_task]
    fn resize(self, width: u32) -> u32 {
        width
    }

    #[child_task]
    fn show(&self) {}
}

fn main() {}
