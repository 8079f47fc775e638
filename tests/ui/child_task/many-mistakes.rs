//! All mistakes of an item are reported in one pass.

use offspring::child_task;

#[child_task(timeout = "soon", start_method = "thread", color = "red", report)]
async unsafe fn everything<T>(_: &str, _: &[u8], _: impl ToString, _: fn()) -> &'static str {
    "never"
}

fn main() {}
