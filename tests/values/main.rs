//! Values of every shape that serde has, by every start method: each arrives equal, or an error says why not.
//!
//! ```text
//!   attributes, asymmetric   what serde's attributes, and implementations by hand, make of structs and enums
//!   std_types, foreign_types what std and well-known crates implement
//!   places                   the same few values in every place where a value crosses to another process
//!   buffered                 values that serde itself may lose on the way: equal or refused, never another
//!   errors                   what is said of a value that is refused
//! ```
//!
//! What must arrive is told by another format: a value that comes out of serde_json as it went in.

mod asymmetric;
mod attributes;
mod buffered;
mod errors;
mod foreign_types;
mod places;
mod std_types;
mod table;

use std::process::ExitCode;

use offspring::process_main;
use offspring_tests::Suite;

const SUITES: &[Suite] = &[
    ("attributes", attributes::CASES),
    ("asymmetric", asymmetric::CASES),
    ("std_types", std_types::CASES),
    ("foreign_types", foreign_types::CASES),
    ("places", places::CASES),
    ("buffered", buffered::CASES),
    ("errors", errors::CASES),
];

#[process_main]
fn main() -> ExitCode {
    offspring_tests::main(SUITES, &[])
}
