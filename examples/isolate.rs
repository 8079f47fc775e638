//! Faults that stay in their child: a crash, a hunger for memory and a hang, while the program goes on.
//!
//! Starts four children, one after the other, and prints a line for each: one dies of a segmentation fault, one wants
//! more memory than its limit, one would never end but for its time limit, and the last one keeps within its limits and
//! returns its value. Each fault arrives as an error of its own kind. Ends with exit code 1 if one of them ends
//! otherwise than it should.
//!
//! The limit is on address space. Under `fork` and `forkserver` a child is a copy of a process, and what that had
//! mapped counts: leave room for it.
//!
//! ```text
//! cargo run --release --example isolate -- [--memory-mib N] [--timeout 500ms] [--start-method METHOD]
//! ```

use std::error::Error;
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use offspring::{Call, Context, JoinError, JoinErrorKind, Resource, Stdio, child_task, process_main};
use offspring_examples::{Method, conclude, duration};

/// Runs tasks that crash, that want too much memory and that hang, and goes on.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    method: Method,
    /// The address space of each child
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u64).range(64..=1 << 16))]
    memory_mib: u64,
    /// The time of each child, in `ms` or `s`
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = duration)]
    timeout: Duration,
}

/// Writes to an address that is never mapped.
#[child_task]
#[expect(unsafe_code, reason = "this is the fault that the example is about")]
fn crash() {
    // Debug builds look for address 0 themselves; address 1 is the processor's affair in every build.
    let nowhere = std::ptr::without_provenance_mut::<u8>(1);
    // SAFETY: none. The kernel ends the process, which is a child kept for that.
    unsafe { nowhere.write_volatile(1) }
}

/// Allocates that many MiB, one by one; returns how many. They need not be touched to count.
#[child_task]
fn allocate(mib: u64) -> usize {
    let blocks: Vec<Vec<u8>> = (0..mib).map(|_| vec![0; 1 << 20]).collect();
    std::hint::black_box(blocks).len()
}

/// Never returns.
#[child_task]
fn hang() {
    loop {
        std::thread::park();
    }
}

#[process_main]
fn main() -> ExitCode {
    conclude("isolate", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let mib = arguments.memory_mib;
    let cell = Cell { context: arguments.method.context()?, mib, timeout: arguments.timeout };
    let crashed = cell.run(crash::call())?;
    show("crash", &crashed, |kind| matches!(kind, Some(JoinErrorKind::Signaled(_))))?;
    let starved = cell.run(allocate::call(2 * mib))?;
    show("want too much", &starved, |kind| matches!(kind, Some(JoinErrorKind::Signaled(_))))?;
    let hung = cell.run(hang::call())?;
    show("hang", &hung, |kind| matches!(kind, Some(JoinErrorKind::TimedOut)))?;
    let done = cell.run(allocate::call(mib / 4))?;
    show("keep to its limits", &done, |kind| kind.is_none())
}

/// What every child is confined to.
struct Cell {
    context: Context,
    mib: u64,
    timeout: Duration,
}

/// How a child ended, and what it left on its standard error.
struct End<T> {
    value: Result<T, JoinError>,
    last_words: String,
}

impl Cell {
    fn run<T>(&self, call: Call<T>) -> Result<End<T>, Box<dyn Error>> {
        let builder = self.context.process(call).timeout(self.timeout).stderr(Stdio::piped());
        let limited = builder.limit(Resource::AddressSpace, self.mib << 20).limit(Resource::CoreDump, 0);
        let mut child = limited.start()?;
        let mut last_words = String::new();
        if let Some(mut stderr) = child.take_stderr() {
            stderr.read_to_string(&mut last_words)?;
        }
        Ok(End { value: child.join(), last_words })
    }
}

fn show<T: std::fmt::Debug>(
    intent: &str,
    end: &End<T>,
    is_expected: impl FnOnce(Option<&JoinErrorKind>) -> bool,
) -> Result<(), Box<dyn Error>> {
    let kind = end.value.as_ref().err().map(JoinError::kind);
    let told = match &end.value {
        Ok(value) => format!("Ok({value:?})"),
        Err(error) => format!("{:?}: {error}", error.kind()),
    };
    let mut out = io::stdout();
    writeln!(out, "{intent:<19} {told}")?;
    if let Some(line) = end.last_words.lines().next() {
        writeln!(out, "{:<19} its last words: {line}", "")?;
    }
    if is_expected(kind) { Ok(()) } else { Err(format!("the child that was to {intent} ended otherwise").into()) }
}
