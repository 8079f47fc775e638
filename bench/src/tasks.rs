//! Tasks of children that do next to nothing, so that the way there and back is measured.

use offspring::{Bytes, Receiver, Sender, SharedArray, child_task};
use serde::{Deserialize, Serialize};

use crate::idle;
use crate::samples::Order;

/// The argument of every start, and the expected answer.
pub(crate) const QUESTION: u64 = 12;
pub(crate) const ANSWER: u64 = 144;

/// The end of a stream of numbers, never a number of the stream.
pub(crate) const END: u64 = u64::MAX;

#[child_task]
pub(crate) fn square(n: u64) -> u64 {
    n.wrapping_mul(n)
}

/// Sleeps until killed.
#[child_task]
pub(crate) fn stay_idle() {
    idle::stay();
}

/// Answers when the gate opens, which is when the last sender is gone.
#[child_task]
pub(crate) fn answer_behind(gate: Receiver<()>) -> u64 {
    gate.iter().for_each(drop);
    ANSWER
}

/// Answers each number with the next.
#[child_task]
pub(crate) fn count_on(numbers: Receiver<u64>, answers: Sender<u64>) {
    while let Ok(number) = numbers.recv() {
        if answers.send(number + 1).is_err() {
            break;
        }
    }
}

/// Answers each stream of numbers with its sum.
#[child_task]
pub(crate) fn add_up(numbers: Receiver<u64>, sums: Sender<u64>) {
    let mut sum = 0_u64;
    while let Ok(number) = numbers.recv() {
        if number != END {
            sum += number;
        } else if sums.send(std::mem::take(&mut sum)).is_err() {
            break;
        }
    }
}

#[child_task]
pub(crate) fn echo_vec(data: Vec<u8>) -> Vec<u8> {
    data
}

#[child_task]
pub(crate) fn echo_f64(data: Vec<f64>) -> Vec<f64> {
    data
}

#[child_task]
pub(crate) fn echo_string(data: String) -> String {
    data
}

#[child_task]
pub(crate) fn echo_rows(data: Vec<Order>) -> Vec<Order> {
    data
}

#[child_task]
pub(crate) fn echo_bytes(data: Bytes) -> Bytes {
    data
}

/// Returns the shared array, with its first element counted up.
#[child_task]
pub(crate) fn echo_shared(data: SharedArray<u64>) -> SharedArray<u64> {
    data.update(0, |count| count + 1);
    data
}

/// Bytes that serde takes as a whole, for peers without a byte type.
#[derive(Serialize, Deserialize)]
pub(crate) struct Whole(#[serde(with = "serde_bytes")] pub(crate) Vec<u8>);

/// The content of an echo, in which every byte is known.
pub(crate) const ECHO_BYTES: usize = 64 << 20;
pub(crate) const ECHO_BYTE: u8 = 0x5a;

/// Compares both ends and the length of an echo.
pub(crate) fn is_echo(data: &[u8]) -> bool {
    data.len() == ECHO_BYTES && [data.first(), data.last()] == [Some(&ECHO_BYTE); 2]
}
