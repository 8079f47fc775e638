//! A held lock stays with its holder.

use std::sync::MutexGuard;

use offspring::child_task;

#[child_task]
fn add(mut total: MutexGuard<'static, u64>) {
    *total += 1;
}

fn main() {}
