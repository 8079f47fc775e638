//! Python, if installed.

use std::process::{Command, Stdio};

pub(crate) const PROGRAM: &str = "python3";

/// Tells whether Python runs here.
pub(crate) fn is_there() -> bool {
    version().is_some()
}

/// Returns Python's version text.
pub(crate) fn version() -> Option<String> {
    let output = Command::new(PROGRAM).arg("--version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
