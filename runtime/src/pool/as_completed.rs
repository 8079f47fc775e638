//! Many jobs at once, in the order of their ends.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Wake, Waker};

use super::job::Job;
use crate::error::JoinError;
use crate::sys;
use crate::sys::fork_generation::ForkGeneration;

/// Returns an iterator over the results of `jobs`, in the order of completion. Each item has the index of the job.
///
/// The jobs may belong to several pools. A drop of the iterator drops the jobs that are left, which run all the same
/// unless they are killed [on drop](Job::kill_on_drop). [`Pool::map_unordered`](crate::Pool::map_unordered) does the
/// same for calls, and takes them from an iterator bit by bit.
///
/// # Examples
/// ```
/// use offspring::{Context, as_completed, child_task};
///
/// #[child_task]
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// # #[offspring::process_main]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Context::default().pool().workers(2).build()?;
/// let jobs = (0..10).map(|n| pool.submit(square::call(n)));
/// for (index, result) in as_completed(jobs) {
///     assert_eq!(result?, (index * index) as u64);
/// }
/// # Ok(())
/// # }
/// ```
pub fn as_completed<T>(jobs: impl IntoIterator<Item = Job<T>>) -> AsCompleted<T> {
    let done = Arc::new(Done::default());
    let jobs: HashMap<usize, Job<T>> = jobs.into_iter().enumerate().collect();
    for (index, job) in &jobs {
        let waker = Waker::from(Arc::new(JobWaker { index: *index, done: Arc::clone(&done) }));
        if job.set_waker(&waker).is_err() {
            waker.wake();
        }
    }
    AsCompleted { jobs, done, fork_generation: ForkGeneration::current() }
}

/// An iterator over the results of jobs, in the order of completion. Made by [`as_completed`].
///
/// # Examples
/// ```
/// use offspring::{Context, as_completed, child_task};
///
/// #[child_task]
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// # #[offspring::process_main]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Context::default().pool().workers(2).build()?;
/// let mut results = as_completed([2, 3].map(|n| pool.submit(square::call(n))));
/// assert_eq!(results.len(), 2);
/// let (first, square) = results.next().expect("two jobs");
/// assert_eq!(square?, [4, 9][first]);
/// # Ok(())
/// # }
/// ```
#[must_use = "the results of the jobs are in the iterator"]
pub struct AsCompleted<T> {
    /// The jobs whose results were not taken, by index.
    jobs: HashMap<usize, Job<T>>,
    done: Arc<Done>,
    /// In a forked copy of the process, no thread wakes the iterator, and all jobs have failed.
    fork_generation: ForkGeneration,
}

/// The indices of the jobs that are done, in the order of their ends.
#[derive(Default)]
struct Done {
    indices: Mutex<VecDeque<usize>>,
    changed: Condvar,
}

struct JobWaker {
    index: usize,
    done: Arc<Done>,
}

impl Wake for JobWaker {
    fn wake(self: Arc<Self>) {
        sys::lock(&self.done.indices).push_back(self.index);
        self.done.changed.notify_one();
    }
}

impl<T> AsCompleted<T> {
    /// Waits for the next job that is done.
    fn next_done(&self) -> usize {
        let mut indices = sys::lock(&self.done.indices);
        loop {
            if let Some(index) = indices.pop_front() {
                return index;
            }
            indices = self.done.changed.wait(indices).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<T> Iterator for AsCompleted<T> {
    type Item = (usize, Result<T, JoinError>);

    fn next(&mut self) -> Option<Self::Item> {
        let any = *self.jobs.keys().next()?;
        let index = if self.fork_generation.is_current() { self.next_done() } else { any };
        Some((index, self.jobs.remove(&index)?.wait()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.jobs.len(), Some(self.jobs.len()))
    }
}

impl<T> ExactSizeIterator for AsCompleted<T> {}

impl<T> fmt::Debug for AsCompleted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AsCompleted with {} jobs left", self.jobs.len())
    }
}
