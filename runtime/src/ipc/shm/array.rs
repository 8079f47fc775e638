//! AtomicCells that many processes and threads write at the same time.

use std::fmt;
use std::sync::Arc;

use bytemuck::{Pod, bytes_of, bytes_of_mut};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::encoding;
use crate::error::Error;
use crate::sys::atomic_cells::AtomicCells;

/// A fixed number of elements that every process that has it reads and writes, many at once. They begin as zeroes.
///
/// AtomicCells are copied in and out; there is never a reference to one, since others may be writing it. That is all that it
/// takes to be sound, and two things hold beyond it:
///
/// - **An element is never torn**, not even if its writer is killed in the middle: a write has happened, or it has not.
///   AtomicCells of up to 8 bytes are atomics (3 bytes take 4, and 5 to 7 take 8). Larger ones have locks, one for each of up to
///   64 stretches of the array. The kernel takes such a lock from a dead holder, and who takes it next finishes the write that
///   was begun, so that nobody is blocked and there is no poison to clear. Readers do not lock.
/// - **What was written before is seen after.** Who reads an element sees all that its writer had written before it, in
///   this array or elsewhere (reads are `Acquire`, writes `Release`, and the others both). So a flag that is set after
///   the data that it stands for does what one expects, in elements of any size. There is no single order of writes to
///   *different* elements by different processes (`SeqCst`).
///
/// Methods that go over several elements treat one after the other: others may write in between.
///
/// Clones are of the same memory. `T` is plain old data of any alignment ([`bytemuck::Pod`], which can be derived); a type
/// without a size is refused by the compiler. AtomicCells of more than 8 bytes are not for signal handlers; a writer of one
/// that is *stopped* keeps its lock; and the locks know threads by their ids, so that all processes should be in one pid
/// namespace.
///
/// It can be serialised only in the arguments or the result of a task, or in a message to another process; anywhere else
/// that is an error of the serializer.
///
/// Source: memfd_create(2), get_robust_list(2).
///
/// # Example
///
/// ```
/// use offspring::{SharedArray, child_task, process_main};
///
/// #[child_task]
/// fn count_to(n: u64, counts: SharedArray<u64>) {
///     for _ in 0..n {
///         counts.update(0, |count| count + 1);
///     }
/// }
///
/// #[process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let counts = SharedArray::new(1)?;
///     let children = [count_to::start(1000, counts.clone())?, count_to::start(234, counts.clone())?];
///     for child in children {
///         child.join()?;
///     }
///     assert_eq!(counts.get(0), 1234);
///     Ok(())
/// }
/// ```
///
/// ```compile_fail
/// let nothing = offspring::SharedArray::<[u8; 0]>::new(1);
/// ```
pub struct SharedArray<T> {
    elements: Arc<AtomicCells>,
    kind: std::marker::PhantomData<fn(T) -> T>,
}

impl<T: Pod> SharedArray<T> {
    const HAS_SIZE: () = assert!(size_of::<T>() != 0, "elements without a size have nothing to share");

    fn of(elements: AtomicCells) -> Self {
        let () = Self::HAS_SIZE;
        Self { elements: Arc::new(elements), kind: std::marker::PhantomData }
    }

    /// `length` elements, all zeroes. Memory is taken when an element is first written.
    ///
    /// # Errors
    /// - [`ErrorKind::LimitReached`](crate::ErrorKind::LimitReached): a limit on descriptors, memory or file sizes
    ///   (`RLIMIT_FSIZE` holds for memory too).
    /// - [`ErrorKind::Os`](crate::ErrorKind::Os): elements of more than 8 bytes need a lock that a sandbox
    ///   may refuse.
    pub fn new(length: usize) -> Result<Self, Error> {
        let elements = AtomicCells::create(length, size_of::<T>()).map_err(|source| {
            Error::os(format!("cannot make a shared array of {length} elements of {} bytes", size_of::<T>()), source)
        })?;
        Ok(Self::of(elements))
    }

    /// How many elements there are.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element, as it is at this moment.
    ///
    /// # Panics
    /// If the index is outside, as with a slice; [`try_get`](Self::try_get) does not.
    #[inline]
    #[must_use]
    #[track_caller]
    pub fn get(&self, index: usize) -> T {
        let mut value = T::zeroed();
        self.elements.load(index, bytes_of_mut(&mut value));
        value
    }

    /// The element, or `None` if the index is outside.
    #[inline]
    #[must_use]
    pub fn try_get(&self, index: usize) -> Option<T> {
        (index < self.len()).then(|| self.get(index))
    }

