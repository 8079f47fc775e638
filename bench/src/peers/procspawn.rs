//! `procspawn`: this program started anew, and its pool.

use std::collections::VecDeque;

use procspawn::{JoinHandle, Pool};

use crate::Result;
use crate::children::many;
use crate::contender::{Round, timed, timed_batch};
use crate::idle::{self, Footprint, footprint};
use crate::ours::workers;
use crate::samples::Sample;
use crate::tasks::{ANSWER, ECHO_BYTE, ECHO_BYTES, QUESTION, Whole, is_echo, square};

/// The number of calls in the pool at once. Each queued call costs three descriptors.
const WINDOW: usize = 64;

pub(crate) fn start() -> Result<Round> {
    Ok(timed(|| expect_answer(procspawn::spawn(QUESTION, square))))
}

pub(crate) fn start_many() -> Result<Round> {
    Ok(many(|| Ok(procspawn::spawn(QUESTION, square)), expect_answer))
}

fn expect_answer(child: JoinHandle<u64>) -> Result<()> {
    assert_eq!(child.join()?, ANSWER);
    Ok(())
}

pub(crate) fn idle_child(what: Footprint) -> Result<Round> {
    footprint(what, || {
        let child = procspawn::spawn((), |()| idle::stay());
        let pid = child.pid().ok_or("a child without a process")?;
        Ok((pid, Killed(child)))
    })
}

/// Kills the child when dropped.
struct Killed(JoinHandle<()>);

impl Drop for Killed {
    fn drop(&mut self) {
        drop(self.0.kill());
    }
}

pub(crate) fn roundtrip_pool() -> Result<Round> {
    let pool = Pool::new(workers())?;
    Ok(timed(move || {
        assert_eq!(pool.spawn(QUESTION, square).join()?, ANSWER);
        Ok(())
    }))
}

pub(crate) fn pool_map() -> Result<Round> {
    let pool = Pool::new(workers())?;
    Ok(timed_batch(move |count| {
        let mut window = VecDeque::with_capacity(WINDOW);
        for n in 0..count {
            if window.len() == WINDOW {
                window.pop_front().map_or(Ok(()), expect_square)?;
            }
            window.push_back((n, pool.spawn(n, square)));
        }
        window.into_iter().try_for_each(expect_square)
    }))
}

fn expect_square((n, call): (u64, JoinHandle<u64>)) -> Result<()> {
    assert_eq!(call.join()?, square(n));
    Ok(())
}

pub(crate) fn queued_jobs() -> Result<Round> {
    let pool = Pool::new(workers())?;
    Ok(timed_batch(move |count| {
        let calls: Vec<_> = (0..count).map(|n| (n, pool.spawn(n, square))).collect();
        calls.into_iter().try_for_each(expect_square)
    }))
}

pub(crate) fn echo_of<S: Sample>(sample: S) -> Result<Round> {
    let pool = Pool::new(1)?;
    Ok(timed(move || {
        assert!(pool.spawn(sample.clone(), |data| data).join()?.is_like(&sample));
        Ok(())
    }))
}

/// Sends bytes by `serde_bytes`, the fastest way of `procspawn`.
pub(crate) fn echo_of_bytes() -> Result<Round> {
    let pool = Pool::new(1)?;
    let data = vec![ECHO_BYTE; ECHO_BYTES];
    Ok(timed(move || {
        assert!(is_echo(&pool.spawn(Whole(data.clone()), |data| data).join()?.0));
        Ok(())
    }))
}
