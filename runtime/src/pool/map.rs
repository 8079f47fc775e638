//! Many calls at once: lazily in, lazily out, so that memory stays bounded on an endless input.

use std::collections::{HashMap, VecDeque};
use std::fmt;
#[cfg(feature = "stream")]
use std::pin::Pin;
#[cfg(feature = "stream")]
use std::task::{Context as Polling, Poll};

use super::Pool;
#[cfg(feature = "stream")]
use super::driver::InLine;
use super::job::value;
use super::model::{GroupId, Holder, JobEntry, JobId, Outcome};
use crate::error::JoinError;
use crate::task::{Call, Decode};

/// An iterator over the results of many calls, in the order of the calls. Made by [`Pool::map`](super::Pool::map).
///
/// Takes the input as workers have room for calls. A drop cancels the calls that have not begun.
///
/// # Examples
/// ```
/// use offspring::{Context, child_task};
///
/// #[child_task]
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// # #[offspring::process_main]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Context::default().pool().workers(2).build()?;
/// let mut squares = pool.map((1..).map(square::call)); // an endless input
/// assert_eq!(squares.next().transpose()?, Some(1));
/// assert_eq!(squares.next().transpose()?, Some(4));
/// # Ok(())
/// # }
/// ```
#[must_use = "a map does nothing until its results are taken"]
pub struct Map<'p, T, I> {
    pool: &'p Pool,
    calls: InOrder<T, I>,
}

/// An input, and the results of the calls that were taken from it, in the order of the calls.
struct InOrder<T, I> {
    calls: std::iter::Fuse<I>,
    /// Calls that are under way or done, oldest first: how their results are decoded.
    decoders: VecDeque<(&'static str, Decode<T>)>,
    ids: VecDeque<JobId>,
    ready: VecDeque<Outcome>,
    /// The next job, for which the queue has no room.
    held: Option<JobEntry>,
}

/// How many calls are taken from the input at once.
const BATCH: usize = 64;

impl<T, I: Iterator<Item = Call<T>>> InOrder<T, I> {
    fn new(calls: I) -> Self {
        let (decoders, ids, ready) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
        Self { calls: calls.fuse(), decoders, ids, ready, held: None }
    }

    /// Lets workers have as much of the input as they have room for; at least one call if none is under way. Returns a
    /// job that has to wait for room, if that is the one call.
    fn refill(&mut self, pool: &Pool) -> Option<JobEntry> {
        let mut room = pool.core.room(self.ids.len());
        if pool.is_limited {
            while self.held.is_some() || room > 0 {
                room = room.saturating_sub(1);
                self.held = self.held.take().or_else(|| self.next_job(pool));
                let Ok(id) = pool.core.try_submit(&mut self.held) else { break };
                self.ids.push_back(id);
            }
            let waits = self.ids.is_empty();
            return if waits { self.held.take().or_else(|| self.next_job(pool)) } else { None };
        }
        room = room.max(usize::from(self.ids.is_empty()));
        while room > 0 {
            // Without the pool's lock: the input is code of the user's.
            let calls: Vec<Call<T>> = self.calls.by_ref().take(room.min(BATCH)).collect();
            if calls.is_empty() {
                break;
            }
            room -= calls.len();
            self.decoders.extend(calls.iter().map(|call| (call.entry.name, call.decode)));
            let jobs = calls.into_iter().map(|call| pool.entry(&call, Holder::Job(None)));
            let ids = &mut self.ids;
            pool.core.submit(jobs, |id| ids.push_back(id));
        }
        None
    }

    /// Takes a call from the input.
    fn next_job(&mut self, pool: &Pool) -> Option<JobEntry> {
        let call = self.calls.next()?;
        self.decoders.push_back((call.entry.name, call.decode));
        Some(pool.entry(&call, Holder::Job(None)))
    }

    /// Takes the next result that has come.
    fn next(&mut self, pool: &Pool) -> Option<Result<T, JoinError>> {
        let outcome = self.ready.pop_front()?;
        let (task, decode) = self.decoders.pop_front()?;
        Some(value(&pool.core, outcome, task, decode))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        with_more(self.calls.size_hint(), self.decoders.len())
    }
}

impl<'p, T, I: Iterator<Item = Call<T>>> Map<'p, T, I> {
    pub(super) fn new(pool: &'p Pool, calls: I) -> Self {
        Self { pool, calls: InOrder::new(calls) }
    }
}

impl<T, I: Iterator<Item = Call<T>>> Iterator for Map<'_, T, I> {
    type Item = Result<T, JoinError>;

