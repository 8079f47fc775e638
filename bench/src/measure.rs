//! Rounds of all contenders of a row in turn, A B C A B C, and the medians of the rounds.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::contender::Running;
use crate::rows::{Contender, Role, Row, Unit, Way};
use crate::{Result, python};

/// The allowed time of a measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// The time of each contender of a row.
    pub(crate) budget: Duration,
    pub(crate) rounds: usize,
    /// Leaves out contenders with longer rounds.
    pub(crate) leaves_slow_out: bool,
}

/// The least number of rounds of a contender, unless the contender is slow.
const ROUNDS_MIN: usize = 3;

impl Effort {
    pub(crate) fn quick() -> Self {
        Self { budget: Duration::from_millis(100), rounds: 31, leaves_slow_out: true }
    }

    pub(crate) fn full() -> Self {
        Self { budget: Duration::from_secs(2), rounds: 201, leaves_slow_out: false }
    }
}

/// A row with its numbers: medians of rounds, in the row's unit.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) id: String,
    pub(crate) unit: Unit,
    pub(crate) ours: Option<f64>,
    pub(crate) floor: Option<f64>,
    pub(crate) peers: BTreeMap<String, Option<f64>>,
    /// Our cost divided by the floor's cost. For a rate, the floor's rate divided by our rate.
    pub(crate) ratio_to_floor: Option<f64>,
    /// The same ratio to the cheapest peer.
    pub(crate) best_peer_ratio: Option<f64>,
    /// Our variants.
    pub(crate) variants: BTreeMap<String, Option<f64>>,
    pub(crate) floor_name: Option<String>,
    /// The first and the third quartile of the rounds, and their number.
    pub(crate) spread: BTreeMap<String, Spread>,
    /// The reasons for missing numbers.
    pub(crate) notes: Vec<String>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) rounds: usize,
}

/// One contender at work.
struct Track<'r> {
    contender: &'r Contender,
    running: Result<Running>,
    samples: Vec<f64>,
    spent: Duration,
}

/// Measures a row.
pub(crate) fn row(row: &Row, effort: Effort) -> Measured {
    let mut tracks: Vec<Track> = row.contenders.iter().map(|contender| Track::start(row, contender, effort)).collect();
    tracks.iter_mut().for_each(Track::wait_until_ready);
    tracks.iter_mut().for_each(|track| track.warm_up(effort));
    for _ in 0..effort.rounds {
        let mut is_done = true;
        for track in &mut tracks {
            is_done &= !track.wants_round(effort);
            if track.wants_round(effort) {
                track.round();
            }
        }
        if is_done {
            break;
        }
    }
    summary(row, tracks)
}

impl<'r> Track<'r> {
    fn start(row: &Row, contender: &'r Contender, effort: Effort) -> Self {
        let running = match contender.way {
            Way::Python(_) if !python::is_there() => Err("there is no python3".into()),
            _ if effort.leaves_slow_out && contender.is_slow => {
                Err("left out of the quick run, as it takes long".into())
            }
            _ => Running::start(&row.id, contender),
        };
        Self { contender, running, samples: Vec::new(), spent: Duration::ZERO }
    }

    fn wait_until_ready(&mut self) {
        if let Ok(running) = &mut self.running
            && let Err(error) = running.wait_until_ready()
        {
            self.running = Err(error);
        }
    }

    /// Runs the first round, which counts only if there is no time for another round.
    fn warm_up(&mut self, effort: Effort) {
        self.round();
        if self.spent < effort.budget {
            self.samples.clear();
            self.spent = Duration::ZERO;
        }
    }

    fn wants_round(&self, effort: Effort) -> bool {
        let is_slow = self.spent > 3 * effort.budget;
        let is_short = self.spent < effort.budget || self.samples.len() < ROUNDS_MIN && !is_slow;
        self.running.is_ok() && is_short
    }

    fn round(&mut self) {
        let Ok(running) = &mut self.running else { return };
        let begin = Instant::now();
        match running.round() {
            Ok(sample) => self.samples.push(sample),
            Err(error) => self.running = Err(error),
        }
        self.spent += begin.elapsed();
    }
}

fn summary(row: &Row, tracks: Vec<Track>) -> Measured {
    let mut measured = Measured {
        id: row.id.clone(),
        unit: row.unit,
        ours: None,
        floor: None,
        peers: BTreeMap::new(),
        ratio_to_floor: None,
        best_peer_ratio: None,
        variants: BTreeMap::new(),
        floor_name: None,
        spread: BTreeMap::new(),
        notes: Vec::new(),
    };
    for track in tracks {
        measured.take(track);
    }
    measured.ratio_to_floor = measured.ratio_to(measured.floor);
    measured.best_peer_ratio = measured.ratio_to(measured.best_peer().map(|(_, value)| value));
    measured
}

impl Measured {
    fn take(&mut self, track: Track) {
        let Contender { role, name, .. } = *track.contender;
        if let Err(error) = &track.running {
            self.notes.push(format!("{}: {name}: {error}", self.id));
        }
        let values = sorted(track.samples.iter().map(|sample| self.unit.of(*sample)));
        let median = quantile(&values, 0.5);
        if let (Some(low), Some(high)) = (quantile(&values, 0.25), quantile(&values, 0.75)) {
            self.spread.insert(name.to_owned(), Spread { low, high, rounds: values.len() });
        }
        match role {
            Role::Ours => self.ours = median,
            Role::Floor => (self.floor, self.floor_name) = (median, Some(name.to_owned())),
            Role::Peer => drop(self.peers.insert(name.to_owned(), median)),
            Role::Variant => drop(self.variants.insert(name.to_owned(), median)),
        }
    }

    /// Returns our cost divided by another cost.
    pub(crate) fn ratio_to(&self, other: Option<f64>) -> Option<f64> {
        self.unit.ratio(self.ours?, other?)
    }

    /// Returns the cheapest peer.
    pub(crate) fn best_peer(&self) -> Option<(&str, f64)> {
        let known = self.peers.iter().filter_map(|(name, value)| Some((name.as_str(), (*value)?)));
        let cost = |value: f64| self.unit.ratio(value, 1.0).unwrap_or(0.0);
        known.min_by(|one, other| cost(one.1).total_cmp(&cost(other.1)))
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Returns the value below which the given part of the sorted values lies. Between two values, interpolates.
fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    let place = sorted.len().checked_sub(1)? as f64 * part;
    let (below, above) = (sorted.get(place.floor() as usize)?, sorted.get(place.ceil() as usize)?);
    Some(below + (above - below) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn a_median_is_the_middle_or_between_two() {
        assert_eq!(quantile(&[1.0, 2.0, 9.0], 0.5), Some(2.0));
        assert_eq!(quantile(&[1.0, 2.0, 4.0, 9.0], 0.5), Some(3.0));
        assert_eq!(quantile(&[], 0.5), None);
    }
}
