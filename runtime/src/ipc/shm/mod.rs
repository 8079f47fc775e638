//! Shared memory: written once and read in place ([`SharedSlice`], [`Bytes`]), or written by all processes at once
//! ([`SharedArray`]).
//!
//! Both travel in the arguments or the result of a task, or in a message, alone or inside any value that serde
//! carries. A transfer of any size passes a descriptor, and the receiver maps the same memory.
//!
//! ```
//! use offspring::{Bytes, SharedArray, child_task, process_main};
//!
//! /// Counts how often each byte occurs in a part of a text.
//! #[child_task]
//! fn count(part: Bytes, counts: SharedArray<u64>) {
//!     for byte in part.iter() {
//!         counts.update(usize::from(*byte), |count| count + 1);
//!     }
//! }
//!
//! #[process_main]
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let text = Bytes::try_from("how often does each letter occur? ".repeat(10_000))?;
//!     let counts = SharedArray::new(256)?;
//!     let (front, back) = (text.slice(..text.len() / 2), text.slice(text.len() / 2..));
//!     let children = [count::start(front, counts.clone())?, count::start(back, counts.clone())?];
//!     for child in children {
//!         child.join()?;
//!     }
//!     assert_eq!(counts.get(usize::from(b'o')), 40_000);
//!     assert_eq!(counts.iter().sum::<u64>(), text.len() as u64);
//!     Ok(())
//! }
//! ```
//!
//! | | [`SharedSlice`] | [`SharedArray`] |
//! | --- | --- | --- |
//! | written | once, by its creator | at any time, by any process |
//! | read as | `&[T]`, in place | `T`, copied out |
//! | memory | a sealed memory file; up to 16 KiB ordinary memory | a memory file of fixed length |
//! | for | input and results of any size | counters, flags, cells of a result that many processes fill in |
//!
//! # Structs
//!
//! Elements are *plain old data*, [`Pod`](crate::bytemuck::Pod): numbers, arrays, and structs of those without padding.
//! Derive `Pod` for a struct with the crate bytemuck:
//!
//! ```toml
//! bytemuck = { version = "1", features = ["derive"] }
//! ```
//!
//! ```
//! use bytemuck::{Pod, Zeroable};
//! use offspring::{SharedSlice, child_task, process_main};
//!
//! #[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
//! #[repr(C)]
//! struct Point {
//!     x: f32,
//!     y: f32,
//! }
//!
//! #[child_task]
//! fn span(points: SharedSlice<Point>) -> f32 {
//!     let (mut left, mut right) = (f32::MAX, f32::MIN);
//!     for point in points.iter() {
//!         (left, right) = (left.min(point.x), right.max(point.x));
//!     }
//!     right - left
//! }
//!
//! #[process_main]
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let points = SharedSlice::new(&[Point { x: 0.0, y: 2.0 }, Point { x: 4.0, y: 6.0 }])?;
//!     assert_eq!(span::start(points)?.join()?, 4.0);
//!     Ok(())
//! }
//! ```
//!
//! The crate re-exports the same bytemuck as [`offspring::bytemuck`](crate::bytemuck), so that a function that is
//! generic over elements needs no dependency: `fn total<T: offspring::bytemuck::Pod>(elements: SharedSlice<T>)`.
//!
//! # Ownership
//!
//! | | descriptor | mapping | released with |
//! | --- | --- | --- | --- |
//! | [`SharedSlice`] of up to 16 KiB | none | none, as the bytes travel | the last clone or part |
//! | a larger slice, in the making process | one, shared by clones | one, to be read | the last clone or part |
//! | [`SharedArray`], in the making process | one, shared by clones | one, to be written | the last clone |
//! | a [`Call`](crate::Call) with either | a share of the same descriptor | none | the last clone of the call |
//! | in transit | the kernel's, in the socket | none | the reception, or the end of the last receiver |
//! | in the receiving process | one | one | as in the making process |
//! | in a forked copy of the process | a copy of each | a copy of each | the copy |
//!
//! The kernel frees the memory with the last descriptor and the last mapping in *any* process, however the process
//! ends. The making process is a holder like any other, and may end first. The memory has no name, so that nothing can
//! be left behind and nothing has to be unlinked.
//!
//! A part of a slice keeps the whole memory. To keep only a small part of a large slice, copy the part:
//! `part.to_vec()`.
//!
//! # Hostile processes
//!
//! A received [`SharedSlice`] is sealed. No process can change or shrink the memory, not even the creator. The receiver
//! checks the seals, and all numbers received, before reading anything.
//!
//! A [`SharedArray`] has a fixed length. A hostile process can write wrong values and keep a lock. It cannot make
//! memory unsafe.

mod array;
mod bytes;
mod encoding;
mod slice;

pub use array::SharedArray;
pub use bytes::Bytes;
pub use slice::SharedSlice;
