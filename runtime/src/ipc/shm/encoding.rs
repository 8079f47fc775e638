//! The form in which shared memory travels: a descriptor with the numbers of the part, or the bytes themselves.
//!
//! The sender may be hostile: a receiver checks every number against the memory file before making a slice or an array.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytemuck::Pod;
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ipc::wire::fds;
use crate::sys::atomic_cells::AtomicCells;
use crate::sys::mmap::SealedMapping;
use crate::sys::sealed_slice::SealedSlice;

/// The length up to which a slice travels as bytes, without a descriptor.
///
/// A memory file of any size takes about 20 µs to make and map, and an entry in three tables of the kernel. Copying 16
/// KiB into and out of a datagram takes no longer. Copying 64 KiB, there and back, takes 200 µs more.
pub(super) const SLICE_INLINE_MAX: usize = 16 * 1024;

/// A memory file as serde sees it: a position in the descriptor list.
#[derive(Debug)]
struct MemoryFd(Arc<OwnedFd>);

impl Serialize for MemoryFd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fds::attach(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for MemoryFd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        fds::share_plain(deserializer).map(Self)
    }
}

/// A slice with the size of an element in bytes, which must be the same on both sides.
#[derive(Debug, Serialize, Deserialize)]
enum Slice<B> {
    Inline { size: u64, bytes: B },
    File { size: u64, offset: u64, length: u64, file: MemoryFd },
}

#[derive(Debug, Serialize, Deserialize)]
struct Array {
    size: u64,
    length: u64,
    memory: MemoryFd,
}

struct Raw<'a>(&'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// Elements copied out of encoded bytes, which may be unaligned, or the reason why the bytes are no elements.
struct Copied<T>(Result<Arc<[T]>, String>);

impl<'de, T: Pod> Deserialize<'de> for Copied<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(CopyVisitor(std::marker::PhantomData)).map(Self)
    }
}

struct CopyVisitor<T>(std::marker::PhantomData<T>);

impl<T: Pod> Visitor<'_> for CopyVisitor<T> {
    type Value = Result<Arc<[T]>, String>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the bytes of a shared slice")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        if !bytes.len().is_multiple_of(size_of::<T>()) {
            return Ok(Err(format!("{} bytes are no whole number of elements of {}", bytes.len(), size_of::<T>())));
        }
        let mut elements = vec![T::zeroed(); bytes.len() / size_of::<T>()];
        bytemuck::cast_slice_mut(&mut elements).copy_from_slice(bytes);
        Ok(Ok(elements.into()))
    }
}

pub(super) fn serialize_slice<T: Pod, S: Serializer>(
    sealed: &SealedSlice<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    fds::check_encoding()?;
    let size = size_of::<T>() as u64;
    let slice = match sealed.place() {
        Some((file, offset)) if size_of_val::<[T]>(sealed) > SLICE_INLINE_MAX => {
            let (offset, length) = (offset as u64, sealed.len() as u64);
            Slice::File { size, offset, length, file: MemoryFd(Arc::clone(file)) }
        }
        _ => Slice::Inline { size, bytes: Raw(bytemuck::cast_slice(sealed)) },
    };
    slice.serialize(serializer)
}

pub(super) fn deserialize_slice<'de, T: Pod, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<SealedSlice<T>, D::Error> {
    fds::check_decoding()?;
    let slice = Slice::<Copied<T>>::deserialize(deserializer)?;
    accept_slice(slice).map_err(|text| D::Error::custom(format_args!("a shared slice is refused: {text}")))
}

fn accept_slice<T: Pod>(slice: Slice<Copied<T>>) -> Result<SealedSlice<T>, String> {
    match slice {
        Slice::Inline { size, bytes } => {
            check_size::<T>(size)?;
            bytes.0.map(SealedSlice::of_heap)
        }
        Slice::File { size, offset, length, file } => {
            check_size::<T>(size)?;
            let file = SealedMapping::accept(file.0).map_err(|error| error.to_string())?;
            SealedSlice::of_file(Arc::new(file), to_usize(offset)?, to_usize(length)?)
        }
    }
}

pub(super) fn serialize_array<T: Pod, S: Serializer>(cells: &AtomicCells, serializer: S) -> Result<S::Ok, S::Error> {
    let memory = MemoryFd(Arc::clone(cells.descriptor()));
    Array { size: size_of::<T>() as u64, length: cells.len() as u64, memory }.serialize(serializer)
}

pub(super) fn deserialize_array<'de, T: Pod, D: Deserializer<'de>>(deserializer: D) -> Result<AtomicCells, D::Error> {
    let array = Array::deserialize(deserializer)?;
    accept_array::<T>(array).map_err(|text| D::Error::custom(format_args!("a shared array is refused: {text}")))
}

fn accept_array<T: Pod>(array: Array) -> Result<AtomicCells, String> {
    check_size::<T>(array.size)?;
    let length = to_usize(array.length)?;
    AtomicCells::accept(array.memory.0, length, size_of::<T>()).map_err(|error| error.to_string())
}

fn check_size<T>(size: u64) -> Result<(), String> {
    let own = size_of::<T>();
    if size == own as u64 { Ok(()) } else { Err(format!("its elements have {size} bytes, not {own}")) }
}

