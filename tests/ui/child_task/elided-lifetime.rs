//! A lifetime other than `'static` borrows from somebody.

use offspring::child_task;
use std::borrow::Cow;

#[child_task]
fn length(text: Cow<'_, str>) -> usize {
    text.len()
}

fn main() {}
