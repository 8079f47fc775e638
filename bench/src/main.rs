//! Measures offspring, its peers and the floor side by side.
//!
//! ```text
//! cargo run --release --manifest-path bench/Cargo.toml -- [--json] [--quick] [--report DIR] [FILTER]
//! ```
//!
//! `rows` lists the measurements and the contenders of each. `measure` runs the contenders in turn, each a process of
//! this program (`contender`) or of Python. `ours` and `peers` do the work, with values of `samples`. `report` prints
//! and draws the results, and `targets` compares the results with the aims.

mod busy;
mod children;
mod codec;
mod contender;
mod idle;
mod machine;
mod measure;
mod ours;
mod peers;
mod python;
mod raw;
mod report;
mod rows;
mod samples;
mod targets;
mod tasks;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use machine::Machine;
use measure::{Effort, Measured};
use peers::command;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Measures offspring, its peers and the floor side by side.
///
/// Numbers are medians. A ratio is our cost divided by the other cost, also for rates and shares: at most 1 is good.
#[derive(Parser)]
struct Arguments {
    /// Print one JSON object in place of the table
    #[arg(long)]
    json: bool,
    /// Take a minute at most: fewer rounds, and without peers that take long
    #[arg(long)]
    quick: bool,
    /// Write DIR/benchmarks.md and its pictures, DIR/benchmarks/*.svg
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Measure nothing: take the results that an earlier run has printed with --json
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Only rows with this text in their id
    filter: Option<String>,
}

/// The results of a run.
#[derive(Serialize, Deserialize)]
struct Results {
    rows: Vec<Measured>,
    machine: Machine,
    is_quick: bool,
}

fn main() -> ExitCode {
    // Comes first, so that the floor of a start pays for no other setup.
    if let Some(code) = command::child() {
        return code;
    }
    offspring::guard();
    procspawn::init();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("offspring-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [mode, row, name] if mode == contender::MODE => contender::serve(row, name),
        _ => bench(&Arguments::parse()),
    }
}

fn bench(arguments: &Arguments) -> Result<()> {
    let results = match &arguments.from {
        Some(file) => serde_json::from_str(&std::fs::read_to_string(file)?)?,
        None => measured(arguments)?,
    };
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&results)?);
    }
    match &arguments.report {
        Some(directory) => report::write(directory, &results),
        None => Ok(()),
    }
}

fn measured(arguments: &Arguments) -> Result<Results> {
    allow_many_descriptors()?;
    raw::keep_own_descriptors()?;
    let effort = if arguments.quick { Effort::quick() } else { Effort::full() };
    let is_wanted = |id: &str| arguments.filter.as_ref().is_none_or(|filter| id.contains(filter));
    let machine = Machine::this();
    let mut rows = Vec::new();
    for row in rows::all().iter().filter(|row| is_wanted(&row.id)) {
        let measured = measure::row(row, effort);
        print(arguments, &report::text::of(&measured));
        rows.push(measured);
    }
    print(arguments, &report::metg::text(&rows));
    Ok(Results { rows, machine, is_quick: arguments.quick })
}

/// Prints for a reader: beside the JSON object, if one is asked for.
fn print(arguments: &Arguments, text: &str) {
    if arguments.json { eprint!("{text}") } else { print!("{text}") }
}

/// Raises the limit of descriptors, since a thousand children need more than the usual limit.
fn allow_many_descriptors() -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}