    /// Writes the element.
    ///
    /// # Panics
    /// If the index is outside, as with a slice; [`try_set`](Self::try_set) does not.
    #[inline]
    #[track_caller]
    pub fn set(&self, index: usize, value: T) {
        self.elements.store(index, bytes_of(&value));
    }

    /// Writes the element; `None` if the index is outside.
    #[inline]
    pub fn try_set(&self, index: usize, value: T) -> Option<()> {
        (index < self.len()).then(|| self.set(index, value))
    }

    /// Writes the element and returns what it was.
    ///
    /// # Panics
    /// If the index is outside, as with a slice.
    #[inline]
    #[track_caller]
    pub fn swap(&self, index: usize, value: T) -> T {
        let mut before = T::zeroed();
        self.elements.swap(index, bytes_of(&value), bytes_of_mut(&mut before));
        before
    }

    /// Writes the element if it is still `current`, byte for byte.
    ///
    /// # Errors
    /// What the element is, if it is not `current`.
    ///
    /// # Panics
    /// If the index is outside, as with a slice.
    #[inline]
    #[track_caller]
    pub fn compare_exchange(&self, index: usize, current: T, new: T) -> Result<T, T> {
        let mut found = T::zeroed();
        let exchanged =
            self.elements.compare_exchange(index, bytes_of(&current), bytes_of(&new), bytes_of_mut(&mut found));
        if exchanged { Ok(found) } else { Err(found) }
    }

    /// Changes the element by `change`, with no other write in between, and returns what it was.
    ///
    /// `change` is called again with a newer value if another process was faster. It runs under no lock: it may panic, take
    /// its time, and use this array.
    ///
    /// # Panics
    /// If the index is outside, as with a slice, or if `change` panics; then nothing is written.
    #[inline]
    #[track_caller]
    pub fn update(&self, index: usize, mut change: impl FnMut(T) -> T) -> T {
        let mut current = self.get(index);
        loop {
            match self.compare_exchange(index, current, change(current)) {
                Ok(before) => return before,
                Err(newer) => current = newer,
            }
        }
    }

    /// Reads as many elements as `out` has, from `start` on, one after the other.
    ///
    /// # Panics
    /// If they are not all inside, as with a slice; then nothing is read.
    #[track_caller]
    pub fn read_into(&self, start: usize, out: &mut [T]) {
        self.check_range(start, out.len());
        for (offset, value) in out.iter_mut().enumerate() {
            self.elements.load(start + offset, bytes_of_mut(value));
        }
    }

    /// Writes these elements from `start` on, one after the other.
    ///
    /// # Panics
    /// If they are not all inside, as with a slice; then nothing is written.
    #[track_caller]
    pub fn write_from(&self, start: usize, values: &[T]) {
        self.check_range(start, values.len());
        for (offset, value) in values.iter().enumerate() {
            self.elements.store(start + offset, bytes_of(value));
        }
    }

    /// Writes the same value into all elements, one after the other.
    pub fn fill(&self, value: T) {
        (0..self.len()).for_each(|index| self.set(index, value));
    }

    /// The elements, as each is when it is reached.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = T> + '_ {
        (0..self.len()).map(|index| self.get(index))
    }

    /// A copy of all elements, as each is when it is reached.
    #[must_use]
    pub fn to_vec(&self) -> Vec<T> {
        self.iter().collect()
    }

    #[track_caller]
    fn check_range(&self, start: usize, count: usize) {
        let length = self.len();
        let inside = start.checked_add(count).is_some_and(|end| end <= length);
        assert!(inside, "range out of bounds: the len is {length}, but {count} elements are to begin at {start}");
    }
}

impl<T> Clone for SharedArray<T> {
    fn clone(&self) -> Self {
        Self { elements: Arc::clone(&self.elements), kind: self.kind }
    }
}

/// Prints how many elements there are; what they are may change meanwhile.
impl<T> fmt::Debug for SharedArray<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedArray").field("len", &self.elements.len()).finish_non_exhaustive()
    }
}

impl<T: Pod> TryFrom<&[T]> for SharedArray<T> {
    type Error = Error;

    fn try_from(values: &[T]) -> Result<Self, Error> {
        let array = Self::new(values.len())?;
        array.write_from(0, values);
        Ok(array)
    }
}

impl<T: Pod> Serialize for SharedArray<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        encoding::serialize_array::<T, S>(&self.elements, serializer)
    }
}

