//! The rows: operations, units, and the contenders beside us.

mod codec;
mod echo;
pub(crate) mod efficiency;
mod footprint;
mod roundtrip;
pub(crate) mod scale;
pub(crate) mod start;
pub(crate) mod throughput;

use offspring::StartMethod;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::contender::Round;

/// One line of the result: an operation, by a method, at a size.
pub(crate) struct Row {
    /// `operation/method/size`.
    pub(crate) id: String,
    pub(crate) unit: Unit,
    /// Operations in one round, unless a contender has a number of its own.
    times: u64,
    pub(crate) contenders: Vec<Contender>,
}

/// An implementation of the operation, in a process of its own.
pub(crate) struct Contender {
    pub(crate) role: Role,
    pub(crate) name: &'static str,
    pub(crate) way: Way,
    pub(crate) times: u64,
    /// Whether the process has touched 1 GiB of memory.
    pub(crate) is_large: bool,
    /// Whether a quick run has no time for the contender.
    pub(crate) is_slow: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Ours,
    /// The kernel's own cost of the operation.
    Floor,
    Peer,
    /// Another way of ours.
    Variant,
}

/// The source of a contender's rounds.
pub(crate) enum Way {
    /// This program, in a process that has done nothing else before.
    Rust(Box<dyn Fn() -> Result<Round>>),
    /// `python/contender.py`, with these arguments.
    Python(String),
    /// No rounds, for this reason.
    LeftOut(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Unit {
    #[serde(rename = "ns")]
    Nanos,
    #[serde(rename = "µs")]
    Micros,
    #[serde(rename = "ms")]
    Millis,
    #[serde(rename = "1/s")]
    PerSecond,
    /// The share of a whole. More is better, as with a rate.
    #[serde(rename = "%")]
    Percent,
    #[serde(rename = "KiB")]
    Kibibytes,
    #[serde(rename = "descriptors")]
    Descriptors,
}

impl Unit {
    /// Converts the result of a round: seconds for one operation, a share, bytes, or a number.
    pub(crate) fn of(self, measured: f64) -> f64 {
        match self {
            Self::Nanos => measured * 1e9,
            Self::Micros => measured * 1e6,
            Self::Millis => measured * 1e3,
            Self::PerSecond => 1.0 / measured,
            Self::Percent => measured * 100.0,
            Self::Kibibytes => measured / 1024.0,
            Self::Descriptors => measured,
        }
    }

    /// Returns one cost divided by another. For a rate or a share, the other one divided by the first.
    pub(crate) fn ratio(self, one: f64, other: f64) -> Option<f64> {
        let is_more_better = matches!(self, Self::PerSecond | Self::Percent);
        let ratio = if is_more_better { other / one } else { one / other };
        ratio.is_finite().then_some(ratio)
    }
}

impl Row {
    fn new(id: impl Into<String>, unit: Unit, times: u64) -> Self {
        Self { id: id.into(), unit, times, contenders: Vec::new() }
    }

    fn ours(self, make: impl Fn() -> Result<Round> + 'static) -> Self {
        self.with(Role::Ours, "offspring", Way::Rust(Box::new(make)))
    }

    fn floor(self, name: &'static str, make: impl Fn() -> Result<Round> + 'static) -> Self {
        self.with(Role::Floor, name, Way::Rust(Box::new(make)))
    }

    fn peer(self, name: &'static str, make: impl Fn() -> Result<Round> + 'static) -> Self {
        self.with(Role::Peer, name, Way::Rust(Box::new(make)))
    }

    fn variant(self, name: &'static str, make: impl Fn() -> Result<Round> + 'static) -> Self {
        self.with(Role::Variant, name, Way::Rust(Box::new(make)))
    }

    fn python(self, name: &'static str, arguments: impl Into<String>) -> Self {
        self.with(Role::Peer, name, Way::Python(arguments.into()))
    }

    /// Adds a contender without a number, and the reason.
    fn left_out(self, name: &'static str, why: &'static str) -> Self {
        self.with(Role::Peer, name, Way::LeftOut(why))
    }

    fn with(mut self, role: Role, name: &'static str, way: Way) -> Self {
        self.contenders.push(Contender { role, name, way, times: self.times, is_large: false, is_slow: false });
        self
    }

    /// Sets the operations per round of the contender added last. A slow contender takes fewer.
    fn times(mut self, times: u64) -> Self {
        self.last().times = times;
        self
    }

    /// Makes the contender added last touch 1 GiB.
    fn large(mut self, is_large: bool) -> Self {
        self.last().is_large = is_large;
        self
    }

    /// Marks the contender added last as slow: its setup or a round takes seconds.
    fn slow_if(mut self, is_slow: bool) -> Self {
        self.last().is_slow = is_slow;
        self
    }

    fn last(&mut self) -> &mut Contender {
        self.contenders.last_mut().expect("a contender stands before what is said about it")
    }
}

/// Returns all rows, in the order of measurement.
pub(crate) fn all() -> Vec<Row> {
    [
        start::rows(),
        start::many(),
        roundtrip::rows(),
        throughput::rows(),
        efficiency::rows(),
        codec::rows(),
        echo::rows(),
        footprint::rows(),
        scale::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// All start methods, in the order of rows.
const METHODS: [StartMethod; 3] = [StartMethod::Spawn, StartMethod::Fork, StartMethod::ForkServer];

#[cfg(test)]
mod tests {
    use super::Unit;

    #[test]
    fn a_ratio_is_of_costs_whether_more_is_better_or_less() {
        assert_eq!(Unit::Micros.ratio(10.0, 20.0), Some(0.5));
        assert_eq!(Unit::PerSecond.ratio(20.0, 10.0), Some(0.5));
        assert_eq!(Unit::Percent.ratio(80.0, 40.0), Some(0.5));
        assert_eq!(Unit::Percent.ratio(0.0, 40.0), None);
    }
}
