//! Elements written once, then read in place by any process.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Bound, Deref, Range, RangeBounds};
use std::sync::Arc;

use bytemuck::Pod;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::encoding::{self, SLICE_INLINE_MAX};
use crate::error::{Error, ErrorKind};
use crate::sys::mmap::{MemoryFile, SealedMapping};
use crate::sys::sealed_slice::SealedSlice;

/// Read-only elements in shared memory. Passing a slice to another process costs a descriptor and no copy.
///
/// Reads as a `[T]`. Clones and [parts](Self::slice) share the memory. Up to 16 KiB, the elements stay in ordinary
/// memory and travel as bytes. Above, the elements are in a sealed memory file, which no process can change.
///
/// Making a slice of 64 MiB from existing data takes about 28 ms. [`build`](Self::build) writes in place and saves the
/// copy. Passing a slice on takes the same time for any length.
///
/// # Elements
///
/// `T` is plain old data ([`Pod`]) of an alignment of up to 4096 bytes. See [`shm`](crate::shm#structs) for a struct. A
/// type of size 0 is refused by the compiler.
///
/// # Serialisation
///
/// A slice can be serialised in the arguments or the result of a task, or in a message. Serialising elsewhere is an
/// error of the serializer.
///
/// # Examples
///
/// ```
/// use offspring::{SharedSlice, child_task, process_main};
///
/// #[child_task]
/// fn mean(samples: SharedSlice<f64>) -> f64 {
///     samples.iter().sum::<f64>() / samples.len() as f64
/// }
///
/// #[process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let samples = SharedSlice::build(1_000_000, |samples| {
///         for (index, sample) in samples.iter_mut().enumerate() {
///             *sample = index as f64;
///         }
///     })?;
///     let (all, front) = (mean::start(samples.clone())?, mean::start(samples.slice(..101))?);
///     assert_eq!((all.join()?, front.join()?), (499_999.5, 50.0));
///     Ok(())
/// }
/// ```
///
/// ```compile_fail
/// let nothing = offspring::SharedSlice::<[u8; 0]>::new(&[[]]);
/// ```
///
/// Source: [memfd_create(2)](https://man7.org/linux/man-pages/man2/memfd_create.2.html),
/// [fcntl(2)](https://man7.org/linux/man-pages/man2/fcntl.2.html) `F_ADD_SEALS`.
pub struct SharedSlice<T>(SealedSlice<T>);

impl<T: Pod> SharedSlice<T> {
    const HAS_SIZE: () = assert!(size_of::<T>() != 0, "elements without a size have nothing to share");

    /// Copies elements into a new slice.
    ///
    /// # Errors
    ///
    /// - [`LimitReached`](ErrorKind::LimitReached): a limit on descriptors, memory or file sizes. `RLIMIT_FSIZE` counts
    ///   for memory too.
    /// - [`Os`](ErrorKind::Os): the operating system refuses for another reason, or the alignment of `T` is larger than
    ///   4096 bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::SharedSlice;
    ///
    /// let slice = SharedSlice::new(&[1, 2, 3])?;
    /// assert_eq!(slice.iter().max(), Some(&3));
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn new(elements: &[T]) -> Result<Self, Error> {
        let () = Self::HAS_SIZE;
        if size_of_val(elements) <= SLICE_INLINE_MAX {
            return Ok(Self(SealedSlice::of_heap(elements.into())));
        }
        // write(2), not a copy into a mapping: the kernel would clear each page of a mapping first, which takes as long
        // again.
        let written = MemoryFile::new().and_then(|mut file| {
            file.write(bytemuck::cast_slice(elements))?;
            SealedMapping::new(file.seal()?)
        });
        Self::of_file(written, elements.len())
    }

