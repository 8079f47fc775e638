//! The aims, and whether the results reach the aims.

use crate::Results;
use crate::codec::Format;
use crate::measure::Measured;
use crate::peers::formats::Postcard;
use crate::rows::efficiency::POOL_MAP;
use crate::rows::scale::{FORK, SPAWN};
use crate::rows::start::SMALL_PARENT;
use crate::rows::throughput::IPC_CHANNEL;

/// A bound for one number of the results.
pub(crate) struct Target {
    row: &'static str,
    what: What,
    bound: f64,
}

/// The bounded number.
enum What {
    /// Our cost divided by the floor's cost, at most.
    ToFloor,
    /// Our cost divided by the peer's cost, at most.
    ToPeer(&'static str),
    /// Our cost divided by a variant's cost, in the same row, at most.
    ToVariant(&'static str),
    /// Our number, in the row's unit, at most.
    AtMost,
    /// Our number, in the row's unit, at least.
    AtLeast,
    /// Our cost, or a variant's cost, divided by the same in another row, at most.
    ToRow(&'static str, Option<&'static str>),
}

const fn target(row: &'static str, what: What, bound: f64) -> Target {
    Target { row, what, bound }
}

use What::{AtLeast, AtMost, ToFloor, ToPeer, ToRow, ToVariant};

pub(crate) const ALL: [Target; 37] = [
    target("start/spawn/empty", ToFloor, 1.10),
    target("start/fork/empty", ToFloor, 1.3),
    target("start/forkserver/empty", ToFloor, 1.5),
    target("start/forkserver-spare/empty", ToFloor, 0.5),
    target("start/spawn/rss-1g", ToVariant(SMALL_PARENT), 1.2),
    target("start/forkserver/rss-1g", ToVariant(SMALL_PARENT), 1.2),
    target("start/forkserver-spare/rss-1g", ToVariant(SMALL_PARENT), 1.2),
    target("roundtrip/channel/small", ToFloor, 1.3),
    target("roundtrip/pool/small", ToFloor, 1.0),
    target("throughput/channel/small", ToPeer(IPC_CHANNEL), 1.0),
    target("throughput/pool-map/small", AtLeast, 1e6),
    target("efficiency/pool/2us", AtLeast, 50.0),
    target("efficiency/pool/16us", AtLeast, 90.0),
    target("efficiency/pool/64us", AtLeast, 95.0),
    target("efficiency/pool/2us", ToPeer(POOL_MAP), 1.0),
    target("efficiency/pool/8us", ToPeer(POOL_MAP), 1.0),
    target("efficiency/pool/16us", ToPeer(POOL_MAP), 1.0),
    target("efficiency/pool/64us", ToPeer(POOL_MAP), 1.0),
    target("efficiency/pool/1000us", ToPeer(POOL_MAP), 1.0),
    target("codec/small/encode", ToPeer(Postcard::NAME), 1.5),
    target("codec/small/decode", ToPeer(Postcard::NAME), 1.5),
    target("codec/rows/encode", ToPeer(Postcard::NAME), 3.0),
    target("codec/rows/decode", ToPeer(Postcard::NAME), 3.0),
    target("codec/f64/encode", ToFloor, 1.5),
    target("codec/u8/encode", ToFloor, 1.5),
    target("echo/vec/64m", ToFloor, 4.0),
    target("echo/f64/64m", ToFloor, 3.0),
    target("echo/bytes/64m", ToFloor, 1.5),
    target("echo/shared/64m", AtMost, 1.0),
    target("footprint/forkserver/private", AtMost, 512.0),
    target("footprint/spawn/private", AtMost, 1536.0),
    target("footprint/spawn/parent-fds", AtMost, 3.0),
    target("footprint/fork/parent-fds", AtMost, 3.0),
    target("footprint/forkserver/parent-fds", AtMost, 3.0),
    target("scale/children/1000", ToRow("scale/children/10", None), 1.5),
    target("scale/children/1000", ToRow("scale/children/10", Some(FORK)), 1.5),
    target("scale/children/1000", ToRow("scale/children/10", Some(SPAWN)), 1.5),
];

/// A target with its measured number.
pub(crate) struct Verdict {
    pub(crate) row: &'static str,
    pub(crate) aim: String,
    pub(crate) measured: String,
    pub(crate) is_reached: bool,
}

impl Target {
    /// Returns the verdict. `None` if the row was not measured.
    pub(crate) fn verdict(&self, results: &Results) -> Option<Verdict> {
        let row = row(results, self.row)?;
        let value = self.value(row, results)?;
        let is_reached = if matches!(self.what, AtLeast) { value >= self.bound } else { value <= self.bound };
        Some(Verdict { row: self.row, aim: self.aim(row), measured: self.text(row, value), is_reached })
    }

    fn value(&self, measured: &Measured, results: &Results) -> Option<f64> {
        match self.what {
            ToFloor => measured.ratio_to_floor,
            ToPeer(name) => measured.ratio_to(*measured.peers.get(name)?),
            ToVariant(name) => measured.ratio_to(*measured.variants.get(name)?),
            AtMost | AtLeast => measured.ours,
            ToRow(other, way) => {
                let other = row(results, other)?;
                measured.unit.ratio(measured.value_of(way)?, other.value_of(way)?)
            }
        }
    }

    fn text(&self, measured: &Measured, value: f64) -> String {
        if matches!(self.what, AtMost | AtLeast) { measured.unit.show(value) } else { format!("{value:.2} ×") }
    }

    fn aim(&self, measured: &Measured) -> String {
        let bound = self.text(measured, self.bound);
        match self.what {
            ToFloor => format!("≤ {bound} the floor ({})", measured.floor_name.as_deref().unwrap_or("none")),
            ToPeer(name) => format!("≤ {bound} {name}"),
            ToVariant(_) => format!("≤ {bound} what it takes in a small parent"),
            AtMost => format!("≤ {bound}"),
            AtLeast => format!("≥ {bound}"),
            ToRow(other, way) => format!("{}≤ {bound} `{other}`", way.map_or(String::new(), |way| format!("{way} "))),
        }
    }
}

impl Measured {
    /// Returns our number, or a variant's number.
    fn value_of(&self, way: Option<&str>) -> Option<f64> {
        way.map_or(self.ours, |way| *self.variants.get(way)?)
    }
}

fn row<'r>(results: &'r Results, id: &str) -> Option<&'r Measured> {
    results.rows.iter().find(|row| row.id == id)
}
