//! `start/…` and `start-many/…`: from a start to the join of a child that squares a number.

use offspring::StartMethod;

use super::{METHODS, Row, Unit};
use crate::ours::{self, Spares};
use crate::peers::{command, plain_fork, procspawn, zygote};

/// Starts in a round. More starts would use up the spares of the rows with spares.
const STARTS: u64 = ours::SPARES as u64;

/// Starts in a round with a parent of 1 GiB, whose fork takes a hundred times as long.
const LARGE_FORKS: u64 = 2;

const MANY: u64 = 1000;

pub(crate) const SMALL_PARENT: &str = "offspring, small parent";

pub(super) fn rows() -> Vec<Row> {
    [("empty", false), ("rss-1g", true)]
        .into_iter()
        .flat_map(|(size, is_large)| {
            [spawn(size, is_large), fork(size, is_large), forkserver(size, is_large), spare(size, is_large)]
        })
        .collect()
}

fn row(method: &str, size: &str, is_large: bool, start: StartMethod, spares: Spares, times: u64) -> Row {
    let row = Row::new(format!("start/{method}/{size}"), Unit::Micros, times);
    let row = row.ours(move || ours::start(start, spares)).large(is_large);
    // The same in a small parent, in the same rounds. The ratio of both is the cost of the size.
    if is_large { row.variant(SMALL_PARENT, move || ours::start(start, spares)) } else { row }
}

fn spawn(size: &str, is_large: bool) -> Row {
    row("spawn", size, is_large, StartMethod::Spawn, Spares::None, STARTS)
        .floor("Command", command::start)
        .large(is_large)
        .peer("procspawn", procspawn::start)
        .large(is_large)
        .peer("posix_spawn", command::start_by_posix_spawn)
        .large(is_large)
        .slow_if(is_large)
        .python("multiprocessing", "start spawn")
        .large(is_large)
        .slow_if(is_large)
        .times(1)
}

fn fork(size: &str, is_large: bool) -> Row {
    let times = if is_large { LARGE_FORKS } else { STARTS };
    row("fork", size, is_large, StartMethod::Fork, Spares::None, times)
        .floor("plain fork", plain_fork::start)
        .large(is_large)
        .python("multiprocessing", "start fork")
        .large(is_large)
        .slow_if(is_large)
        .times(2)
}

fn forkserver(size: &str, is_large: bool) -> Row {
    row("forkserver", size, is_large, StartMethod::ForkServer, Spares::None, STARTS)
        .floor("plain fork, small parent", plain_fork::start)
        .peer("zygote", zygote::start)
        .large(is_large)
        .python("multiprocessing", "start forkserver")
        .large(is_large)
        .slow_if(is_large)
        .times(2)
}

fn spare(size: &str, is_large: bool) -> Row {
    row("forkserver-spare", size, is_large, StartMethod::ForkServer, Spares::Kept, STARTS)
        .floor("plain fork, small parent", plain_fork::start)
        .peer("zygote", zygote::start)
        .large(is_large)
}

/// Starts all children, then joins all.
pub(super) fn many() -> Vec<Row> {
    METHODS.into_iter().map(many_by).collect()
}

fn many_by(method: StartMethod) -> Row {
    let row = Row::new(format!("start-many/{method}/1000"), Unit::Micros, MANY)
        .ours(move || ours::start_many(method, Spares::None));
    match method {
        StartMethod::Spawn => row.floor("Command", command::start_many).peer("procspawn", procspawn::start_many),
        StartMethod::Fork => {
            row.floor("plain fork", plain_fork::start_many).python("multiprocessing", "start-many fork").slow_if(true)
        }
        _ => row
            .floor("plain fork", plain_fork::start_many)
            .peer("zygote", zygote::start_many)
            .python("multiprocessing", "start-many forkserver")
            .slow_if(true),
    }
}
