//! The rules of the source code, held by reading it.

use std::fs;
use std::path::{Path, PathBuf};

/// Each module of the runtime may use those behind it, and none before it; `platform` beside them what it needs of `sys`.
#[rustfmt::skip]
const ORDER: [&str; 17] = [
    "pool", "context", "process", "launch", "bootstrap", "lineage", "children", "task",
    "channel", "sync", "shm", "fd", "reactor", "patience", "wire", "codec", "sys",
];

/// They stand before all others: what generated code and `main` enter by.
const ENTRANCES: [&str; 2] = ["entrypoint", "private"];

/// Everyone may use these.
const SHARED: [&str; 3] = ["error", "report", "platform"];

struct Source {
    /// Relative to `runtime/src`.
    path: PathBuf,
    text: String,
}

impl Source {
    /// `launch/forkserver/client.rs` is of the module `launch`.
    fn module(&self) -> String {
        let first = self.path.components().next().expect("a path has a beginning");
        first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
    }

    /// Its lines without comments, numbered from one.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default()))
    }

    fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// The Rust files below a folder of the workspace.
fn sources(folder: &str) -> Vec<Source> {
    let base = root().join(folder);
    let mut folders = vec![base.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&entry).expect("a text");
                let path = entry.strip_prefix(&base).expect("below the folder").to_owned();
                found.push(Source { path, text });
            }
        }
    }
    assert!(!found.is_empty(), "nothing in {folder}");
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

fn none(what: &str, offences: Vec<String>) {
    assert!(offences.is_empty(), "{what}:\n  {}", offences.join("\n  "));
}

/// The modules that the text names behind `crate::`, with the line of each: `crate::sys::fd`, `crate::{children, sys}`.
fn used(source: &Source) -> Vec<(usize, String)> {
    let text: String = source.code().flat_map(|(_, line)| [line, "\n"]).collect();
    let mut uses = Vec::new();
    for (start, _) in text.match_indices("crate::") {
        let is_macro_path = text[..start].ends_with('$');
        let line = text[..start].matches('\n').count() + 1;
        let rest = &text[start + "crate::".len()..];
        let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
        if is_macro_path {
            continue;
        }
        if let Some(list) = rest.strip_prefix('{') {
            uses.extend(items(list).map(|item| (line, name(item))));
        } else {
            uses.push((line, name(rest)));
        }
    }
    uses
}

/// The items of a list in braces whose opening one has been read: those of inner lists are part of theirs.
fn items(list: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_i32;
    let end = list.char_indices().find(|(_, c)| {
        depth += i32::from(*c == '{') - i32::from(*c == '}');
        depth < 0
    });
    let list = &list[..end.map_or(list.len(), |(index, _)| index)];
    let mut depth = 0_i32;
    list.split(move |c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|item| !item.is_empty())
}

#[test]
fn imports_point_right() {
    let place = |module: &str| ORDER.iter().position(|known| *known == module);
    let mut offences = Vec::new();
    for source in sources("runtime/src") {
        let module = source.module();
        if module == "lib" || ENTRANCES.contains(&&*module) {
            continue;
        }
        for (line, used) in used(&source) {
            let allowed = match (&*module, place(&module), place(&used)) {
                _ if used == module || SHARED.contains(&&*used) => true,
                // What only ever holds texts and numbers needs to know how the system calls them.
                ("error" | "platform", _, _) => used == "sys",
                (_, Some(own), Some(other)) => own < other,
                // A type or function of the crate's root, as `crate::Process` in a comment's place.
                _ => used.starts_with(char::is_uppercase),
            };
            if !allowed {
                offences.push(format!("{}: `{module}` uses `{used}`", source.at(line)));
            }
        }
    }
    none("imports against the order", offences);
}

#[test]
fn every_module_has_its_place() {
    let known = |module: &str| {
        ORDER.contains(&module) || ENTRANCES.contains(&module) || SHARED.contains(&module) || module == "lib"
    };
    let strangers = sources("runtime/src").iter().map(Source::module).filter(|module| !known(module)).collect();
    none("modules that the order of imports does not know", strangers);
}

#[test]
fn unsafe_and_the_kernel_are_in_sys() {
    /// The one promise that users make themselves, handed on to `sys`.
    const EXCEPTION: &str = "fork_despite_threads";
    let mut offences = Vec::new();
    for source in sources("runtime/src").iter().filter(|source| source.module() != "sys") {
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
            // The function ends where its brace does.
            excepted &= code != "    }";
        }
    }
    none("unsafe code or system calls outside of sys", offences);
}

#[test]
fn every_file_says_what_it_is() {
    for folder in
        ["runtime/src", "macros/src", "tests/support", "tests/behaviour", "tests/chaos", "tests/guard", "tests/values"]
    {
        let silent = sources(folder).into_iter().filter(|source| !source.text.starts_with("//! "));
        none(&format!("files of {folder} that begin without a word"), silent.map(|source| source.at(1)).collect());
    }
}

#[test]
fn nobody_sleeps() {
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
fn nothing_is_left_for_later() {
    let marks = ["TODO", "FIXME", "XXX"];
    let mut offences = Vec::new();
    for folder in ["runtime/src", "macros/src", "tests", "examples"] {
        for source in sources(folder) {
            let is_this = folder == "tests" && source.path == Path::new("tidy.rs");
            for (index, line) in source.text.lines().enumerate() {
                if !is_this && marks.iter().any(|mark| line.contains(mark)) {
                    offences.push(format!("{folder}/{}", source.at(index + 1)));
                }
            }
        }
    }
    none("lines that put something off", offences);
}

#[test]
fn the_tests_of_this_file_can_read() {
    let source = Source {
        path: "launch/x.rs".into(),
        text: "use crate::{children::{self, Child}, sys};\nlet x = crate::wire::y(); // crate::pool\n".to_owned(),
    };
    let uses = used(&source);
    let names: Vec<&str> = uses.iter().map(|(_, name)| &**name).collect();
    assert_eq!(names, ["children", "sys", "wire"]);
    assert_eq!(uses[2].0, 2);
}
