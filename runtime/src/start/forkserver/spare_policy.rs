//! How many spares there are to be: what the program has set, or what its habit suggests.

use std::time::{Duration, Instant};

use super::handle::{Live, Server};
use crate::this_process::per_process::{OnCopy, PerProcess};
use crate::this_process::{children, spares};

/// Starts that follow each other within this time are a habit, unless there are more children each time: whoever starts many at once has no
/// processor left for a spare, which would only be more work.
const QUICK: Duration = Duration::from_secs(1);

/// How long a spare that nobody has asked for waits for an order.
const PATIENCE: Duration = Duration::from_secs(3);

/// How the program starts children.
#[derive(Debug, Default)]
struct Habit {
    /// What the program has set.
    steady: Option<usize>,
    /// When that was, and how many children there were.
    last_start: Option<(Instant, usize)>,
}

static HABIT: PerProcess<Habit> = PerProcess::new(OnCopy::Drop);

impl Habit {
    fn wanted(&mut self, now: Instant, children: usize) -> Wanted {
        let last = self.last_start.replace((now, children));
        match self.steady {
            Some(count) => Wanted { count, patience: None },
            None => {
                let is_quick =
                    last.is_some_and(|(last, before)| now.duration_since(last) < QUICK && children <= before);
                Wanted { count: usize::from(is_quick), patience: Some(PATIENCE) }
            }
        }
    }
}

/// How many spares are to be there after a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    count: usize,
    /// How long each of them waits; `None` is for ever.
    patience: Option<Duration>,
}

/// Notes that a child is started now.
pub(super) fn note_start() -> Wanted {
    let children = children::count().saturating_sub(Server::count());
    HABIT.lock().wanted(Instant::now(), children)
}

/// Sets how many there are to be from now on; a server that runs gets to it at once.
pub(crate) fn set_spares(count: usize) {
    HABIT.lock().steady = Some(count);
    // Those that were made out of habit have little patience.
    spares::retire_beyond(0);
    if let Some(server) = Server::lock_if_live() {
        Wanted { count, patience: None }.refill(&server);
    }
}

impl Wanted {
    /// Asks for those that are missing. Without them a start works too, so that nobody learns of a failure.
    pub(super) fn refill(self, server: &Live) {
        for _ in spares::count()..self.count {
            if server.request_spare(self.patience).is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_start_within_a_second_makes_a_habit() {
        let mut habit = Habit::default();
        let begin = Instant::now();
        let counts =
            [0, 1500, 2000, 2900, 4000].map(|passed| habit.wanted(begin + Duration::from_millis(passed), 1).count);
        assert_eq!(counts, [0, 0, 1, 1, 0]);
    }

    #[test]
    fn many_starts_at_once_do_not() {
        let mut habit = Habit::default();
        let begin = Instant::now();
        assert_eq!([0, 1, 2, 3, 3, 2, 3].map(|children| habit.wanted(begin, children).count), [0, 0, 0, 0, 1, 1, 0]);
    }

    #[test]
    fn what_the_program_has_set_overrides_the_habit() {
        let mut habit = Habit { steady: Some(0), ..Habit::default() };
        let begin = Instant::now();
        assert_eq!([begin; 3].map(|now| habit.wanted(now, 1).count), [0; 3]);
        habit.steady = Some(3);
        assert_eq!(habit.wanted(begin, 1), Wanted { count: 3, patience: None });
    }
}
