//! The registry: every task that is linked into this program, found by name, crate and signature.
//!
//! `#[child_task]` submits a [`TaskEntry`] for each function through `inventory` when the program is linked. Parent and
//! child are the same program and have the same registry. A child that misses the task reports the difference.
//!
//! One program may have several tasks of one name: `lib.rs` and `main.rs` of a package both say `mod tasks;`, or two
//! versions of a library are linked. The [`Origin`] tells such tasks apart. Only two tasks with the same name and the
//! same origin are a conflict.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::arguments::{ArgumentDecoder, EncodedOutput, UndecodableArguments};
use crate::error::{Error, ErrorKind};
use crate::platform::StartMethod;

/// A task as the registry knows the task.
#[derive(Debug)]
pub struct TaskEntry {
    /// The name of the task.
    pub name: &'static str,
    /// The signature as written.
    pub signature: &'static str,
    /// A hash of the signature.
    pub fingerprint: u64,
    /// The crate of the function.
    pub origin: Origin,
    /// The source file of the function.
    pub file: &'static str,
    /// The line of the function.
    pub line: u32,
    /// The start method of `task::start`, if the attribute names one.
    pub start_method: Option<StartMethod>,
    /// The time limit, if the attribute names one.
    pub timeout: Option<Duration>,
    /// Whether a pool may run the task again after the worker has died.
    pub idempotent: bool,
    /// Decodes the arguments, runs the function, and encodes the result.
    pub run: fn(&mut ArgumentDecoder<'_>) -> Result<EncodedOutput, UndecodableArguments>,
}

inventory::collect!(TaskEntry);

impl TaskEntry {
    pub(crate) fn id(&self) -> TaskId {
        TaskId { origin: self.origin.hash(), fingerprint: self.fingerprint }
    }

    /// Whether a child could take one entry for the other.
    fn conflicts_with(&self, other: &Self) -> bool {
        (self.name, &self.origin) == (other.name, &other.origin)
    }
}

/// The crate of a task, as cargo describes the crate to the compiler. All fields are empty without cargo.
///
/// The path of a module begins with the name of the crate. The library and the binary of a package share this name, and
/// so do all versions of a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// `CARGO_PKG_NAME`.
    pub package: Option<&'static str>,
    /// `CARGO_PKG_VERSION`.
    pub version: Option<&'static str>,
    /// `CARGO_BIN_NAME`. Set for binaries and examples only.
    pub binary: Option<&'static str>,
    /// Whether the crate is built as a test. A file in `tests` may have the name of the library.
    pub test: bool,
}

impl Origin {
    /// Returns the hash that a parent sends to a child.
    fn hash(&self) -> u64 {
        let mut hash = Fnv::default();
        for part in [self.package, self.version, self.binary] {
            hash.add(part.unwrap_or_default().as_bytes());
            // No text has the byte 0xff, so two lists of texts never collide.
            hash.add(&[0xff, u8::from(part.is_some())]);
        }
        hash.add(&[u8::from(self.test)]);
        hash.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.package, self.version) {
            (Some(package), Some(version)) => write!(f, "{package} {version}, ")?,
            (Some(package), None) => write!(f, "{package}, ")?,
            (None, _) => f.write_str("built without cargo, ")?,
        }
        match (self.binary, self.test) {
            (Some(binary), false) => write!(f, "binary `{binary}`"),
            (Some(binary), true) => write!(f, "test of binary `{binary}`"),
            (None, true) => f.write_str("test"),
            (None, false) => f.write_str("library"),
        }
    }
}

/// Tells a task from the other tasks with the same name: the hashes of the crate and of the signature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TaskId {
    origin: u64,
    fingerprint: u64,
}

/// Returns every task of this program, sorted by name: `inventory` has no order of its own.
fn registry() -> &'static [&'static TaskEntry] {
    static REGISTRY: OnceLock<Vec<&'static TaskEntry>> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let mut entries: Vec<&'static TaskEntry> = inventory::iter::<TaskEntry>().collect();
        entries.sort_by_key(|entry| (entry.name, entry.origin, entry.file, entry.line));
        entries
    })
}

