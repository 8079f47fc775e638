//! The options of one child, or of a pool's workers, as data, and the common part of every start: from the options to a
//! registered child.

use std::ffi::OsString;
use std::fmt;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::stdio::{self, Target};
use crate::child::{ChildFds, ChildSpec, Settings};
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

/// The options of a start. Clones share the open files, so that many children may have the same options.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(super) name: Option<String>,
    pub(super) environment: Vec<EnvironmentEdit>,
    pub(super) directory: Option<Directory>,
    pub(super) streams: [Option<Target>; 3],
    pub(super) settings: Settings,
    pub(super) daemon: bool,
    pub(super) is_graceful: bool,
    pub(super) kill_on_drop: bool,
    pub(super) timeout: Option<Duration>,
    pub(super) deadline: Deadline,
}

#[derive(Clone, Debug)]
pub(super) enum EnvironmentEdit {
    Set(OsString, OsString),
    Remove(OsString),
    Clear,
}

#[derive(Clone, Debug)]
pub(super) enum Directory {
    Path(PathBuf),
    Open(Arc<OwnedFd>),
}

impl Options {
    /// Rejects the options that have no meaning for the workers of a pool.
    pub(crate) fn check_for_workers(&self) -> Result<(), Error> {
        let no_pipe = "`Stdio::piped()` has no handle that could return the other end; pass one end of `std::io::pipe`";
        let is_piped = |stream: Stream| matches!(self.streams[stream as usize], Some(Target::Piped));
        let rejected = [
            (self.name.is_some(), "name", "`PoolBuilder::worker_name` sets the beginning of the names"),
            (self.timeout.is_some(), "timeout", "`PoolBuilder::task_timeout` sets the time limit of each task"),
            (self.daemon, "daemon", "the end of the pool is always the end of the workers"),
            (self.kill_on_drop, "kill_on_drop", "the drop of a pool always kills the workers"),
            (is_piped(Stream::In), "stdin", no_pipe),
            (is_piped(Stream::Out), "stdout", no_pipe),
            (is_piped(Stream::Err), "stderr", no_pipe),
        ];
        match rejected.into_iter().find(|(is_set, ..)| *is_set) {
            Some((_, option, reason)) => {
                let text = format!("the option `{option}` is not for the workers of a pool: {reason}");
                Err(Error::new(ErrorKind::Setting, text))
            }
            None => Ok(()),
        }
    }

    /// Resolves the options that depend on the present environment or working directory of this process. All later
    /// starts find the same. `child` names the child in errors.
    pub(crate) fn resolve(mut self, child: impl fmt::Display) -> Result<Self, Error> {
        if let Some(environment) = edited(std::mem::take(&mut self.environment))? {
            self.settings.environment = Some(environment);
        }
        check_settings(&self.settings)?;
        if let Some(Directory::Path(path)) = &self.directory {
            let opened = cwd::open_directory(path).map_err(|error| {
                let text = format!("cannot start {child} in the directory {path:?}");
                Error::with_source(ErrorKind::Setting, text, error)
            })?;
            self.directory = Some(Directory::Open(Arc::new(opened)));
        }
        Ok(self)
    }

    /// Returns the processors that may run the child, if they are set.
    pub(crate) fn processors(&self) -> Option<&[usize]> {
        self.settings.affinity.as_deref()
    }

    /// Sets the processors that may run the child.
    pub(crate) fn set_processors(&mut self, processors: Vec<usize>) {
        self.settings.affinity = Some(processors);
    }

    /// Starts a child with these options. `launch` makes the child by the start method `method`.
    pub(super) fn start(
        self,
        task: &str,
        id: TaskId,
        arguments: &Payload,
        method: StartMethod,
        threads: Option<SingleThreaded>,
        launch: impl FnOnce(Request<'_>) -> Result<Launched, Error>,
    ) -> Result<Arc<Child>, Error> {
        reaper::sweep();
        socket::keep_reserve();
        let options = self.resolve(format_args!("`{task}`"))?;
        let Self { name, environment: _, directory, streams, mut settings, daemon, .. } = options;
        let Self { is_graceful, kill_on_drop, timeout, deadline, .. } = options;
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = [timeout, left].into_iter().flatten().min();
        let failed = |error| Error::os(format!("cannot start `{task}`"), error);
        let mut fds = ChildFds::default();
        if let Some(Directory::Open(directory)) = directory {
            fds.directory = Some(stdio::owned(directory).map_err(failed)?);
        }
        let mut parent_ends = [const { None }; 3];
        for (stream, target) in Stream::ALL.into_iter().zip(streams) {
            let index = stream as usize;
            (settings.streams[index], fds.streams[index], parent_ends[index]) =
                stdio::resolve(stream, target).map_err(failed)?;
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
        let task = task.to_owned();
        let about = Description { name, task, method, daemon, is_graceful, kill_on_drop, deadline, overdue_from };
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
