//! Readable numbers, and a row as a few lines.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::measure::Measured;
use crate::rows::Unit;

impl Unit {
    /// Formats with three significant digits, in a suitable unit.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::Nanos => seconds(value / 1e9),
            Self::Micros => seconds(value / 1e6),
            Self::Millis => seconds(value / 1e3),
            Self::PerSecond => scaled(value, &[(1e9, " G/s"), (1e6, " M/s"), (1e3, " k/s"), (0.0, "/s")]),
            Self::Percent => format!("{} %", digits(value)),
            Self::Kibibytes => scaled(value, &[(1024.0, " MiB"), (0.0, " KiB")]),
            Self::Descriptors => digits(value),
        }
    }
}

fn seconds(value: f64) -> String {
    scaled(value, &[(1.0, " s"), (1e-3, " ms"), (1e-6, " µs"), (1e-9, " ns"), (1e-12, " ps")])
}

fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    let fits = |(size, _): &&(f64, &str)| value >= *size;
    let (size, name) = units.iter().find(fits).or(units.last()).copied().unwrap_or((1.0, ""));
    format!("{}{name}", digits(if size == 0.0 { value } else { value / size }))
}

/// Formats three significant digits, without trailing zeros.
fn digits(value: f64) -> String {
    let places = match value {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    let text = format!("{value:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

pub(crate) fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or("–".to_owned(), |ratio| if ratio < 0.01 { format!("{ratio:.1e}") } else { digits(ratio) })
}

/// Formats the row, and one line for each contender.
pub(crate) fn of(row: &Measured) -> String {
    let mut text = format!("{}\n", row.id);
    for (name, value) in row.everybody() {
        let spread = row.spread.get(name);
        let spread = spread.map_or(String::new(), |s| format!("{} … {}", row.unit.show(s.low), row.unit.show(s.high)));
        let relation =
            row.unit.ratio(value, row.ours.unwrap_or(f64::NAN)).map_or(String::new(), |by| format!("{by:.2}"));
        writeln!(text, "  {name:<32} {:>18}  {relation:>8}  {spread}", row.unit.show(value)).expect("a text takes all");
    }
    row.notes.iter().for_each(|note| writeln!(text, "  {note}").expect("a text takes all"));
    text
}

impl Measured {
    /// Returns all contenders with a number: offspring, our variants, the floor, the peers.
    pub(crate) fn everybody(&self) -> Vec<(&str, f64)> {
        let ours = self.ours.map(|value| ("offspring", value));
        let floor = self.floor_name.as_deref().zip(self.floor);
        ours.into_iter().chain(known(&self.variants)).chain(floor).chain(known(&self.peers)).collect()
    }
}

fn known(values: &BTreeMap<String, Option<f64>>) -> impl Iterator<Item = (&str, f64)> {
    values.iter().filter_map(|(name, value)| Some((name.as_str(), (*value)?)))
}
