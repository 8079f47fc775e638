//! Tasks: functions that a child finds by name, and calls of them.
//!
//! `#[child_task]` puts an [`Entry`] of each function into a registry (through `inventory`, when the program is linked).
//! A [`Call`] is made from the entry and the encoded arguments; a child looks the name up in its own registry, which is
//! the same unless something is badly wrong, and then says so.
//!
//! One program may have several tasks of one name: `lib.rs` and `main.rs` of a package both say `mod tasks;`, or two
//! versions of a library are linked. The [`Origin`] tells these apart, and only tasks of one name and origin are in each other's way.

pub mod crossing;

use std::fmt;
use std::marker::PhantomData;
use std::sync::OnceLock;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use self::crossing::{Fine, Refused, Undecided};
use crate::error::{Error, ErrorKind};
use crate::ipc::codec;
use crate::ipc::wire::fds;
use crate::ipc::wire::payload::{self, Payload, PayloadDecoder, PayloadEncoder};
use crate::platform::StartMethod;

/// A function marked `#[child_task]`, as a type.
///
/// The attribute declares a type of the function's name that implements this; the trait cannot be implemented otherwise.
pub trait Task: Sealed + 'static {
    /// The name under which a child finds the function: its path (`my_crate::module::function`), or what `name = "…"` says.
    ///
    /// It is unique among the tasks of one crate. Those of another crate, another version of it, or another target of its
    /// package may have the same.
    const NAME: &'static str;
}

/// What only the attribute implements.
pub trait Sealed {}

/// A task as the registry has it.
#[derive(Debug)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// Its signature as written.
    pub signature: &'static str,
    /// A hash of the signature.
    pub fingerprint: u64,
    /// The crate that it is of.
    pub origin: Origin,
    /// Where it is.
    pub file: &'static str,
    /// Where it is.
    pub line: u32,
    /// The start method of `task::start`, if the attribute names one.
    pub start_method: Option<StartMethod>,
    /// The time that it may take, if the attribute names one.
    pub timeout: Option<Duration>,
    /// Whether it may be run again after its worker has died.
    pub idempotent: bool,
    /// Decodes the arguments, runs the function, encodes its result.
    pub run: fn(&mut Arguments<'_>) -> Result<Output, Undecodable>,
}

inventory::collect!(Entry);

impl Entry {
    /// What tells it from other tasks of its name.
    pub(crate) fn mark(&self) -> Mark {
        Mark { origin: self.origin.hash(), fingerprint: self.fingerprint }
    }

    /// Whether a child could not tell the two apart.
    fn is_like(&self, other: &Self) -> bool {
        (self.name, &self.origin) == (other.name, &other.origin)
    }
}

/// The crate that a task is of, as the compiler knows it from cargo; without cargo, there is nothing to know.
///
/// The path of a module begins with the crate's name, which a package's library and binary share, and so do all versions of a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// `CARGO_PKG_NAME`.
    pub package: Option<&'static str>,
    /// `CARGO_PKG_VERSION`.
    pub version: Option<&'static str>,
    /// `CARGO_BIN_NAME`, which is there for a binary or an example only.
    pub binary: Option<&'static str>,
    /// Whether it is built as a test: one in `tests` may be called like the library.
    pub test: bool,
}

impl Origin {
    /// As it travels to a child.
    fn hash(&self) -> u64 {
        let mut hash = Fnv::default();
        for part in [self.package, self.version, self.binary] {
            hash.add(part.unwrap_or_default().as_bytes());
            hash.add(&[0xff, u8::from(part.is_some())]); // no text has this byte, so no two lists of texts look alike
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

/// What a child finds a task by, beside its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    origin: u64,
    fingerprint: u64,
}

/// The private type by which generated code reaches its entry.
pub trait Registered {
    /// The entry.
    const ENTRY: Entry;
}

/// A type that a task can take, by the verdict about what it is made of.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a child task",
    label = "serde cannot carry this to another process",
    note = "derive `serde::Serialize` and `serde::Deserialize` for it, or pass what it is made from"
)]
pub trait TaskArg<Verdict = Fine>: Sized {
    /// Encodes it; a failure is kept and reported at the start.
    fn put(&self, encoder: &mut Encoder, name: &'static str, verdict: Verdict);
    /// Decodes it.
    ///
    /// # Errors
    /// Names the argument.
    fn take(arguments: &mut Arguments<'_>, name: &'static str, verdict: Verdict) -> Result<Self, Undecodable>;
}

impl<T: Serialize + DeserializeOwned> TaskArg for T {
    fn put(&self, encoder: &mut Encoder, name: &'static str, _: Fine) {
        if encoder.failure.is_none() {
            encoder.failure = encoder.values.push(self).err().map(|error| error.in_argument(name));
        }
    }

