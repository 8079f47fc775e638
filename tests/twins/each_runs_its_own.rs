//! Runs the program of this package under every start method.

use std::process::Command;

use offspring::{Task, get_all_start_methods};

const CRATES: &str = "library\nbinary\nversion one\nversion two\nlibrary\nbinary\n";

#[test]
fn each_call_runs_its_own_function() {
    assert_eq!(version_one::which::NAME, version_two::which::NAME);
    for method in get_all_start_methods() {
        let mut program = Command::new(env!("CARGO_BIN_EXE_offspring-twins"));
        let ended = program.env("OFFSPRING_START_METHOD", method.to_string()).output().expect("the program runs");
        let (output, errors) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        assert!(ended.status.success(), "{method}: {output}{errors}");
        let duplicate = output.strip_prefix(CRATES).and_then(|rest| rest.strip_suffix(CRATES));
        let duplicate = duplicate.unwrap_or_else(|| panic!("{method}: {output}{errors}"));

        let (one, other) = duplicate.split_at(duplicate.len() / 2);
        assert_eq!(one, other, "{method}");
        assert!(one.starts_with("DuplicateTask: several tasks are called `taken`"), "{method}: {one}");
        let origin = concat!("offspring-twins ", env!("CARGO_PKG_VERSION"), ", binary `offspring-twins`\n");
        let places: Vec<&str> = one.split_inclusive('\n').filter(|line| line.contains("main.rs:")).collect();
        assert!(places.len() == 2 && places.iter().all(|line| line.ends_with(origin)), "{method}: {one}");
    }
}
