//! A call: a task and its encoded arguments, before a start.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::arguments::{Decode, decode_output};
use super::registry::{self, TaskEntry};
use crate::error::{self, Error, ErrorKind};
use crate::ipc::codec;
use crate::ipc::wire::payload::Payload;
use crate::sys;

/// A task and its encoded arguments: an inert value that runs nothing until a start.
///
/// `#[child_task]` generates the function `task::call(…)`, which returns a `Call`. `T` is the return type of the task,
/// so calls of different tasks with the same return type fit into one `Vec`. A clone shares the encoded arguments: the
/// cost of a clone does not depend on their size.
///
/// Start a call with [`Call::start`], [`Context::start`](crate::Context::start) or
/// [`Context::process`](crate::Context::process), or give a call to a [`Pool`](crate::Pool).
///
/// # Examples
/// ```
/// use offspring::{Call, child_task};
///
/// #[child_task]
/// fn sum(numbers: Vec<u64>) -> u64 {
///     numbers.iter().sum()
/// }
///
/// #[child_task]
/// fn product(numbers: Vec<u64>) -> u64 {
///     numbers.iter().product()
/// }
///
/// #[offspring::process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let calls: Vec<Call<u64>> = vec![sum::call(vec![2, 3, 4]), product::call(vec![2, 3, 4])];
///     let children = calls.into_iter().map(Call::start).collect::<Result<Vec<_>, _>>()?;
///     let results = children.into_iter().map(|child| child.join()).collect::<Result<Vec<_>, _>>()?;
///     assert_eq!(results, [9, 24]);
///     Ok(())
/// }
/// ```
#[must_use = "a call does nothing until it is started"]
pub struct Call<T> {
    pub(crate) entry: &'static TaskEntry,
    /// Keeps a failure to encode, which the start reports.
    arguments: Result<Payload, codec::Error>,
    pub(crate) decode: Decode<T>,
    /// The time limit of the task.
    pub(crate) limit: Option<Duration>,
}

impl<T: DeserializeOwned> Call<T> {
    /// Makes a call of a task of this crate's own.
    pub(crate) fn internal<A: Serialize>(entry: &'static TaskEntry, argument: &A) -> Self {
        Self::new(entry, Payload::encode(argument), decode_output::<T>)
    }
}

impl<T> Call<T> {
    pub(super) fn new(entry: &'static TaskEntry, arguments: Result<Payload, codec::Error>, decode: Decode<T>) -> Self {
        Self { entry, arguments, decode, limit: entry.timeout }
    }

    /// Returns the name of the task: [`Task::NAME`](crate::Task::NAME).
    ///
    /// # Examples
    /// ```
    /// use offspring::child_task;
    ///
    /// #[child_task(name = "square")]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// assert_eq!(square::call(12).task(), "square");
    /// ```
    pub fn task(&self) -> &'static str {
        self.entry.name
    }

    /// Sets the time limit of the task. Default: the `timeout` of `#[child_task]`, else none.
    ///
    /// When the time is over, the result is [`TimedOut`](crate::JoinErrorKind::TimedOut). For a child of its own,
    /// [`ProcessBuilder::timeout`](crate::ProcessBuilder::timeout) replaces this limit. In a pool, the time begins with
    /// the task, and the shorter of this limit and [`PoolBuilder::task_timeout`](crate::PoolBuilder::task_timeout)
    /// holds.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// use offspring::{JoinErrorKind, child_task};
    ///
    /// #[child_task]
    /// fn wait_for_ever() {
    ///     loop {
    ///         std::thread::park();
    ///     }
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let child = wait_for_ever::call().timeout(Duration::from_millis(50)).start()?;
    /// assert!(matches!(child.join().unwrap_err().kind(), JoinErrorKind::TimedOut));
    /// # Ok(())
    /// # }
    /// ```
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Returns the arguments if they could be encoded and the task is in the registry.
    pub(crate) fn check(&self) -> Result<&Payload, Error> {
        registry::lookup(self.entry.name, self.entry.id())?;
        self.arguments.as_ref().map_err(|error| {
            let text = format!("cannot encode the arguments of `{}`", self.task());
            match error.io_error() {
                // A limit is not the fault of the value, and a later attempt may succeed.
                Some(limit) if sys::is_limit(limit) => Error::os(text, error::copy_of(limit)),
                _ => Error::new(ErrorKind::Encode, format!("{text}: {error}")),
            }
        })
    }
}

impl<T> Clone for Call<T> {
    fn clone(&self) -> Self {
        Self { entry: self.entry, arguments: self.arguments.clone(), decode: self.decode, limit: self.limit }
    }
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.arguments {
            Ok(arguments) => write!(f, "{}({} bytes)", self.task(), arguments.len()),
            Err(error) => write!(f, "{}({error})", self.task()),
        }
    }
}

/// A call never holds a `T`, so a call is `Send` and `Sync` for every `T`.
const _: fn() = || {
    fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<Call<PhantomData<*const u8>>>();
};
