//! Two processes on a bare socket pair, and on bare words in shared memory.

use std::os::unix::net::UnixDatagram;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

use crate::Result;
use crate::contender::{Round, timed, timed_batch};
use crate::raw::{Forked, Words};
use crate::tasks::{END, QUESTION};

/// The length of a small message, equal to our message with its framing.
const MESSAGE_BYTES: usize = 32;

/// Returns a socket pair of the same kind as our channels: messages stay whole.
fn pair() -> Result<(UnixDatagram, UnixDatagram)> {
    let (one, other) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    Ok((one.into(), other.into()))
}

fn send(socket: &UnixDatagram, number: u64) -> Result<()> {
    let mut message = [0; MESSAGE_BYTES];
    message[..8].copy_from_slice(&number.to_le_bytes());
    socket.send(&message)?;
    Ok(())
}

fn receive(socket: &UnixDatagram) -> Result<u64> {
    let mut message = [0; MESSAGE_BYTES];
    assert_eq!(socket.recv(&mut message)?, MESSAGE_BYTES);
    Ok(u64::from_le_bytes(message[..8].try_into()?))
}

pub(crate) fn roundtrip() -> Result<Round> {
    let (own, childs) = pair()?;
    let child = Forked::start_bound(move || {
        while let Ok(number) = receive(&childs) {
            if send(&childs, number + 1).is_err() {
                break;
            }
        }
        0
    })?;
    Ok(timed(move || {
        let _alive = &child;
        send(&own, QUESTION)?;
        assert_eq!(receive(&own)?, QUESTION + 1);
        Ok(())
    }))
}

pub(crate) fn throughput() -> Result<Round> {
    let (own, childs) = pair()?;
    let child = Forked::start_bound(move || {
        let mut sum = 0;
        while let Ok(number) = receive(&childs) {
            if number != END {
                sum += number;
            } else if send(&childs, std::mem::take(&mut sum)).is_err() {
                break;
            }
        }
        0
    })?;
    Ok(timed_batch(move |count| {
        let _alive = &child;
        (0..count).chain([END]).try_for_each(|number| send(&own, number))?;
        assert_eq!(receive(&own)?, (0..count).sum::<u64>());
        Ok(())
    }))
}

/// The indices of the two words of a conversation by futex.
const REQUEST: usize = 0;
const REPLY: usize = 1;

pub(crate) fn roundtrip_by_futex() -> Result<Round> {
    let words = Words::new()?;
    let child = Forked::start_bound(|| {
        let mut last = 0;
        loop {
            words.wait_while(REQUEST, last);
            last = words.at(REQUEST).load(std::sync::atomic::Ordering::Acquire);
            words.set(REPLY, last);
        }
    })?;
    let mut last = 0_u32;
    Ok(timed(move || {
        let _alive = &child;
        words.set(REQUEST, last.wrapping_add(1));
        words.wait_while(REPLY, last);
        last = last.wrapping_add(1);
        assert_eq!(words.at(REPLY).load(std::sync::atomic::Ordering::Acquire), last);
        Ok(())
    }))
}
