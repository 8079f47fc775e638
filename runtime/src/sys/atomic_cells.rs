//! Elements in a [`Region`] that many processes read and write at once, each element always whole.
//!
//! Every reference to the memory is to atomics. An element of up to 8 bytes is one atomic of 1, 2, 4 or 8 bytes, the
//! smallest that the element fits into. A larger element is words under a [`journal`]. All accesses to
//! a byte are by atomics of one size, as Rust's memory model asks for.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

use super::cast::padded;
use super::journal::{self, Journal, Stripe};
use super::mmap::Region;

/// The size up to which an element is one atomic.
const ATOMIC_MAX: usize = 8;

/// `length` elements of `size` bytes.
#[derive(Debug)]
pub(crate) struct AtomicCells {
    region: Region,
    length: usize,
    size: usize,
}

/// Access to one element. The arguments have as many bytes as the element has.
trait Element {
    fn load(&self, out: &mut [u8]);
    fn store(&self, new: &[u8]);
    fn swap(&self, new: &[u8], before: &mut [u8]);
    /// Replaces `current` with `new`. Returns whether the element was `current`; `found` gets its former value.
    fn compare_exchange(&self, current: &[u8], new: &[u8], found: &mut [u8]) -> bool;
}

macro_rules! atomic_element {
    ($($atomic:ty, $word:ty;)*) => {$(
        impl Element for $atomic {
            #[inline]
            fn load(&self, out: &mut [u8]) {
                out.copy_from_slice(&self.load(Ordering::Acquire).to_ne_bytes()[..out.len()]);
            }

            #[inline]
            fn store(&self, new: &[u8]) {
                self.store(<$word>::from_ne_bytes(padded(new)), Ordering::Release);
            }

            #[inline]
            fn swap(&self, new: &[u8], before: &mut [u8]) {
                let word = self.swap(<$word>::from_ne_bytes(padded(new)), Ordering::AcqRel);
                before.copy_from_slice(&word.to_ne_bytes()[..before.len()]);
            }

            #[inline]
            fn compare_exchange(&self, current: &[u8], new: &[u8], found: &mut [u8]) -> bool {
                let [old, new] = [current, new].map(|bytes| <$word>::from_ne_bytes(padded(bytes)));
                let exchange = |old| self.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire);
                let exchanged = exchange(old).or_else(|word| {
                    // Another process may have written to the padding of the element, which has no meaning.
                    if word.to_ne_bytes()[..current.len()] == *current { exchange(word) } else { Err(word) }
                });
                let (Ok(word) | Err(word)) = exchanged;
                found.copy_from_slice(&word.to_ne_bytes()[..found.len()]);
                exchanged.is_ok()
            }
        }
    )*};
}

atomic_element! {
    AtomicU8, u8;
    AtomicU16, u16;
    AtomicU32, u32;
    AtomicU64, u64;
}

impl Element for Stripe<'_> {
    fn load(&self, out: &mut [u8]) {
        Stripe::load(self, out);
    }

    fn store(&self, new: &[u8]) {
        Stripe::change(self, |write, _| write(new));
    }

    fn swap(&self, new: &[u8], before: &mut [u8]) {
        Stripe::change(self, |write, read| {
            read(before);
            write(new);
        });
    }

    fn compare_exchange(&self, current: &[u8], new: &[u8], found: &mut [u8]) -> bool {
        Stripe::change(self, |write, read| {
            read(found);
            let is_current = *found == *current;
            if is_current {
                write(new);
            }
            is_current
        })
    }
}

/// Evaluates `$body` with the atomic or stripe of the element at `$index`. Where the size is a constant, the match goes
/// away.
macro_rules! with_element {
    ($self:ident, $index:ident, $size:expr, |$element:ident| $body:expr) => {{
        $self.check($index, $size);
        match $size {
            1 => with_element!(@cell $self, $index, AtomicU8, $element, $body),
            2 => with_element!(@cell $self, $index, AtomicU16, $element, $body),
            3 | 4 => with_element!(@cell $self, $index, AtomicU32, $element, $body),
            5..=ATOMIC_MAX => with_element!(@cell $self, $index, AtomicU64, $element, $body),
            _ => {
                let stripe = $self.journal().stripe($index);
                let $element = &stripe;
                $body
            }
        }
    }};
    (@cell $self:ident, $index:ident, $atomic:ty, $element:ident, $body:expr) => {{
        // SAFETY: `check` has seen that this is the element's own size and that it is inside the region, whose length
        // was made or accepted for all cells; the region begins at a page, so that the cell lies at a multiple of its
        // size.
        let cell = unsafe { $self.region.start().cast::<$atomic>().add($index) };
        // SAFETY: as above; every process accesses the cell by this atomic type alone, as long as it is not hostile,
        // and a hostile one can change no more than the value, of which any is valid.
        let $element: &$atomic = unsafe { cell.as_ref() };
        $body
    }};
}