    fn take(arguments: &mut Arguments<'_>, name: &'static str, _: Fine) -> Result<Self, Undecodable> {
        arguments.values.pull().map_err(|error| Undecodable(error.in_argument(name).to_string()))
    }
}

/// A type that a task can return, by the verdict about what it is made of.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of a child task",
    label = "serde cannot carry this to another process",
    note = "derive `serde::Serialize` and `serde::Deserialize` for it; for a `Result` with another error type, add `report`: `#[child_task(report)]`"
)]
pub trait TaskOutput<Verdict = Fine>: Sized {
    /// Encodes it.
    fn output(self, verdict: Verdict) -> Output;
    /// Makes a call of a task that returns this, from its encoded arguments.
    fn call(entry: &'static Entry, arguments: Encoder, verdict: Verdict) -> Call<Self>;
}

impl<T: Serialize + DeserializeOwned> TaskOutput for T {
    fn output(self, _: Fine) -> Output {
        Output(Payload::encode(&self))
    }

    fn call(entry: &'static Entry, arguments: Encoder, _: Fine) -> Call<Self> {
        let arguments = match arguments.failure {
            Some(failure) => Err(failure),
            None => arguments.values.finish(),
        };
        Call { entry, arguments, decode: decode_output::<T>, limit: entry.timeout }
    }
}

/// What is never run, since the program has an error.
macro_rules! refused {
    ($($verdict:ty),+) => {$(
        impl<T> TaskArg<$verdict> for T {
            fn put(&self, _: &mut Encoder, _: &'static str, _: $verdict) {}

            fn take(_: &mut Arguments<'_>, name: &'static str, _: $verdict) -> Result<Self, Undecodable> {
                Err(Undecodable(format!("argument `{name}`: its type is refused")))
            }
        }

        impl<T> TaskOutput<$verdict> for T {
            fn output(self, _: $verdict) -> Output {
                Output(Err(refusal()))
            }

            fn call(entry: &'static Entry, _: Encoder, _: $verdict) -> Call<Self> {
                Call { entry, arguments: Err(refusal()), decode: |_| Err(refusal().to_string()), limit: None }
            }
        }
    )+};
}

refused!(Refused, Undecided);

fn refusal() -> codec::Error {
    codec::Error::new("the type of the result is refused")
}

/// Arguments being encoded.
#[derive(Default)]
pub struct Encoder {
    values: PayloadEncoder,
    failure: Option<codec::Error>,
}

impl Encoder {
    /// No arguments yet.
    pub fn new() -> Self {
        Self::default()
    }
}

/// Arguments being decoded.
pub struct Arguments<'a> {
    values: PayloadDecoder<'a>,
}

impl<'a> Arguments<'a> {
    pub(crate) fn new(bytes: &'a [u8], descriptors: fds::ReceivedFds) -> Self {
        Self { values: PayloadDecoder::new(bytes, descriptors) }
    }

    pub(crate) fn pull<T: DeserializeOwned>(&mut self) -> Result<T, Undecodable> {
        self.values.pull().map_err(|error| Undecodable(error.to_string()))
    }

    /// Checks that nothing is left over.
    ///
    /// # Errors
    /// If something is.
    pub fn finish(&mut self) -> Result<(), Undecodable> {
        let values = std::mem::replace(&mut self.values, PayloadDecoder::new(&[], fds::ReceivedFds::default()));
        values.finish().map_err(|error| Undecodable(error.to_string()))
    }
}

/// Why the arguments could not be decoded.
#[derive(Debug)]
pub struct Undecodable(pub(crate) String);

/// An encoded result, or why there is none.
#[derive(Debug)]
pub struct Output(pub(crate) Result<Payload, codec::Error>);

/// How a result is decoded in the process that asked for it.
pub(crate) type Decode<T> = fn(Payload) -> Result<T, String>;

/// Decodes a result that came from another process.
pub(crate) fn decode_output<T: DeserializeOwned>(output: Payload) -> Result<T, String> {
    payload::decode(output).map_err(|error| error.to_string())
}

/// A task and its encoded arguments: an inert value that runs nothing until it is started.
///
/// Made by the function that `#[child_task]` generates, `task::call(…)`. `T` is what the task returns, so that calls of
/// different tasks with the same result share a `Vec` or the arms of an `if`. Cheap to clone, whatever the size of the arguments.
#[must_use = "a call does nothing until it is started"]
pub struct Call<T> {
    pub(crate) entry: &'static Entry,
    /// A failure to encode is kept, and reported by the start.
    arguments: Result<Payload, codec::Error>,
    pub(crate) decode: Decode<T>,
    /// The time that it may take.
    pub(crate) limit: Option<Duration>,
}

impl<T: DeserializeOwned> Call<T> {
    /// A call of a task of this crate's own.
    pub(crate) fn internal<A: Serialize>(entry: &'static Entry, argument: &A) -> Self {
        Self { entry, arguments: Payload::encode(argument), decode: decode_output::<T>, limit: entry.timeout }
    }
}

impl<T> Call<T> {
    /// The name of the task.
    pub fn task(&self) -> &'static str {
        self.entry.name
    }

