//! What a child writes into a cell stays in the child.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use offspring::child_task;

#[child_task]
fn write(number: Cell<u64>, text: Rc<RefCell<String>>) {
    number.set(1);
    text.borrow_mut().clear();
}

fn main() {}
