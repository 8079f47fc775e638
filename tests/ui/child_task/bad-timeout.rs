//! A timeout is a number with a unit, longer than zero.

use offspring::child_task;

#[child_task(timeout = "5")]
fn no_unit() {}

#[child_task(timeout = "5min")]
fn unknown_unit() {}

#[child_task(timeout = "s")]
fn no_number() {}

#[child_task(timeout = "1.2.3s")]
fn two_points() {}

#[child_task(timeout = "0s")]
fn zero() {}

#[child_task(timeout = "99999999999999999999h")]
fn for_ever() {}

#[child_task(timeout = 5)]
fn no_text() {}

fn main() {}
