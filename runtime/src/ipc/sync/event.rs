//! A signal that stays until it is taken back.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::{Kind, create, handle};
use crate::error::Error;
use crate::sys::futex;
use crate::sys::poll::{Deadline, deadline_in};
use crate::sys::shared_object::SharedObject;

/// A flag that threads of any process wait for.
///
/// Whoever waits when it is set goes on, even if it is cleared before it has woken up.
///
/// # Example
/// ```
/// # offspring::guard();
/// # use std::time::Duration;
/// let ready = offspring::sync::Event::new()?;
/// assert!(!ready.wait_timeout(Duration::from_millis(1)));
/// ready.set();
/// ready.wait();
/// # Ok::<(), offspring::Error>(())
/// ```
///
/// Source: futex(2).
pub struct Event {
    shared: Arc<SharedObject<(), 0, 1>>,
}

handle!(Event);

impl Event {
    /// Makes one that is not set.
    ///
    /// # Errors
    /// [`LimitReached`](crate::ErrorKind::LimitReached): no more descriptors or memory.
    pub fn new() -> Result<Self, Error> {
        Ok(Self { shared: create(Kind::Event, ())? })
    }

    /// Sets it, and wakes all those who wait.
    pub fn set(&self) {
        self.turn(false);
        // Also if it was set: whoever set it may have been killed before it woke anybody.
        futex::wake_all(self.turns());
    }

    /// Takes it back.
    pub fn clear(&self) {
        self.turn(true);
    }

    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        is_set(self.turns().load(Ordering::Acquire))
    }

    /// Waits until it is set.
    pub fn wait(&self) {
        self.wait_until(None);
    }

    /// Waits until it is set, no longer than `limit`; whether it was.
    #[must_use = "the time may be over"]
    pub fn wait_timeout(&self, limit: Duration) -> bool {
        self.wait_until(deadline_in(limit))
    }

    fn wait_until(&self, deadline: Deadline) -> bool {
        let seen = self.turns().load(Ordering::Acquire);
        if is_set(seen) {
            return true;
        }
        // Any other value means that it has been set since.
        while self.turns().load(Ordering::Acquire) == seen {
            if deadline.is_some_and(|end| Instant::now() >= end) {
                return false;
            }
            futex::wait(self.turns(), seen, deadline);
        }
        true
    }

    /// How often it was set or cleared: odd is set.
    fn turns(&self) -> &AtomicU32 {
        &self.shared.words()[0]
    }

    /// Goes on to the next turn, if the present one is `from`.
    fn turn(&self, from: bool) {
        let next = |turns: u32| (is_set(turns) == from).then(|| turns.wrapping_add(1));
        // An error is: it is so already.
        let _ = self.turns().fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
    }
}

fn is_set(turns: u32) -> bool {
    turns % 2 == 1
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
        event.turns().store(u32::MAX - 1, Ordering::Release);
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
                // It may not have come to its wait before the first of these, but then to one before a later one.
                while !waiter.is_finished() {
                    event.set();
                    event.clear();
                }
                assert!(waiter.join().unwrap());
            }
        });
    }
}
