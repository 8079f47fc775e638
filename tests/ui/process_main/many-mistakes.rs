//! All mistakes of an item are reported in one pass.

use offspring::process_main;

#[process_main(color = "red", start_method = "thread")]
async unsafe fn main<T>(_arguments: T) {}
