//! `scale/…`: the cost of each among many.

use offspring::StartMethod;

use super::{Row, Unit};
use crate::ours;
use crate::peers::{command, plain_fork, procspawn};

/// Numbers of children that are alive at once.
const CHILDREN: [u64; 4] = [1, 10, 100, 1000];

/// Numbers of jobs that are queued before the first wait.
const JOBS: [u64; 4] = [1, 100, 10_000, 1_000_000];

/// From this number on, a round takes seconds for some contenders.
const MANY_CHILDREN: u64 = 1000;
const MANY_JOBS: u64 = 10_000;

pub(crate) const SPAWN: &str = "offspring spawn";
pub(crate) const FORK: &str = "offspring fork";

pub(super) fn rows() -> Vec<Row> {
    CHILDREN.into_iter().map(children).chain(JOBS.into_iter().map(queue)).collect()
}

/// Measures the cost of each child, from the start of the first to the join of the last.
fn children(count: u64) -> Row {
    Row::new(format!("scale/children/{count}"), Unit::Micros, count)
        .ours(|| ours::live_children(StartMethod::ForkServer))
        .variant(FORK, || ours::live_children(StartMethod::Fork))
        .variant(SPAWN, || ours::live_children(StartMethod::Spawn))
        .floor("plain fork", plain_fork::live_children)
        .peer("Command", command::live_children)
        .python("multiprocessing fork", "children fork")
        .slow_if(count >= MANY_CHILDREN)
}

/// Measures the cost of each job, from the submission of the first to the result of the last.
fn queue(count: u64) -> Row {
    let row = Row::new(format!("scale/queue/{count}"), Unit::Micros, count).ours(ours::queued_jobs);
    if count > MANY_JOBS {
        return row;
    }
    let row = row.python("multiprocessing Pool", "queue-pool").python("concurrent.futures", "queue-executor");
    if count < MANY_JOBS { row.peer("procspawn Pool", procspawn::queued_jobs) } else { row }
}
