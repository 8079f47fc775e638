//! Rules for the text of the source files.

use std::path::Path;

use crate::source::{none, sources};

/// All folders with hand-written Rust code.
const FOLDERS: [&str; 6] = ["runtime/src", "macros/src", "tests", "examples", "bench/src", "fixtures"];

#[test]
fn unsafe_and_the_kernel_are_in_sys() {
    /// The promise of the user, passed on to `sys`.
    const EXCEPTION: &str = "fork_despite_threads";
    let mut offences = Vec::new();
    for source in sources("runtime/src").iter().filter(|source| !source.path.starts_with("sys")) {
        let mut excepted = false;
        for (line, code) in source.code() {
            excepted |= code.contains(EXCEPTION);
            let mut words = code.split(|c: char| !c.is_alphanumeric() && c != '_');
            let is_unsafe = words.clone().any(|word| word == "unsafe");
            let names_kernel = words.any(|word| word == "nix" || word == "libc");
            let is_exception = source.path.starts_with("process") && excepted;
            if names_kernel || is_unsafe && !is_exception {
                offences.push(format!("{}: {}", source.at(line), code.trim()));
            }
            // The function ends at its closing brace.
            excepted &= code != "    }";
        }
    }
    none("unsafe code or system calls outside of sys", offences);
}

#[test]
fn every_file_says_what_it_is() {
    let folders = [
        "runtime/src",
        "macros/src",
        "tests/support",
        "tests/behaviour",
        "tests/chaos",
        "tests/guard",
        "tests/values",
        "tests/tidy",
    ];
    for folder in folders {
        let silent = sources(folder).into_iter().filter(|source| !source.text.starts_with("//! "));
        none(
            &format!("files of {folder} without a first line of documentation"),
            silent.map(|source| source.at(1)).collect(),
        );
    }
}

#[test]
fn no_code_sleeps() {
    let sleep = format!("sleep{}", '(');
    let mut offences = Vec::new();
    for folder in ["runtime/src", "tests"] {
        for source in sources(folder).iter().filter(|source| !source.path.starts_with("ui")) {
            let asleep = source.code().filter(|(_, code)| code.contains(&sleep));
            offences.extend(asleep.map(|(line, _)| format!("{folder}/{}", source.at(line))));
        }
    }
    none("waits for time to pass, not for an event", offences);
}

#[test]
fn no_line_puts_something_off() {
    let marks = ["TODO", "FIXME", "XXX"];
    let mut offences = Vec::new();
    for folder in FOLDERS {
        for source in sources(folder) {
            let is_this = folder == "tests" && source.path == Path::new("tidy/text.rs");
            for (index, line) in source.text.lines().enumerate() {
                if !is_this && marks.iter().any(|mark| line.contains(mark)) {
                    offences.push(format!("{folder}/{}", source.at(index + 1)));
                }
            }
        }
    }
    none("lines that put something off", offences);
}

/// The width in `rustfmt.toml`, also for comments, which rustfmt leaves alone.
const LONGEST_LINE: usize = 120;

#[test]
fn no_line_is_too_long() {
    let mut offences = Vec::new();
    for folder in FOLDERS {
        // Each case of `ui` stands as a user would write it.
        for source in sources(folder).iter().filter(|source| !source.path.starts_with("ui")) {
            let long = source.text.lines().enumerate().filter(|(_, line)| line.chars().count() > LONGEST_LINE);
            offences.extend(long.map(|(index, _)| format!("{folder}/{}", source.at(index + 1))));
        }
    }
    none(&format!("lines of more than {LONGEST_LINE} characters"), offences);
}
