//! Elements that cannot change any more, in memory of this process or in a sealed file, read in place.

use std::ops::{Deref, Range};
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::Arc;

use bytemuck::Pod;

use super::mmap::SealedMapping;

/// A part of such memory. Keeps the memory alive. Clones and slices copy nothing.
#[derive(Debug)]
pub(crate) struct SealedSlice<T> {
    start: NonNull<T>,
    length: usize,
    owner: Owner<T>,
}

#[derive(Debug)]
enum Owner<T> {
    Heap(Arc<[T]>),
    File(Arc<SealedMapping>),
}

impl<T> Clone for Owner<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Heap(elements) => Self::Heap(Arc::clone(elements)),
            Self::File(file) => Self::File(Arc::clone(file)),
        }
    }
}

impl<T: Pod> SealedSlice<T> {
    pub(crate) fn of_heap(elements: Arc<[T]>) -> Self {
        Self { start: NonNull::from(&*elements).cast(), length: elements.len(), owner: Owner::Heap(elements) }
    }

    /// Takes `length` elements from a byte of the file on. The numbers may come from a hostile process.
    ///
    /// # Errors
    /// If an element lies outside the file, or not at a multiple of its alignment. The text says which.
    pub(crate) fn of_file(file: Arc<SealedMapping>, offset: usize, length: usize) -> Result<Self, String> {
        let (all, size) = (file.bytes(), size_of::<T>());
        let part = length.checked_mul(size).and_then(|bytes| all.get(offset..offset.checked_add(bytes)?));
        let Some(part) = part else {
            let found = all.len();
            return Err(format!(
                "{length} elements of {size} bytes from byte {offset} on are not in a file of {found}"
            ));
        };
        let start = NonNull::from(part).cast::<T>();
        if !start.is_aligned() {
            return Err(format!("elements that must lie at multiples of {} bytes do not", align_of::<T>()));
        }
        Ok(Self { start, length, owner: Owner::File(file) })
    }

    /// Returns a part of the slice.
    ///
    /// # Panics
    /// If the range is not inside the slice.
    #[track_caller]
    pub(crate) fn slice(&self, range: Range<usize>) -> Self {
        let part = &self[range];
        Self { start: NonNull::from(part).cast(), length: part.len(), owner: self.owner.clone() }
    }

    /// Returns the file of the slice, if it is in one, and the byte at which the slice begins there.
    pub(crate) fn place(&self) -> Option<(&Arc<OwnedFd>, usize)> {
        match &self.owner {
            Owner::Heap(_) => None,
            Owner::File(file) => Some((file.descriptor(), self.start.addr().get() - file.bytes().as_ptr().addr())),
        }
    }
}

impl<T> Deref for SealedSlice<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: the constructors take T from an `Arc<[T]>`, or from bytes of a sealed mapping, of which any are a `T`
        // (`Pod`), after they have checked bounds and alignment. The owner keeps both alive, and nobody can write
        // either.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl<T> Clone for SealedSlice<T> {
    fn clone(&self) -> Self {
        Self { start: self.start, length: self.length, owner: self.owner.clone() }
    }
}

// SAFETY: a slice is a shared reference to its elements with their owner, and nothing else.
unsafe impl<T: Send + Sync> Send for SealedSlice<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for SealedSlice<T> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::mmap::MemoryFile;

    fn sealed(bytes: &[u8]) -> Arc<SealedMapping> {
        let file = MemoryFile::filled(bytes.len(), |memory| memory.copy_from_slice(bytes)).unwrap();
        Arc::new(SealedMapping::new(file.seal().unwrap()).unwrap())
    }

    #[test]
    fn a_part_of_a_file_is_read_in_place_and_knows_where_it_is() {
        let bytes: Vec<u8> = (0..64).collect();
        let slice = SealedSlice::<u32>::of_file(sealed(&bytes), 8, 3).unwrap();
        assert_eq!(
            *slice,
            [8_u32, 12, 16].map(|first| u32::from_ne_bytes(std::array::from_fn(|k| first as u8 + k as u8)))
        );
        let part = slice.slice(1..3);
        drop(slice);
        assert_eq!((part.len(), part.place().unwrap().1), (2, 12));
    }

    #[test]
    fn what_is_not_all_inside_or_not_aligned_is_refused() {
        let refused = |offset, length| SealedSlice::<u32>::of_file(sealed(&[0; 64]), offset, length).unwrap_err();
        for (offset, length) in [(0, 17), (60, 2), (65, 0), (usize::MAX, 1), (4, usize::MAX), (usize::MAX - 3, 1 << 62)]
        {
            assert!(refused(offset, length).contains("are not in a file of 64"), "{offset} {length}");
        }
        assert!(refused(2, 1).contains("multiples of 4"));
        assert_eq!(SealedSlice::<u32>::of_file(sealed(&[0; 64]), 64, 0).unwrap().len(), 0);
    }

    #[test]
    fn a_view_of_the_heap_has_no_place() {
        let slice = SealedSlice::of_heap(Arc::from([1_u16, 2, 3]));
        assert!(slice.place().is_none());
        assert_eq!(*slice.clone().slice(1..2), [2]);
    }
}
