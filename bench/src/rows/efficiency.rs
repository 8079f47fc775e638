//! `efficiency/…`: the share of the workers' time that goes into the tasks, for tasks of a given length.

use std::time::Duration;

use super::{Row, Unit};
use crate::ours;
use crate::peers::in_process;

/// The lengths of a task, in microseconds.
const LENGTHS: [u64; 5] = [2, 8, 16, 64, 1000];

/// The time of a round in which no time is lost, in microseconds.
const ROUND: u64 = 50_000;

pub(crate) const POOL_MAP: &str = "multiprocessing Pool.map";

pub(super) fn rows() -> Vec<Row> {
    LENGTHS.into_iter().map(pool).collect()
}

fn pool(micros: u64) -> Row {
    let length = Duration::from_micros(micros);
    let tasks = ROUND / micros * ours::workers() as u64;
    Row::new(format!("efficiency/pool/{micros}us"), Unit::Percent, tasks)
        .ours(move || ours::efficiency_of_map(length))
        .variant("offspring map_unordered", move || ours::efficiency_of_map_unordered(length))
        .floor("rayon, in process", move || in_process::efficiency(length))
        .python(POOL_MAP, format!("efficiency-pool {micros}"))
        .python("concurrent.futures map", format!("efficiency-executor {micros}"))
        .python("joblib loky", format!("efficiency-loky {micros}"))
}
