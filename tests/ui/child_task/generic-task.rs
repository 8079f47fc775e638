//! A task has no type parameters; the uses of one are no mistakes of their own.

use offspring::child_task;

#[child_task]
fn sum<T: Into<u64>>(left: T, right: T) -> u64 {
    left.into() + right.into()
}

pub fn both() -> [offspring::Call<u64>; 2] {
    [sum::call(1_u8, 2), sum::call(1_u16, 2)]
}

fn main() {}
