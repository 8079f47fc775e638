//! Prints SHA-256 sums as `sha256sum` does, byte for byte, the files hashed by the workers of a pool.
//!
//! Prints a line for each file to standard output, in the order of the arguments; `-`, or no file, is standard input. A
//! file that cannot be read is told on standard error, as is one whose worker has died; the others are hashed all the
//! same, and the program ends with exit code 1.
//!
//! ```text
//! cargo run --release --example hashsum -- [--workers N] [--start-method METHOD] [FILE…]
//! ```

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use offspring::{Call, Fd, Report, child_task, process_main};
use offspring_examples::quoted::quoted;
use offspring_examples::{Workers, conclude};
use sha2::{Digest, Sha256};

/// Prints SHA-256 sums as `sha256sum` does.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    workers: Workers,
    /// Files; `-` is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    files: Vec<OsString>,
}

/// Hashes the file of that name.
#[child_task(report)]
fn hash_path(path: OsString) -> io::Result<String> {
    hash(File::open(path)?)
}

/// Hashes a file that the parent has opened, or tells the system's number for why it has not: the error goes the same
/// way home as all others.
#[child_task(report)]
fn hash_open(file: Result<Fd<OwnedFd>, i32>) -> io::Result<String> {
    hash(file.map_err(io::Error::from_raw_os_error)?.into_inner().into())
}

fn hash(mut file: File) -> io::Result<String> {
    let (mut hasher, mut piece) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => hasher.update(&piece[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(hasher.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a String takes all
        text
    }))
}

#[process_main]
fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE, // each failure was told where it happened
        Err(error) => conclude("hashsum", Err(error)),
    }
}

/// Whether all files could be hashed.
fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let pool = arguments.workers.pool()?.build()?;
    let mut input_is_left = true;
    let calls = arguments.files.iter().map(|name| call(name, &mut input_is_left));
    let mut all_well = true;
    for (name, sum) in arguments.files.iter().zip(pool.map(calls)) {
        let sum = sum.map_err(|error| error.to_string()).and_then(|sum| sum.map_err(|report| cause(&report)));
        match sum {
            Ok(sum) => io::stdout().write_all(&line(&sum, name)).map_err(|error| format!("write error: {error}"))?,
            Err(cause) => {
                writeln!(io::stderr(), "hashsum: {}: {cause}", quoted(name))?;
                all_well = false;
            }
        }
    }
    pool.join()?;
    Ok(all_well)
}

/// Workers open files by their names, but for those that name something else in another process.
fn call(name: &OsStr, input_is_left: &mut bool) -> Call<Result<String, Report>> {
    let is_input = name == "-";
    let is_of_this_process = ["/dev/stdin", "/dev/fd", "/proc"].iter().any(|own| Path::new(name).starts_with(own));
    if !is_input && !is_of_this_process {
        return hash_path::call(name.to_owned());
    }
    let file = if !is_input {
        File::open(name).map(OwnedFd::from)
    } else if std::mem::take(input_is_left) {
        io::stdin().as_fd().try_clone_to_owned()
    } else {
        File::open("/dev/null").map(OwnedFd::from) // the first to name it reads it to its end
    };
    hash_open::call(file.map(Fd::new).map_err(|error| error.raw_os_error().unwrap_or_default()))
}

/// What the system says, without Rust's number of it.
fn cause(report: &Report) -> String {
    let text = report.to_string();
    text.split_once(" (os error").map_or(&*text, |(text, _)| text).to_owned()
}

/// `SUM  NAME`; a name that would not stay in its line is escaped, and a backslash before the sum says so.
fn line(sum: &str, name: &OsStr) -> Vec<u8> {
    let mut escaped = Vec::new();
    for byte in name.as_bytes() {
        match byte {
            b'\\' => escaped.extend(b"\\\\"),
            b'\n' => escaped.extend(b"\\n"),
            b'\r' => escaped.extend(b"\\r"),
            byte => escaped.push(*byte),
        }
    }
    let mark: &[u8] = if escaped.len() == name.len() { b"" } else { b"\\" };
    [mark, sum.as_bytes(), b"  ", &escaped, b"\n"].concat()
}
