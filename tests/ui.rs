//! Accepted and refused uses of the attributes: each file in `ui/` holds one mistake, with the compiler's messages
//! beside.
//!
//! The messages are from one compiler, so with any other compiler this test only reports a skip. To record anew:
//! `TRYBUILD=overwrite cargo test -p offspring-tests --test ui`.

use std::process::Command;

/// The release of the compiler whose messages the `.stderr` files hold.
const RELEASE: &str = "rustc 1.95.";

#[test]
fn ui() {
    let version = compiler_version();
    if !version.starts_with(RELEASE) {
        println!("skipped: the messages are those of {RELEASE}x, and this is {version}");
        return;
    }
    // No case is debugged, and debug information is a good part of the work.
    offspring_tests::sys::set_variable("CARGO_PROFILE_DEV_DEBUG", "0");
    let cases = trybuild::TestCases::new();
    cases.pass("ui/pass/*.rs");
    for attribute in ["child_task", "process_main", "preload", "after_fork"] {
        cases.compile_fail(format!("ui/{attribute}/*.rs"));
    }
}

fn compiler_version() -> String {
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(compiler).arg("--version").output().expect("the compiler runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
