//! METG, the minimum effective task granularity: the shortest task that a contender runs with a given efficiency.
//!
//! Source: Slaughter and others, *Task Bench: A Parameterized Benchmark for Evaluating Parallel Runtime Performance*,
//! SC 2020. There a task's length includes the overhead. Here the length is the task's own work, as in the rows' ids.

use std::fmt::{self, Display, Write};

use super::series::{Series, series};
use crate::measure::Measured;
use crate::rows::Unit;

/// The efficiencies that are asked for, in percent.
const BOUNDS: [f64; 2] = [50.0, 90.0];

/// The shortest task with an efficiency. All lengths are in microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shortest {
    /// The shortest measured task has the efficiency already.
    Below(f64),
    Interpolated(f64),
    /// The longest measured task does not have the efficiency.
    Above(f64),
}

impl Shortest {
    /// Finds the efficiency among pairs of length and efficiency, from the shortest task to the longest.
    ///
    /// Interpolates between the first task that has the efficiency and the task before, with lengths on a logarithmic
    /// axis.
    fn of(values: &[(f64, f64)], bound: f64) -> Option<Self> {
        let Some(reached) = values.iter().position(|(_, efficiency)| *efficiency >= bound) else {
            return values.last().map(|(length, _)| Self::Above(*length));
        };
        let (long, more) = values[reached];
        let Some(before) = reached.checked_sub(1) else { return Some(Self::Below(long)) };
        let (short, less) = values[before];
        Some(Self::Interpolated(short * (long / short).powf((bound - less) / (more - less))))
    }
}

impl Display for Shortest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, length) = match self {
            Self::Below(length) => ("< ", length),
            Self::Interpolated(length) => ("", length),
            Self::Above(length) => ("> ", length),
        };
        write!(f, "{sign}{}", Unit::Micros.show(*length))
    }
}

/// Returns the names of the contenders with the shortest task for each bound. Empty for rows of other units.
fn contenders<'r>(rows: &[&'r Measured]) -> Vec<(&'r str, [String; BOUNDS.len()])> {
    let rows: Vec<&Measured> = rows.iter().copied().filter(|row| row.unit == Unit::Percent).collect();
    let shortest = |values: &[(f64, f64)], bound| Shortest::of(values, bound).map_or(String::new(), |s| s.to_string());
    let line = |Series { name, values, .. }: Series<'r>| (name, BOUNDS.map(|bound| shortest(&values, bound)));
    series(&rows).into_iter().map(line).collect()
}

/// Formats a table for the page.
pub(super) fn markdown(rows: &[&Measured]) -> String {
    let contenders = contenders(rows);
    if contenders.is_empty() {
        return String::new();
    }
    let bounds = BOUNDS.map(|bound| format!("with {}", Unit::Percent.show(bound))).join(" | ");
    let mut text = format!("\nThe shortest task (METG):\n\n| who | {bounds} |\n| --- | --: | --: |\n");
    for (name, shortest) in contenders {
        writeln!(text, "| {name} | {} |", shortest.join(" | ")).expect("a text takes all");
    }
    text
}

/// Formats a few lines for the terminal.
pub(crate) fn text(rows: &[Measured]) -> String {
    let contenders = contenders(&rows.iter().collect::<Vec<_>>());
    if contenders.is_empty() {
        return String::new();
    }
    let [half, most] = BOUNDS.map(|bound| format!("with {}", Unit::Percent.show(bound)));
    let mut text = format!("{:<34} {half:>18}  {most:>18}\n", "the shortest task (METG)");
    for (name, [half, most]) in contenders {
        writeln!(text, "  {name:<32} {half:>18}  {most:>18}").expect("a text takes all");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::Shortest::{self, Above, Below, Interpolated};

    #[track_caller]
    fn shows(values: &[(f64, f64)], bound: f64, text: &str) {
        assert_eq!(Shortest::of(values, bound).map(|shortest| shortest.to_string()).as_deref(), Some(text));
    }

    #[test]
    fn the_length_between_two_is_on_a_logarithmic_axis() {
        shows(&[(2.0, 40.0), (8.0, 60.0)], 50.0, "4 µs");
        shows(&[(10.0, 20.0), (1000.0, 100.0)], 40.0, "31.6 µs");
        shows(&[(64.0, 85.0), (1000.0, 95.0)], 90.0, "253 µs");
    }

    #[test]
    fn a_measured_length_is_its_own_answer() {
        assert_eq!(Shortest::of(&[(2.0, 40.0), (8.0, 50.0), (16.0, 60.0)], 50.0), Some(Interpolated(8.0)));
    }

    #[test]
    fn beyond_the_measured_lengths_is_said_so() {
        let values = [(2.0, 55.0), (16.0, 70.0), (1000.0, 85.0)];
        assert_eq!(Shortest::of(&values, 50.0), Some(Below(2.0)));
        assert_eq!(Shortest::of(&values, 90.0), Some(Above(1000.0)));
        shows(&values, 50.0, "< 2 µs");
        shows(&values, 90.0, "> 1 ms");
        assert_eq!(Shortest::of(&[], 50.0), None);
    }

    #[test]
    fn the_first_length_with_the_efficiency_counts() {
        shows(&[(2.0, 40.0), (8.0, 60.0), (16.0, 45.0), (64.0, 90.0)], 50.0, "4 µs");
    }
}
