//! `zygote`: a server that forks on request. A start is a new zygote, one task in it, and its end.

use zygote::Zygote;

use crate::Result;
use crate::children::many;
use crate::contender::{Round, timed};
use crate::idle::{self, Footprint, footprint};
use crate::tasks::{ANSWER, QUESTION, square};

pub(crate) fn start() -> Result<Round> {
    Zygote::init();
    Ok(timed(|| expect_answer(&Zygote::global().spawn())))
}

pub(crate) fn start_many() -> Result<Round> {
    Zygote::init();
    Ok(many(|| Ok(Zygote::global().spawn()), |child| expect_answer(&child)))
}

fn expect_answer(child: &Zygote) -> Result<()> {
    assert_eq!(child.try_run(square, QUESTION)?, ANSWER);
    Ok(())
}

/// Counts the resources of a child after its task, which is when the child waits for the next task.
pub(crate) fn idle_child(what: Footprint) -> Result<Round> {
    Zygote::init();
    footprint(what, || {
        let child = Zygote::global().spawn();
        let pid = child.try_run(become_idle, ())?;
        Ok((pid, child))
    })
}

fn become_idle((): ()) -> u32 {
    idle::name_itself();
    std::process::id()
}
