//! The cost of the operation within this process.

use std::hint::black_box;
use std::time::Duration;

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::Result;
use crate::busy::{burn, efficiency as efficiency_of};
use crate::contender::{Round, timed_batch, timed_parts};
use crate::samples::Sample;
use crate::tasks::square;

/// `rayon`, by the threads of this process.
pub(crate) fn parallel_map() -> Result<Round> {
    Ok(timed_batch(|count| {
        let wrong = (0..count).into_par_iter().filter(|n| square(black_box(*n)) != n.wrapping_mul(*n)).count();
        assert_eq!(wrong, 0);
        Ok(())
    }))
}

/// `rayon` again, with tasks of the given length.
pub(crate) fn efficiency(length: Duration) -> Result<Round> {
    Ok(efficiency_of(length, rayon::current_num_threads(), |task, count| {
        let wrong = (0..count).into_par_iter().filter(|_| burn(black_box(task.steps)) != task.answer).count();
        assert_eq!(wrong, 0);
        Ok(())
    }))
}

/// Allocates and copies once. A value with owned memory in its parts allocates for each part.
pub(crate) fn clone<S: Sample>(sample: S, parts: usize) -> Result<Round> {
    Ok(timed_parts(parts, move || {
        assert!(black_box(black_box(&sample).clone()).is_like(&sample));
        Ok(())
    }))
}

/// Copies once, into memory that was used before.
pub(crate) fn copy<T: Copy + 'static>(sample: Vec<T>, parts: usize) -> Result<Round>
where
    Vec<T>: Sample,
{
    let mut buffer = Vec::new();
    Ok(timed_parts(parts, move || {
        buffer.clear();
        buffer.extend_from_slice(black_box(&sample));
        assert!(black_box(&buffer).is_like(&sample));
        Ok(())
    }))
}
