//! System calls of the hot paths, counted and compared with recorded counts, since times are too noisy to compare.
//!
//! ```text
//!   guard                       counts the calls of each path
//!   guard --subject PATH        does the path's operation again and again, with a mark before each; it is traced
//!   UPDATE_COUNTS=1 guard       records the counts
//! ```
//!
//! `paths` has the operations, `tracer` counts the calls of all processes involved, `counts` holds the results, and
//! `recorded` reads the agreed counts in `recorded/`. CONTRIBUTING.md explains a recording.

mod counts;
mod names;
mod paths;
mod recorded;
mod tracer;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use offspring_tests::sys;

use paths::{PATHS, Path, WORSE};
use recorded::Recorded;
use tracer::Refused;

/// The number of attempts. A busy machine rarely disturbs all attempts.
const ATTEMPTS: usize = 3;

fn main() -> ExitCode {
    // Calls before the mark belong to the loader and to Rust, in the program and in every executed child, and do not
    // count.
    sys::mark();
    offspring::guard();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [flag, name] if flag == "--subject" => {
            paths::find(name).be_traced();
            ExitCode::SUCCESS
        }
        // Runs when a trial hangs.
        [flag, ..] if flag == "--states" => offspring_tests::main(&[], &[]),
        _ => run_all(),
    }
}

fn run_all() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Only the thread that traces a process can let the process continue.
    arguments.test_threads = Some(1);
    let mut trials: Vec<Trial> = PATHS.iter().map(|path| trial(path.name, || guard(path))).collect();
    trials.push(trial("a_call_more_is_noticed", a_call_more_is_noticed));
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Makes a trial, which is skipped with the reason if tracing is forbidden.
fn trial(name: &str, run: impl FnOnce() -> Result<Verdict, Refused> + Send + 'static) -> Trial {
    Trial::ignorable_test(name, move || {
        run().unwrap_or_else(|Refused(error)| {
            Ok(Completion::ignored_with(format!("NOT CHECKED: this process may not trace its children: {error}")))
        })
    })
}

type Verdict = Result<Completion, Failed>;

fn guard(path: &Path) -> Result<Verdict, Refused> {
    let mut counts = tracer::usual_operation(path)?;
    if std::env::var_os("UPDATE_COUNTS").is_some() {
        recorded::update(path.name, &counts);
        return Ok(Ok(Completion::Completed));
    }
    let Some(recorded) = Recorded::read() else {
        return Ok(Ok(Completion::ignored_with(format!("NOT CHECKED: there is no {}", recorded::file().display()))));
    };
    let mut verdict = recorded.compare(path.name, &counts);
    for _ in 1..ATTEMPTS {
        if verdict.is_ok() {
            break;
        }
        counts = tracer::usual_operation(path)?;
        verdict = recorded.compare(path.name, &counts);
    }
    Ok(verdict.map(|()| Completion::Completed).map_err(Failed::from))
}

/// Tests the guard itself: a path with more calls does not pass.
fn a_call_more_is_noticed() -> Result<Verdict, Refused> {
    let name = "channel_send";
    let before = Recorded::here(name, tracer::usual_operation(paths::find(name))?);
    let told = before.compare(name, &tracer::usual_operation(&WORSE)?).expect_err("it makes a call more");
    assert!(told.contains("takes 2 system calls, not 1") && told.contains("parent  getpid 0 → 1"), "{told}");
    Ok(Ok(Completion::Completed))
}
