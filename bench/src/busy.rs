//! Tasks that keep a processor at work for a given time, and the share of the workers' time that goes into the tasks.

use std::hint::black_box;
use std::time::{Duration, Instant};

use offspring::child_task;

use crate::Result;
use crate::contender::Round;

/// The steps of one look at the speed of a processor. They take a fraction of a scheduler's time slice, so that most
/// looks are free of other programs.
const STEPS_OF_LOOK: u64 = 100_000;
const LOOKS: usize = 10;

/// A task of a known length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task {
    /// The argument of `burn`.
    pub(crate) steps: u64,
    /// The result of `burn`.
    pub(crate) answer: u64,
}

/// Takes the given number of steps of a generator of random numbers, each from the number before.
///
/// The length of a task is in steps and not in time, since a task that looks at the clock ends in time even while
/// another process has its processor.
#[child_task]
pub(crate) fn burn(steps: u64) -> u64 {
    const FACTOR: u64 = 6_364_136_223_846_793_005; // of Knuth's MMIX
    (0..steps).fold(1, |number, _| black_box(number.wrapping_mul(FACTOR).wrapping_add(1)))
}

/// Returns a round of tasks with the given length: the share of the workers' time that the tasks have taken, of 1.
///
/// `map` runs so many tasks, each as a call of its own.
pub(crate) fn efficiency(
    length: Duration,
    workers: usize,
    mut map: impl FnMut(Task, u64) -> Result<()> + 'static,
) -> Round {
    let (length, mut step) = (length.as_secs_f64(), f64::MAX);
    Box::new(move |count| {
        // Not at setup, since all contenders set up at the same time. Rounds go in turn.
        step = step.min(seconds_per_step());
        let steps = (length / step).round() as u64;
        let task = Task { steps, answer: burn(steps) };
        let begin = Instant::now();
        map(task, count)?;
        Ok(length * count as f64 / (begin.elapsed().as_secs_f64() * workers as f64))
    })
}

/// Returns the time of a step, by the fastest of some looks.
fn seconds_per_step() -> f64 {
    let look = || {
        let begin = Instant::now();
        black_box(burn(black_box(STEPS_OF_LOOK)));
        begin.elapsed().as_secs_f64() / STEPS_OF_LOOK as f64
    };
    (0..LOOKS).map(|_| look()).fold(f64::MAX, f64::min)
}
