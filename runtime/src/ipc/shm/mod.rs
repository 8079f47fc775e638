//! Memory that several processes share: written once and read in place ([`SharedSlice`], [`Bytes`]), or written by all
//! of them at once ([`SharedArray`]).
//!
//! Each travels in the arguments or the result of a task, alone or inside of any value that serde carries. What is handed
//! over is a descriptor, whatever the size; the receiver maps the same memory.
//!
//! ```
//! use offspring::{Bytes, SharedArray, child_task, process_main};
//!
//! /// Counts the bytes of a part of a text by their values.
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
//! # Who owns what, and when it is freed
//!
//! | | descriptor | mapping | goes away |
//! | --- | --- | --- | --- |
//! | [`SharedSlice`] of up to 16 KiB | none | none: it is ordinary memory, and travels as bytes | with its last clone or part here |
//! | a larger one, at its maker's | one, shared by clones and parts | one, to be read | with the last of them here |
//! | [`SharedArray`] at its maker's | one, shared by clones | one, to be read and written | with the last clone here |
//! | a [`Call`](crate::Call) with either in it | holds on to the same descriptor | none | with the call and its clones |
//! | on its way | the kernel's, in the socket | none | when it is received, or when nobody is left who could |
//! | at its receiver's | one of its own | one of its own | as at its maker's |
//! | a copy of the process (`fork`) | a copy of each | a copy of each | with the copy |
//!
//! The memory itself is freed by the kernel when the last descriptor and the last mapping of it *anywhere* are gone,
//! however their owners end: the maker is one holder among others and may be gone before. There is no name that could
//! be left over, and nothing to unlink. A slice keeps its whole memory; copy a small part out of a large one
//! (`part.to_vec()`) if only that is to be kept.
//!
//! # What a hostile process can do
//!
//! A [`SharedSlice`] that was received is sealed: nobody, its maker included, can change or shrink it, which is checked
//! before anything is read, like all the numbers that come with it. A [`SharedArray`] has a fixed length, but whoever has
//! it writes what he likes into it. That can make values wrong and can keep a lock, and cannot make memory unsafe.

mod array;
mod bytes;
mod encoding;
mod slice;

pub use array::SharedArray;
pub use bytes::Bytes;
pub use slice::SharedSlice;
