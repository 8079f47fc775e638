//! What the kernel can limit for one process.

use crate::sys::rlimit::{self, Limit, resource};

/// What the kernel can limit for one process (getrlimit(2)).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// Virtual memory, in bytes (`RLIMIT_AS`). A Rust program that exceeds it aborts (`SIGABRT`).
    AddressSpace,
    /// Processor time, in seconds (`RLIMIT_CPU`). The kernel ends a process that exceeds it by `SIGXCPU`, and by `SIGKILL` a
    /// second later.
    CpuSeconds,
    /// The size of a file that is written, in bytes (`RLIMIT_FSIZE`). Holds for memory files too, in which large results travel.
    FileSize,
    /// The heap and other writable private memory, in bytes (`RLIMIT_DATA`).
    Data,
    /// The main thread's stack, in bytes (`RLIMIT_STACK`). With musl, a child of the forkserver has a stack of the size that was the
    /// limit when the server was started.
    Stack,
    /// A core dump, in bytes (`RLIMIT_CORE`).
    CoreDump,
    /// Processes and threads of the user, all together (`RLIMIT_NPROC`).
    Processes,
    /// One more than the highest descriptor that may be opened (`RLIMIT_NOFILE`).
    OpenFiles,
    /// Memory locked in RAM, in bytes (`RLIMIT_MEMLOCK`).
    LockedMemory,
}

impl Resource {
    /// Soft and hard alike, but for processor time: there the soft limit's signal says what it was, the hard one's not.
    pub(super) fn limit(self, value: u64) -> Limit {
        let own_hard = rlimit::get(self.number()).map_or(u64::MAX, |own| own.hard);
        let grace = if self == Self::CpuSeconds { 1 } else { 0 };
        Limit { soft: value, hard: value.saturating_add(grace).min(own_hard.max(value)) }
    }

    pub(super) fn number(self) -> u32 {
        match self {
            Self::AddressSpace => resource::ADDRESS_SPACE,
            Self::CpuSeconds => resource::CPU,
            Self::FileSize => resource::FILE_SIZE,
            Self::Data => resource::DATA,
            Self::Stack => resource::STACK,
            Self::CoreDump => resource::CORE,
            Self::Processes => resource::PROCESSES,
            Self::OpenFiles => resource::FILES,
            Self::LockedMemory => resource::LOCKED_MEMORY,
        }
    }
}
