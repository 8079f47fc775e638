//! A task may stand in the body of a function and in a bare block, two of one name included.

#![deny(warnings)]

use offspring::{Call, child_task};

fn first() -> Call<u8> {
    #[child_task(name = "first")]
    fn task(x: u8) -> u8 {
        x
    }
    let x = 1;
    task::call(task(x))
}

fn second() -> Call<u16> {
    {
        #[child_task(name = "second")]
        fn task(x: u16) -> u16 {
            x
        }
        task::call(task(1))
    }
}

fn main() {
    let _ = (first(), second());
}
