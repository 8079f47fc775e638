//! Many calls at once: lazily in, lazily out, so that memory stays bounded on an endless input.

use std::collections::{HashMap, VecDeque};
use std::fmt;

use super::Pool;
use super::job::{Holder, Outcome, value};
use super::scheduler::Key;
use crate::error::JoinError;
use crate::task::{Call, Decode};

/// The results of many calls in their order, made by [`Pool::map`](super::Pool::map).
///
/// Takes its input only as workers can have it. Dropped, it cancels what has not begun.
#[must_use = "a map does nothing until its results are taken"]
pub struct Map<'p, T, I> {
    pool: &'p Pool,
    calls: std::iter::Fuse<I>,
    /// Calls that are under way or done, oldest first: how their results are decoded.
    decoders: VecDeque<(&'static str, Decode<T>)>,
    keys: VecDeque<Key>,
    ready: VecDeque<Outcome>,
}

/// How many calls are taken from the input at once.
const BATCH: usize = 64;

impl<'p, T, I: Iterator<Item = Call<T>>> Map<'p, T, I> {
    pub(super) fn new(pool: &'p Pool, calls: I) -> Self {
        Self { pool, calls: calls.fuse(), decoders: VecDeque::new(), keys: VecDeque::new(), ready: VecDeque::new() }
    }

    /// Lets workers have as much of the input as they have room for; at least one call if none is under way.
    fn refill(&mut self) {
        let mut room = self.pool.shared.room(self.keys.len()).max(usize::from(self.keys.is_empty()));
        while room > 0 {
            // Without the pool's lock: the input is code of the user's.
            let calls: Vec<Call<T>> = self.calls.by_ref().take(room.min(BATCH)).collect();
            if calls.is_empty() {
                return;
            }
            room -= calls.len();
            self.decoders.extend(calls.iter().map(|call| (call.entry.name, call.decode)));
            let records = calls.into_iter().map(|call| self.pool.record(call, Holder::Job(None)));
            let keys = &mut self.keys;
            self.pool.shared.submit(records, |key| keys.push_back(key));
        }
    }
}

impl<T, I: Iterator<Item = Call<T>>> Iterator for Map<'_, T, I> {
    type Item = Result<T, JoinError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty() {
            self.refill();
            let ready = &mut self.ready;
            self.pool.shared.wait_in_order(&mut self.keys, |outcome| ready.push_back(outcome));
        }
        let outcome = self.ready.pop_front()?;
        let (task, decode) = self.decoders.pop_front()?;
        Some(value(&self.pool.shared, outcome, task, decode))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        with_more(self.calls.size_hint(), self.decoders.len())
    }
}

/// Every call has one result, whatever becomes of it.
impl<T, I: ExactSizeIterator<Item = Call<T>>> ExactSizeIterator for Map<'_, T, I> {}

impl<T, I> Drop for Map<'_, T, I> {
    fn drop(&mut self) {
        self.pool.shared.forget_all(std::mem::take(&mut self.keys));
    }
}

impl<T, I> fmt::Debug for Map<'_, T, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Map with {} calls under way", self.keys.len())
    }
}

/// The results of many calls as they come, each with its place in the input, made by
/// [`Pool::map_unordered`](super::Pool::map_unordered).
///
/// Takes its input only as workers can have it. Dropped, it cancels what has not begun.
#[must_use = "a map does nothing until its results are taken"]
pub struct MapUnordered<'p, T, I> {
    pool: &'p Pool,
    calls: std::iter::Enumerate<std::iter::Fuse<I>>,
    under_way: HashMap<Key, (usize, &'static str, Decode<T>)>,
    group: usize,
    ready: VecDeque<(Key, Outcome)>,
}

impl<'p, T, I: Iterator<Item = Call<T>>> MapUnordered<'p, T, I> {
    pub(super) fn new(pool: &'p Pool, calls: I) -> Self {
        let group = pool.shared.new_group();
        Self { pool, calls: calls.fuse().enumerate(), under_way: HashMap::new(), group, ready: VecDeque::new() }
    }

    fn refill(&mut self) {
        let mut room = self.pool.shared.room(self.under_way.len()).max(usize::from(self.under_way.is_empty()));
        while room > 0 {
            let calls: Vec<(usize, Call<T>)> = self.calls.by_ref().take(room.min(BATCH)).collect();
            if calls.is_empty() {
                return;
            }
            room -= calls.len();
            let mut about: VecDeque<_> =
                calls.iter().map(|(place, call)| (*place, call.entry.name, call.decode)).collect();
            let records = calls.into_iter().map(|(_, call)| self.pool.record(call, Holder::Group(self.group)));
            let under_way = &mut self.under_way;
            self.pool.shared.submit(records, |key| {
                under_way.extend(about.pop_front().map(|about| (key, about)));
            });
        }
    }
}

impl<T, I: Iterator<Item = Call<T>>> Iterator for MapUnordered<'_, T, I> {
    type Item = (usize, Result<T, JoinError>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty() {
            self.refill();
            if !self.under_way.is_empty() {
                let ready = &mut self.ready;
                self.pool.shared.wait_for_any(self.group, |key, outcome| ready.push_back((key, outcome)));
            }
        }
        let (key, outcome) = self.ready.pop_front()?;
        let (place, task, decode) = self.under_way.remove(&key)?;
        Some((place, value(&self.pool.shared, outcome, task, decode)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        with_more(self.calls.size_hint(), self.under_way.len())
    }
}

/// Every call has one result, whatever becomes of it.
impl<T, I: ExactSizeIterator<Item = Call<T>>> ExactSizeIterator for MapUnordered<'_, T, I> {}

impl<T, I> Drop for MapUnordered<'_, T, I> {
    fn drop(&mut self) {
        let taken: Vec<Key> = self.ready.iter().map(|(key, _)| *key).collect();
        let left = std::mem::take(&mut self.under_way).into_keys().filter(|key| !taken.contains(key));
        self.pool.shared.forget_all(left);
        self.pool.shared.forget_group(self.group);
    }
}

impl<T, I> fmt::Debug for MapUnordered<'_, T, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MapUnordered with {} calls under way", self.under_way.len())
    }
}

/// What is left to come of an input, and the results of calls that were taken from it.
fn with_more((least, most): (usize, Option<usize>), under_way: usize) -> (usize, Option<usize>) {
    (least.saturating_add(under_way), most.and_then(|most| most.checked_add(under_way)))
}
