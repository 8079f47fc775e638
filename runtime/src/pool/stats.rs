//! What a pool is doing, in numbers.

/// What a pool is doing at one moment.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolStats {
    /// Jobs that have not begun.
    pub queued: usize,
    /// Jobs that run.
    pub running: usize,
    /// Jobs that have returned, since the pool was made.
    pub done: u64,
    /// Jobs that have failed, since the pool was made: panicked, died with their worker, cancelled, could not begin.
    pub failed: u64,
    /// Workers that have died or were recycled: another one has the place of each, or will have it.
    pub replaced: u64,
    /// Workers that have left for good: there was too little to do for them, or the pool was made smaller.
    pub retired: u64,
    /// How many workers there may be.
    pub max_workers: usize,
    /// Those that live.
    pub workers: Vec<WorkerStats>,
}

/// What one worker is doing.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerStats {
    /// Its name.
    pub name: String,
    /// Its process id.
    pub pid: u32,
    /// Jobs that were given to it and are not done, the one that runs among them.
    pub assigned: usize,
    /// Jobs that it has done.
    pub done: u32,
}
