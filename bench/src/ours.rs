//! The operations by offspring.

use std::num::NonZero;
use std::time::Duration;

use offspring::{
    Bytes, Call, Context, Duplex, Job, Pool, Process, Receiver, Sender, SharedArray, StartMethod, channel, child_task,
    duplex, get_context, set_spares,
};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Result;
use crate::busy::{burn, efficiency};
use crate::children::{gated, many};
use crate::codec::Format;
use crate::contender::{Round, timed, timed_batch};
use crate::idle::{Footprint, footprint};
use crate::samples::Sample;
use crate::tasks::{
    ANSWER, ECHO_BYTE, ECHO_BYTES, END, QUESTION, add_up, answer_behind, count_on, echo_bytes, echo_shared, is_echo,
    square, stay_idle,
};
use offspring::__private::codec;

/// The number of spares in the rows with spares.
pub(crate) const SPARES: usize = 8;

/// Returns the number of workers: one per processor.
pub(crate) fn workers() -> usize {
    std::thread::available_parallelism().map_or(2, NonZero::get)
}

/// The number of spares that a forkserver makes ahead.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Spares {
    None,
    Kept,
}

fn context(method: StartMethod, spares: Spares) -> Result<Context> {
    set_spares(match spares {
        Spares::None => 0,
        Spares::Kept => SPARES,
    });
    Ok(get_context(method)?)
}

pub(crate) fn start(method: StartMethod, spares: Spares) -> Result<Round> {
    let context = context(method, spares)?;
    Ok(timed(move || expect_answer(context.start(square::call(QUESTION))?)))
}

pub(crate) fn start_many(method: StartMethod, spares: Spares) -> Result<Round> {
    let context = context(method, spares)?;
    Ok(many(move || Ok(context.start(square::call(QUESTION))?), expect_answer))
}

/// Returns a round of children that are all alive at once.
pub(crate) fn live_children(method: StartMethod) -> Result<Round> {
    let context = context(method, Spares::None)?;
    let start = move |(_, gate): &(Sender<()>, Receiver<()>)| Ok(context.start(answer_behind::call(gate.clone()))?);
    Ok(gated(|| Ok(channel()?), start, drop, expect_answer))
}

fn expect_answer(child: Process<u64>) -> Result<()> {
    assert_eq!(child.join()?, ANSWER);
    Ok(())
}

pub(crate) fn idle_child(method: StartMethod, what: Footprint) -> Result<Round> {
    let context = context(method, Spares::None)?;
    footprint(what, move || {
        let child = context.process(stay_idle::call()).kill_on_drop(true).start()?;
        Ok((child.pid(), child))
    })
}

fn by_default() -> Result<Context> {
    Ok(get_context(StartMethod::ForkServer)?)
}

pub(crate) fn roundtrip_channel() -> Result<Round> {
    let ((numbers, inbox), (outbox, answers)) = (channel()?, channel()?);
    let child = by_default()?.start(count_on::call(inbox, outbox))?;
    Ok(timed(move || {
        assert!(child.exit_status().is_none());
        numbers.send(QUESTION)?;
        assert_eq!(answers.recv()?, QUESTION + 1);
        Ok(())
    }))
}

/// Answers each number with the next, on one two-way channel.
#[child_task]
fn count_on_duplex(channel: Duplex<u64, u64>) {
    while let Ok(number) = channel.recv() {
        if channel.send(number + 1).is_err() {
            break;
        }
    }
}

pub(crate) fn roundtrip_duplex() -> Result<Round> {
    let (own, childs) = duplex::<u64, u64>()?;
    let child = by_default()?.start(count_on_duplex::call(childs))?;
    Ok(holding(child, move || {
        assert_eq!(own.request(QUESTION)?, QUESTION + 1);
        Ok(())
    }))
}

/// Returns a round that keeps a child alive.
fn holding(child: Process<()>, mut operation: impl FnMut() -> Result<()> + 'static) -> Round {
    timed(move || {
        let _alive = &child;
        operation()
    })
}

/// Sends `0..count` one by one, or as one batch. The child answers with the sum.
pub(crate) fn throughput_channel(is_batch: bool) -> Result<Round> {
    let ((numbers, inbox), (outbox, sums)) = (channel()?, channel()?);
    let child = by_default()?.start(add_up::call(inbox, outbox))?;
    Ok(timed_batch(move |count| {
        let _alive = &child;
        if is_batch {
            numbers.send_all(0..count)?;
        } else {
            (0..count).try_for_each(|number| numbers.send(number))?;
        }
        numbers.send(END)?;
        assert_eq!(sums.recv()?, (0..count).sum::<u64>());
        Ok(())
    }))
}

