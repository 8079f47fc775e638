//! One child in the public API, in order of use.
//!
//! - `context` chooses the start method (`choice`).
//! - `builder` sets the options (`options`, `rlimit`, `stdio`) and starts the child.
//! - `handle` waits for the child and takes the result.

mod builder;
mod choice;
mod context;
mod handle;
mod options;
mod rlimit;
mod stdio;

pub use builder::ProcessBuilder;
pub(crate) use context::set_program_default;
pub use context::{
    Context, force_start_method, fork, get_all_start_methods, get_context, get_start_method, set_spares,
    set_start_method,
};
pub use handle::Process;
pub(crate) use options::Options;
pub use rlimit::Resource;
pub use stdio::Stdio;