    /// Makes a slice of `length` zeroes, and calls `fill` to write the elements in place, without a second copy.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    ///
    /// # Panics
    ///
    /// If `fill` panics.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::SharedSlice;
    ///
    /// let squares = SharedSlice::build(1000, |squares: &mut [u64]| {
    ///     for (n, square) in (0..).zip(squares) {
    ///         *square = n * n;
    ///     }
    /// })?;
    /// assert_eq!(squares[12], 144);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn build(length: usize, fill: impl FnOnce(&mut [T])) -> Result<Self, Error> {
        let () = Self::HAS_SIZE;
        let bytes = length.checked_mul(size_of::<T>()).filter(|bytes| isize::try_from(*bytes).is_ok());
        let Some(bytes) = bytes else {
            let text = format!(
                "cannot make a shared slice of {length} elements: they are more bytes than there are addresses"
            );
            return Err(Error::new(ErrorKind::LimitReached, text));
        };
        if bytes <= SLICE_INLINE_MAX {
            let mut elements = vec![T::zeroed(); length];
            fill(&mut elements);
            return Ok(Self(SealedSlice::of_heap(elements.into())));
        }
        check_alignment::<T>()?;
        let filled = MemoryFile::filled(bytes, |memory| fill(bytemuck::cast_slice_mut(memory)));
        Self::of_file(filled.and_then(|file| SealedMapping::new(file.seal()?)), length)
    }

    fn of_file(file: std::io::Result<SealedMapping>, length: usize) -> Result<Self, Error> {
        check_alignment::<T>()?;
        let file = file.map_err(|source| {
            Error::os(format!("cannot make a shared slice of {length} elements of {} bytes", size_of::<T>()), source)
        })?;
        let sealed = SealedSlice::of_file(Arc::new(file), 0, length);
        sealed.map(Self).map_err(|text| Error::new(ErrorKind::Os, format!("cannot make a shared slice: {text}")))
    }

    /// Returns a part of the slice, in the same memory. The part keeps the whole memory.
    ///
    /// # Panics
    ///
    /// If the range is out of bounds.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::SharedSlice;
    ///
    /// let slice = SharedSlice::new(&[1, 2, 3, 4])?;
    /// let part = slice.slice(1..3);
    /// assert_eq!(part, [2, 3]);
    /// assert!(std::ptr::eq(&part[0], &slice[1]));
    /// # Ok::<(), offspring::Error>(())
    /// ```
    #[must_use]
    #[track_caller]
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Self {
        Self(self.0.slice(to_range(range, self.len())))
    }
}

/// Checks that the start of a page is aligned for `T`.
fn check_alignment<T>() -> Result<(), Error> {
    /// The smallest page size of Linux on any processor, in bytes.
    const PAGE: usize = 4096;
    if align_of::<T>() <= PAGE {
        return Ok(());
    }
    let text = format!(
        "elements that must lie at multiples of {} bytes cannot be shared: {PAGE} is the most",
        align_of::<T>()
    );
    Err(Error::new(ErrorKind::Os, text))
}

#[track_caller]
fn to_range(range: impl RangeBounds<usize>, length: usize) -> Range<usize> {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before.checked_add(1).expect("a range that begins behind the last number"),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.checked_add(1).expect("a range that ends behind the last number"),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => length,
    };
    start..end
}

impl<T> Deref for SharedSlice<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        &self.0
    }
}

/// Makes another handle of the same memory. Costs a reference count.
impl<T> Clone for SharedSlice<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Makes an empty slice.
impl<T: Pod> Default for SharedSlice<T> {
    fn default() -> Self {
        let () = Self::HAS_SIZE;
        Self(SealedSlice::of_heap(Arc::from([])))
    }
}

/// Prints the first 64 elements.
impl<T: fmt::Debug> fmt::Debug for SharedSlice<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 64;
        let mut list = f.debug_list();
        list.entries(self.iter().take(SHOWN));
        if self.len() <= SHOWN { list.finish() } else { list.finish_non_exhaustive() }
    }
}

impl<T: PartialEq> PartialEq for SharedSlice<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq> Eq for SharedSlice<T> {}

impl<T: PartialEq> PartialEq<[T]> for SharedSlice<T> {
    fn eq(&self, other: &[T]) -> bool {
        **self == *other
    }
}

impl<T: PartialEq, const N: usize> PartialEq<[T; N]> for SharedSlice<T> {
    fn eq(&self, other: &[T; N]) -> bool {
        **self == *other
    }
}

impl<T: PartialEq> PartialEq<Vec<T>> for SharedSlice<T> {
    fn eq(&self, other: &Vec<T>) -> bool {
        **self == **other
    }
}

impl<T: Hash> Hash for SharedSlice<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl<T> AsRef<[T]> for SharedSlice<T> {
    fn as_ref(&self) -> &[T] {
        self
    }
}

impl<T> Borrow<[T]> for SharedSlice<T> {
    fn borrow(&self) -> &[T] {
        self
    }
}

impl<'a, T> IntoIterator for &'a SharedSlice<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Copies a slice. Errors as [`SharedSlice::new`].
impl<T: Pod> TryFrom<&[T]> for SharedSlice<T> {
    type Error = Error;

    fn try_from(elements: &[T]) -> Result<Self, Error> {
        Self::new(elements)
    }
}

/// Copies a vector. Errors as [`SharedSlice::new`].
impl<T: Pod> TryFrom<Vec<T>> for SharedSlice<T> {
    type Error = Error;