impl<'de, T: Pod> Deserialize<'de> for SharedArray<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        encoding::deserialize_array::<T, D>(deserializer).map(Self::of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::ipc::wire::payload::{Payload, decode};

    type Three = [u64; 3];

    #[test]
    fn what_one_writes_the_other_reads_in_every_size() {
        fn check<T: Pod + PartialEq + fmt::Debug>(values: [T; 3]) {
            let array = SharedArray::<T>::new(5).unwrap();
            assert_eq!(array.to_vec(), [T::zeroed(); 5]);
            let other: SharedArray<T> = decode(Payload::encode(&array).unwrap()).unwrap();
            array.write_from(2, &values);
            let mut read = [T::zeroed(); 4];
            other.read_into(1, &mut read);
            assert_eq!(read[1..], values);
            assert_eq!(other.swap(0, values[0]), T::zeroed());
            assert_eq!(array.update(0, |_| values[1]), values[0]);
            assert_eq!(other.get(0), values[1]);
            assert_eq!(other.compare_exchange(0, values[0], values[2]), Err(values[1]));
            assert_eq!(other.compare_exchange(0, values[1], values[2]), Ok(values[1]));
        }
        check([1_u8, 2, 255]);
        check([-1_i16, 300, 7]);
        check([[1_u8, 2, 3], [4, 5, 6], [7, 8, 9]]);
        check([1.5_f32, -0.0, f32::MAX]);
        check([[1_u16; 3], [2; 3], [60_000; 3]]);
        check([1_u64 << 40, 2, 3]);
        check([u128::MAX, 1, 1 << 70]);
        check([[1_u8; 9], [2; 9], [255; 9]]);
        check([[1_u64; 100], [2; 100], [u64::MAX; 100]]);
    }

    #[test]
    fn threads_and_mappings_add_up_exactly_and_tear_nothing() {
        let small = SharedArray::<u32>::new(1).unwrap();
        let large = SharedArray::<Three>::new(1).unwrap();
        let other: SharedArray<Three> = decode(Payload::encode(&large).unwrap()).unwrap();
        std::thread::scope(|scope| {
            for large in [&large, &large, &other] {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        small.update(0, |count| count + 1);
                        large.update(0, |count| count.map(|count| count + 1));
                    }
                });
            }
            scope.spawn(|| {
                for _ in 0..20_000 {
                    let [first, second, third] = other.get(0);
                    assert!(first == second && second == third, "torn: {first} {second} {third}");
                }
            });
        });
        assert_eq!((small.get(0), large.get(0)), (60_000, [60_000; 3]));
    }

    #[test]
    fn a_flag_comes_after_its_data_in_every_size() {
        let data = SharedArray::<Three>::new(1000).unwrap();
        let flag = SharedArray::<u8>::new(1).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                (0..data.len()).for_each(|index| data.set(index, [7; 3]));
                flag.set(0, 1);
            });
            scope.spawn(|| {
                let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
                while flag.get(0) == 0 {
                    assert!(std::time::Instant::now() < deadline, "no flag");
                    std::thread::yield_now();
                }
                assert!(data.iter().all(|value| value == [7; 3]));
            });
        });
    }

    #[test]
    fn outside_is_none_or_a_panic() {
        let array = SharedArray::<u16>::new(3).unwrap();
        assert_eq!(
            (array.try_get(2), array.try_get(3), array.try_set(3, 1), array.try_set(0, 9)),
            (Some(0), None, None, Some(()))
        );
        for range in [(1, 3), (4, 0), (usize::MAX, 2)] {
            let read = || array.read_into(range.0, &mut vec![0; range.1]);
            assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)).is_err(), "{range:?}");
        }
        assert!(SharedArray::<u16>::new(0).unwrap().to_vec().is_empty());
    }

    #[test]
    fn a_panic_in_a_change_leaves_the_element_and_the_lock() {
        let array = SharedArray::<Three>::new(1).unwrap();
        let changed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| array.update(0, |_| panic!("no"))));
        assert!(changed.is_err());
        array.update(0, |before| {
            array.set(0, [1; 3]);
            before.map(|number| number + 1)
        });
        assert_eq!(array.get(0), [2; 3]);
    }

    #[test]
    fn more_than_there_can_be_is_an_error() {
        for length in [usize::MAX, usize::MAX / 8, 1 << 60] {
            let error = SharedArray::<u64>::new(length).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::LimitReached, "{error:?}");
            assert_eq!(SharedArray::<Three>::new(length).unwrap_err().kind(), ErrorKind::LimitReached);
        }
    }

    #[test]
    fn outside_of_a_send_it_is_not_serialised() {
        assert!(crate::ipc::codec::to_vec(&SharedArray::<u8>::new(1).unwrap()).is_err());
    }
}
