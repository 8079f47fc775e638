//! Counts lines, words and bytes into counters that all children share, and loses a child in the middle of it.
//!
//! Each child adds what is in its files to a shared `Mutex<Counters>`, file by file. The first child stops with the
//! lock held and its last file half added, and is killed there. The kernel hands the lock on with the news; whoever
//! gets it throws away what the dead child has counted, and the others go on. Another child then counts those files
//! again.
//!
//! Prints the totals to standard output, and what happened to standard error. Ends with exit code 1 if the totals are
//! not those of a serial count in this process, or if nobody got the news.
//!
//! ```text
//! cargo run --release --example counter -- [--children N] [--start-method METHOD] PATH…
//! ```

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bytemuck::{Pod, Zeroable};
use clap::Parser;
use offspring::sync::{Event, Mutex, MutexGuard};
use offspring::{Context, JoinErrorKind, Process, Report, child_task, process_main};
use offspring_examples::{Method, Unreadable, conclude, deal, files_below};

/// Counts the files below PATH… in children that share their counters, one of which is killed with the lock in its
/// hands.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    method: Method,
    /// How many children to start
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(2..=MOST as u64))]
    children: u64,
    /// Files, and directories, whose `target` and `.git` are left out
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// How many children there is room for.
const MOST: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
struct Counts {
    lines: u64,
    words: u64,
    bytes: u64,
}

impl Counts {
    fn of(bytes: &[u8]) -> Self {
        let words = bytes.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let lines = bytes.iter().filter(|byte| **byte == b'\n');
        Self { lines: lines.count() as u64, words: words.count() as u64, bytes: bytes.len() as u64 }
    }

    fn add(&mut self, other: Self) {
        self.lines += other.lines;
        self.words += other.words;
        self.bytes += other.bytes;
    }
}

/// What the children share.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Counters {
    /// Each child's own.
    parts: [Counts; MOST],
    /// Whose part is being changed: its place and one, or zero.
    writer: u64,
    /// Who has thrown a part away: its place and one; the program itself is zero.
    finder: u64,
    /// How many parts were thrown away.
    losses: u64,
}

/// Locks the counters, and clears up behind a holder that has died.
fn lock(counters: &Mutex<Counters>, finder: u64) -> MutexGuard<'_, Counters> {
    counters.lock().unwrap_or_else(|poisoned| {
        let mut guard = poisoned.into_inner();
        if let Some(dead) = guard.writer.checked_sub(1) {
            // Half of its last file may be in it, and nobody knows which half.
            guard.parts[dead as usize] = Counts::zeroed();
        }
        guard.writer = 0;
        guard.finder = finder;
        guard.losses += 1;
        counters.clear_poison();
        guard
    })
}

/// Adds what is in the files to a child's part; with `trap`, stops for ever in the middle of the last file.
#[child_task(report)]
fn count(counters: Mutex<Counters>, place: u64, paths: Vec<OsString>, trap: Option<Event>) -> Result<(), Unreadable> {
    let last = paths.len();
    for (number, path) in paths.into_iter().enumerate() {
        let counts = Counts::of(&std::fs::read(&path).map_err(Unreadable::at(path))?);
        let mut guard = lock(&counters, place + 1);
        guard.writer = place + 1;
        let part = &mut guard.parts[place as usize];
        part.lines += counts.lines;
        if let (Some(trap), true) = (&trap, number + 1 == last) {
            trap.set();
            hang();
        }
        part.words += counts.words;
        part.bytes += counts.bytes;
        guard.writer = 0;
    }
    Ok(())
}

fn hang() -> ! {
    loop {
        std::thread::park();
    }
}

#[process_main]
fn main() -> ExitCode {
    conclude("counter", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let context = arguments.method.context()?;
    let files = files_below(&arguments.paths)?;
    let batches = deal(&files, arguments.children as usize);
    let counters = Mutex::new(Counters::zeroed())?;
    let trap = Event::new()?;
    let start = |place: usize, trap: Option<&Event>| {
        let call = count::call(counters.clone(), place as u64, batches[place].clone(), trap.cloned());
        context.process(call).kill_on_drop(true).start()
    };
    let mut victim = start(0, Some(&trap))?;
    let others = (1..batches.len()).map(|place| start(place, None)).collect::<Result<Vec<_>, _>>()?;
    while !trap.wait_timeout(Duration::from_millis(100)) {
        // It may have ended before, with a file that it cannot read.
        if let Some(outcome) = victim.try_join()? {
            outcome?;
        }
    }
    kill(victim)?;
    for child in others {
        child.join()??;
    }
    // With one batch, or if the others were done before, nobody has locked it since.
    drop(lock(&counters, 0));
    start(0, None)?.join()??;
    let counters = *lock(&counters, 0);
    show(&context, &counters, batches.len(), files.len())?;
    check(&counters, files)
}

/// Kills the child that holds the lock.
fn kill(victim: Process<Result<(), Report>>) -> Result<(), Box<dyn Error>> {
    victim.kill()?;
    match victim.join() {
        Err(error) if matches!(error.kind(), JoinErrorKind::Signaled(_)) => Ok(()),
        _ => Err("the child that was to be killed has ended otherwise".into()),
    }
}

fn show(context: &Context, counters: &Counters, children: usize, files: usize) -> Result<(), Box<dyn Error>> {
    let mut err = io::stderr();
    let finder = match counters.finder {
        0 => "this program".to_owned(),
        child => format!("child {child}"),
    };
    writeln!(err, "{files} files, {children} children ({})", context.start_method())?;
    writeln!(err, "child 1 was killed with the lock held; {finder} got the news and threw its counts away")?;
    writeln!(err, "another child has counted its files again")?;
    let total = total(counters);
    writeln!(io::stdout(), "lines {:>10}\nwords {:>10}\nbytes {:>10}", total.lines, total.words, total.bytes)?;
    Ok(())
}

fn total(counters: &Counters) -> Counts {
    let mut total = Counts::zeroed();
    counters.parts.into_iter().for_each(|part| total.add(part));
    total
}

fn check(counters: &Counters, files: Vec<OsString>) -> Result<(), Box<dyn Error>> {
    let mut serial = Counts::zeroed();
    for path in files {
        serial.add(Counts::of(&std::fs::read(&path).map_err(Unreadable::at(path))?));
    }
    if total(counters) != serial {
        return Err("the children and the serial count do not agree".into());
    }
    if counters.losses != 1 {
        return Err(format!("one child was killed, and {} losses were told", counters.losses).into());
    }
    Ok(())
}