impl AtomicCells {
    /// Makes new memory, all zeroes.
    ///
    /// # Errors
    /// Limits on memory, descriptors and file sizes; for large elements also [`journal::check_support`].
    pub(crate) fn create(length: usize, size: usize) -> io::Result<Self> {
        Self::check_support(size)?;
        let bytes = bytes(length, size).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { region: Region::create(bytes)?, length, size })
    }

    /// Takes over cells that another process has made. The numbers may come from a hostile process.
    ///
    /// # Errors
    /// `InvalidData` if the memory is not shared memory of just this length; limits on memory.
    pub(crate) fn accept(descriptor: Arc<OwnedFd>, length: usize, size: usize) -> io::Result<Self> {
        Self::check_support(size)?;
        let region = Region::accept(descriptor)?;
        if bytes(length, size) != Some(region.len()) {
            let found = region.len();
            let text = format!("{length} elements of {size} bytes are not what shared memory of {found} bytes holds");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(Self { region, length, size })
    }

    fn check_support(size: usize) -> io::Result<()> {
        if size <= ATOMIC_MAX { Ok(()) } else { journal::check_support() }
    }

    pub(crate) fn descriptor(&self) -> &Arc<OwnedFd> {
        self.region.descriptor()
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    fn journal(&self) -> Journal<'_> {
        Journal::new(&self.region, self.length, self.size)
    }

    #[inline]
    #[track_caller]
    fn check(&self, index: usize, size: usize) {
        assert!(index < self.length, "index out of bounds: the len is {} but the index is {index}", self.length);
        assert!(size == self.size, "an element has {} bytes, not {size}", self.size);
    }

    /// Reads an element. Later reads see all that was written before the element was.
    #[inline]
    #[track_caller]
    pub(crate) fn load(&self, index: usize, out: &mut [u8]) {
        with_element!(self, index, out.len(), |element| Element::load(element, out));
    }

    /// Writes an element, after all earlier writes.
    #[inline]
    #[track_caller]
    pub(crate) fn store(&self, index: usize, new: &[u8]) {
        with_element!(self, index, new.len(), |element| Element::store(element, new));
    }

    /// Writes an element and reads its former value.
    #[inline]
    #[track_caller]
    pub(crate) fn swap(&self, index: usize, new: &[u8], before: &mut [u8]) {
        with_element!(self, index, new.len(), |element| Element::swap(element, new, before));
    }

    /// Writes an element if its value is `current`. Returns whether it was, and its former value.
    #[inline]
    #[track_caller]
    pub(crate) fn compare_exchange(&self, index: usize, current: &[u8], new: &[u8], found: &mut [u8]) -> bool {
        with_element!(self, index, new.len(), |element| Element::compare_exchange(element, current, new, found))
    }
}

/// Returns the bytes of memory that so many elements take. Returns `None` beyond the range of `usize`.
fn bytes(length: usize, size: usize) -> Option<usize> {
    let bytes =
        if size <= ATOMIC_MAX { length.checked_mul(size.next_power_of_two()) } else { journal::bytes(length, size) };
    bytes.filter(|bytes| isize::try_from(*bytes).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_is_read_as_it_was_written() {
        for size in (1..40).chain([4096, 5001]) {
            let elements = AtomicCells::create(70, size).unwrap();
            let bytes = |index: usize| -> Vec<u8> { (0..size).map(|byte| (index + byte) as u8).collect() };
            (0..70).for_each(|index| elements.store(index, &bytes(index)));
            let other = AtomicCells::accept(Arc::clone(elements.descriptor()), 70, size).unwrap();
            let mut out = vec![0; size];
            for index in 0..70 {
                other.load(index, &mut out);
                assert_eq!(out, bytes(index), "{index} of {size} bytes");
                other.swap(index, &bytes(7), &mut out);
                assert_eq!(out, bytes(index));
                assert!(!elements.compare_exchange(index, &bytes(8), &bytes(9), &mut out));
                assert!(elements.compare_exchange(index, &bytes(7), &bytes(index), &mut out));
                assert_eq!(out, bytes(7));
            }
        }
    }

    #[test]
    fn another_length_or_size_than_the_memory_has_is_refused() {
        for (size, other) in [(4, 8), (8, 9), (24, 8), (24, 40)] {
            let elements = AtomicCells::create(10, size).unwrap();
            let accept = |length, size| AtomicCells::accept(Arc::clone(elements.descriptor()), length, size);
            assert!(accept(10, size).is_ok());
            for (length, size) in [(9, size), (11, size), (10, other), (usize::MAX, size), (usize::MAX / 4 + 10, size)]
            {
                assert_eq!(accept(length, size).unwrap_err().kind(), io::ErrorKind::InvalidData, "{length} {size}");
            }
        }
    }

    #[test]
    fn what_pads_an_element_counts_for_nothing() {
        let elements = AtomicCells::create(1, 3).unwrap();
        // SAFETY: the region has four bytes.
        let padding = unsafe { elements.region.start().add(3) };
        // SAFETY: as above, and this thread alone uses them.
        unsafe { padding.write(9) };
        let mut found = [0; 3];
        assert!(elements.compare_exchange(0, &[0; 3], &[1, 2, 3], &mut found));
        elements.load(0, &mut found);
        assert_eq!(found, [1, 2, 3]);
    }

    #[test]
    #[should_panic(expected = "index out of bounds: the len is 3 but the index is 3")]
    fn an_index_outside_panics_as_that_of_a_slice() {
        AtomicCells::create(3, 4).unwrap().store(3, &[0; 4]);
    }
}
