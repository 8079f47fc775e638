//! Elements that many processes and threads write at the same time.

use std::fmt;
use std::sync::Arc;

use bytemuck::{Pod, bytes_of, bytes_of_mut};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::encoding;
use crate::error::Error;
use crate::sys::atomic_cells::AtomicCells;

/// A fixed number of elements that any number of processes read and write at once. Elements begin as zeroes.
///
/// Elements are copied in and out. There is no reference to an element, since another process may write at any time.
/// Two things hold beyond memory safety:
///
/// - **An element is never torn**, not even by a kill in the midst of a write: a write has happened or not. Elements of
///   up to 8 bytes are atomics (3 bytes take 4, and 5 to 7 take 8). Larger elements have locks, one for each of up to
///   64 stretches of the array. The kernel takes a lock from a dead holder, and the next holder finishes the write. So
///   a death blocks no process, and there is no poison to clear. A reader locks only after 16 reads disturbed by
///   writers.
/// - **A write makes all earlier writes visible.** A process that reads an element sees all that the writer wrote
///   before, in this array or elsewhere. Reads are `Acquire`, writes are `Release`, read-modify-writes are both. So a
///   flag set after the data guards data of any size. Writes to *different* elements by different processes have no
///   single order (`SeqCst`).
///
/// Methods over several elements treat one after the other. Another process may write in between.
///
/// | element | read | update |
/// | --- | --- | --- |
/// | up to 8 bytes | 0.6 ns | 2.5 ns |
/// | 24 bytes | 18 ns | 54 ns |
///
/// Clones share the memory.
///
/// # Elements
///
/// `T` is plain old data ([`Pod`]) of any alignment. See [`shm`](crate::shm#structs) for a struct. A type of size 0 is
/// refused by the compiler.
///
/// For elements of more than 8 bytes: a signal handler must not access the array. A *stopped* writer keeps its lock.
/// All processes should be in one pid namespace, since the locks know threads by id.
///
/// # Serialisation
///
/// An array can be serialised in the arguments or the result of a task, or in a message. Serialising elsewhere is an
/// error of the serializer.
///
/// # Examples
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
///
/// Source: [memfd_create(2)](https://man7.org/linux/man-pages/man2/memfd_create.2.html),
/// [get_robust_list(2)](https://man7.org/linux/man-pages/man2/get_robust_list.2.html).
pub struct SharedArray<T> {
    cells: Arc<AtomicCells>,
    kind: std::marker::PhantomData<fn(T) -> T>,
}

impl<T: Pod> SharedArray<T> {
    const HAS_SIZE: () = assert!(size_of::<T>() != 0, "elements without a size have nothing to share");

    fn of(cells: AtomicCells) -> Self {
        let () = Self::HAS_SIZE;
        Self { cells: Arc::new(cells), kind: std::marker::PhantomData }
    }

