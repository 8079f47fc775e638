//! Runs one task over the same files by every start method, compares the results, and measures the cost of a start.
//!
//! Reads every file below PATH (this repository by default) in several children per start method, and prints a line for
//! each method: the children, the files and bytes read, the result (the number of lines and a checksum that is the same
//! for any order of files), and the median time from the start of a trivial task to its join. Ends with exit code 1 if
//! the methods do not agree.
//!
//! ```text
//! cargo run --release --example tour -- [--json] [--start-method METHOD] [PATH]
//! ```

use std::error::Error;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use offspring::{Context, StartMethod, child_task, process_main};
use offspring_examples::{Method, Unreadable, conclude, deal, files_below, processors, repository};
use serde::{Deserialize, Serialize};

/// Runs one task over the files below PATH by every start method.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    method: Method,
    /// Print one JSON object in place of the table
    #[arg(long)]
    json: bool,
    /// A directory, whose `target` and `.git` are left out, or a file [default: this repository]
    path: Option<PathBuf>,
}

/// The sums over files, equal for any order of files.
#[derive(Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Tally {
    files: u64,
    bytes: u64,
    lines: u64,
    checksum: u64,
}

/// Reads a batch of files.
#[child_task(report)]
fn tally(paths: Vec<OsString>) -> Result<Tally, Unreadable> {
    paths.into_iter().map(tally_file).sum()
}

/// The trivial task.
#[child_task]
fn nothing() {}

#[process_main]
fn main() -> ExitCode {
    conclude("tour", tour(&Arguments::parse()))
}

fn tour(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let files = files_below(&[arguments.path.clone().unwrap_or_else(repository)])?;
    let batches = deal(&files, processors().max(4));
    let chosen = arguments.method.start_method;
    let methods = chosen.map_or_else(|| offspring::get_all_start_methods().to_vec(), |method| vec![method]);
    // No thread is started here, so `fork` may come at any point.
    let rows: Result<Vec<Row>, _> = methods.iter().map(|method| visit(*method, &batches)).collect();
    let summary = Summary::of(rows?);
    if arguments.json {
        writeln!(io::stdout(), "{}", serde_json::to_string(&summary)?)?;
    } else {
        summary.print(&mut io::stdout())?;
    }
    if summary.agree { Ok(()) } else { Err("the start methods do not agree".into()) }
}

/// The row of one start method.
#[derive(Serialize)]
struct Row {
    method: StartMethod,
    children: usize,
    files: u64,
    bytes: u64,
    result: String,
    start_us_median: u64,
}

fn visit(method: StartMethod, batches: &[Vec<OsString>]) -> Result<Row, Box<dyn Error>> {
    let context = offspring::get_context(method)?;
    let started = batches.iter().map(|batch| context.start(tally::call(batch.clone())));
    let children = started.collect::<Result<Vec<_>, _>>()?;
    let count = children.len();
    let mut total = Tally::default();
    for child in children {
        total = total + child.join()??;
    }
    Ok(Row {
        method,
        children: count,
        files: total.files,
        bytes: total.bytes,
        result: format!("{} lines, {:016x}", total.lines, total.checksum),
        start_us_median: u64::try_from(median_start(&context)?.as_micros())?,
    })
}

/// Returns the median time from a start to its join.
fn median_start(context: &Context) -> Result<Duration, Box<dyn Error>> {
    const STARTS: usize = 101;
    let mut times = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        let begin = Instant::now();
        context.start(nothing::call())?.join()?;
        times.push(begin.elapsed());
    }
    times.sort();
    Ok(times[STARTS / 2])
}

#[derive(Serialize)]
struct Summary {
    methods: Vec<Row>,
    agree: bool,
}

impl Summary {
    fn of(methods: Vec<Row>) -> Self {
        let found = |row: &Row| (row.files, row.bytes, row.result.clone());
        let agree = methods.windows(2).all(|pair| found(&pair[0]) == found(&pair[1]));
        Self { methods, agree }
    }

    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let (children, start) = ("children", "start to join");
        writeln!(out, "{:<10}  {children}  {:>6}  {:>10}  {:<32}  {start}", "method", "files", "bytes", "result")?;
        for row in &self.methods {
            let Row { method, children, files, bytes, result, start_us_median } = row;
            writeln!(
                out,
                "{method:<10}  {children:>8}  {files:>6}  {bytes:>10}  {result:<32}  {start_us_median:>10} µs"
            )?;
        }
        let verdict = if self.agree { "all methods agree" } else { "the methods do NOT agree" };
        writeln!(out, "{verdict}; `start to join` is the median of a task that does nothing")
    }
}

fn tally_file(path: OsString) -> Result<Tally, Unreadable> {
    let mut reading = Reading::default();
    let copied = File::open(&path).and_then(|mut file| io::copy(&mut file, &mut reading));
    let bytes = copied.map_err(Unreadable::at(path))?;
    Ok(Tally { files: 1, bytes, lines: reading.lines, checksum: reading.hash })
}

/// A writer that counts lines and hashes bytes (FNV-1a).
struct Reading {
    lines: u64,
    hash: u64,
}

impl Default for Reading {
    fn default() -> Self {
        Self { lines: 0, hash: 0xcbf2_9ce4_8422_2325 }
    }
}

impl Write for Reading {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            self.lines += u64::from(*byte == b'\n');
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl std::ops::Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            files: self.files + other.files,
            bytes: self.bytes + other.bytes,
            lines: self.lines + other.lines,
            checksum: self.checksum.wrapping_add(other.checksum),
        }
    }
}

impl std::iter::Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(tallies: I) -> Self {
        tallies.fold(Self::default(), |sum, next| sum + next)
    }
}
