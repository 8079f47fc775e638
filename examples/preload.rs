//! A table that is loaded once, in the forkserver, and read by many children.
//!
//! The table is an index of a text file (this repository's README unless given): for each word, the lines that it is
//! on. Several children look the words up; each reports which process loaded the table that it read, and when. Prints
//! the lookups to standard output and, to standard error, how often the table was loaded, and where:
//!
//! - under `forkserver` once, by a `#[preload]` function, before the server serves: its children inherit the table;
//! - under `fork` once, by this process: its children are copies of it, table included;
//! - under `spawn` once per child: a fresh process inherits nothing, and no `#[preload]` runs for it.
//!
//! ```text
//! cargo run --release --example preload -- [--children N] [--start-method METHOD] [TABLE-FILE] [WORD…]
//! ```

use std::collections::{BTreeSet, HashMap};
use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::SystemTime;

use clap::Parser;
use offspring::{StartMethod, child_task, process_main};
use offspring_examples::{Method, Unreadable, conclude, repository};
use serde::{Deserialize, Serialize};

/// Looks words up in a table that is loaded once and read by many children.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    method: Method,
    /// How many children look the words up
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    children: u16,
    /// A text file to make the table of [default: this repository's README.md]
    table_file: Option<PathBuf>,
    /// The words to look up
    #[arg(value_name = "WORD", default_values = ["spawn", "fork", "forkserver"])]
    words: Vec<String>,
}

/// For each word, the lines that it is on, and who loaded that when.
struct Table {
    lines: HashMap<String, Vec<usize>>,
    origin: Origin,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Origin {
    pid: u32,
    at: SystemTime,
}

static TABLE: OnceLock<Table> = OnceLock::new();

/// A forkserver, and every child, has the arguments of the program: the table's file is found there.
#[offspring::preload]
fn load() -> Result<(), Unreadable> {
    table().map(drop)
}

/// The table, which is loaded unless it was before, here or in the process that this one is a copy of.
fn table() -> Result<&'static Table, Unreadable> {
    if let Some(table) = TABLE.get() {
        return Ok(table);
    }
    let path = Arguments::parse().table_file.unwrap_or_else(|| repository().join("README.md"));
    let bytes = std::fs::read(&path).map_err(Unreadable::at(path))?;
    Ok(TABLE.get_or_init(|| index(&String::from_utf8_lossy(&bytes))))
}

fn index(text: &str) -> Table {
    let mut lines: HashMap<String, Vec<usize>> = HashMap::new();
    for (line, number) in text.lines().zip(1..) {
        for word in line.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            let known = lines.entry(word.to_lowercase()).or_default();
            if known.last() != Some(&number) {
                known.push(number);
            }
        }
    }
    Table { lines, origin: Origin { pid: std::process::id(), at: SystemTime::now() } }
}

/// What one child says.
#[derive(Serialize, Deserialize)]
struct Answer {
    lines: Vec<Vec<usize>>,
    origin: Origin,
}

/// Looks the words up.
#[child_task(report)]
fn look_up(words: Vec<String>) -> Result<Answer, Unreadable> {
    let table = table()?;
    let find = |word: &String| table.lines.get(&word.to_lowercase()).cloned().unwrap_or_default();
    Ok(Answer { lines: words.iter().map(find).collect(), origin: table.origin.clone() })
}

#[process_main]
fn main() -> ExitCode {
    conclude("preload", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let context = arguments.method.context()?;
    if context.start_method() == StartMethod::Fork {
        table()?; // what is here before the fork is there after it
    }
    let started = (0..arguments.children).map(|_| context.start(look_up::call(arguments.words.clone())));
    let children = started.collect::<Result<Vec<_>, _>>()?;
    let pids: Vec<u32> = children.iter().map(|child| child.pid()).collect();
    let mut answers = Vec::with_capacity(children.len());
    for child in children {
        answers.push(child.join()??);
    }
    if answers.iter().any(|answer| answer.lines != answers[0].lines) {
        return Err("the children do not agree".into());
    }
    print_lines(&arguments.words, &answers[0].lines)?;
    let origins: BTreeSet<&Origin> = answers.iter().map(|answer| &answer.origin).collect();
    let told = describe(context.start_method(), &origins, &pids);
    Ok(writeln!(io::stderr(), "{told}")?)
}

fn print_lines(words: &[String], lines: &[Vec<usize>]) -> io::Result<()> {
    for (word, lines) in words.iter().zip(lines) {
        let numbers: Vec<String> = lines.iter().map(usize::to_string).collect();
        let place = if numbers.is_empty() { "nowhere".to_owned() } else { format!("lines {}", numbers.join(" ")) };
        writeln!(io::stdout(), "{word:<16}  {place}")?;
    }
    Ok(())
}

/// Tells from the children's reports, not from the start method, who loaded the table how often.
fn describe(method: StartMethod, origins: &BTreeSet<&Origin>, children: &[u32]) -> String {
    let times = match origins.len() {
        1 => "once".to_owned(),
        n => format!("{n} times"),
    };
    let by = match origins.first().map(|origin| origin.pid) {
        Some(pid) if pid == std::process::id() => format!("by this process ({pid}), which they are copies of"),
        Some(pid) if children.contains(&pid) => {
            "by each child for itself, as a fresh process inherits nothing".to_owned()
        }
        Some(pid) => format!("by the forkserver ({pid}), before they began"),
        None => "by nobody".to_owned(),
    };
    format!("{} children under {method} read a table that was loaded {times}, {by}", children.len())
}
