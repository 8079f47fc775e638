//! A progress bar for a map on standard error: finished calls, failed calls, rate and remaining time.
//!
//! The thread that takes the results draws the bar, so the bar needs no thread and moves only with the results. The bar
//! is drawn at most 20 times a second: a small result costs one reading of the clock.

use std::fmt;
use std::io::{IsTerminal, stderr};

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::map::{Map, MapUnordered};
use crate::error::JoinError;
use crate::task::Call;

impl<T, I: Iterator<Item = Call<T>>> Map<'_, T, I> {
    /// Adds a progress bar on standard error. See [`MapProgress`].
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
    /// let sum = pool.map((0..100).map(square::call)).progress().sum::<Result<u64, _>>()?;
    /// assert_eq!(sum, 328_350);
    /// # Ok(())
    /// # }
    /// ```
    pub fn progress(self) -> MapProgress<Self, T> {
        MapProgress::new(self, |result| result)
    }
}

impl<T, I: Iterator<Item = Call<T>>> MapUnordered<'_, T, I> {
    /// Adds a progress bar on standard error. See [`MapProgress`].
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
    /// for (index, result) in pool.map_unordered((0..100).map(square::call)).progress() {
    ///     assert_eq!(result?, (index * index) as u64);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn progress(self) -> MapProgress<Self, T> {
        MapProgress::new(self, |(_, result)| result)
    }
}

/// A map with a progress bar on standard error. Made by [`Map::progress`] and [`MapUnordered::progress`].
///
/// The bar shows the number of finished calls, the number of failed calls, the rate, and the remaining time if the
/// length of the input is known (by `size_hint` or [`expecting`](Self::expecting)). The bar disappears at the end of
/// the map. Draws nothing if standard error is not a terminal.
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
/// let squares = pool.map((1..=4).map(square::call)).progress().collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(squares, [1, 4, 9, 16]);
/// # Ok(())
/// # }
/// ```
#[must_use = "a map does nothing until its results are taken"]
pub struct MapProgress<M: Iterator, T> {
    results: M,
    length: Option<u64>,
    /// Made when the first result is asked for.
    bar: Option<ProgressBar>,
    failed: u64,
    result: fn(&M::Item) -> &Result<T, JoinError>,
    is_failure: fn(&T) -> bool,
}

impl<M: Iterator, T> MapProgress<M, T> {
    fn new(results: M, result: fn(&M::Item) -> &Result<T, JoinError>) -> Self {
        let length = results.size_hint().1.map(|length| length as u64);
        Self { results, length, bar: None, failed: 0, result, is_failure: |_| false }
    }

    /// Sets the number of results, for an input without a known length.
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
    /// let odd = (0..100).filter(|n| n % 2 == 1).map(square::call); // `size_hint` says 0 to 100
    /// let sum = pool.map(odd).progress().expecting(50).sum::<Result<u64, _>>()?;
    /// assert_eq!(sum, 166_650);
    /// # Ok(())
    /// # }
    /// ```
    pub fn expecting(mut self, results: u64) -> Self {
        self.length = Some(results);
        self
    }

    /// Sets the values that count as failures, such as `Result::is_err` for a task that returns a `Result`. Default: no
    /// value. A [`JoinError`] always counts.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, child_task};
    ///
    /// #[child_task(report)]
    /// fn read(path: String) -> std::io::Result<String> {
    ///     std::fs::read_to_string(path)
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Context::default().pool().workers(2).build()?;
    /// let calls = ["/proc/version", "/no/such/file"].map(|path| read::call(path.to_owned()));
    /// let texts = pool.map(calls).progress().failing(Result::is_err).collect::<Result<Vec<_>, _>>()?;
    /// assert!(texts[0].is_ok() && texts[1].is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn failing(mut self, is_failure: fn(&T) -> bool) -> Self {
        self.is_failure = is_failure;
        self
    }
}

impl<M: Iterator, T> Iterator for MapProgress<M, T> {
    type Item = M::Item;

    fn next(&mut self) -> Option<Self::Item> {
        let bar = self.bar.get_or_insert_with(|| bar(self.length));
        let item = self.results.next();
        let Some(item) = item else {
            bar.finish_and_clear();
            return None;
        };
        bar.inc(1);
        if (self.result)(&item).as_ref().map_or(true, self.is_failure) {
            self.failed += 1;
            bar.set_message(format!(", {} failed", self.failed));
        }
        Some(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.results.size_hint()
    }
}

impl<M: ExactSizeIterator, T> ExactSizeIterator for MapProgress<M, T> {}

impl<M: Iterator, T> Drop for MapProgress<M, T> {
    fn drop(&mut self) {
        self.bar.iter().for_each(ProgressBar::finish_and_clear);
    }
}

impl<M: Iterator + fmt::Debug, T> fmt::Debug for MapProgress<M, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = self.bar.as_ref().map_or(0, ProgressBar::position);
        write!(f, "{:?}, {done} done, {} failed", self.results, self.failed)
    }
}

/// With a known length and without one: wide enough for the eye, narrow enough for a terminal of 80 columns.
const BAR: &str = "{bar:28} {human_pos}/{human_len}{msg}{rate}{left}";
const COUNT: &str = "{human_pos} done{msg}{rate}";

fn bar(length: Option<u64>) -> ProgressBar {
    let target = if stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(length, target);
    // The templates are constants, and a test reads them both.
    if let Ok(style) = ProgressStyle::with_template(length.map_or(COUNT, |_| BAR)) {
        bar.set_style(style.progress_chars("━╸─").with_key("rate", rate).with_key("left", left));
    }
    bar.tick(); // the first result may be long in coming
    bar
}

fn rate(state: &ProgressState, text: &mut dyn fmt::Write) {
    let rate = state.per_sec();
    let _ = match rate {
        ..0.01 => Ok(()), // nothing is known yet
        ..10.0 => write!(text, ", {rate:.1}/s"),
        _ => write!(text, ", {}/s", HumanCount(rate as u64)),
    };
}

fn left(state: &ProgressState, text: &mut dyn fmt::Write) {
    if state.pos() > 0 {
        let _ = write!(text, ", {:#} left", HumanDuration(state.eta()));
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
        assert_eq!((progress.len(), progress.length), (3, Some(3)));
        assert_eq!(progress.by_ref().count(), 3);
        let done = progress.bar.as_ref().map(ProgressBar::position);
        assert_eq!((done, progress.failed), (Some(3), 2));
    }

    #[test]
    fn an_input_without_a_length_may_be_given_one() {
        let endless = std::iter::repeat_with(|| Ok::<u8, JoinError>(1));
        let progress = MapProgress::new(endless, |result| result);
        assert_eq!(progress.length, None);
        assert_eq!(progress.expecting(7).length, Some(7));
    }
}
