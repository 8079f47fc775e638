//! What generated code may name. Nothing here is for users, and all of it may change in any release.

pub use inventory;
pub use offspring_macros::__beside as beside;

pub use crate::child::{AfterFork, TestGuard};
pub use crate::guard::{main, test_child};
pub use crate::report::{Fallible, ReportAny, ReportNone, ReportSend, Reportable, Reporting};
pub use crate::start::forkserver::{Preload, PreloadOutput};
pub use crate::task::crossing::{self, Carried, Crossing, Failing, Fine, Question, Uncarried, Unknown};
pub use crate::task::{
    Arguments, Encoder, Entry, Origin, Output, Registered, Sealed, TaskArg, TaskOutput, Undecodable,
};

/// The format of values, for its benchmarks, its fuzz target and tests of other types.
pub mod codec {
    pub use crate::ipc::codec::{Error, from_slice, to_buffer, to_vec};
}
