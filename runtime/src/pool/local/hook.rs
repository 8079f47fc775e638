//! The calls that each worker makes before the first job and after the last.

use std::time::Duration;

use super::protocol::{PackedCall, SentFd};
use crate::error::Error;
use crate::ipc::wire::payload::Payload;
use crate::report::Report;

/// The hooks of a pool.
#[derive(Debug, Default)]
pub(in crate::pool) struct Hooks {
    /// The call before the first job.
    pub(in crate::pool) initializer: Option<Hook>,
    /// The call after the last job.
    pub(in crate::pool) finalizer: Option<Hook>,
}

/// A call that each worker makes.
#[derive(Debug)]
pub(in crate::pool) struct Hook {
    /// The index of the task in the registry.
    pub(in crate::pool) task_index: u64,
    pub(in crate::pool) task: &'static str,
    pub(in crate::pool) arguments: Payload,
    pub(in crate::pool) time_limit: Option<Duration>,
    /// The task's own error, from its encoded result.
    pub(in crate::pool) check: fn(Payload) -> Result<(), Report>,
}

impl Hook {
    pub(super) fn pack(&self) -> Result<PackedCall, Error> {
        let bytes = self.arguments.bytes();
        let bytes = bytes.map_err(|error| Error::os(format!("cannot read the arguments of `{}`", self.task), error))?;
        let descriptors = self.arguments.descriptors.iter().cloned().map(SentFd).collect();
        Ok(PackedCall { task_index: self.task_index, arguments: bytes.to_vec(), descriptors })
    }
}
