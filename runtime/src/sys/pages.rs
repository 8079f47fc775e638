//! Large pages for large vectors.
//!
//! Source: madvise(2) `MADV_HUGEPAGE`, and `/sys/kernel/mm/transparent_hugepage/enabled`, which is `madvise` on most systems.

use bytemuck::Pod;

/// From here on a vector is worth the advice: it has several huge pages of most machines (2 MiB).
pub(crate) const LARGE: usize = 8 << 20;

/// A vector of zeroes that is about to be filled.
///
/// The kernel gives memory page by page, when it is first touched. For a vector of many megabytes that takes longer than to fill it,
/// unless the pages are huge.
pub(crate) fn zeroed<T: Pod>(length: usize) -> Vec<T> {
    let mut vector = bytemuck::allocation::zeroed_vec::<T>(length);
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut vector);
    if bytes.len() >= LARGE {
        advise(bytes);
    }
    vector
}

fn advise(bytes: &mut [u8]) {
    /// A start that is a multiple of the page's size is asked for; no page is larger than this on Linux.
    const PAGE: usize = 64 << 10;
    let skipped = bytes.as_ptr().align_offset(PAGE).min(bytes.len());
    let aligned = &mut bytes[skipped..];
    // SAFETY: an advice about memory that is ours, which changes no content. A kernel without huge pages refuses, and all stays as it
    // is.
    unsafe { libc::madvise(aligned.as_mut_ptr().cast(), aligned.len(), libc::MADV_HUGEPAGE) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_any_length_are_zeroes() {
        for length in [0, 1, 1000, LARGE - 1, LARGE, LARGE + 12345] {
            assert!(zeroed::<u8>(length).iter().all(|byte| *byte == 0));
            assert_eq!(zeroed::<u64>(length / 8).len(), length / 8);
        }
    }
}
