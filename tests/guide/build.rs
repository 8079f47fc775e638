//! Takes the programs whose output a page shows out of the page: a block of Rust, and the next block, of text.

use std::fs;
use std::path::Path;

/// The program of `programs/`, its page, and how its source begins in the page.
const PROGRAMS: [(&str, &str, &str); 3] = [
    ("primes", "../../README.md", "use std::time::Duration;\n\nuse offspring::{StartMethod, child_task"),
    ("endings", "../../docs/guide/errors.md", "use std::time::Duration;\n\nuse offspring::{Context, Stdio"),
    ("log_lines", "../../docs/guide/logging.md", "use log::"),
];

fn main() {
    let folder = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    for (name, page, beginning) in PROGRAMS {
        println!("cargo::rerun-if-changed={page}");
        let text = fs::read_to_string(page).unwrap_or_else(|error| panic!("{page}: {error}"));
        let start = text.find(beginning).unwrap_or_else(|| panic!("no program in {page} begins with {beginning:?}"));
        let program = text[start..].split("```").next().expect("a first part");
        fs::write(Path::new(&folder).join(format!("{name}.rs")), program).expect("OUT_DIR can be written");
    }
}
