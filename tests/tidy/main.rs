//! The rules of the source code, held by reading it.

mod docs;
mod imports;
mod pages;
mod source;
mod text;
