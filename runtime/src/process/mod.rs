//! One child, as users see it: the context that chooses its start method, the builder of its options, and its handle.

mod builder;
mod context;
mod handle;
mod rlimit;
mod stdio;

pub use builder::ProcessBuilder;
pub(crate) use context::set_program_default;
pub use context::{
    Context, force_start_method, fork, get_all_start_methods, get_context, get_start_method, set_spares,
    set_start_method,
};
pub use handle::Process;
pub use rlimit::Resource;
pub use stdio::Stdio;