fn to_usize(number: u64) -> Result<usize, String> {
    usize::try_from(number).map_err(|_| format!("{number} is more than this process can address"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::codec::Error;
    use crate::ipc::wire::payload::{Payload, decode};
    use crate::sys::mmap::{MemoryFile, Region};

    /// Sent and received as a `SharedSlice` is.
    struct SentSlice<T>(SealedSlice<T>);

    impl<T: Pod> Serialize for SentSlice<T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serialize_slice(&self.0, serializer)
        }
    }

    impl<'de, T: Pod> Deserialize<'de> for SentSlice<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserialize_slice(deserializer).map(Self)
        }
    }

    /// Received as a `SharedArray` is.
    struct SentArray<T>(std::marker::PhantomData<T>);

    impl<'de, T: Pod> Deserialize<'de> for SentArray<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserialize_array::<T, D>(deserializer).map(|_| Self(std::marker::PhantomData))
        }
    }

    fn file(memory: MemoryFile) -> MemoryFd {
        MemoryFd(Arc::clone(SealedMapping::new(memory.seal().unwrap()).unwrap().descriptor()))
    }

    fn sealed(length: usize) -> MemoryFd {
        file(MemoryFile::filled(length, |_| ()).unwrap())
    }

    fn region(length: usize) -> MemoryFd {
        MemoryFd(Arc::clone(Region::create(length).unwrap().descriptor()))
    }

    #[track_caller]
    fn refused<T: for<'de> Deserialize<'de>>(claim: impl Serialize, says: &str) {
        let decoded: Result<T, Error> = decode(Payload::encode(&claim).unwrap());
        let Err(error) = decoded else { panic!("accepted what is {says:?}") };
        assert!(error.text().contains(says), "{error}");
    }

    #[test]
    fn a_file_that_is_not_sealed_or_no_file_is_refused() {
        let claim = |file| Slice::File::<()> { size: 1, offset: 0, length: 10, file };
        refused::<SentSlice<u8>>(
            claim(region(4096)),
            "a shared slice is refused: a descriptor that should be a sealed",
        );
        let null = crate::sys::fd::null().unwrap();
        refused::<SentSlice<u8>>(claim(MemoryFd(Arc::new(null))), "should be a sealed memory file");
        assert!(decode::<SentSlice<u8>>(Payload::encode(&claim(sealed(10))).unwrap()).is_ok());
    }

    #[test]
    fn numbers_that_do_not_fit_the_file_are_refused() {
        let claim = |size, offset, length| Slice::File::<()> { size, offset, length, file: sealed(4096) };
        refused::<SentSlice<u32>>(claim(4, 0, 1025), "are not in a file of 4096");
        refused::<SentSlice<u32>>(claim(4, 4096, 1), "are not in a file of 4096");
        refused::<SentSlice<u32>>(claim(4, u64::MAX - 3, 2), "are not in a file of 4096");
        refused::<SentSlice<u32>>(claim(4, 8, u64::MAX / 4 + 2), "are not in a file of 4096");
        refused::<SentSlice<u32>>(claim(4, 2, 1), "multiples of 4");
        refused::<SentSlice<u32>>(claim(8, 0, 1), "have 8 bytes, not 4");
        refused::<SentSlice<u32>>(claim(1 << 32 | 4, 0, 1), "not 4");
    }

    #[test]
    fn bytes_that_are_no_elements_are_refused() {
        let claim = |size, bytes| Slice::Inline { size, bytes: Raw(bytes) };
        refused::<SentSlice<u32>>(claim(4, &[0; 7]), "7 bytes are no whole number of elements of 4");
        refused::<SentSlice<u32>>(claim(2, &[0; 8]), "have 2 bytes, not 4");
    }

    #[test]
    fn an_array_of_other_memory_is_refused() {
        let claim = |size, length, memory| Array { size, length, memory };
        refused::<SentArray<u32>>(claim(4, 10, region(36)), "10 elements of 4 bytes are not what shared memory of 36");
        refused::<SentArray<u32>>(claim(4, u64::MAX / 4 + 1, region(0)), "are not what shared memory of 0");
        refused::<SentArray<u32>>(claim(8, 5, region(40)), "have 8 bytes, not 4");
        refused::<SentArray<u32>>(claim(4, 10, sealed(40)), "a shared array is refused: a descriptor that should be");
        refused::<SentArray<[u64; 2]>>(claim(16, 10, region(160)), "are not what shared memory of 160");
        assert!(decode::<SentArray<u32>>(Payload::encode(&claim(4, 10, region(40))).unwrap()).is_ok());
    }

    #[test]
    fn a_descriptor_is_carried_once_however_often_it_is_meant() {
        let memory = MemoryFile::filled(SLICE_INLINE_MAX + 9, |memory| memory.fill(1)).unwrap();
        let file = Arc::new(SealedMapping::new(memory.seal().unwrap()).unwrap());
        let all = SealedSlice::<u8>::of_file(file, 0, SLICE_INLINE_MAX + 9).unwrap();
        let (part, start) = (all.slice(8..all.len()), all.slice(0..5));
        let payload = Payload::encode(&(SentSlice(all), SentSlice(part), SentSlice(start))).unwrap();
        assert_eq!(payload.descriptors.len(), 1);
        assert!(payload.len() < 200);
        let (all, part, start) = decode::<(SentSlice<u8>, SentSlice<u8>, SentSlice<u8>)>(payload).unwrap();
        assert_eq!((all.0.len(), part.0.len(), &*start.0), (SLICE_INLINE_MAX + 9, SLICE_INLINE_MAX + 1, &[1; 5][..]));
    }
}
