//! `throughput/…`: many small messages one way, and many small calls.

use super::{Row, Unit};
use crate::ours;
use crate::peers::{in_process, ipc_channel, procspawn, socketpair};

const MESSAGES: u64 = 100_000;
const CALLS: u64 = 1_000_000;
const SLOW_CALLS: u64 = 5_000;

pub(crate) const IPC_CHANNEL: &str = "ipc-channel";

pub(super) fn rows() -> Vec<Row> {
    vec![channel(), pool_map()]
}

fn channel() -> Row {
    Row::new("throughput/channel/small", Unit::PerSecond, MESSAGES)
        .ours(|| ours::throughput_channel(false))
        .variant("offspring send_all", || ours::throughput_channel(true))
        .floor("socketpair", socketpair::throughput)
        .peer(IPC_CHANNEL, ipc_channel::throughput)
        .python("multiprocessing SimpleQueue", "throughput-queue")
        .times(20_000)
}

fn pool_map() -> Row {
    Row::new("throughput/pool-map/small", Unit::PerSecond, CALLS)
        .ours(ours::pool_map)
        .variant("offspring map_unordered", ours::pool_map_unordered)
        .floor("rayon, in process", in_process::parallel_map)
        .peer("procspawn Pool", procspawn::pool_map)
        .times(SLOW_CALLS)
        .python("multiprocessing Pool.imap", "map-pool")
        .times(SLOW_CALLS)
        .python("concurrent.futures map", "map-executor")
        .times(SLOW_CALLS)
}
