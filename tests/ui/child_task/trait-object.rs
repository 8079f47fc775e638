//! Errors go back as reports; `dyn Any` goes nowhere; of other traits the compiler knows more.

use offspring::child_task;

#[child_task]
fn parse(text: String) -> Result<u32, Box<dyn std::error::Error>> {
    Ok(text.parse()?)
}

#[child_task]
fn explain(error: Box<dyn std::error::Error>) -> String {
    error.to_string()
}

#[child_task]
fn dump(_value: Box<dyn std::any::Any>) {}

#[child_task]
fn draw(_shape: Box<dyn Shape>) {}

trait Shape {}

fn main() {}
