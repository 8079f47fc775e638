//! The options of one child as data, and the common part of every start: from the options to a registered child.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::stdio::{self, Stdio};
use crate::child::{self, ChildFds, ChildSpec, Settings};
use crate::error::{Error, ErrorKind};
use crate::ipc::wire::payload::Payload;
use crate::platform::StartMethod;
use crate::start::Request;
use crate::sys::cwd;
use crate::sys::environ::Environment;
use crate::sys::fd::Stream;
use crate::sys::fork::SingleThreaded;
use crate::sys::poll::{self, Deadline};
use crate::sys::socket;
use crate::task::TaskId;
use crate::this_process::ancestry::Ancestry;
use crate::this_process::children::{self, Child, Description, Launched};
use crate::this_process::reaper;

#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) name: Option<String>,
    pub(super) environment: Vec<EnvironmentEdit>,
    pub(super) directory: Option<PathBuf>,
    pub(super) streams: [Option<Stdio>; 3],
    pub(super) settings: Settings,
    pub(super) daemon: bool,
    pub(super) kill_on_drop: bool,
    pub(super) timeout: Option<Duration>,
    pub(super) deadline: Deadline,
    pub(super) threads: Option<SingleThreaded>,
}

#[derive(Debug)]
pub(super) enum EnvironmentEdit {
    Set(OsString, OsString),
    Remove(OsString),
    Clear,
}

impl Options {
    /// Starts a child with these options. `launch` makes the child by the start method `method`.
    pub(super) fn start(
        self,
        task: &str,
        id: TaskId,
        arguments: &Payload,
        method: StartMethod,
        launch: impl FnOnce(Request<'_>) -> Result<Launched, Error>,
    ) -> Result<Arc<Child>, Error> {
        child::refuse_in_server(task)?;
        reaper::sweep();
        socket::keep_reserve();
        let Self {
            name,
            environment,
            directory,
            streams,
            mut settings,
            daemon,
            kill_on_drop,
            timeout,
            deadline,
            threads,
        } = self;
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = [timeout, left].into_iter().flatten().min();
        settings.environment = edited(environment)?;
        check_settings(&settings)?;
        let failed = |error| Error::os(format!("cannot start `{task}`"), error);
        let mut fds = ChildFds::default();
        if let Some(directory) = directory {
            let opened = cwd::open_directory(&directory);
            fds.directory = Some(opened.map_err(|error| {
                Error::with_source(
                    ErrorKind::Setting,
                    format!("cannot start `{task}` in the directory {directory:?}"),
                    error,
                )
            })?);
        }
        let mut parent_ends = [const { None }; 3];
        for (stream, stdio) in Stream::ALL.into_iter().zip(streams) {
            let index = stream as usize;
            (settings.streams[index], fds.streams[index], parent_ends[index]) =
                stdio::resolve(stream, stdio).map_err(failed)?;
        }
        let title = name.clone().unwrap_or_else(|| task.rsplit("::").next().unwrap_or(task).to_owned());
        let ancestry = Ancestry::of_next_child(name, method, daemon);
        let name = ancestry.name.clone();
        let spec = ChildSpec { task: task.to_owned(), id, ancestry, title, settings, timeout, privileges: None };
        let overdue_from = timeout.and_then(poll::deadline_in);
        let launched = launch(Request { spec, arguments, fds, streams: parent_ends, threads })?;
        // The child's own timer starts now too. Work before this point, such as the start of a forkserver and its
        // preloads, does not count against the limit.
        let deadline = timeout.and_then(poll::deadline_in);
        let about = Description { name, task: task.to_owned(), method, daemon, kill_on_drop, deadline, overdue_from };
        Ok(children::register(launched, about))
    }
}

/// Returns the present environment with the changes, or `None` without changes.
fn edited(edits: Vec<EnvironmentEdit>) -> Result<Option<Environment>, Error> {
    if edits.is_empty() {
        return Ok(None);
    }
    let mut environment = Environment::current();
    for edit in edits {
        match edit {
            EnvironmentEdit::Set(name, value) => {
                let (bytes, has_nul) = (name.as_bytes(), |text: &OsString| text.as_bytes().contains(&0));
                if bytes.is_empty() || bytes.contains(&b'=') || has_nul(&name) || has_nul(&value) {
                    let text = format!(
                        "an environment cannot hold {name:?} with the value {value:?}: a name is not empty and has \
                         no `=`, and neither has a NUL byte"
                    );
                    return Err(Error::new(ErrorKind::Setting, text));
                }
                environment.set(name, value);
            }
            EnvironmentEdit::Remove(name) => environment.remove(&name),
            EnvironmentEdit::Clear => environment.clear(),
        }
    }
    Ok(Some(environment))
}

/// Rejects settings that are wrong under every condition, before there is a child.
fn check_settings(settings: &Settings) -> Result<(), Error> {
    let invalid = |text: String| Err(Error::new(ErrorKind::Setting, text));
    match settings {
        Settings { affinity: Some(processors), .. } if processors.is_empty() => {
            invalid("a child must be allowed at least one processor".to_owned())
        }
        Settings { nice: Some(nice), .. } if !(-20..=19).contains(nice) => {
            invalid(format!("a nice value is from -20 to 19, not {nice}"))
        }
        Settings { umask: Some(mask), .. } if *mask > 0o777 => {
            invalid(format!("a umask has the bits of 0o777, not {mask:#o}"))
        }
        Settings { process_group: Some(group), .. } if *group < 0 => {
            invalid(format!("a process group has a number from 0 on, not {group}"))
        }
        _ => Ok(()),
    }
}
