//! This test binary as a separate program, watched from outside.

use std::fs::File;
use std::io::{PipeReader, Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use offspring::StartMethod;

use crate::{procs, sys, wait};

/// A program that a case can start: a name, and the function that its `main` calls.
pub type Entry = (&'static str, fn(StartMethod, &[String]));

pub(crate) fn enter(programs: &[Entry], name: &str, method: StartMethod, arguments: &[String]) -> ExitCode {
    let (_, run) = programs.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no program {name}"));
    run(method, arguments);
    ExitCode::SUCCESS
}

/// A program to be started, in a process group of its own.
#[derive(Debug)]
pub struct Program {
    command: Command,
}

impl Program {
    /// Returns a program of this test binary, by name.
    pub fn new(name: &str, method: StartMethod) -> Self {
        Self::of(Command::new(own_path())).args(["--program", name, method.as_str()])
    }

    /// Returns a program of another command: a copy of this test binary, or a program that runs this binary.
    pub fn by(command: Command, name: &str, method: StartMethod) -> Self {
        Self::of(command).args(["--program", name, method.as_str()])
    }

    /// Returns a program of any command.
    pub fn of(mut command: Command) -> Self {
        command.process_group(0).stdin(Stdio::null());
        Self { command }
    }

    /// Adds arguments.
    pub fn args<A: AsRef<std::ffi::OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets the standard input.
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.command.stdin(stdin);
        self
    }

    /// Starts the program.
    #[track_caller]
    pub fn start(mut self) -> Running {
        let (stdout, writer) = std::io::pipe().expect("a pipe");
        let stderr = sys::temporary_file();
        self.command.stdout(OwnedFd::from(writer)).stderr(Stdio::from(stderr.try_clone().expect("a descriptor")));
        let child = self.command.spawn().unwrap_or_else(|error| panic!("{:?}: {error}", self.command));
        drop(self.command);
        Running { child, stdout, stderr }
    }

    /// Runs the program to its end.
    #[track_caller]
    pub fn finish(self) -> Ended {
        self.start().finish()
    }
}

/// Returns the path of this process's executable.
pub fn own_path() -> std::path::PathBuf {
    std::env::current_exe().expect("the path of this program")
}

/// A running program. Dropping kills the whole process group.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: PipeReader,
    stderr: File,
}

/// An ended program.
#[derive(Debug)]
pub struct Ended {
    /// The exit status.
    pub status: ExitStatus,
    /// The rest of the standard output.
    pub stdout: String,
    /// The standard error.
    pub stderr: String,
}

impl Running {
    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the next line of the standard output.
    #[track_caller]
    pub fn line(&mut self) -> String {
        match wait::line(&mut self.stdout) {
            Some(line) => line,
            None => panic!("the program has ended:\n{}", self.errors()),
        }
    }

    /// Returns the numbers in the next line of the standard output.
    #[track_caller]
    pub fn numbers(&mut self) -> Vec<u32> {
        let line = self.line();
        let numbers: Result<_, std::num::ParseIntError> = line.split_whitespace().map(str::parse).collect();
        numbers.unwrap_or_else(|_| panic!("no numbers: {line:?}\n{}", self.errors()))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        sys::kill(self.pid() as i32, signal);
    }

    /// Kills the program by `SIGKILL`, and waits for its end. Children of the program are left alone.
    #[track_caller]
    pub fn kill(&mut self) {
        self.signal(libc::SIGKILL);
        self.wait(wait::LIMIT);
    }

    #[track_caller]
    fn wait(&mut self, limit: Duration) -> ExitStatus {
        let pidfd = sys::open_pid(self.pid()).expect("an unreaped child has its pid");
        if !wait::readable(pidfd.as_fd(), Instant::now() + limit) {
            wait::expired(&format!("a program has not ended; its errors are:\n{}", self.errors()));
        }
        self.child.wait().expect("a child")
    }

    /// Waits for the end of the program and of all processes in its group.
    #[track_caller]
    pub fn finish(self) -> Ended {
        self.finish_within(wait::LIMIT)
    }

    /// As [`finish`](Self::finish), with a given deadline.
    #[track_caller]
    pub fn finish_within(mut self, limit: Duration) -> Ended {
        let status = self.wait(limit);
        let group = self.pid() as i32;
        let deadline = Instant::now() + wait::LIMIT;
        while !procs::group(group).is_empty() {
            let left = procs::group(group);
            assert!(
                Instant::now() < deadline,
                "left of a program that has ended ({status}): {left:#?}\n{}",
                self.errors()
            );
            wait::a_moment();
        }
        Ended { status, stdout: wait::rest(&mut self.stdout), stderr: self.errors() }
    }

    /// Returns the standard error so far.
    pub fn errors(&self) -> String {
        let mut text = Vec::new();
        let mut file = &self.stderr;
        file.rewind().expect("a file");
        file.read_to_end(&mut text).expect("a file");
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        sys::kill(-(self.pid() as i32), libc::SIGKILL);
        let _ = self.child.wait();
    }
}

impl Ended {
    /// Checks that the program has ended well.
    #[track_caller]
    pub fn succeeded(self) -> String {
        assert!(self.status.success(), "{}\n── stdout\n{}\n── stderr\n{}", self.status, self.stdout, self.stderr);
        self.stdout
    }

    /// Returns the exit code, or the number of the signal that ended the program, negative.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| -self.status.signal().unwrap_or_default())
    }
}

/// Prints a line and flushes the output.
pub fn say(line: impl std::fmt::Display) {
    println!("{line}");
    std::io::stdout().flush().expect("standard output");
}