    /// Makes an array of `length` zeroes. The kernel provides memory at the first write of each page.
    ///
    /// # Errors
    ///
    /// - [`LimitReached`](crate::ErrorKind::LimitReached): a limit on descriptors, memory or file sizes. `RLIMIT_FSIZE`
    ///   counts for memory too.
    /// - [`Os`](crate::ErrorKind::Os): a sandbox refuses the lock for elements of more than 8 bytes, or the memory.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::SharedArray;
    ///
    /// let temperatures = SharedArray::<f64>::new(365)?;
    /// assert_eq!(temperatures.get(0), 0.0);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn new(length: usize) -> Result<Self, Error> {
        let cells = AtomicCells::create(length, size_of::<T>()).map_err(|source| {
            Error::os(format!("cannot make a shared array of {length} elements of {} bytes", size_of::<T>()), source)
        })?;
        Ok(Self::of(cells))
    }

    /// Returns the number of elements.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::SharedArray;
    ///
    /// assert_eq!(SharedArray::<u8>::new(3)?.len(), 3);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether the array has no elements.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::SharedArray;
    ///
    /// assert!(SharedArray::<u8>::new(0)?.is_empty());
    /// # Ok::<(), offspring::Error>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the element at `index`.
    ///
    /// # Panics
    ///
    /// If `index` is out of bounds. [`try_get`](Self::try_get) returns `None` then.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::SharedArray;
    ///
    /// let array = SharedArray::try_from([1_u32, 2, 3].as_slice())?;
    /// assert_eq!(array.get(2), 3);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    #[inline]
    #[must_use]
    #[track_caller]
    pub fn get(&self, index: usize) -> T {
        let mut value = T::zeroed();
        self.cells.load(index, bytes_of_mut(&mut value));
        value
    }

    /// Returns the element at `index`, or `None` if `index` is out of bounds.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::SharedArray;
    ///
    /// let array = SharedArray::<u32>::new(3)?;
    /// assert_eq!((array.try_get(2), array.try_get(3)), (Some(0), None));
    /// # Ok::<(), offspring::Error>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn try_get(&self, index: usize) -> Option<T> {
        (index < self.len()).then(|| self.get(index))
    }

    /// Writes the element at `index`.
    ///
    /// # Panics
    ///
    /// If `index` is out of bounds. [`try_set`](Self::try_set) returns `None` then.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::SharedArray;
    ///
    /// let array = SharedArray::new(3)?;
    /// array.set(1, 7_u32);
    /// assert_eq!(array.to_vec(), [0, 7, 0]);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn set(&self, index: usize, value: T) {
        self.cells.store(index, bytes_of(&value));
    }

    /// Writes the element at `index`. Returns `None` if `index` is out of bounds.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::SharedArray;
    ///
    /// let array = SharedArray::new(3)?;
    /// assert_eq!((array.try_set(2, 7_u32), array.try_set(3, 7)), (Some(()), None));
    /// # Ok::<(), offspring::Error>(())
    /// ```
    #[inline]
    pub fn try_set(&self, index: usize, value: T) -> Option<()> {
        (index < self.len()).then(|| self.set(index, value))
    }

    /// Writes the element at `index`. Returns the element before.
    ///
    /// # Panics
    ///
    /// If `index` is out of bounds.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::SharedArray;
    ///
    /// let is_taken = SharedArray::<u8>::new(1)?;
    /// assert_eq!((is_taken.swap(0, 1), is_taken.swap(0, 1)), (0, 1)); // the first caller takes
    /// # Ok::<(), offspring::Error>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn swap(&self, index: usize, value: T) -> T {
        let mut before = T::zeroed();
        self.cells.swap(index, bytes_of(&value), bytes_of_mut(&mut before));
        before
    }

    /// Writes the element at `index` if the element equals `current`, byte for byte. Returns `current` then.
    ///
    /// # Errors
    ///
    /// The element, if not equal to `current`. Nothing is written.
    ///
    /// # Panics
    ///
    /// If `index` is out of bounds.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::SharedArray;
    ///
    /// let owner = SharedArray::<u32>::new(1)?;
    /// assert_eq!(owner.compare_exchange(0, 0, 7), Ok(0));
    /// assert_eq!(owner.compare_exchange(0, 0, 8), Err(7));
    /// # Ok::<(), offspring::Error>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn compare_exchange(&self, index: usize, current: T, new: T) -> Result<T, T> {
        let mut found = T::zeroed();
        let exchanged =
            self.cells.compare_exchange(index, bytes_of(&current), bytes_of(&new), bytes_of_mut(&mut found));
        if exchanged { Ok(found) } else { Err(found) }
    }

    /// Replaces the element at `index` by `change` of the element, atomically. Returns the element before.
    ///
    /// Calls `change` again with the newer element if another process has written meanwhile. `change` runs under no
    /// lock, so that `change` may panic, take long, and use this array.
    ///
    /// # Panics
    ///
    /// If `index` is out of bounds, or if `change` panics. Nothing is written then.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::SharedArray;
    ///
    /// let highest = SharedArray::<u32>::new(1)?;
    /// for n in [3, 9, 4] {
    ///     highest.update(0, |highest| highest.max(n));
    /// }
    /// assert_eq!(highest.get(0), 9);
    /// # Ok::<(), offspring::Error>(())
    /// ```
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

    /// Reads `out.len()` elements from `start` on, one after the other.
    ///
    /// # Panics
    ///
    /// If the range is out of bounds. Nothing is read then.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::SharedArray;
    ///
    /// let array = SharedArray::try_from([1_u32, 2, 3].as_slice())?;
    /// let mut pair = [0; 2];
    /// array.read_into(1, &mut pair);
    /// assert_eq!(pair, [2, 3]);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    #[track_caller]
    pub fn read_into(&self, start: usize, out: &mut [T]) {
        self.check_range(start, out.len());
        for (offset, value) in out.iter_mut().enumerate() {
            self.cells.load(start + offset, bytes_of_mut(value));
        }
    }

    /// Writes `values` from `start` on, one element after the other.
    ///
    /// # Panics
    ///
    /// If the range is out of bounds. Nothing is written then.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::SharedArray;
    ///
    /// let array = SharedArray::new(4)?;
    /// array.write_from(1, &[7_u32, 8]);
    /// assert_eq!(array.to_vec(), [0, 7, 8, 0]);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    #[track_caller]
    pub fn write_from(&self, start: usize, values: &[T]) {
        self.check_range(start, values.len());
        for (offset, value) in values.iter().enumerate() {
            self.cells.store(start + offset, bytes_of(value));
        }
    }

    /// Writes `value` into all elements, one after the other.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::SharedArray;
    ///
    /// let array = SharedArray::new(3)?;
    /// array.fill(7_u32);
    /// assert_eq!(array.to_vec(), [7; 3]);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn fill(&self, value: T) {
        (0..self.len()).for_each(|index| self.set(index, value));
    }

    /// Returns an iterator over the elements. Reads each element when reached.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::SharedArray;
    ///
    /// let array = SharedArray::try_from([1_u32, 2, 3].as_slice())?;
    /// assert_eq!(array.iter().sum::<u32>(), 6);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn iter(&self) -> impl ExactSizeIterator<Item = T> + '_ {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Copies all elements, one after the other.
    ///
    /// # Examples
    ///
    /// ```
    /// use offspring::SharedArray;
    ///
    /// assert_eq!(SharedArray::<u16>::new(2)?.to_vec(), [0, 0]);
    /// # Ok::<(), offspring::Error>(())
    /// ```
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

/// Makes another handle of the same memory. Costs a reference count.
impl<T> Clone for SharedArray<T> {
    fn clone(&self) -> Self {
        Self { cells: Arc::clone(&self.cells), kind: self.kind }
    }
}

/// Prints the number of elements.
impl<T> fmt::Debug for SharedArray<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedArray").field("len", &self.cells.len()).finish_non_exhaustive()
    }
}

/// Copies a slice. Errors as [`SharedArray::new`].
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
        encoding::serialize_array::<T, S>(&self.cells, serializer)
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
