//! `roundtrip/…`: one small question to another process, and its answer.

use super::{Row, Unit};
use crate::ours;
use crate::peers::{ipc_channel, procspawn, socketpair};

const TIMES: u64 = 1000;

pub(super) fn rows() -> Vec<Row> {
    vec![channel(), pool()]
}

fn channel() -> Row {
    Row::new("roundtrip/channel/small", Unit::Micros, TIMES)
        .ours(ours::roundtrip_channel)
        .variant("offspring duplex", ours::roundtrip_duplex)
        .floor("socketpair", socketpair::roundtrip)
        .peer("futex", socketpair::roundtrip_by_futex)
        .peer("ipc-channel", ipc_channel::roundtrip)
        .python("multiprocessing Pipe", "roundtrip-pipe")
}

fn pool() -> Row {
    Row::new("roundtrip/pool/small", Unit::Micros, TIMES)
        .ours(ours::roundtrip_pool)
        .floor("socketpair", socketpair::roundtrip)
        .peer("futex", socketpair::roundtrip_by_futex)
        .peer("procspawn Pool", procspawn::roundtrip_pool)
        .times(200)
        .python("multiprocessing Pool", "roundtrip-pool")
        .times(200)
        .python("concurrent.futures", "roundtrip-executor")
        .times(200)
}