    /// The time that it may take, instead of what `#[child_task(timeout = …)]` says; when it is over, the result is
    /// [`TimedOut`](crate::JoinErrorKind::TimedOut).
    ///
    /// In a pool, it counts from the moment when the task begins, and the pool's own
    /// [`task_timeout`](crate::PoolBuilder::task_timeout) holds too, if it is shorter. For a process, it is as
    /// [`ProcessBuilder::timeout`](crate::ProcessBuilder::timeout), which has the last word.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// The arguments, if they could be encoded and the task can be found.
    pub(crate) fn check(&self) -> Result<&Payload, Error> {
        lookup(self.entry.name, self.entry.mark())?;
        self.arguments.as_ref().map_err(|error| {
            Error::new(ErrorKind::Encode, format!("cannot encode the arguments of `{}`: {error}", self.task()))
        })
    }
}

impl<T> Clone for Call<T> {
    fn clone(&self) -> Self {
        Self { entry: self.entry, arguments: self.arguments.clone(), decode: self.decode, limit: self.limit }
    }
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.arguments {
            Ok(arguments) => write!(f, "{}({} bytes)", self.task(), arguments.len()),
            Err(error) => write!(f, "{}({error})", self.task()),
        }
    }
}

/// A call never holds a `T`; this keeps it `Send` and `Sync` whatever `T` is.
const _: fn() = || {
    fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<Call<PhantomData<*const u8>>>();
};

/// Every task that is linked into this program, sorted by name (`inventory` has no order of its own).
fn registry() -> &'static [&'static Entry] {
    static REGISTRY: OnceLock<Vec<&'static Entry>> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let mut entries: Vec<&'static Entry> = inventory::iter::<Entry>().collect();
        entries.sort_by_key(|entry| (entry.name, entry.origin, entry.file, entry.line));
        entries
    })
}

/// The place of an entry in the registry, which is the same in every process of this program.
pub(crate) fn place(entry: &'static Entry) -> Option<u64> {
    let registry = registry();
    let start = registry.partition_point(|known| known.name < entry.name);
    let mut named = registry[start..].iter().take_while(|known| known.name == entry.name);
    named.position(|known| known.is_like(entry)).map(|offset| (start + offset) as u64)
}

/// The task at a place.
pub(crate) fn at(place: u64) -> Option<&'static Entry> {
    registry().get(usize::try_from(place).ok()?).copied()
}

/// Finds a task by name and mark.
///
/// # Errors
/// `UnknownTask`, `DuplicateTask`, `SignatureMismatch`: each lists the candidates with file, line and crate.
pub(crate) fn lookup(name: &str, mark: Mark) -> Result<&'static Entry, Error> {
    find(registry(), name, mark)
}

