//! Tasks: functions that a child finds by name, and calls of these functions.
//!
//! ```text
//! #[child_task]              parent                                       child
//! ─────────────              ──────                                       ─────
//! fn square ── TaskEntry ─▶  square::call(12): TaskArg ─▶ Call ─ start ─▶ lookup in the same registry
//!              (registry)                                                 TaskEntry::run: TaskArg, square, TaskOutput
//!                            decode_output ◀──────────── EncodedOutput ──
//! ```
//!
//! - `registry` holds a `TaskEntry` for each marked function, and finds an entry by name, crate and signature.
//! - `arguments` encodes and decodes arguments and results.
//! - `call` is the value that users hold between `task::call` and a start.
//! - `traits` connects generated code with the three files above.
//! - `crossing` refuses types that cannot be sent to another process.

mod arguments;
mod call;
pub mod crossing;
mod registry;
mod traits;

pub use arguments::{ArgumentDecoder, ArgumentEncoder, EncodedOutput, UndecodableArguments};
pub(crate) use arguments::{Decode, decode_output};
pub(crate) use call::Retry;
pub use call::{Call, Priority};
pub use registry::{Origin, TaskEntry};
pub(crate) use registry::{TaskId, build_fingerprint, entry_at, index_of, lookup};
pub use traits::{Registered, Sealed, Task, TaskArg, TaskOutput};
