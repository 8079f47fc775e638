//! Processes with one thread that run cases for the harness, several at once.
//!
//! ```text
//!   harness, a thread for each runner        runner, one thread
//!   ── method and name of a case, a line ──▶ run the case, look for leftovers
//!   ◀─ "passed", or "failed" and a text ──── wait for the next line
//! ```
//!
//! Both directions are one socket, at descriptor 0 of a new runner. A runner ends when the harness closes its end.

use std::any::Any;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Command, ExitCode};
use std::sync::Mutex;

use libtest_mimic::Failed;
use offspring::StartMethod;

use crate::{program, sys};

/// The argument that makes this test binary a runner.
pub(crate) const FLAG: &str = "--runner";

/// Runners that wait for a case.
static IDLE: Mutex<Vec<Runner>> = Mutex::new(Vec::new());

/// A runner, seen by the harness.
struct Runner {
    process: Child,
    link: BufReader<UnixStream>,
}

/// Runs a case in an idle runner, or in a new one.
pub(crate) fn run(method: StartMethod, name: &str) -> Result<(), Failed> {
    let idle = IDLE.lock().expect("no panic with the lock held").pop();
    let mut runner = idle.unwrap_or_else(Runner::start);
    match runner.ask(method, name) {
        Some(result) => {
            IDLE.lock().expect("no panic with the lock held").push(runner);
            result
        }
        // The reason is on standard error, which runner and harness share.
        None => {
            let status = runner.process.wait().expect("a child");
            Err(format!("the process that ran the case has ended: {status}").into())
        }
    }
}

/// Ends all runners.
pub(crate) fn finish() {
    for Runner { mut process, link } in IDLE.lock().expect("no panic with the lock held").drain(..) {
        drop(link);
        process.wait().expect("a child");
    }
}

impl Runner {
    fn start() -> Self {
        let (link, far_end) = UnixStream::pair().expect("a socket pair");
        let mut command = Command::new(program::own_path());
        let process = command.arg(FLAG).stdin(OwnedFd::from(far_end)).spawn().expect("this program runs");
        Self { process, link: BufReader::new(link) }
    }

    /// The result of a case; `None` if the runner has ended.
    fn ask(&mut self, method: StartMethod, name: &str) -> Option<Result<(), Failed>> {
        writeln!(self.link.get_mut(), "{method} {name}").ok()?;
        let mut verdict = String::new();
        self.link.read_line(&mut verdict).ok()?;
        if verdict == "passed\n" {
            return Some(Ok(()));
        }
        let length: u64 = verdict.strip_prefix("failed ")?.trim_end().parse().ok()?;
        let mut text = String::new();
        self.link.by_ref().take(length).read_to_string(&mut text).ok()?;
        Some(Err(text.into()))
    }
}

/// Is a runner: runs the cases that the harness names.
pub(crate) fn serve(run: impl Fn(StartMethod, &str)) -> ExitCode {
    let link = std::io::stdin().as_fd().try_clone_to_owned().expect("a descriptor");
    sys::redirect(&File::open("/dev/null").expect("/dev/null"), 0);
    let mut link = BufReader::new(UnixStream::from(link));
    let mut request = String::new();
    while link.read_line(&mut request).expect("a socket can be read") > 0 {
        let (method, name) = request.trim_end().split_once(' ').expect("a method and a name");
        let method = method.parse().expect("a start method");
        let verdict = match catch_unwind(AssertUnwindSafe(|| run(method, name))) {
            Ok(()) => "passed\n".to_owned(),
            Err(payload) => {
                let text = text_of(&*payload);
                format!("failed {}\n{text}", text.len())
            }
        };
        link.get_mut().write_all(verdict.as_bytes()).expect("the harness reads");
        request.clear();
    }
    ExitCode::SUCCESS
}

fn text_of(payload: &dyn Any) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a panic without a text")
}
