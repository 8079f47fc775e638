//! A fork, an exit and a wait, and nothing else.

use crate::Result;
use crate::children::{gated, many};
use crate::contender::{Round, timed};
use crate::idle::{self, Footprint, footprint};
use crate::raw::{Forked, Words};
use crate::tasks::{ANSWER, QUESTION, square};

const SHUT: u32 = 0;
const OPEN: u32 = 1;

pub(crate) fn start() -> Result<Round> {
    Ok(timed(|| expect_answer(Forked::start(answer)?)))
}

pub(crate) fn start_many() -> Result<Round> {
    Ok(many(|| Forked::start(answer), expect_answer))
}

pub(crate) fn live_children() -> Result<Round> {
    let start = |gate: &Words| {
        Forked::start(|| {
            gate.wait_while(0, SHUT);
            answer()
        })
    };
    Ok(gated(Words::new, start, |gate| gate.set(0, OPEN), expect_answer))
}

pub(crate) fn idle_child(what: Footprint) -> Result<Round> {
    footprint(what, || {
        let child = Forked::start_bound(|| idle::stay())?;
        Ok((child.pid(), child))
    })
}

fn answer() -> i32 {
    i32::try_from(square(QUESTION)).unwrap_or_default()
}

fn expect_answer(child: Forked) -> Result<()> {
    assert_eq!(u64::try_from(child.join()?)?, ANSWER);
    Ok(())
}
