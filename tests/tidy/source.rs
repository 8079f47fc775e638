//! The source files of the workspace, read as text.

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) struct Source {
    /// Relative to the requested folder.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl Source {
    /// Returns the lines without comments, numbered from one.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default()))
    }

    pub(crate) fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// Returns the Rust files below a folder of the workspace, sorted.
pub(crate) fn sources(folder: &str) -> Vec<Source> {
    let base = root().join(folder);
    let mut folders = vec![base.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                let is_built = entry.file_name().is_some_and(|name| name == "target");
                folders.extend((!is_built).then_some(entry));
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&entry).expect("a text");
                let path = entry.strip_prefix(&base).expect("below the folder").to_owned();
                found.push(Source { path, text });
            }
        }
    }
    assert!(!found.is_empty(), "no Rust file in {folder}");
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

pub(crate) fn none(rule: &str, offences: Vec<String>) {
    assert!(offences.is_empty(), "{rule}:\n  {}", offences.join("\n  "));
}
