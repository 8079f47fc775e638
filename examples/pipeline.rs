//! A pipeline of processes: one reads files, several split them into words, one counts; channels lie between them.
//!
//! ```text
//!                        ┌─▶ split ─┐
//! read ──── pieces ──────┼─▶ split ─┼──── words ────▶ count ────▶ this program
//!        of the texts    └─▶ split ─┘   by the piece
//! ```
//!
//! Prints the most frequent words to standard output, as `wordcount` does, and checks them against a serial count: exit
//! code 1 if that is another. A channel holds little, so that the reader is never far ahead of the splitters, however
//! much there is to read: how often and how long it had to wait for room goes to standard error. When the reader has
//! ended, the splitters find the end of their channel, and after them the counter: nobody is told to stop. A word is a
//! run of letters and digits, in lower case.
//!
//! ```text
//! cargo run --release --example pipeline -- [--top N] [--splitters N] [--start-method METHOD] [PATH…]
//! ```

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use offspring::{
    Context, Process, Receiver, RecvError, Report, SendError, SendErrorKind, Sender, channel, child_task, process_main,
};
use offspring_examples::{
    Counts, Method, Unreadable, conclude, count_words_of, files_below, print_most_frequent, processors, repository,
    words,
};
use serde::{Deserialize, Serialize};

/// Counts the words in the files below PATH…, in three stages.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    method: Method,
    /// How many of the most frequent words to print
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    /// How many processes split texts into words [default: one per processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    splitters: Option<u16>,
    /// Files, and directories, whose `target` and `.git` are left out [default: this repository]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// Pieces are about this long: a dozen of them fill a channel.
const PIECE: usize = 16 << 10;

/// What the reader did.
#[derive(Default, Serialize, Deserialize)]
struct Reading {
    pieces: u64,
    /// How often there was no room for a piece.
    waits: u64,
    /// How long it took until there was.
    waited: Duration,
    time: Duration,
}

impl Reading {
    /// Sends a piece; if there is no room for it at the moment, notes that and waits.
    fn send(&mut self, pieces: &Sender<String>, piece: String) -> Result<(), SendError<String>> {
        self.pieces += 1;
        match pieces.try_send(piece) {
            Err(full) if full.kind() == SendErrorKind::Full => {
                let begin = Instant::now();
                let sent = pieces.send(full.into_inner());
                self.waits += 1;
                self.waited += begin.elapsed();
                sent
            }
            sent => sent,
        }
    }
}

/// The first stage: reads files and cuts them into pieces.
#[child_task(report)]
fn read(paths: Vec<OsString>, pieces: Sender<String>) -> Result<Reading, Box<dyn Error>> {
    let (mut reading, begin) = (Reading::default(), Instant::now());
    for path in paths {
        let bytes = std::fs::read(&path).map_err(Unreadable::at(path))?;
        let text = String::from_utf8_lossy(&bytes);
        let mut rest = &*text;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(cut(rest));
            reading.send(&pieces, piece.to_owned())?;
            rest = after;
        }
    }
    reading.time = begin.elapsed();
    Ok(reading)
}

/// Where to cut a piece off a text: not within a word.
fn cut(text: &str) -> usize {
    let start = (PIECE..text.len()).find(|index| text.is_char_boundary(*index)).unwrap_or(text.len());
    text[start..].find(|c: char| !c.is_alphanumeric()).map_or(text.len(), |length| start + length)
}

/// The second stage, in several processes: each takes a piece when it has done its last one.
#[child_task(report)]
fn split(pieces: Receiver<String>, split: Sender<Vec<String>>) -> Result<u64, Box<dyn Error>> {
    let mut count = 0;
    for piece in &pieces {
        split.send(words(&piece?).collect())?;
        count += 1;
    }
    Ok(count)
}

/// The third stage: counts.
#[child_task(report)]
fn count(split: Receiver<Vec<String>>) -> Result<Counts, RecvError> {
    let mut counts = Counts::new();
    for words in &split {
        words?.into_iter().for_each(|word| *counts.entry(word).or_default() += 1);
    }
    Ok(counts)
}

#[process_main]
fn main() -> ExitCode {
    conclude("pipeline", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let context = arguments.method.context()?;
    let files = if arguments.paths.is_empty() { files_below(&[repository()]) } else { files_below(&arguments.paths) }?;
    let splitters = arguments.splitters.map_or_else(processors, usize::from);
    let pipeline = Pipeline::start(&context, files.clone(), splitters)?;
    let serial = count_words_of(files.clone())?; // while the children are at work
    let (counts, reading, shares) = pipeline.finish()?;
    if counts != serial {
        return Err("the pipeline and the serial count do not agree".into());
    }
    let mut err = io::stderr();
    let (sum, method) = (serial.values().sum::<u64>(), context.start_method());
    writeln!(
        err,
        "words: {sum}, files: {}, pieces: {} ({method}); a serial count agrees",
        files.len(),
        reading.pieces
    )?;
    writeln!(err, "pieces of each splitter: {shares:?}")?;
    let Reading { waits, waited, time, .. } = reading;
    writeln!(err, "the reader waited for room {waits} times, {waited:.1?} of its {time:.1?}")?;
    Ok(print_most_frequent(counts, arguments.top)?)
}

/// The children, by their stages.
struct Pipeline {
    reader: Process<Result<Reading, Report>>,
    splitters: Vec<Process<Result<u64, Report>>>,
    counter: Process<Result<Counts, Report>>,
}

impl Pipeline {
    /// Starts them all. Each end is given away: that of this program would keep its channel open.
    fn start(context: &Context, files: Vec<OsString>, splitters: usize) -> Result<Self, offspring::Error> {
        let ((pieces, to_split), (split, to_count)) = (channel()?, channel()?);
        let counter = context.start(count::call(to_count))?;
        let splitters = (0..splitters).map(|_| context.start(split::call(to_split.clone(), split.clone())));
        let splitters = splitters.collect::<Result<_, _>>()?;
        let reader = context.start(read::call(files, pieces))?;
        Ok(Self { reader, splitters, counter })
    }

    /// Waits for them from the last stage on: one that fails takes its channel away from those before it, so that their
    /// errors are its consequences.
    fn finish(self) -> Result<(Counts, Reading, Vec<u64>), Box<dyn Error>> {
        let counts = self.counter.join()??;
        let shares = self.splitters.into_iter().map(|splitter| Ok(splitter.join()??));
        let shares = shares.collect::<Result<_, Box<dyn Error>>>()?;
        Ok((counts, self.reader.join()??, shares))
    }
}
