//! Large pages for large vectors.
//!
//! Source: madvise(2) `MADV_HUGEPAGE`, and `/sys/kernel/mm/transparent_hugepage/enabled`, which is `madvise` on most
//! systems.

use std::mem::MaybeUninit;

/// The size from which on a vector is worth the advice: several huge pages of most machines (2 MiB).
pub(crate) const LARGE: usize = 8 << 20;

/// Returns an empty vector that is about to be filled.
///
/// The kernel gives memory page by page, at the first touch. For a vector of many megabytes, that takes longer than the
/// filling, unless the pages are huge.
pub(crate) fn with_capacity<T>(length: usize) -> Vec<T> {
    let mut vector = Vec::with_capacity(length);
    if length.saturating_mul(size_of::<T>()) >= LARGE {
        advise(vector.spare_capacity_mut());
    }
    vector
}

fn advise<T>(memory: &mut [MaybeUninit<T>]) {
    /// A start that is a multiple of the page's size is asked for. No page is larger than this on Linux.
    const PAGE: usize = 64 << 10;
    let start = memory.as_mut_ptr().cast::<u8>();
    let skipped = start.align_offset(PAGE).min(size_of_val(memory));
    let length = size_of_val(memory) - skipped;
    // SAFETY: an advice about memory that is ours, which changes no content. A kernel without huge pages refuses, and
    // all stays as it is.
    unsafe { libc::madvise(start.wrapping_add(skipped).cast(), length, libc::MADV_HUGEPAGE) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_any_length_can_be_filled() {
        for length in [0, 1, 1000, LARGE - 1, LARGE, LARGE + 12345] {
            let mut vector = with_capacity::<u8>(length);
            vector.resize(length, 7);
            assert!(vector.iter().all(|byte| *byte == 7));
            assert!(with_capacity::<u64>(length / 8).capacity() >= length / 8);
        }
        assert_eq!(with_capacity::<()>(usize::MAX).len(), 0);
    }
}
