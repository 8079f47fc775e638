//! A flag to wait for. One word counts changes: odd is set.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::handle::{ObjectKind, create, handle};
use crate::error::Error;
use crate::sys::futex;
use crate::sys::poll::{Deadline, deadline_in};
use crate::sys::shared_object::SharedObject;

/// A flag that threads of any process wait for. Set until cleared.
///
/// Setting the flag releases all threads that wait at that moment, even if the flag is cleared before a thread runs.
/// Waiting for a set flag takes about 3 ns.
///
/// # Examples
///
/// ```
/// use offspring::sync::Event;
/// use offspring::{child_task, process_main};
///
/// #[child_task]
/// fn serve(ready: Event, stop: Event) {
///     ready.set();
///     stop.wait();
/// }
///
/// #[process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let (ready, stop) = (Event::new()?, Event::new()?);
///     let child = serve::start(ready.clone(), stop.clone())?;
///     ready.wait();
///     stop.set();
///     child.join()?;
///     Ok(())
/// }
/// ```
///
/// Source: [futex(2)](https://man7.org/linux/man-pages/man2/futex.2.html).
pub struct Event {
    shared: Arc<SharedObject<(), 0, 1>>,
}

handle!(Event);

impl Event {
    /// Makes an event that is not set.
    ///
    /// # Errors
    ///
    /// - [`LimitReached`](crate::ErrorKind::LimitReached): a limit on descriptors, memory or file sizes.
    /// - [`Os`](crate::ErrorKind::Os): the operating system refuses for another reason.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::Event;
    ///
    /// assert!(!Event::new()?.is_set());
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn new() -> Result<Self, Error> {
        Ok(Self { shared: create(ObjectKind::Event, ())? })
    }

    /// Sets the flag, and wakes all waiting threads.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::Event;
    ///
    /// let ready = Event::new()?;
    /// ready.set();
    /// assert!(ready.is_set());
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn set(&self) {
        self.change(false);
        // Also for a set flag: the process that set the flag may have been killed before the wake-up.
        futex::wake_all(self.changes());
    }

    /// Clears the flag. Later waits wait for the next [`set`](Self::set).
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::Event;
    ///
    /// let ready = Event::new()?;
    /// ready.set();
    /// ready.clear();
    /// assert!(!ready.is_set());
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn clear(&self) {
        self.change(true);
    }

    /// Whether the flag is set.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::Event;
    ///
    /// let (stop, mut rounds) = (Event::new()?, 0);
    /// while !stop.is_set() {
    ///     rounds += 1;
    ///     if rounds == 3 {
    ///         stop.set(); // in a program: another process
    ///     }
    /// }
    /// assert_eq!(rounds, 3);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn is_set(&self) -> bool {
        is_set(self.changes().load(Ordering::Acquire))
    }

    /// Waits until the flag is set.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::sync::Event;
    ///
    /// let ready = Event::new()?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| ready.set());
    ///     ready.wait();
    /// });
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn wait(&self) {
        self.wait_until(None);
    }

    /// Waits until the flag is set, for at most `limit`. Returns `false` after `limit`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use offspring::sync::Event;
    ///
    /// let ready = Event::new()?;
    /// assert!(!ready.wait_timeout(Duration::from_millis(1)));
    /// ready.set();
    /// assert!(ready.wait_timeout(Duration::from_millis(1)));
    /// # Ok::<(), offspring::Error>(())
    /// ```
    #[must_use = "the time may be over"]
    pub fn wait_timeout(&self, limit: Duration) -> bool {
        self.wait_until(deadline_in(limit))
    }

    fn wait_until(&self, deadline: Deadline) -> bool {
        let seen = self.changes().load(Ordering::Acquire);
        if is_set(seen) {
            return true;
        }
        // Any other count means a `set` since, perhaps followed by a `clear`.
        while self.changes().load(Ordering::Acquire) == seen {
            if deadline.is_some_and(|end| Instant::now() >= end) {
                return false;
            }
            futex::wait(self.changes(), seen, deadline);
        }
        true
    }

    /// The number of changes. Odd: set.
    fn changes(&self) -> &AtomicU32 {
        &self.shared.words()[0]
    }

    /// Changes the flag, if the flag is `from`.
    fn change(&self, from: bool) {
        let next = |changes: u32| (is_set(changes) == from).then(|| changes.wrapping_add(1));
        // An error means: no change needed.
        let _ = self.changes().fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
    }
}

fn is_set(changes: u32) -> bool {
    changes % 2 == 1
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("is_set", &self.is_set()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn it_stays_set_until_it_is_cleared_and_wraps_around() {
        let event = Event::new().unwrap();
        event.changes().store(u32::MAX - 1, Ordering::Release);
        assert!(!event.is_set());
        for _ in 0..2 {
            event.set();
            event.set();
            assert!(event.is_set() && event.wait_timeout(Duration::ZERO));
            event.clear();
            event.clear();
            assert!(!event.is_set() && !event.wait_timeout(Duration::from_millis(5)));
        }
    }

    #[test]
    fn who_waits_goes_on_even_if_it_is_cleared_at_once() {
        let event = &Event::new().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..100 {
                let (ready, is_ready) = channel();
                let waiter = scope.spawn(move || {
                    ready.send(()).unwrap();
                    event.wait_timeout(LONG)
                });
                is_ready.recv().unwrap();
                // The waiter may begin to wait after any of these rounds. A later round then wakes the waiter.
                while !waiter.is_finished() {
                    event.set();
                    event.clear();
                }
                assert!(waiter.join().unwrap());
            }
        });
    }
}
