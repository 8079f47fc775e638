//! Kills, limits and storms: at any moment, a start or a join ends with a value or a typed error, and leaves no
//! process, descriptor or memory behind.
//!
//! Moments are random. Each case prints its seed, and `OFFSPRING_TESTS_SEED` repeats a case, as far as processes can be
//! repeated.

mod channels;
mod crowds;
mod kills;
mod limits;
mod locks;
mod pool;
mod shm;
mod storms;

use std::process::ExitCode;

use offspring::process_main;
use offspring_tests::Suite;
use offspring_tests::program::Entry;

const SUITES: &[Suite] = &[
    ("kills", kills::CASES),
    ("limits", limits::CASES),
    ("storms", storms::CASES),
    ("crowds", crowds::CASES),
    ("shm", shm::CASES),
    ("channels", channels::CASES),
    ("locks", locks::CASES),
    ("pool", pool::CASES),
];

/// The programs that are killed from outside.
const PROGRAMS: &[Entry] =
    &[("kills::starts_for_ever", kills::starts_for_ever), ("pool::works_for_ever", pool::works_for_ever)];

#[process_main]
fn main() -> ExitCode {
    offspring_tests::main(SUITES, PROGRAMS)
}
