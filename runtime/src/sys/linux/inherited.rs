//! The state that a child takes over from its parent, beside memory and descriptors.

use std::io;

use serde::{Deserialize, Serialize};

use super::environ::Environment;
use super::procfs::{ProcStatus, read_small};
use super::rlimit::{self, Limit};
use super::signal::SignalSet;
use super::{cwd, process_group, sched};

/// The state that a child takes over, whichever process the child was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InheritedState {
    pub(crate) environment: Environment,
    pub(crate) umask: u32,
    pub(crate) nice: i32,
    /// By the kernel's numbers of resources.
    pub(crate) limits: Vec<(u32, Limit)>,
    pub(crate) affinity: Vec<usize>,
    pub(crate) process_group: i32,
    pub(crate) oom_score: String,
    pub(crate) ignored_signals: SignalSet,
    pub(crate) blocked_signals: SignalSet,
    /// Device and inode of the working directory. `None` if the directory cannot be read any more.
    pub(crate) directory: Option<(u64, u64)>,
}

impl InheritedState {
    pub(crate) fn read(status: &ProcStatus) -> io::Result<Self> {
        Ok(Self {
            environment: Environment::current(),
            umask: status.number("Umask", 8)? as u32,
            nice: sched::nice()?,
            limits: rlimit::all()?,
            affinity: sched::affinity()?,
            process_group: process_group::current(),
            oom_score: read_small("/proc/self/oom_score_adj")?,
            ignored_signals: SignalSet(status.number("SigIgn", 16)?).settable(),
            blocked_signals: SignalSet(status.number("SigBlk", 16)?).settable(),
            directory: cwd::directory(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_this_thread_is_read() {
        let state = InheritedState::read(&ProcStatus::read().unwrap()).unwrap();
        assert!(state.umask <= 0o777);
        assert_eq!(state.blocked_signals, super::super::signal::mask());
        assert_eq!(state.ignored_signals, super::super::signal::ignored());
    }
}
