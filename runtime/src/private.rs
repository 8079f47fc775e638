//! The items that generated code names. No item here is for users, and every item may change in any release.

pub use inventory;
pub use offspring_macros::__beside as beside;

pub use crate::child::{AfterFork, TestGuard};
pub use crate::guard::{main, test_child};
pub use crate::report::{Fallible, ReportAny, ReportNone, ReportSend, Reportable, Reporting};
pub use crate::start::forkserver::{Preload, PreloadOutput};
pub use crate::task::crossing::{self, Accepted, Carried, Crossing, Failing, Question, Uncarried, Unknown};
pub use crate::task::{
    ArgumentDecoder, ArgumentEncoder, EncodedOutput, Origin, Registered, Sealed, TaskArg, TaskEntry, TaskOutput,
    UndecodableArguments,
};

/// The format of values, for benchmarks, the fuzz target and tests.
pub mod codec {
    pub use crate::ipc::codec::{Error, from_slice, to_buffer, to_vec};
}
