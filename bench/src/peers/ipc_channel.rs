//! `ipc-channel`: channels between this process and a fork of it.

use ipc_channel::ipc::{self, IpcReceiver, IpcSender, IpcSharedMemory};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Result;
use crate::contender::{Round, timed, timed_batch};
use crate::raw::Forked;
use crate::samples::Sample;
use crate::tasks::{ECHO_BYTE, ECHO_BYTES, END, QUESTION, is_echo};

/// A child that answers every message, with both channels.
struct Answering<A, B> {
    requests: IpcSender<A>,
    answers: IpcReceiver<B>,
    _child: Forked,
}

impl<A, B> Answering<A, B>
where
    A: Serialize + DeserializeOwned + 'static,
    B: Serialize + DeserializeOwned + 'static,
{
    /// Starts a child that answers each message with the result of `answer`, if there is a result.
    fn start(mut answer: impl FnMut(A) -> Option<B>) -> Result<Self> {
        let ((requests, inbox), (outbox, answers)) = (ipc::channel::<A>()?, ipc::channel::<B>()?);
        let child = Forked::start_bound(move || {
            while let Ok(message) = inbox.recv() {
                if answer(message).is_some_and(|answer| outbox.send(answer).is_err()) {
                    break;
                }
            }
            0
        })?;
        Ok(Self { requests, answers, _child: child })
    }

    fn ask(&self, message: A) -> Result<B> {
        self.send(message)?;
        self.answer()
    }

    fn send(&self, message: A) -> Result<()> {
        Ok(self.requests.send(message)?)
    }

    fn answer(&self) -> Result<B> {
        Ok(self.answers.recv()?)
    }
}

pub(crate) fn roundtrip() -> Result<Round> {
    let child = Answering::start(|number: u64| Some(number + 1))?;
    Ok(timed(move || {
        assert_eq!(child.ask(QUESTION)?, QUESTION + 1);
        Ok(())
    }))
}

pub(crate) fn throughput() -> Result<Round> {
    let mut sum = 0_u64;
    let child = Answering::start(move |number: u64| {
        if number == END {
            return Some(std::mem::take(&mut sum));
        }
        sum += number;
        None
    })?;
    Ok(timed_batch(move |count| {
        (0..count).chain([END]).try_for_each(|number| child.send(number))?;
        assert_eq!(child.answer()?, (0..count).sum::<u64>());
        Ok(())
    }))
}

pub(crate) fn echo_of<S: Sample>(sample: S) -> Result<Round> {
    let child = Answering::start(|data: S| Some(data))?;
    Ok(timed(move || {
        assert!(child.ask(sample.clone())?.is_like(&sample));
        Ok(())
    }))
}

/// Sends bytes from ordinary memory through shared memory.
pub(crate) fn echo_of_bytes() -> Result<Round> {
    let child = Answering::start(|data: IpcSharedMemory| Some(data))?;
    let data = vec![ECHO_BYTE; ECHO_BYTES];
    Ok(timed(move || {
        assert!(is_echo(&child.ask(IpcSharedMemory::from_bytes(&data))?));
        Ok(())
    }))
}

/// Sends memory that is already shared.
pub(crate) fn echo_of_shared() -> Result<Round> {
    let child = Answering::start(|data: IpcSharedMemory| Some(data))?;
    let data = IpcSharedMemory::from_byte(ECHO_BYTE, ECHO_BYTES);
    Ok(timed(move || {
        assert!(is_echo(&child.ask(data.clone())?));
        Ok(())
    }))
}
