//! An error of the user's own needs serde's traits or `report`.

use offspring::child_task;

#[derive(Debug)]
pub struct TooBig(u64);

type Small = Result<u8, TooBig>;

#[child_task]
fn shrink(n: u64) -> Result<u8, TooBig> {
    u8::try_from(n).map_err(|_| TooBig(n))
}

#[child_task]
fn small(n: u64) -> Small {
    shrink(n)
}

fn main() {}