fn pool(workers: usize) -> Result<Pool> {
    Ok(by_default()?.pool().workers(workers).build()?)
}

pub(crate) fn roundtrip_pool() -> Result<Round> {
    let pool = pool(workers())?;
    Ok(timed(move || {
        assert_eq!(pool.submit(square::call(QUESTION)).wait()?, ANSWER);
        Ok(())
    }))
}

pub(crate) fn pool_map() -> Result<Round> {
    let pool = pool(workers())?;
    Ok(timed_batch(move |count| {
        for (n, result) in (0..count).zip(pool.map((0..count).map(square::call))) {
            assert_eq!(result?, square(n));
        }
        Ok(())
    }))
}

pub(crate) fn pool_map_unordered() -> Result<Round> {
    let pool = pool(workers())?;
    Ok(timed_batch(move |count| {
        for (n, result) in pool.map_unordered((0..count).map(square::call)) {
            assert_eq!(result?, square(n as u64));
        }
        Ok(())
    }))
}

pub(crate) fn efficiency_of_map(length: Duration) -> Result<Round> {
    let pool = pool(workers())?;
    Ok(efficiency(length, workers(), move |task, count| {
        for result in pool.map((0..count).map(|_| burn::call(task.steps))) {
            assert_eq!(result?, task.answer);
        }
        Ok(())
    }))
}

pub(crate) fn efficiency_of_map_unordered(length: Duration) -> Result<Round> {
    let pool = pool(workers())?;
    Ok(efficiency(length, workers(), move |task, count| {
        for (_, result) in pool.map_unordered((0..count).map(|_| burn::call(task.steps))) {
            assert_eq!(result?, task.answer);
        }
        Ok(())
    }))
}

/// Submits all jobs before the first wait.
pub(crate) fn queued_jobs() -> Result<Round> {
    let pool = pool(workers())?;
    Ok(timed_batch(move |count| {
        let jobs: Vec<Job<u64>> = (0..count).map(|n| pool.submit(square::call(n))).collect();
        for (n, job) in (0..count).zip(jobs) {
            assert_eq!(job.wait()?, square(n));
        }
        Ok(())
    }))
}

/// Sends a value into the child, and back.
pub(crate) fn echo_of<S: Sample>(sample: S, call: impl Fn(S) -> Call<S> + 'static) -> Result<Round> {
    let pool = pool(1)?;
    Ok(timed(move || {
        assert!(pool.submit(call(sample.clone())).wait()?.is_like(&sample));
        Ok(())
    }))
}

/// Sends bytes from ordinary memory into the child, and back.
pub(crate) fn echo_of_bytes() -> Result<Round> {
    let pool = pool(1)?;
    let data = vec![ECHO_BYTE; ECHO_BYTES];
    Ok(timed(move || {
        assert!(is_echo(&pool.submit(echo_bytes::call(Bytes::new(&data)?)).wait()?));
        Ok(())
    }))
}

/// Sends memory that is already shared.
pub(crate) fn echo_of_shared() -> Result<Round> {
    let pool = pool(1)?;
    let data = SharedArray::<u64>::new(ECHO_BYTES / size_of::<u64>())?;
    data.fill(0);
    let mut echoes = 0;
    Ok(timed(move || {
        let echo = pool.submit(echo_shared::call(data.clone())).wait()?;
        echoes += 1;
        assert_eq!((echo.len(), echo.get(0)), (data.len(), echoes));
        Ok(())
    }))
}

/// The codec of arguments, results and messages.
pub(crate) struct Codec;

impl Format for Codec {
    const NAME: &str = "offspring";

    fn encode<T: Serialize>(value: &T, buffer: &mut Vec<u8>) -> Result<()> {
        Ok(codec::to_buffer(value, buffer)?)
    }

    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
        Ok(codec::from_slice(bytes)?)
    }
}

/// The same codec with new memory for each value.
pub(crate) struct CodecAnew;

impl Format for CodecAnew {
    const NAME: &str = "offspring, a new vector";

    fn encode<T: Serialize>(value: &T, buffer: &mut Vec<u8>) -> Result<()> {
        *buffer = codec::to_vec(value)?;
        Ok(())
    }

    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
        Codec::decode(bytes)
    }
}
