//! Values of every serde shape, by every start method: each value arrives equal, or an error tells the reason.
//!
//! ```text
//!   attributes, asymmetric   structs and enums with serde's attributes, and implementations by hand
//!   std_types, foreign_types types of std and of well-known crates
//!   places                   the same few values in every place where a value crosses to another process
//!   buffered                 values that serde itself may lose on the way: equal or refused, never changed
//!   errors                   the error texts of refused values
//! ```
//!
//! serde_json tells which values must arrive: every value that serde_json returns unchanged.

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
