//! Where the name of the function is taken in the type namespace, `handle` gives the task another.

#![deny(warnings)]

mod resize {
    use offspring::child_task;

    #[child_task(handle = ResizeTask)]
    pub fn resize(width: u32) -> u32 {
        width
    }
}

use offspring::{Task, child_task};
use resize::{ResizeTask, resize};

#[child_task(handle = StrTask)]
fn str(text: String) -> usize {
    text.len()
}

fn main() {
    assert_eq!(resize(3) as usize, str("abc".to_owned()));
    let _ = (ResizeTask::call(3), StrTask::call("abc".to_owned()));
    assert_eq!(<ResizeTask as Task>::NAME, concat!(module_path!(), "::resize::resize"));
}
