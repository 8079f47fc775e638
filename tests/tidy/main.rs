//! The rules of the source code, checked by reading the files.

mod docs;
mod imports;
mod pages;
mod source;
mod text;
