//! The library of a package whose binary has the same module.

pub mod tasks;
