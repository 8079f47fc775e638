//! A pool: workers that run calls, and survive none of them.
//!
//! ```text
//! submit, map ──▶ queue ──▶ ring of each worker ──▶ worker: look the task up, run it, report
//!                             │      (shared memory)    │
//! Job, Map    ◀── outcome ◀──┴── ring of results ◀──────┘     a death costs the job that ran, and no other
//! ```
//!
//! `state` knows who has what and decides; `hand` is one worker as the pool sees it, `worker` the same as it sees itself;
//! `ring` carries jobs and results between the two; `dispatcher` moves it all on, by the thread that waits for a result or
//! by the pool's own. `job`, `map` and `builder` are what users hold, `progress` draws a bar for them.

mod builder;
mod driver;
mod job;
mod local;
mod map;
mod model;
#[cfg(feature = "progress")]
mod progress;
mod scheduler;
mod stats;
mod transport;

use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;

pub use builder::{InitializerOutput, PoolBuilder};
pub use job::Job;
pub use local::is_cancelled;
pub use map::{Map, MapUnordered};
#[cfg(feature = "progress")]
pub use progress::MapProgress;
pub use stats::{PoolStats, WorkerStats};

use builder::prepare;
use driver::PoolCore;
use model::{Failure, Holder, JobEntry, JobId, JobState};

use crate::error::{Error, ErrorKind, JoinErrorKind};
use crate::ipc::wire::payload::Payload;
use crate::process::Context;
use crate::task::Call;

impl Context {
    /// Makes pools whose workers are started by this context's method.
    pub fn pool(&self) -> PoolBuilder {
        PoolBuilder::new(self.clone())
    }
}

/// Worker processes that run calls.
///
/// Shared by reference: all methods but the two that end it take `&self`, from any thread. Dropped, it is [terminated](Self::terminate); so is
/// one that is still there when the program ends, as in a static: [`join`](Self::join) it to have its jobs done.
///
/// # Faults
/// A task that panics keeps its worker. One whose worker dies (by a signal, an exit, an abort, a stack overflow, for want of memory)
/// fails with how it died, alone; the jobs behind it run elsewhere, and another worker takes the place of the dead one.
///
/// A worker that cannot be had (a limit is reached, its initializer fails) is tried for again after a pause, from 10 ms to 1 s.
/// As long as others serve, that is all. If none does and three in a row have failed, the jobs that wait have
/// [`NotStarted`](JoinErrorKind::NotStarted) with the cause; later ones wait for the next attempt. A fork pool that has lost its template
/// (somebody has killed it) gets no more workers: when the last one is gone, all jobs fail at once.
///
/// # Example
/// ```
/// use offspring::{Context, child_task};
///
/// #[child_task]
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// #[offspring::process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let pool = Context::default().pool().workers(2).build()?;
///     let sum = pool.map((0..100).map(square::call)).sum::<Result<u64, _>>()?;
///     assert_eq!(sum, 328_350);
///     assert_eq!(pool.submit(square::call(12)).wait()?, 144);
///     pool.join()?;
///     Ok(())
/// }
/// ```
pub struct Pool {
    core: Arc<PoolCore>,
    thread: Option<JoinHandle<()>>,
    retries: u32,
}

impl Pool {
    /// Runs a call. What cannot be run (arguments that do not encode, a closed pool) is told by the job.
    pub fn submit<T>(&self, call: Call<T>) -> Job<T> {
        let (task, decode) = (call.task(), call.decode);
        let mut id = JobId(0);
        self.core.submit([self.entry(call, Holder::Job(None))], |submitted| id = submitted);
        Job::new(Arc::clone(&self.core), id, task, decode)
    }

    /// Runs many calls; an iterator over their results, in their order.
    ///
    /// Input is taken only as workers can have it, so that memory stays bounded on an endless input.
    pub fn map<T, I: IntoIterator<Item = Call<T>>>(&self, calls: I) -> Map<'_, T, I::IntoIter> {
        Map::new(self, calls.into_iter())
    }

    /// Runs many calls; an iterator over their results as they come, each with its place in the input.
    pub fn map_unordered<T, I: IntoIterator<Item = Call<T>>>(&self, calls: I) -> MapUnordered<'_, T, I::IntoIter> {
        MapUnordered::new(self, calls.into_iter())
    }

    /// Takes no more jobs; those that it has are done.
    pub fn close(&self) {
        self.core.close();
    }

    /// Closes the pool, waits for all its jobs, and for its workers to leave.
    ///
    /// # Errors
    /// If there were jobs that no worker could be had for; they say so themselves too.
    pub fn join(mut self) -> Result<(), Error> {
        self.core.close();
        self.core.wait_until_finished();
        self.core.shut_down();
        let emptied = self.core.wait_until_empty();
        self.end();
        emptied
    }

    /// Kills all workers; every job that is not done is [`PoolClosed`](JoinErrorKind::PoolClosed).
    pub fn terminate(mut self) {
        self.end();
    }

    /// Changes the number of workers. Those that are too many leave when they have done what they have.
    ///
    /// # Errors
    /// [`Setting`](ErrorKind::Setting) for no workers; [`ForkServer`](ErrorKind::ForkServer) in a fork pool that has lost its template.
    pub fn resize(&self, workers: usize) -> Result<(), Error> {
        if workers == 0 {
            return Err(Error::new(ErrorKind::Setting, "a pool needs at least one worker"));
        }
        self.core.resize(workers)
    }

    /// What the pool is doing.
    pub fn stats(&self) -> PoolStats {
        self.core.stats()
    }

    fn end(&mut self) {
        self.core.terminate();
        match self.thread.take() {
            // A forked copy of the process has no such thread, and would wait for it for ever.
            Some(thread) if self.core.is_forked_copy() => std::mem::forget(thread),
            // A waker that it has woken held the pool; it ends when it has returned from here.
            Some(thread) if thread.thread().id() == std::thread::current().id() => {}
            Some(thread) => drop(thread.join()),
            None => {}
        }
        // Jobs may hold the rest for longer.
        self.core.release_template();
    }

    fn entry<T>(&self, call: Call<T>, holder: Holder) -> JobEntry {
        let (entry, time_limit) = (call.entry, call.limit);
        let (task_index, arguments, state) = match prepare(&call) {
            Ok((task_index, arguments)) => (task_index, arguments, JobState::Queued),
            Err(error) => {
                let failure = Failure::new(JoinErrorKind::NotStarted(error), None);
                (0, Payload::EMPTY, JobState::Done(Err(failure)))
            }
        };
        JobEntry { entry, task_index, arguments, state, holder, time_limit, retries: self.retries }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("stats", &self.stats()).finish()
    }
}
