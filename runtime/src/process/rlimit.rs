//! The resources that the kernel can limit for one process.

use crate::sys::rlimit::{self, Limit, resource};

/// A resource that the kernel can limit for one process. Set a limit with
/// [`ProcessBuilder::limit`](crate::ProcessBuilder::limit).
///
/// # Examples
/// ```
/// use offspring::{Context, JoinErrorKind, Resource, child_task};
///
/// #[child_task]
/// fn fill(bytes: usize) -> usize {
///     vec![1_u8; bytes].len()
/// }
///
/// # #[offspring::process_main]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let limited = Context::default().process(fill::call(2 << 30)).limit(Resource::AddressSpace, 1 << 30);
/// assert!(matches!(limited.start()?.join().unwrap_err().kind(), JoinErrorKind::Signaled(6))); // SIGABRT
/// # Ok(())
/// # }
/// ```
///
/// Source: [getrlimit(2)](https://man7.org/linux/man-pages/man2/getrlimit.2.html).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// Virtual memory, in bytes (`RLIMIT_AS`). A Rust program that exceeds the limit aborts (`SIGABRT`).
    AddressSpace,
    /// Processor time, in seconds (`RLIMIT_CPU`). The kernel sends `SIGXCPU` at the limit, and `SIGKILL` 1 second
    /// later.
    CpuSeconds,
    /// The size of a written file, in bytes (`RLIMIT_FSIZE`). Holds for memory files too, which carry large results.
    FileSize,
    /// The heap and other writable private memory, in bytes (`RLIMIT_DATA`).
    Data,
    /// The main thread's stack, in bytes (`RLIMIT_STACK`). With musl, the stack of a forkserver's child has the size
    /// that was the limit at the start of the forkserver.
    Stack,
    /// A core dump, in bytes (`RLIMIT_CORE`).
    CoreDump,
    /// The number of processes and threads of the user, in total (`RLIMIT_NPROC`).
    Processes,
    /// The highest possible descriptor plus 1 (`RLIMIT_NOFILE`).
    OpenFiles,
    /// Memory locked in RAM, in bytes (`RLIMIT_MEMLOCK`).
    LockedMemory,
}

impl Resource {
    /// Returns `value` as soft and as hard limit. The hard limit of processor time is 1 second higher: the signal of
    /// the soft limit (`SIGXCPU`) names the cause, and the signal of the hard limit (`SIGKILL`) does not.
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
