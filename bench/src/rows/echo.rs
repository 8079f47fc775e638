//! `echo/…/64m`: 64 MiB to another process and back.

use super::{Row, Unit};
use crate::ours;
use crate::peers::{in_process, ipc_channel, procspawn};

pub(super) fn rows() -> Vec<Row> {
    vec![vec(), bytes(), shared()]
}

/// As a `Vec<u8>`, which is encoded element by element.
fn vec() -> Row {
    Row::new("echo/vec/64m", Unit::Millis, 1)
        .ours(ours::echo_of_vec)
        .floor("allocate and copy", in_process::copy)
        .peer("ipc-channel", ipc_channel::echo_of_vec)
        .peer("procspawn Pool", procspawn::echo_of_vec)
        .python("multiprocessing Pool", "echo-pool")
        .python("concurrent.futures", "echo-executor")
}

/// As what there is for bytes; the data begins in ordinary memory.
fn bytes() -> Row {
    Row::new("echo/bytes/64m", Unit::Millis, 1)
        .ours(ours::echo_of_bytes)
        .floor("allocate and copy", in_process::copy)
        .peer("ipc-channel", ipc_channel::echo_of_bytes)
        .peer("procspawn Pool", procspawn::echo_of_bytes)
        .python("multiprocessing Pipe", "echo-bytes")
}

/// As shared memory that is there already.
fn shared() -> Row {
    Row::new("echo/shared/64m", Unit::Millis, 10)
        .ours(ours::echo_of_shared)
        .floor("allocate and copy", in_process::copy)
        .times(1)
        .peer("ipc-channel", ipc_channel::echo_of_shared)
        .python("multiprocessing SharedMemory", "echo-shared")
}
