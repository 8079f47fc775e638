//! Rules for the pages beside the code.

use std::fs;
use std::path::PathBuf;

use crate::source::{none, root};

/// Returns the words of a page that name files or folders: words in backticks, and words in fenced blocks.
fn paths(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_block = false;
    for (index, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            in_block = !in_block;
            continue;
        }
        let spans: Vec<&str> = if in_block { vec![line] } else { line.split('`').skip(1).step_by(2).collect() };
        let words = spans.iter().flat_map(|span| span.split([' ', ',', '(', ')']));
        let named = words.filter(|word| word.ends_with(".rs") || word.ends_with('/') && word.len() > 1);
        found.extend(named.map(|word| (index + 1, word.to_owned())));
    }
    found
}

/// Returns the files and folders of the workspace.
fn everything() -> Vec<PathBuf> {
    let mut found = vec![root()];
    let mut index = 0;
    while index < found.len() {
        let folder = found[index].clone();
        index += 1;
        let is_built = folder.ends_with("target") || folder.ends_with(".git");
        if folder.is_dir() && !is_built {
            found.extend(fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path()));
        }
    }
    found
}

#[test]
fn pages_name_files_that_exist() {
    let mut offences = Vec::new();
    let known = everything();
    let decisions =
        fs::read_dir(root().join("docs/decisions")).expect("a folder").map(|entry| entry.expect("an entry").path());
    let pages = ["ARCHITECTURE.md", "CONTRIBUTING.md", "docs/format.md"].map(|page| root().join(page));
    for page in pages.into_iter().chain(decisions) {
        let text = fs::read_to_string(&page).expect("a page");
        for (line, path) in paths(&text) {
            if !path.contains(['<', '*', '…']) && !known.iter().any(|known| known.ends_with(&path)) {
                offences
                    .push(format!("{}:{line}: {path}", page.strip_prefix(root()).expect("below the root").display()));
            }
        }
    }
    none("files that are named and do not exist", offences);
}

#[test]
fn paths_are_found_in_spans_and_blocks() {
    let text = "`a/b.rs` and c.rs, `d/`\n```text\n  e/  f.rs g\n```\n";
    let found: Vec<String> = paths(text).into_iter().map(|(_, path)| path).collect();
    assert_eq!(found, ["a/b.rs", "d/", "e/", "f.rs"]);
}
