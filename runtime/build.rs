//! Does nothing: `links` in `Cargo.toml` needs a build script.
//!
//! A program registers its tasks in one list, and a child enters by one guard. Two incompatible versions of this crate
//! would have two of each. `links` makes Cargo refuse such a program before anything is built.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}
