//! README and guide: each sample output is that of its program, and each link leads to a file of the package.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace")
}

fn read(page: &str) -> String {
    fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// README and the pages of the guide, relative to the workspace.
fn pages() -> Vec<String> {
    let guide = fs::read_dir(root().join("docs/guide")).expect("a folder").map(|entry| entry.expect("an entry"));
    let guide = guide.map(|entry| format!("docs/guide/{}", entry.file_name().display()));
    let mut pages: Vec<_> = guide.filter(|page| page.ends_with(".md")).chain(["README.md".to_owned()]).collect();
    pages.sort();
    pages
}

/// The blocks of a page: language and text.
fn blocks(text: &str) -> Vec<(&str, &str)> {
    text.split("\n```")
        .skip(1)
        .step_by(2)
        .map(|block| block.split_once('\n').expect("a language, and a text on the next line"))
        .collect()
}

/// Numbers become `N`, hashes `H`, and runs of spaces one space.
fn normalised(output: &str) -> String {
    let word = |word: &str| {
        let is_hash = |part: &str| part.len() == 16 && part.chars().all(|c| c.is_ascii_hexdigit());
        let (hash, rest) = word.split_at_checked(16).unwrap_or(("", word));
        let (hash, rest) = if is_hash(hash) { ("H", rest) } else { ("", word) };
        let mut text = hash.to_owned();
        for c in rest.chars() {
            match c {
                '0'..='9' if text.ends_with('N') => {}
                '0'..='9' => text.push('N'),
                _ => text.push(c),
            }
        }
        text
    };
    let line = |line: &str| line.split_whitespace().map(word).collect::<Vec<_>>().join(" ");
    output.trim().lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Compares a program's output with the text of the page behind the block that begins so.
#[track_caller]
fn shows_output(page: &str, beginning: &str, program: &str, arguments: &[&str]) {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .env("RUST_BACKTRACE", "0")
        .output()
        .expect("the program runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{errors}", output.status);
    // Where a program is compiled is no matter of the page.
    let output = String::from_utf8_lossy(&output.stdout).replace(concat!(env!("OUT_DIR"), "/"), "src/");
    let output = output.replace("src/endings.rs", "src/main.rs");
    let text = read(page);
    let blocks = blocks(&text);
    let index = blocks.iter().position(|(_, text)| text.starts_with(beginning)).expect("the program is in the page");
    let (language, sample) = blocks[index + 1];
    assert_eq!(language, "text", "what follows the program in {page}");
    assert_eq!(normalised(sample), normalised(&output), "the output in {page}; it is now:\n{output}");
}

#[test]
fn the_output_of_the_readmes_program() {
    shows_output("README.md", "use std::time::Duration;", env!("CARGO_BIN_EXE_primes"), &[]);
}

#[test]
fn the_output_of_the_tour() {
    shows_output("README.md", "cargo run --release --example tour", env!("CARGO_BIN_EXE_tour_of_files"), &[]);
}

#[test]
fn the_output_of_children_that_end_badly() {
    let beginning = "use std::time::Duration;\n\nuse offspring::{Context, Stdio";
    shows_output("docs/guide/errors.md", beginning, env!("CARGO_BIN_EXE_endings"), &[]);
}

#[test]
fn the_output_of_a_logger() {
    shows_output("docs/guide/logging.md", "use log::", env!("CARGO_BIN_EXE_log_lines"), &[]);
}

/// The pages stand in `runtime/README.md` and `runtime/docs` of the published package.
#[test]
fn links_lead_to_files_of_the_package() {
    let mut dead = Vec::new();
    for page in pages() {
        let text = read(&page);
        let inline = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let definitions = text.lines().filter(|line| line.starts_with('['));
        let definitions = definitions.filter_map(|line| line.split_once("]: ").map(|(_, target)| target));
        for target in inline.chain(definitions) {
            let is_elsewhere = target.contains("://") || target.starts_with('#');
            let file = target.split('#').next().expect("a first part");
            let path = root().join("runtime").join(&page).parent().expect("a folder").join(file);
            let package = root().join("runtime").canonicalize().expect("a folder");
            let is_inside = fs::canonicalize(&path).is_ok_and(|path| {
                let in_docs = path.starts_with(root().join("docs"));
                in_docs || path == root().join("README.md") || path.starts_with(&package)
            });
            if !is_elsewhere && !is_inside {
                dead.push(format!("{page}: {target}"));
            }
        }
    }
    assert!(dead.is_empty(), "links that lead out of the package, or nowhere:\n  {}", dead.join("\n  "));
}

/// A reference that has no definition is shown with its brackets.
#[test]
fn references_are_defined() {
    for page in pages() {
        let text = read(&page);
        for definition in text.lines().filter(|line| line.starts_with('[')) {
            let Some((name, _)) = definition.split_once("]: ") else { continue };
            let uses = text.matches(&format!("{name}]")).count();
            assert!(uses > 1, "{page} defines {name}] and does not use it");
        }
    }
}

#[test]
fn every_page_is_in_the_readme_and_in_rustdoc() {
    let (readme, library) = (read("README.md"), read("runtime/src/lib.rs"));
    for page in pages().iter().filter(|page| *page != "README.md") {
        assert!(readme.contains(&format!("({page})")), "README has no link to {page}");
        assert!(library.contains(&format!("../{page}")), "rustdoc has no page {page}");
    }
}
