//! Channels with a deadline: expected messages, and expected ends.

use offspring::{Receiver, RecvError, RecvErrorKind, SendError, SendErrorKind};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{procs, wait};

/// Returns the next message.
#[track_caller]
pub fn next<T: DeserializeOwned>(receiver: &Receiver<T>) -> T {
    match receiver.recv_timeout(wait::LIMIT) {
        Ok(value) => value,
        Err(error) if error.kind() == RecvErrorKind::TimedOut => wait::expired("no message has come"),
        Err(error) => panic!("no message: {error:?}"),
    }
}

/// Returns every message until the last sender is gone.
#[track_caller]
pub fn all<T: DeserializeOwned>(receiver: &Receiver<T>) -> Vec<T> {
    let mut values = Vec::new();
    loop {
        match receiver.recv_timeout(wait::LIMIT) {
            Ok(value) => values.push(value),
            Err(error) if error.kind() == RecvErrorKind::Disconnected => return values,
            Err(error) if error.kind() == RecvErrorKind::TimedOut => wait::expired("a channel has not ended"),
            Err(error) => panic!("after {} messages: {error:?}", values.len()),
        }
    }
}

/// Checks that no message comes any more, and that no sender is left.
#[track_caller]
pub fn is_over<T: DeserializeOwned>(receiver: &Receiver<T>) {
    let left = all(receiver).len();
    assert_eq!(left, 0, "messages where none was to come");
}

/// Returns the reason why no message was received.
#[track_caller]
pub fn nothing<T>(received: Result<T, RecvError>) -> RecvErrorKind {
    match received {
        Ok(_) => panic!("a message where none was to come"),
        Err(error) => error.kind(),
    }
}

/// Returns the reason why a value was not sent, and the value.
#[track_caller]
pub fn unsent<T>(sent: Result<(), SendError<T>>) -> (SendErrorKind, T) {
    let error = sent.expect_err("a value was sent that was not to be");
    (error.kind(), error.into_inner())
}

/// Waits until a child waits in a system call, such as `recvmsg` on a channel.
#[track_caller]
pub fn until_waits_in(pid: u32, call: libc::c_long) {
    wait::until("the child waits in a system call", || procs::is_waiting_in(pid, call));
}

/// A descriptor in a value, as offspring encodes a descriptor: its place in the list of the value's descriptors.
#[derive(Clone, Copy, Debug, Serialize)]
pub enum Forged {
    /// The descriptor at this place.
    #[serde(rename = "$descriptor")]
    Descriptor(u32),
}