    fn next(&mut self) -> Option<Self::Item> {
        let calls = &mut self.calls;
        if calls.ready.is_empty() {
            if let Some(job) = calls.refill(self.pool) {
                calls.ids.push_back(self.pool.core.submit_with_room(job));
            }
            let ready = &mut calls.ready;
            self.pool.core.wait_in_order(&mut calls.ids, |outcome| ready.push_back(outcome));
        }
        calls.next(self.pool)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.calls.size_hint()
    }
}

/// Every call has exactly one result.
impl<T, I: ExactSizeIterator<Item = Call<T>>> ExactSizeIterator for Map<'_, T, I> {}

impl<T, I> Drop for Map<'_, T, I> {
    fn drop(&mut self) {
        self.pool.core.cancel_and_release(std::mem::take(&mut self.calls.ids));
    }
}

impl<T, I> fmt::Debug for Map<'_, T, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Map with {} calls under way", self.calls.ids.len())
    }
}

/// A stream of the results of many calls, in the order of the calls. Made by
/// [`Pool::map_stream`](super::Pool::map_stream).
///
/// Takes the input as workers have room for calls, in the polls. A drop cancels the calls that have not begun.
///
/// # Examples
/// ```
/// use std::future::poll_fn;
/// use std::pin::Pin;
///
/// use futures_core::Stream;
/// use offspring::{Context, child_task};
/// # fn block_on<T>(future: impl Future<Output = T>) -> T {
/// #     let mut future = std::pin::pin!(future);
/// #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
/// #     loop {
/// #         if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) { return output }
/// #         std::thread::yield_now();
/// #     }
/// # }
///
/// #[child_task]
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// # #[offspring::process_main]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Context::default().pool().workers(2).build()?;
/// let mut squares = pool.map_stream((1..).map(square::call)); // an endless input
/// let first = block_on(poll_fn(|polling| Pin::new(&mut squares).poll_next(polling)));
/// assert_eq!(first.transpose()?, Some(1));
/// # Ok(())
/// # }
/// ```
#[cfg(feature = "stream")]
#[must_use = "a stream does nothing until it is polled"]
pub struct MapStream<T, I> {
    pool: Pool,
    calls: InOrder<T, I>,
    /// The first job, if it waits for room.
    in_line: Option<InLine>,
}

#[cfg(feature = "stream")]
impl<T, I: Iterator<Item = Call<T>>> MapStream<T, I> {
    pub(super) fn new(pool: Pool, calls: I) -> Self {
        Self { pool, calls: InOrder::new(calls), in_line: None }
    }
}

/// No field is ever pinned.
#[cfg(feature = "stream")]
impl<T, I> Unpin for MapStream<T, I> {}

#[cfg(feature = "stream")]
impl<T, I: Iterator<Item = Call<T>>> futures_core::Stream for MapStream<T, I> {
    type Item = Result<T, JoinError>;

    fn poll_next(mut self: Pin<&mut Self>, polling: &mut Polling<'_>) -> Poll<Option<Self::Item>> {
        let Self { pool, calls, in_line } = &mut *self;
        if calls.ready.is_empty() {
            if in_line.is_none() {
                *in_line = calls.refill(pool).map(|job| InLine::new(&pool.core, job));
            }
            if let Some(place) = in_line {
                calls.ids.push_back(std::task::ready!(place.poll(polling.waker())));
                *in_line = None;
            }
            let ready = &mut calls.ready;
            let take = |outcome| ready.push_back(outcome);
            std::task::ready!(pool.core.poll_in_order(&mut calls.ids, polling.waker(), take));
        }
        Poll::Ready(calls.next(pool))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.calls.size_hint()
    }
}

#[cfg(feature = "stream")]
impl<T, I> Drop for MapStream<T, I> {
    fn drop(&mut self) {
        self.pool.core.cancel_and_release(std::mem::take(&mut self.calls.ids));
    }
}

#[cfg(feature = "stream")]
impl<T, I> fmt::Debug for MapStream<T, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MapStream with {} calls under way", self.calls.ids.len())
    }
}

