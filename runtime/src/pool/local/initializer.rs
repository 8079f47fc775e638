//! The call that each worker makes before its first job.

use std::time::Duration;

use super::protocol::{PackedCall, SentFd};
use crate::error::Error;
use crate::ipc::wire::payload::Payload;
use crate::report::Report;

/// The call that each worker makes first.
#[derive(Clone, Debug)]
pub(in crate::pool) struct Initializer {
    /// The index of the task in the registry.
    pub(in crate::pool) task_index: u64,
    pub(in crate::pool) task: &'static str,
    pub(in crate::pool) arguments: Payload,
    pub(in crate::pool) time_limit: Option<Duration>,
    /// The task's own error, from its encoded result.
    pub(in crate::pool) check: fn(Payload) -> Result<(), Report>,
}

impl Initializer {
    pub(super) fn pack(&self) -> Result<PackedCall, Error> {
        let bytes = self.arguments.bytes();
        let bytes = bytes.map_err(|error| Error::os(format!("cannot read the arguments of `{}`", self.task), error))?;
        let descriptors = self.arguments.descriptors.iter().cloned().map(SentFd).collect();
        Ok(PackedCall { task_index: self.task_index, arguments: bytes.to_vec(), descriptors })
    }
}
