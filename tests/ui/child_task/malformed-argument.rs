//! What is no argument is told apart from a value of the wrong shape.

use offspring::child_task;

#[child_task("resize")]
fn text() {}

#[child_task(name("resize"))]
fn list() {}

#[child_task(name)]
fn without_value() {}

#[child_task(name = 5)]
fn number() {}

#[child_task(report = true)]
fn flag() -> Result<(), String> {
    Ok(())
}

#[child_task(handle = "Resize")]
fn quoted() {}

#[child_task(crate = "offspring")]
fn crate_name() {}

#[child_task(name = "a" idempotent)]
fn no_comma() {}

fn main() {}