    fn try_from(elements: Vec<T>) -> Result<Self, Error> {
        Self::new(&elements)
    }
}

impl<T: Pod> Serialize for SharedSlice<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        encoding::serialize_slice(&self.0, serializer)
    }
}

impl<'de, T: Pod> Deserialize<'de> for SharedSlice<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let () = Self::HAS_SIZE;
        encoding::deserialize_slice(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::wire::payload::{Payload, decode};

    fn back<T: Pod>(slice: &SharedSlice<T>) -> SharedSlice<T> {
        decode(Payload::encode(slice).unwrap()).unwrap()
    }

    #[test]
    fn every_length_comes_back_with_what_is_in_it() {
        for length in [0, 1, 7, SLICE_INLINE_MAX - 1, SLICE_INLINE_MAX, SLICE_INLINE_MAX + 1, 300_001] {
            let bytes: Vec<u8> = (0..length).map(|index| index as u8).collect();
            let slice = SharedSlice::new(&bytes).unwrap();
            assert_eq!(
                (back(&slice) == bytes, slice.0.place().is_some()),
                (true, length > SLICE_INLINE_MAX),
                "{length}"
            );
            let built = SharedSlice::build(length, |out| out.copy_from_slice(&bytes)).unwrap();
            assert!(back(&built) == bytes, "{length} built");
        }
    }

    #[test]
    fn wide_and_odd_elements_come_back() {
        let odd: Vec<[u8; 7]> = (0..20_000).map(|n: u32| std::array::from_fn(|k| (n >> k) as u8)).collect();
        let wide: Vec<u128> = (0..20_000).map(|n| n << 77).collect();
        for length in [1, 3, 9000, 20_000] {
            let (odd, wide) = (SharedSlice::new(&odd[..length]).unwrap(), SharedSlice::new(&wide[..length]).unwrap());
            assert!(back(&odd) == odd && back(&wide) == wide, "{length}");
            // An odd offset in the file, and an odd place in the encoded bytes.
            let (one, more) = (odd.slice(1..), wide.slice(length / 2..));
            let (_, odd, wide) =
                decode::<(u8, SharedSlice<[u8; 7]>, SharedSlice<u128>)>(Payload::encode(&(1_u8, &one, &more)).unwrap())
                    .unwrap();
            assert!(odd == one && wide == more, "{length}");
        }
    }

    #[test]
    fn parts_are_of_the_same_memory_and_keep_it() {
        for length in [100, 100_000] {
            let slice = SharedSlice::build(length, |out: &mut [u32]| out.fill(7)).unwrap();
            let part = slice.slice(10..=19).slice(..).slice(1..);
            assert!(std::ptr::eq(&part[0], &slice[11]));
            drop(slice);
            assert_eq!(part, [7; 9]);
            assert!(part.slice(9..).is_empty());
        }
    }

    #[test]
    #[should_panic(expected = "out of range")]
    fn a_part_outside_panics_as_a_slice_does() {
        let _ = SharedSlice::new(&[1, 2, 3]).unwrap().slice(2..5);
    }

    #[test]
    fn more_than_there_can_be_is_an_error() {
        let error = SharedSlice::<u64>::build(usize::MAX / 4, |_| unreachable!()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitReached, "{error:?}");
        let error = SharedSlice::<u8>::build(1 << 60, |_| unreachable!()).unwrap_err();
        assert!(error.to_string().contains("cannot make a shared slice of 1152921504606846976 elements"), "{error:?}");
    }

    #[test]
    fn outside_of_a_send_both_forms_are_errors() {
        for length in [3, 100_000] {
            let slice = SharedSlice::new(&vec![1_u8; length]).unwrap();
            assert!(crate::ipc::codec::to_vec(&slice).is_err(), "{length}");
        }
        let bytes = Payload::encode(&SharedSlice::new(&[1_u8]).unwrap()).unwrap();
        assert!(crate::ipc::codec::from_slice::<SharedSlice<u8>>(&bytes.bytes().unwrap()).is_err());
    }

    #[test]
    fn it_prints_and_compares_as_a_slice() {
        let slice = SharedSlice::new(&[1, 2, 3]).unwrap();
        assert_eq!(format!("{slice:?}"), "[1, 2, 3]");
        assert!(format!("{:?}", SharedSlice::new(&[0_u8; 1000]).unwrap()).ends_with(", ..]"));
        assert!(slice == vec![1, 2, 3] && slice == [1, 2, 3] && slice != SharedSlice::default());
        assert_eq!((&slice).into_iter().sum::<i32>(), 6);
    }
}
