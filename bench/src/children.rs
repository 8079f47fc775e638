//! Many children at once, by any start function.

use std::time::Instant;

use crate::Result;
use crate::contender::{Round, timed_batch};

/// Returns a round that starts all children before the first join.
pub(crate) fn many<C: 'static>(
    start: impl Fn() -> Result<C> + 'static,
    join: impl Fn(C) -> Result<()> + 'static,
) -> Round {
    timed_batch(move |count| {
        let children = (0..count).map(|_| start()).collect::<Result<Vec<C>>>()?;
        children.into_iter().try_for_each(&join)
    })
}

/// Returns a round as [`many`], with a gate that opens after the last start, so that all children are alive at once.
pub(crate) fn gated<G: 'static, C: 'static>(
    shut: impl Fn() -> Result<G> + 'static,
    start: impl Fn(&G) -> Result<C> + 'static,
    open: impl Fn(G) + 'static,
    join: impl Fn(C) -> Result<()> + 'static,
) -> Round {
    Box::new(move |count| {
        let gate = shut()?;
        let begin = Instant::now();
        let children = (0..count).map(|_| start(&gate)).collect::<Result<Vec<C>>>()?;
        open(gate);
        children.into_iter().try_for_each(&join)?;
        Ok(begin.elapsed().as_secs_f64() / count as f64)
    })
}