/// Returns the index of an entry in the registry. The index is the same in every process of this program.
pub(crate) fn index_of(entry: &'static TaskEntry) -> Option<u64> {
    let registry = registry();
    let start = registry.partition_point(|known| known.name < entry.name);
    let mut named = registry[start..].iter().take_while(|known| known.name == entry.name);
    named.position(|known| known.conflicts_with(entry)).map(|offset| (start + offset) as u64)
}

/// Returns the task at an index of the registry.
pub(crate) fn entry_at(index: u64) -> Option<&'static TaskEntry> {
    registry().get(usize::try_from(index).ok()?).copied()
}

/// Finds a task by name and id.
///
/// # Errors
/// Each error lists the candidates with file, line and crate.
///
/// - `UnknownTask`: no task has the name and the crate.
/// - `DuplicateTask`: several tasks have the name and the crate.
/// - `SignatureMismatch`: the task has another signature.
pub(crate) fn lookup(name: &str, id: TaskId) -> Result<&'static TaskEntry, Error> {
    find(registry(), name, id)
}

fn find(registry: &[&'static TaskEntry], name: &str, id: TaskId) -> Result<&'static TaskEntry, Error> {
    let start = registry.partition_point(|entry| entry.name < name);
    let named = registry[start..].iter().take_while(|entry| entry.name == name);
    let matches: Vec<&'static TaskEntry> = named.copied().filter(|entry| entry.origin.hash() == id.origin).collect();
    match &*matches {
        [] => Err(unknown(registry, name)),
        [entry] if entry.fingerprint == id.fingerprint => Ok(entry),
        [entry] => {
            let text = format!(
                "this program knows the task `{name}` with another signature, `{}`:{}",
                entry.signature,
                list(&matches)
            );
            Err(Error::new(ErrorKind::SignatureMismatch, text))
        }
        several => Err(duplicate(several, name)),
    }
}

fn unknown(registry: &[&'static TaskEntry], name: &str) -> Error {
    let text = format!(
        "no task `{name}` is linked into this program; if it is in a dependency that nothing mentions, the linker has \
         dropped it, and `use dependency as _;` keeps it. The tasks are:{}",
        list(registry)
    );
    Error::new(ErrorKind::UnknownTask, text)
}

fn duplicate(several: &[&'static TaskEntry], name: &str) -> Error {
    // The lines are sorted by place.
    let twice = several.windows(2).any(|two| (two[0].file, two[0].line) == (two[1].file, two[1].line));
    let way_out = if twice {
        ", or, if one file is a module of two crates, replace one `mod` by a `use` of the other crate's"
    } else {
        ""
    };
    let text = format!(
        "several tasks are called `{name}`; give all but one of them another name by `#[child_task(name = \
         \"…\")]`{way_out}:{}",
        list(several)
    );
    Error::new(ErrorKind::DuplicateTask, text)
}

fn list(entries: &[&'static TaskEntry]) -> String {
    let line = |entry: &&TaskEntry| format!("\n  {} ({}:{}) of {}", entry.name, entry.file, entry.line, entry.origin);
    entries.iter().map(line).collect()
}

/// Returns a hash of the registry and of this crate's version. A child compares the hash to notice a parent of another
/// build.
pub(crate) fn build_fingerprint() -> u64 {
    let mut hash = Fnv::default();
    hash.add(env!("CARGO_PKG_VERSION").as_bytes());
    for entry in registry() {
        hash.add(entry.name.as_bytes());
        hash.add(&entry.origin.hash().to_le_bytes());
        hash.add(&entry.fingerprint.to_le_bytes());
    }
    hash.0
}

/// FNV-1a, 64 bits. Gives the same hash in every process, unlike std's hasher.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn never(_: &mut ArgumentDecoder<'_>) -> Result<EncodedOutput, UndecodableArguments> {
        Err(UndecodableArguments("never run".to_owned()))
    }

    const LIBRARY: Origin = Origin { package: Some("app"), version: Some("1.2.3"), binary: None, test: false };

    const fn entry(name: &'static str, fingerprint: u64, origin: Origin, line: u32) -> TaskEntry {
        TaskEntry {
            name,
            signature: "fn()",
            fingerprint,
            origin,
            file: "app.rs",
            line,
            start_method: None,
            timeout: None,
            idempotent: false,
            run: never,
        }
    }

    const REGISTRY: [&TaskEntry; 8] = [
        &entry("a", 1, LIBRARY, 10),
        &entry("b", 2, LIBRARY, 20),
        &entry("b", 3, LIBRARY, 30),
        &entry("c", 4, Origin { binary: Some("app"), ..LIBRARY }, 40),
        &entry("c", 4, LIBRARY, 40),
        &entry("c", 4, Origin { version: Some("2.0.0"), ..LIBRARY }, 41),
        &entry("d", 5, LIBRARY, 50),
        &entry("d", 5, LIBRARY, 50),
    ];

    fn id(origin: Origin, fingerprint: u64) -> TaskId {
        TaskId { origin: origin.hash(), fingerprint }
    }

    #[test]
    fn a_task_is_found_by_name_and_signature() {
        assert_eq!(find(&REGISTRY, "a", id(LIBRARY, 1)).unwrap().line, 10);
    }

    #[test]
    fn each_of_one_name_is_found_by_its_crate() {
        for entry in &REGISTRY[3..6] {
            assert!(std::ptr::eq(find(&REGISTRY, "c", entry.id()).unwrap(), *entry), "{entry:?}");
        }
        let tested = Origin { test: true, ..LIBRARY };
        let error = find(&REGISTRY, "c", id(tested, 4)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownTask);
        assert!(error.to_string().contains("c (app.rs:40) of app 1.2.3, binary `app`"), "{error}");
    }

    #[test]
    fn crates_that_are_alike_to_a_reader_are_told_apart() {
        let origins = [
            LIBRARY,
            Origin { version: None, ..LIBRARY },
            Origin { package: None, version: None, ..LIBRARY },
            Origin { version: Some(""), ..LIBRARY },
            Origin { binary: Some("app"), ..LIBRARY },
            Origin { binary: Some("app"), test: true, ..LIBRARY },
            Origin { test: true, ..LIBRARY },
            Origin { package: Some("app1.2.3"), version: Some(""), ..LIBRARY },
        ];
        for (index, one) in origins.iter().enumerate() {
            assert!(origins[..index].iter().all(|other| other.hash() != one.hash()), "{one}");
        }
    }

    #[test]
    fn an_unknown_name_lists_the_candidates_and_names_the_linker() {
        let error = find(&REGISTRY, "bb", id(LIBRARY, 1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownTask);
        assert!(error.to_string().contains("a (app.rs:10) of app 1.2.3, library"), "{error}");
        assert!(error.to_string().contains("use dependency as _;"), "{error}");
    }

    #[test]
    fn a_shared_name_lists_both_places() {
        let error = find(&REGISTRY, "b", id(LIBRARY, 2)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DuplicateTask);
        let text = error.to_string();
        assert!(text.contains("app.rs:20") && text.contains("app.rs:30"), "{text}");
        assert!(text.contains("app 1.2.3, library") && !text.contains("two crates"), "{text}");
    }

    #[test]
    fn of_one_place_that_is_compiled_twice_one_may_be_used() {
        let error = find(&REGISTRY, "d", id(LIBRARY, 5)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DuplicateTask);
        let text = error.to_string();
        assert!(text.contains("replace one `mod` by a `use`"), "{text}");
    }

    #[test]
    fn another_signature_says_which_is_known() {
        let error = find(&REGISTRY, "a", id(LIBRARY, 7)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SignatureMismatch);
        assert!(error.to_string().contains("fn()") && error.to_string().contains("app.rs:10"), "{error}");
    }
}
