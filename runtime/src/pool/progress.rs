//! A progress bar for a map: done, failed, rate and the time that is left, on standard error.
//!
//! Drawn as results are taken, by the thread that takes them: no thread is started for it, and a bar that nobody moves does
//! not move. At most twenty times a second, so that many small results cost a clock reading each and no more.

use std::fmt;
use std::io::{IsTerminal, stderr};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::map::{Map, MapUnordered};
use crate::error::JoinError;
use crate::task::Call;

impl<T, I: Iterator<Item = Call<T>>> Map<'_, T, I> {
    /// The same results, with a progress bar on standard error while they are taken; see [`MapProgress`].
    ///
    /// # Example
    /// ```
    /// # use offspring::{Context, child_task};
    /// # #[child_task]
    /// # fn square(n: u64) -> u64 { n * n }
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pool = Context::default().pool().workers(2).build()?;
    /// let sum = pool.map((0..100).map(square::call)).progress().sum::<Result<u64, _>>()?;
    /// # assert_eq!(sum, 328_350);
    /// # Ok(())
    /// # }
    /// ```
    pub fn progress(self) -> MapProgress<Self, T> {
        MapProgress::new(self, |result| result)
    }
}

impl<T, I: Iterator<Item = Call<T>>> MapUnordered<'_, T, I> {
    /// The same results, with a progress bar on standard error while they are taken; see [`MapProgress`].
    pub fn progress(self) -> MapProgress<Self, T> {
        MapProgress::new(self, |(_, result)| result)
    }
}

/// A map with a progress bar on standard error, made by [`Map::progress`] and [`MapUnordered::progress`].
///
/// Shows how many calls are done and how many of these have failed, their rate, and how long the rest will take if the
/// input says how much it is (by its `size_hint`, or [`expecting`](Self::expecting)). Gone when the map is; what is to stay on the
/// screen, the program writes itself. Draws nothing if standard error is not a terminal.
#[must_use = "a map does nothing until its results are taken"]
pub struct MapProgress<M: Iterator, T> {
    results: M,
    bar: ProgressBar,
    failed: u64,
    result: fn(&M::Item) -> &Result<T, JoinError>,
    is_failure: fn(&T) -> bool,
}

/// With a known length and without one. Wide enough for the eye, narrow enough for a terminal of 80 columns.
const BAR: &str = "{bar:28} {human_pos}/{human_len}{msg}, {per_sec}, {eta} left";
const COUNT: &str = "{spinner} {human_pos} done{msg}, {per_sec}";

impl<M: Iterator, T> MapProgress<M, T> {
    fn new(results: M, result: fn(&M::Item) -> &Result<T, JoinError>) -> Self {
        let bar = if stderr().is_terminal() {
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
        } else {
            ProgressBar::hidden()
        };
        bar.set_style(style(COUNT));
        let length = results.size_hint().1;
        let progress = Self { results, bar, failed: 0, result, is_failure: |_| false };
        match length {
            Some(length) => progress.expecting(length as u64),
            None => progress,
        }
    }

    /// How many results there will be, where the input cannot say so itself.
    pub fn expecting(self, results: u64) -> Self {
        self.bar.set_length(results);
        self.bar.set_style(style(BAR));
        self
    }

    /// Which values count as failures too: `Result::is_err` for a task that returns its own errors.
    pub fn failing(mut self, is_failure: fn(&T) -> bool) -> Self {
        self.is_failure = is_failure;
        self
    }

    fn tell(&mut self, item: &M::Item) {
        if (self.result)(item).as_ref().map_or(true, self.is_failure) {
            self.failed += 1;
            self.bar.set_message(format!(", {} failed", self.failed));
        }
        self.bar.inc(1);
    }
}

/// The templates are constants, and a test reads them both.
fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("━╸─")
}

impl<M: Iterator, T> Iterator for MapProgress<M, T> {
    type Item = M::Item;

    fn next(&mut self) -> Option<Self::Item> {
        if self.bar.position() == 0 {
            self.bar.tick(); // the first result may be long in coming
        }
        let item = self.results.next();
        match &item {
            Some(item) => self.tell(item),
            None => self.bar.finish_and_clear(),
        }
        item
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.results.size_hint()
    }
}

impl<M: ExactSizeIterator, T> ExactSizeIterator for MapProgress<M, T> {}

impl<M: Iterator, T> Drop for MapProgress<M, T> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl<M: Iterator + fmt::Debug, T> fmt::Debug for MapProgress<M, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {} done, {} failed", self.results, self.bar.position(), self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::JoinErrorKind;

    #[test]
    fn the_templates_can_be_read() {
        assert!(ProgressStyle::with_template(BAR).is_ok());
        assert!(ProgressStyle::with_template(COUNT).is_ok());
    }

    #[test]
    fn failures_of_both_families_are_counted() {
        let results: [Result<Result<u8, ()>, JoinError>; 3] =
            [Ok(Ok(1)), Ok(Err(())), Err(JoinError::new(JoinErrorKind::TimedOut, "slow", None))];
        let mut progress = MapProgress::new(results.into_iter(), |result| result).failing(Result::is_err);
        assert_eq!(progress.len(), 3);
        assert_eq!(progress.bar.length(), Some(3));
        assert_eq!(progress.by_ref().count(), 3);
        assert_eq!((progress.bar.position(), progress.failed), (3, 2));
    }

    #[test]
    fn an_input_without_a_length_may_be_given_one() {
        let endless = std::iter::repeat_with(|| Ok::<u8, JoinError>(1));
        let progress = MapProgress::new(endless, |result| result);
        assert_eq!(progress.bar.length(), None);
        assert_eq!(progress.expecting(7).bar.length(), Some(7));
    }
}
