//! Code that the examples share: arguments, files of a tree, batches, words, bugs, and the end of a program.

use std::collections::HashMap;
use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use offspring::{Context, PoolBuilder, StartMethod};
use walkdir::WalkDir;

pub mod quoted;

/// The argument that every example takes.
#[derive(Debug, clap::Args)]
pub struct Method {
    /// spawn, fork or forkserver; by default the library's own choice
    #[arg(long, value_name = "METHOD")]
    pub start_method: Option<StartMethod>,
}

impl Method {
    /// Returns the context of the chosen start method.
    ///
    /// # Errors
    /// This platform does not have the start method.
    pub fn context(&self) -> Result<Context, offspring::Error> {
        self.start_method.map_or_else(|| Ok(Context::default()), offspring::get_context)
    }
}

/// The arguments that an example with a pool takes.
#[derive(Debug, clap::Args)]
pub struct Workers {
    #[command(flatten)]
    method: Method,
    /// How many workers the pool has [default: one per processor]
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
}

impl Workers {
    /// Returns a builder for the pool that the arguments describe.
    ///
    /// # Errors
    /// This platform does not have the start method.
    pub fn pool(&self) -> Result<PoolBuilder, offspring::Error> {
        let pool = self.method.context()?.pool();
        Ok(match self.workers {
            Some(workers) => pool.workers(workers),
            None => pool,
        })
    }
}

/// A file or directory that cannot be read.
#[derive(Debug)]
pub struct Unreadable {
    path: PathBuf,
    source: io::Error,
}

impl Unreadable {
    /// Returns a function for `map_err` that adds the path to an I/O error.
    pub fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        |source| Self { path: path.into(), source }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read {}", self.path.display())
    }
}

impl Error for Unreadable {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

impl From<walkdir::Error> for Unreadable {
    fn from(error: walkdir::Error) -> Self {
        let path = error.path().unwrap_or(Path::new(".")).to_owned();
        let source = error.into_io_error();
        Self { path, source: source.unwrap_or_else(|| io::Error::other("its links go round in a circle")) }
    }
}

/// Returns the regular files at and below the roots, sorted, without directories named `target` or `.git`.
///
/// Paths are `OsString`s, since serde carries any bytes in an `OsString` and refuses a `PathBuf` that is not UTF-8.
///
/// # Errors
/// Names the first path that does not exist or cannot be read. Roots without any file are an error too.
pub fn files_below<P: AsRef<Path>>(roots: &[P]) -> Result<Vec<OsString>, Box<dyn Error>> {
    let mut files = Vec::new();
    for root in roots {
        let walk = WalkDir::new(root).sort_by_file_name().into_iter();
        for entry in walk.filter_entry(|entry| entry.depth() == 0 || !is_left_out(entry)) {
            let entry = entry.map_err(Unreadable::from)?;
            // A root may be a symbolic link. Links below a root are not followed.
            if entry.file_type().is_file() || entry.depth() == 0 && entry.path().is_file() {
                files.push(entry.into_path().into_os_string());
            }
        }
    }
    if files.is_empty() {
        return Err("there is no regular file at or below the given paths".into());
    }
    Ok(files)
}

fn is_left_out(entry: &walkdir::DirEntry) -> bool {
    entry.file_type().is_dir() && ["target", ".git"].iter().any(|name| entry.file_name() == *name)
}

/// Deals the items out into at most `count` batches, none of them empty.
pub fn deal<T: Clone>(items: &[T], count: usize) -> Vec<Vec<T>> {
    let count = count.clamp(1, items.len().max(1));
    (0..count).map(|first| items.iter().skip(first).step_by(count).cloned().collect()).collect()
}

/// The number of times that each word occurs.
pub type Counts = HashMap<String, u64>;

/// Returns the words of a text: runs of letters and digits, in lower case.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// Counts the words of files, one after the other.
///
/// # Errors
/// Names the file that cannot be read.
pub fn count_words_of(paths: impl IntoIterator<Item = OsString>) -> Result<Counts, Unreadable> {
    let mut counts = Counts::new();
    for path in paths {
        let bytes = std::fs::read(&path).map_err(Unreadable::at(path))?;
        for word in words(&String::from_utf8_lossy(&bytes)) {
            *counts.entry(word).or_default() += 1;
        }
    }
    Ok(counts)
}

/// Prints the `top` most frequent words, most frequent first, equally frequent words by the alphabet.
///
/// # Errors
/// Standard output cannot be written.
pub fn print_most_frequent(counts: Counts, top: usize) -> io::Result<()> {
    let mut words: Vec<(String, u64)> = counts.into_iter().collect();
    words.sort_by(|(word, count), (other, others)| others.cmp(count).then_with(|| word.cmp(other)));
    for (word, count) in words.into_iter().take(top) {
        writeln!(io::stdout(), "{count:>8}  {word}")?;
    }
    Ok(())
}

/// Reads the value of an argument: `500ms`, `2s`.
///
/// # Errors
/// A number or a unit is missing.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number = number.parse().map_err(|_| "a number and `ms` or `s`, such as `500ms`".to_owned())?;
    match unit {
        "ms" | "s" if number == 0 => Err("it is more than no time".to_owned()),
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        _ => Err(format!("{unit:?} is no unit of time here; there are `ms` and `s`")),
    }
}

/// Plays a careless decoder: misbehaves as the file asks.
///
/// # Panics
/// The file asks for a panic.
#[track_caller]
#[expect(unsafe_code, reason = "a decoder in another language is as unsafe as this")]
pub fn misbehave(bug: &[u8]) {
    match bug {
        // SAFETY: none. The kernel ends the process, a worker meant for such an end.
        b"crash" => unsafe { std::ptr::without_provenance_mut::<u8>(1).write_volatile(1) },
        b"panic" => panic!("a length is {}, which cannot be", -1),
        b"stall" => loop {
            std::thread::park();
        },
        _ => {}
    }
}

/// Returns the number of processors that this program may use.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, Into::into)
}

/// Returns the directory of this repository if the program is still in its place of build, else the current directory.
pub fn repository() -> PathBuf {
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).parent().filter(|path| path.is_dir());
    built_in.unwrap_or(Path::new(".")).to_owned()
}

/// Ends an example: prints an error with its causes to standard error, and returns the exit code.
pub fn conclude(name: &str, outcome: Result<(), Box<dyn Error>>) -> ExitCode {
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    let causes = std::iter::successors(Some(&*error), |error| (*error).source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    // Without standard error, the exit code alone tells the failure.
    let _ = writeln!(io::stderr(), "{name}: {}", texts.join(": "));
    ExitCode::FAILURE
}
