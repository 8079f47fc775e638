//! A task shares its name with the function, and its arguments may be called anything.

#![deny(warnings)]

mod tasks {
    use offspring::child_task;

    /// Squares.
    #[child_task]
    pub fn square(x: u32) -> u32 {
        x * x
    }

    #[child_task]
    pub(crate) fn add(left: u32, mut right: u32) -> u32 {
        right += left;
        right
    }
}

use offspring::{Call, Error, Process, Task, child_task};
use tasks::{add, square};

#[child_task]
fn nothing() {}

#[child_task]
fn patterns((a, b): (u8, u8), _: bool, argument_1: u8, [c, ..]: [u8; 4]) -> u8 {
    a + b + c + argument_1
}

#[child_task]
#[allow(clippy::too_many_arguments, non_snake_case, reason = "the more names the better")]
fn everything(
    decoded: u8,
    offspring: u8,
    core: u8,
    arguments: u8,
    encoder: u8,
    value: u8,
    error: u8,
    call: u8,
    start: u8,
    __private: u8,
    ENTRY: u8,
    __0: u8,
    run: u8,
    T: u8,
) -> u8 {
    decoded + offspring + core + arguments + encoder + value + error + call + start + __private + ENTRY + __0 + run + T
}

#[child_task]
fn r#match(r#type: u8) -> u8 {
    r#type
}

#[child_task]
const fn constant(x: u8) -> u8 {
    x
}

#[child_task]
fn fibonacci(n: u64) -> u64 {
    if n < 2 { n } else { fibonacci(n - 1) + fibonacci(n - 2) }
}

/// Has docs.
#[child_task(name = "old", idempotent, start_method = "forkserver", timeout = "1.5m")]
#[deprecated(note = "for the test")]
fn old(x: u8) -> u8 {
    x
}

#[child_task]
#[cfg(any())]
fn absent(x: ThereIsNoSuchType) {}

fn main() {
    assert_eq!(square(3) + add(1, 2), 12);
    let square = square(3); // the value namespace holds nothing but the function
    let _: Vec<Call<u32>> = vec![square::call(square), add::call(1, 2)];
    let _: fn(u64) -> Result<Process<u64>, Error> = fibonacci::start;
    let _: Vec<Call<u32>> = (0..3)
        .map(square::call)
        .chain((0..3).map(|x| add::call(x, 10)))
        .collect();
    let _ = (
        nothing::call(),
        patterns::call((1, 2), true, 3, [0; 4]),
        r#match::call(1),
    );
    let _ = (
        everything::call(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        constant::call(1),
    );
    let _ = fibonacci::call(3);
    let _: fn() -> Result<Process<()>, Error> = nothing::start;
    assert_eq!(<square as Task>::NAME, concat!(module_path!(), "::tasks::square"));
    assert_eq!(<r#match as Task>::NAME, concat!(module_path!(), "::match"));
}
