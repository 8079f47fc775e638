//! Every behaviour, written once and run for every start method.
//!
//! A name such as `exit_codes_row_18` says which row of the table of CPython's behaviours the case is checked against.

mod bootstrap;
mod contexts;
mod descriptors;
mod endings;
mod futures;
mod handles;
mod identity;
mod image;
mod lifelines;
mod options;
mod outcomes;
mod pool;
mod preloads;
mod present;
mod privileges;
mod servers;
mod statuses;
mod stdio;
mod tasks;
mod threads;

use std::process::ExitCode;

use offspring::process_main;
use offspring_tests::Suite;
use offspring_tests::program::Entry;

const SUITES: &[Suite] = &[
    ("outcomes", outcomes::CASES),
    ("handles", handles::CASES),
    ("options", options::CASES),
    ("present", present::CASES),
    ("privileges", privileges::CASES),
    ("identity", identity::CASES),
    ("contexts", contexts::CASES),
    ("lifelines", lifelines::CASES),
    ("endings", endings::CASES),
    ("descriptors", descriptors::CASES),
    ("image", image::CASES),
    ("stdio", stdio::CASES),
    ("futures", futures::CASES),
    ("threads", threads::CASES),
    ("statuses", statuses::CASES),
    ("preloads", preloads::CASES),
    ("servers", servers::CASES),
    ("bootstrap", bootstrap::CASES),
    ("pool::results", pool::results::CASES),
    ("pool::maps", pool::maps::CASES),
    ("pool::jobs", pool::jobs::CASES),
    ("pool::faults", pool::faults::CASES),
    ("pool::workers", pool::workers::CASES),
    ("pool::life", pool::life::CASES),
    ("pool::futures", pool::futures::CASES),
    ("pool::hostile", pool::hostile::CASES),
];

/// What cases start and watch from outside.
const PROGRAMS: &[Entry] = &[
    ("bootstrap::marker", bootstrap::marker),
    ("endings::ends", endings::ends),
    ("image::starts", image::starts),
    ("lifelines::parent", lifelines::parent),
    ("preloads::two_children", preloads::two_children),
    ("stdio::prints", stdio::prints),
    ("contexts::reports", contexts::reports),
    ("pool::life::has_a_pool", pool::life::has_a_pool),
];

#[process_main]
fn main() -> ExitCode {
    offspring_tests::main(SUITES, PROGRAMS)
}
