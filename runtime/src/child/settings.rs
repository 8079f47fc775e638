//! A child applies its settings to itself: the same steps under every start method.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::spec::{ChildFds, Settings, StreamSetting};
use crate::error::{Error, ErrorKind};
use crate::sys::fd::{self, Stream};
use crate::sys::rlimit::{self, resource};
use crate::sys::{cwd, process_group, sched, signal};

impl Settings {
    /// Applies all settings but the signal mask, which `child::prepare` sets later.
    ///
    /// Limits come last, since a limit may take away the means of another step.
    pub(super) fn apply(&self, fds: ChildFds) -> Result<(), Error> {
        if let Some(environment) = &self.environment {
            environment.install();
        }
        if let Some(group) = self.process_group {
            step("join the process group", group, process_group::set(group))?;
        }
        if let Some(directory) = fds.directory {
            step("enter the working directory", "", cwd::enter_directory(directory.as_fd()))?;
        }
        for ((stream, setting), given) in Stream::ALL.into_iter().zip(self.streams).zip(fds.streams) {
            step("set the standard stream", stream as i32, set_stream(stream, setting, given))?;
        }
        if let Some(umask) = self.umask {
            cwd::set_umask(umask);
        }
        if let Some(ignored) = self.ignored_signals {
            signal::set_ignored(ignored);
        }
        if let Some(score) = &self.oom_score {
            step("set the out-of-memory score", score.trim(), sched::set_oom_score(score))?;
        }
        if let Some(processors) = &self.affinity {
            step("run on the processors", format_args!("{processors:?}"), sched::set_affinity(processors))?;
        }
        if let Some(nice) = self.nice {
            step("set the nice value", nice, sched::set_nice(nice))?;
        }
        drop(fds.many_files);
        for (number, limit) in &self.limits {
            let done = rlimit::set(*number, *limit);
            let (name, soft, hard) = (resource::name(*number), limit.soft, limit.hard);
            step("set", format_args!("{name} to {soft} (soft) and {hard} (hard)"), done)?;
        }
        Ok(())
    }
}

fn step(doing: &str, what: impl std::fmt::Display, done: io::Result<()>) -> Result<(), Error> {
    done.map_err(|error| {
        Error::with_source(ErrorKind::Setting, format!("the child cannot {doing} {what}").trim_end().to_owned(), error)
    })
}

fn set_stream(stream: Stream, setting: StreamSetting, given: Option<OwnedFd>) -> io::Result<()> {
    match (setting, given) {
        (StreamSetting::Keep, _) => Ok(()),
        (StreamSetting::Given, Some(given)) => fd::redirect(given.as_fd(), stream),
        (StreamSetting::Null | StreamSetting::Given, _) if stream == Stream::In => {
            fd::redirect(fd::empty_input()?.as_fd(), stream)
        }
        (StreamSetting::Null | StreamSetting::Given, _) => fd::redirect(fd::null()?.as_fd(), stream),
    }
}