fn find(registry: &[&'static Entry], name: &str, mark: Mark) -> Result<&'static Entry, Error> {
    let start = registry.partition_point(|entry| entry.name < name);
    let named = registry[start..].iter().take_while(|entry| entry.name == name);
    let matches: Vec<&'static Entry> = named.copied().filter(|entry| entry.origin.hash() == mark.origin).collect();
    match &*matches {
        [] => Err(unknown(registry, name)),
        [entry] if entry.fingerprint == mark.fingerprint => Ok(entry),
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

fn unknown(registry: &[&'static Entry], name: &str) -> Error {
    let text = format!(
        "no task `{name}` is linked into this program; if it is in a dependency that nothing mentions, the linker has dropped it, \
         and `use dependency as _;` keeps it. The tasks are:{}",
        list(registry)
    );
    Error::new(ErrorKind::UnknownTask, text)
}

fn duplicate(several: &[&'static Entry], name: &str) -> Error {
    // The lines are sorted by place.
    let twice = several.windows(2).any(|two| (two[0].file, two[0].line) == (two[1].file, two[1].line));
    let way_out = if twice {
        ", or, if one file is a module of two crates, replace one `mod` by a `use` of the other crate's"
    } else {
        ""
    };
    let text = format!(
        "several tasks are called `{name}`; give all but one of them another name by `#[child_task(name = \"…\")]`{way_out}:{}",
        list(several)
    );
    Error::new(ErrorKind::DuplicateTask, text)
}

fn list(entries: &[&'static Entry]) -> String {
    let line = |entry: &&Entry| format!("\n  {} ({}:{}) of {}", entry.name, entry.file, entry.line, entry.origin);
    entries.iter().map(line).collect()
}

/// A hash of what this program has registered, by which a child sees that it was started by another program.
pub(crate) fn build() -> u64 {
    let mut hash = Fnv::default();
    hash.add(env!("CARGO_PKG_VERSION").as_bytes());
    for entry in registry() {
        hash.add(entry.name.as_bytes());
        hash.add(&entry.origin.hash().to_le_bytes());
        hash.add(&entry.fingerprint.to_le_bytes());
    }
    hash.0
}

/// FNV-1a, 64 bits: the same in every process, which std's hasher is not.
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

    fn never(_: &mut Arguments<'_>) -> Result<Output, Undecodable> {
        Err(Undecodable("never run".to_owned()))
    }

    const LIBRARY: Origin = Origin { package: Some("app"), version: Some("1.2.3"), binary: None, test: false };

    const fn entry(name: &'static str, fingerprint: u64, origin: Origin, line: u32) -> Entry {
        Entry {
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

    const REGISTRY: [&Entry; 8] = [
        &entry("a", 1, LIBRARY, 10),
        &entry("b", 2, LIBRARY, 20),
        &entry("b", 3, LIBRARY, 30),
        &entry("c", 4, Origin { binary: Some("app"), ..LIBRARY }, 40),
        &entry("c", 4, LIBRARY, 40),
        &entry("c", 4, Origin { version: Some("2.0.0"), ..LIBRARY }, 41),
        &entry("d", 5, LIBRARY, 50),
        &entry("d", 5, LIBRARY, 50),
    ];

    fn mark(origin: Origin, fingerprint: u64) -> Mark {
        Mark { origin: origin.hash(), fingerprint }
    }

    #[test]
    fn a_task_is_found_by_name_and_signature() {
        assert_eq!(find(&REGISTRY, "a", mark(LIBRARY, 1)).unwrap().line, 10);
    }

    #[test]
    fn each_of_one_name_is_found_by_its_crate() {
        for entry in &REGISTRY[3..6] {
            assert!(std::ptr::eq(find(&REGISTRY, "c", entry.mark()).unwrap(), *entry), "{entry:?}");
        }
        let tested = Origin { test: true, ..LIBRARY };
        let error = find(&REGISTRY, "c", mark(tested, 4)).unwrap_err();
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
        let error = find(&REGISTRY, "bb", mark(LIBRARY, 1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownTask);
        assert!(error.to_string().contains("a (app.rs:10) of app 1.2.3, library"), "{error}");
        assert!(error.to_string().contains("use dependency as _;"), "{error}");
    }

    #[test]
    fn a_shared_name_lists_both_places() {
        let error = find(&REGISTRY, "b", mark(LIBRARY, 2)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DuplicateTask);
        let text = error.to_string();
        assert!(text.contains("app.rs:20") && text.contains("app.rs:30"), "{text}");
        assert!(text.contains("app 1.2.3, library") && !text.contains("two crates"), "{text}");
    }

    #[test]
    fn of_one_place_that_is_compiled_twice_one_may_be_used() {
        let error = find(&REGISTRY, "d", mark(LIBRARY, 5)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DuplicateTask);
        let text = error.to_string();
        assert!(text.contains("replace one `mod` by a `use`"), "{text}");
    }

    #[test]
    fn another_signature_says_which_is_known() {
        let error = find(&REGISTRY, "a", mark(LIBRARY, 7)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SignatureMismatch);
        assert!(error.to_string().contains("fn()") && error.to_string().contains("app.rs:10"), "{error}");
    }
}