/// An iterator over the results of many calls, in the order of completion, each with the index of the call. Made by
/// [`Pool::map_unordered`](super::Pool::map_unordered).
///
/// Takes the input as workers have room for calls. A drop cancels the calls that have not begun.
///
/// # Examples
/// ```
/// use offspring::{Context, child_task};
///
/// #[child_task]
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// # #[offspring::process_main]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Context::default().pool().workers(2).build()?;
/// let mut results = vec![0; 10];
/// for (index, result) in pool.map_unordered((0..10).map(square::call)) {
///     results[index] = result?;
/// }
/// assert_eq!(results, [0, 1, 4, 9, 16, 25, 36, 49, 64, 81]);
/// # Ok(())
/// # }
/// ```
#[must_use = "a map does nothing until its results are taken"]
pub struct MapUnordered<'p, T, I> {
    pool: &'p Pool,
    calls: std::iter::Enumerate<std::iter::Fuse<I>>,
    in_flight: HashMap<JobId, About<T>>,
    group: GroupId,
    ready: VecDeque<(JobId, Outcome)>,
    /// The next job, for which the queue has no room.
    held: Option<(About<T>, JobEntry)>,
}

/// The index of a call in the input, and how its result is decoded.
type About<T> = (usize, &'static str, Decode<T>);

impl<'p, T, I: Iterator<Item = Call<T>>> MapUnordered<'p, T, I> {
    pub(super) fn new(pool: &'p Pool, calls: I) -> Self {
        let group = pool.core.new_group();
        let (in_flight, ready) = (HashMap::new(), VecDeque::new());
        Self { pool, calls: calls.fuse().enumerate(), in_flight, group, ready, held: None }
    }

    fn refill(&mut self) {
        let core = &self.pool.core;
        let mut room = core.room(self.in_flight.len());
        if self.pool.is_limited {
            while self.held.is_some() || room > 0 {
                room = room.saturating_sub(1);
                let Some((about, job)) = self.held.take().or_else(|| self.next_job()) else { break };
                let mut job = Some(job);
                let submitted = core.try_submit(&mut job);
                self.held = job.map(|job| (about, job));
                let Ok(id) = submitted else { break };
                self.in_flight.insert(id, about);
            }
            if self.in_flight.is_empty()
                && let Some((about, job)) = self.held.take().or_else(|| self.next_job())
            {
                self.in_flight.insert(core.submit_with_room(job), about);
            }
            return;
        }
        room = room.max(usize::from(self.in_flight.is_empty()));
        while room > 0 {
            let calls: Vec<(usize, Call<T>)> = self.calls.by_ref().take(room.min(BATCH)).collect();
            if calls.is_empty() {
                return;
            }
            room -= calls.len();
            let mut about: VecDeque<_> =
                calls.iter().map(|(place, call)| (*place, call.entry.name, call.decode)).collect();
            let jobs = calls.into_iter().map(|(_, call)| self.pool.entry(&call, Holder::Group(self.group)));
            let in_flight = &mut self.in_flight;
            core.submit(jobs, |id| {
                in_flight.extend(about.pop_front().map(|about| (id, about)));
            });
        }
    }

    /// Takes a call from the input.
    fn next_job(&mut self) -> Option<(About<T>, JobEntry)> {
        let (place, call) = self.calls.next()?;
        let job = self.pool.entry(&call, Holder::Group(self.group));
        Some(((place, call.entry.name, call.decode), job))
    }
}

impl<T, I: Iterator<Item = Call<T>>> Iterator for MapUnordered<'_, T, I> {
    type Item = (usize, Result<T, JoinError>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty() {
            self.refill();
            if !self.in_flight.is_empty() {
                let ready = &mut self.ready;
                self.pool.core.wait_for_any(self.group, |id, outcome| ready.push_back((id, outcome)));
            }
        }
        let (id, outcome) = self.ready.pop_front()?;
        let (place, task, decode) = self.in_flight.remove(&id)?;
        Some((place, value(&self.pool.core, outcome, task, decode)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        with_more(self.calls.size_hint(), self.in_flight.len() + usize::from(self.held.is_some()))
    }
}

/// Every call has exactly one result.
impl<T, I: ExactSizeIterator<Item = Call<T>>> ExactSizeIterator for MapUnordered<'_, T, I> {}

impl<T, I> Drop for MapUnordered<'_, T, I> {
    fn drop(&mut self) {
        let taken: Vec<JobId> = self.ready.iter().map(|(id, _)| *id).collect();
        let left = std::mem::take(&mut self.in_flight).into_keys().filter(|id| !taken.contains(id));
        self.pool.core.cancel_and_release(left);
        self.pool.core.release_group(self.group);
    }
}

impl<T, I> fmt::Debug for MapUnordered<'_, T, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MapUnordered with {} calls under way", self.in_flight.len())
    }
}

/// What is left to come of an input, and the results of calls that were taken from it.
fn with_more((least, most): (usize, Option<usize>), in_flight: usize) -> (usize, Option<usize>) {
    (least.saturating_add(in_flight), most.and_then(|most| most.checked_add(in_flight)))
}
