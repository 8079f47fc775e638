//! `echo/…/64m`: 64 MiB to another process and back.

use offspring::Call;

use super::{Row, Unit};
use crate::ours;
use crate::peers::{in_process, ipc_channel, procspawn};
use crate::samples::{self, Sample};
use crate::tasks::{echo_f64, echo_rows, echo_string, echo_vec};

const COPY: &str = "allocate and copy";

pub(super) fn rows() -> Vec<Row> {
    vec![vec(), f64(), string(), table(), bytes(), shared()]
}

/// Sends a value through serde.
fn by_value<S: Sample>(name: &str, make: fn() -> S, call: fn(S) -> Call<S>, floor: &'static str) -> Row {
    Row::new(format!("echo/{name}/64m"), Unit::Millis, 1)
        .ours(move || ours::echo_of(make(), call))
        .floor(floor, move || in_process::clone(make(), 1))
        .peer("ipc-channel", move || ipc_channel::echo_of(make()))
        .peer("procspawn Pool", move || procspawn::echo_of(make()))
}

/// Sends a `Vec<u8>`, whose elements reach serde one by one.
fn vec() -> Row {
    by_value("vec", samples::echo_vec, echo_vec::call, COPY)
        .python("multiprocessing Pool", "echo-pool bytes")
        .python("concurrent.futures", "echo-executor bytes")
}

/// Sends floats. Python has floats in an `array`, or as objects in a list.
fn f64() -> Row {
    by_value("f64", samples::echo_floats, echo_f64::call, COPY)
        .python("concurrent.futures, array", "echo-executor array")
        .python("concurrent.futures, list", "echo-executor floats")
        .slow_if(true)
}

fn string() -> Row {
    by_value("string", samples::echo_text, echo_string::call, COPY)
        .python("multiprocessing Pool", "echo-pool text")
        .python("concurrent.futures", "echo-executor text")
}

/// Sends a vector of structs, each with memory of its own. In Python, a list of tuples.
fn table() -> Row {
    by_value("rows", samples::echo_rows, echo_rows::call, "clone")
        .python("concurrent.futures", "echo-executor rows")
        .slow_if(true)
}

/// Sends bytes by the best type of each contender. The data begins in ordinary memory.
fn bytes() -> Row {
    Row::new("echo/bytes/64m", Unit::Millis, 1)
        .ours(ours::echo_of_bytes)
        .floor(COPY, || in_process::clone(samples::echo_vec(), 1))
        .peer("ipc-channel", ipc_channel::echo_of_bytes)
        .peer("procspawn Pool", procspawn::echo_of_bytes)
        .python("multiprocessing Pipe", "echo-bytes")
}

/// Sends memory that is already shared.
fn shared() -> Row {
    Row::new("echo/shared/64m", Unit::Millis, 10)
        .ours(ours::echo_of_shared)
        .floor(COPY, || in_process::clone(samples::echo_vec(), 1))
        .times(1)
        .peer("ipc-channel", ipc_channel::echo_of_shared)
        .python("multiprocessing SharedMemory", "echo-shared")
}
