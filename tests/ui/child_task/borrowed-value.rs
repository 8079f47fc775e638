//! A task owns its values, wherever in a type they are.

use offspring::child_task;

use std::path::Path;

#[child_task]
fn exists(path: &Path) -> bool {
    path.exists()
}

#[child_task]
fn nested(pairs: Vec<(&u8, u8)>) -> usize {
    pairs.len()
}

#[child_task]
fn change(counter: &mut u64) {
    *counter += 1;
}

#[child_task]
fn shown(value: &dyn std::fmt::Display) -> String {
    value.to_string()
}

fn main() {}
