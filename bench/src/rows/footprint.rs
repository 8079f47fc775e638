//! `footprint/…`: the resources of an idle child.

use offspring::StartMethod;

use super::{METHODS, Row, Unit};
use crate::idle::Footprint;
use crate::ours;
use crate::peers::{command, plain_fork, procspawn, zygote};

const CHILDREN: u64 = 10;

pub(super) fn rows() -> Vec<Row> {
    METHODS
        .into_iter()
        .flat_map(|method| {
            [
                row(method, "private", Unit::Kibibytes, Footprint::Private),
                row(method, "parent-fds", Unit::Descriptors, Footprint::ParentFds),
                row(method, "child-fds", Unit::Descriptors, Footprint::ChildFds),
            ]
        })
        .collect()
}

fn row(method: StartMethod, size: &str, unit: Unit, what: Footprint) -> Row {
    let row =
        Row::new(format!("footprint/{method}/{size}"), unit, CHILDREN).ours(move || ours::idle_child(method, what));
    let row = match method {
        StartMethod::Spawn => row
            .floor("Command", move || command::idle_child(what))
            .peer("procspawn", move || procspawn::idle_child(what)),
        StartMethod::Fork => row.floor("plain fork", move || plain_fork::idle_child(what)),
        _ => row
            .floor("plain fork", move || plain_fork::idle_child(what))
            .peer("zygote", move || zygote::idle_child(what)),
    };
    row.python("multiprocessing", format!("footprint {method} {size}"))
}
