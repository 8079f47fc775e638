//! All mistakes of an item are reported in one pass.

use offspring::after_fork;

#[after_fork(timeout = "5s")]
async unsafe fn load<T>(_path: T) -> u32 {
    1
}

fn main() {}
