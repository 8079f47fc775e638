//! What the operation takes without another process.

use std::hint::black_box;

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::Result;
use crate::contender::{Round, timed, timed_batch};
use crate::tasks::{ECHO_BYTE, ECHO_BYTES, is_echo, square};

/// `rayon`, by the threads of this process.
pub(crate) fn parallel_map() -> Result<Round> {
    Ok(timed_batch(|count| {
        let wrong = (0..count).into_par_iter().filter(|n| square(black_box(*n)) != n.wrapping_mul(*n)).count();
        assert_eq!(wrong, 0);
        Ok(())
    }))
}

/// Memory for it, and one copy.
pub(crate) fn copy() -> Result<Round> {
    let data = vec![ECHO_BYTE; ECHO_BYTES];
    Ok(timed(move || {
        assert!(is_echo(&black_box(black_box(&data).to_vec())));
        Ok(())
    }))
}
