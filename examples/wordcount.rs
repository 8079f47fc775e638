//! Counts the words in the files of directory trees by a pool of children, and checks that against a serial count.
//!
//! Prints the most frequent words to standard output, most frequent first. How many words, files and children there
//! were goes to standard error, so that the output is the same under every start method. Ends with exit code 1 if the
//! children and the serial count in this process do not agree. A word is a run of letters and digits, in lower case.
//!
//! ```text
//! cargo run --release --example wordcount -- [--top N] [--children N] [--start-method METHOD] PATH…
//! ```

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use offspring::{child_task, process_main};
use offspring_examples::{
    Counts, Method, Unreadable, conclude, count_words_of, deal, files_below, print_most_frequent, processors,
};

/// Counts the words in the files below PATH… by a pool of children.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    method: Method,
    /// How many of the most frequent words to print
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    /// How many children the pool has [default: one per processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    children: Option<u16>,
    /// Files, and directories, whose `target` and `.git` are left out
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

const BATCHES_PER_CHILD: usize = 8;

/// Counts the words of a batch of files.
#[child_task(report)]
fn count_words(paths: Vec<OsString>) -> Result<Counts, Unreadable> {
    count_words_of(paths)
}

#[process_main]
fn main() -> ExitCode {
    conclude("wordcount", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let context = arguments.method.context()?;
    let files = files_below(&arguments.paths)?;
    let number = arguments.children.map_or_else(processors, usize::from).clamp(1, files.len());
    let pool = context.pool().workers(number).build()?;
    // Some for each child, so that no one waits long for another whose files are larger.
    let batches = deal(&files, BATCHES_PER_CHILD * number);
    let jobs: Vec<_> = batches.into_iter().map(|batch| pool.submit(count_words::call(batch))).collect();
    let count = files.len();
    let serial = count_words(files)?; // while the children are at work
    let mut parallel = Counts::new();
    for job in jobs {
        add(&mut parallel, job.wait()??);
    }
    pool.join()?;
    if parallel != serial {
        return Err("the children and the serial count do not agree".into());
    }
    let (sum, method) = (serial.values().sum::<u64>(), context.start_method());
    let mut err = io::stderr();
    writeln!(err, "words: {sum}, files: {count}, children: {number} ({method}); a serial count agrees")?;
    Ok(print_most_frequent(serial, arguments.top)?)
}

fn add(total: &mut Counts, counts: Counts) {
    for (word, count) in counts {
        *total.entry(word).or_default() += count;
    }
}
