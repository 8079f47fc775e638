//! `report` reaches no further than the `Result` that a task returns.

use std::error::Error;
use std::io;

use offspring::child_task;

pub struct TooBig(pub u64);

#[child_task]
fn lengths(_: Vec<String>) -> Vec<Result<u64, io::Error>> {
    vec![]
}

#[child_task]
fn texts(_: Vec<String>) -> Vec<io::Result<String>> {
    vec![]
}

#[child_task(report)]
fn numbers(_: Vec<String>) -> Result<Vec<Result<u64, Box<dyn Error>>>, String> {
    Ok(vec![])
}

#[child_task]
fn shrink(_: Vec<u64>) -> Vec<Result<u8, TooBig>> {
    vec![]
}

fn main() {}
