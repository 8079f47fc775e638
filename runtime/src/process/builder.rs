//! Options of one child, and its start. They hold for every start method alike.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::handle::Process;
use super::rlimit::Resource;
use super::stdio::{self, Stdio};
use crate::child::{self, ChildFds, ChildSpec, Settings};
use crate::error::{Error, ErrorKind};
use crate::ipc::wire::payload::Payload;
use crate::platform::StartMethod;
use crate::start::{self, Launcher, Request};
use crate::sys::attributes;
use crate::sys::environ::Environment;
use crate::sys::fd::Stream;
use crate::sys::fork::{FreshCopy, SingleThreaded};
use crate::sys::{poll, socket};
use crate::task::{Call, Mark, Output, decode_output};
use crate::this_process::ancestry::Ancestry;
use crate::this_process::children::{self, Description, Launched};

/// A child that has not been started yet: its task, its start method and its options.
///
/// Whatever is not set here is as in this process at the moment of the [`start`](Self::start), under every start method;
/// but for standard input, which is `/dev/null`.
#[must_use = "a builder does nothing until `start`"]
#[derive(Debug)]
pub struct ProcessBuilder<T> {
    call: Call<T>,
    method: Result<StartMethod, Error>,
    options: Options,
}

#[derive(Debug, Default)]
struct Options {
    name: Option<String>,
    environment: Vec<EnvironmentEdit>,
    directory: Option<PathBuf>,
    streams: [Option<Stdio>; 3],
    settings: Settings,
    daemon: bool,
    kill_on_drop: bool,
    timeout: Option<Duration>,
    threads: Option<SingleThreaded>,
}

#[derive(Debug)]
enum EnvironmentEdit {
    Set(OsString, OsString),
    Remove(OsString),
    Clear,
}

impl<T> ProcessBuilder<T> {
    pub(crate) fn new(call: Call<T>, method: Result<StartMethod, Error>) -> Self {
        let options = Options { timeout: call.limit, ..Options::default() };
        Self { call, method, options }
    }

    /// The child's name, for [`current_process`](crate::current_process), [`active_children`](crate::active_children) and `ps`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.options.name = Some(name.into());
        self
    }

    /// Sets one variable of the child's environment.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.options.environment.push(EnvironmentEdit::Set(name.into(), value.into()));
        self
    }

    /// Sets several variables.
    pub fn envs<N: Into<OsString>, V: Into<OsString>>(self, variables: impl IntoIterator<Item = (N, V)>) -> Self {
        variables.into_iter().fold(self, |builder, (name, value)| builder.env(name, value))
    }

    /// Takes one variable out.
    pub fn env_remove(mut self, name: impl Into<OsString>) -> Self {
        self.options.environment.push(EnvironmentEdit::Remove(name.into()));
        self
    }

    /// Starts from an empty environment; what is set after this call is in it.
    pub fn env_clear(mut self) -> Self {
        self.options.environment.push(EnvironmentEdit::Clear);
        self
    }

    /// The child's working directory.
    pub fn current_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.options.directory = Some(directory.into());
        self
    }

    /// The child's standard input; `/dev/null` unless set.
    pub fn stdin(self, stdin: impl Into<Stdio>) -> Self {
        self.stream(Stream::In, stdin.into())
    }

    /// The child's standard output.
    pub fn stdout(self, stdout: impl Into<Stdio>) -> Self {
        self.stream(Stream::Out, stdout.into())
    }

    /// The child's standard error.
    pub fn stderr(self, stderr: impl Into<Stdio>) -> Self {
        self.stream(Stream::Err, stderr.into())
    }

    fn stream(mut self, stream: Stream, stdio: Stdio) -> Self {
        self.options.streams[stream as usize] = Some(stdio);
        self
    }

    /// The permissions that files made by the child do not get, as `0o022` (umask(2)).
    pub fn umask(mut self, mask: u32) -> Self {
        self.options.settings.umask = Some(mask);
        self
    }

    /// The child's nice value, from -20 (first served) to 19; one below this process's own needs privilege (setpriority(2)).
    pub fn nice(mut self, nice: i32) -> Self {
        self.options.settings.nice = Some(nice);
        self
    }

    /// Limits a resource, soft and hard, in the resource's own unit (setrlimit(2)). More than this process may have needs privilege.
    pub fn limit(mut self, resource: Resource, value: u64) -> Self {
        self.options.settings.limits.push((resource.number(), resource.limit(value)));
        self
    }

    /// The processors that the child may run on, by number (sched_setaffinity(2)).
    pub fn cpu_affinity(mut self, processors: impl IntoIterator<Item = usize>) -> Self {
        self.options.settings.affinity = Some(processors.into_iter().collect());
        self
    }

    /// The child's process group; 0 makes it the leader of a new one (setpgid(2)).
    pub fn process_group(mut self, group: i32) -> Self {
        self.options.settings.process_group = Some(group);
        self
    }

    /// Whether the child is terminated, rather than joined, when this process ends.
    pub fn daemon(mut self, daemon: bool) -> Self {
        self.options.daemon = daemon;
        self
    }

    /// The time that the child may take from its start; when it is over, the child is killed, and the join is
    /// [`TimedOut`](crate::JoinErrorKind::TimedOut).
    ///
    /// The kernel keeps the time, in the child: nobody has to wait for it (timer_create(2)).
    /// A task that blocks or handles `SIGALRM` is killed a second later; if nobody waited meanwhile, the join says
    /// `Signaled(9)`, as it cannot tell who sent it.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.options.timeout = Some(limit);
        self
    }

    /// Whether dropping the handle kills the child, and reaps it (which a drop waits for, for up to 100 ms).
    pub fn kill_on_drop(mut self, kill: bool) -> Self {
        self.options.kill_on_drop = kill;
        self
    }

    /// Lets the start method `fork` copy this process although it has several threads.
    ///
    /// # Safety
    /// No other thread holds, at the moment of the start, a lock that the child takes: those of the allocator and of the
    /// standard streams count, those of every library that the task uses, and this crate's: no other thread starts, awaits or
    /// joins a child meanwhile, or makes or drops the end of a channel.
    #[expect(
        unsafe_code,
        reason = "the caller vouches for what the crate otherwise checks; the promise is kept in sys"
    )]
    pub unsafe fn fork_despite_threads(mut self) -> Self {
        // SAFETY: the caller's promise.
        self.options.threads = Some(unsafe { SingleThreaded::assume() });
        self
    }

    /// Starts the child.
    ///
    /// # Errors
    /// Under every start method:
    ///
    /// - [`Encode`](ErrorKind::Encode): an argument refuses to be encoded, or descriptors in it cannot be duplicated.
    /// - [`DuplicateTask`](ErrorKind::DuplicateTask): another function of the same crate is registered under the task's name.
    /// - [`Setting`](ErrorKind::Setting): an option is out of its range, or the working directory cannot be opened.
    /// - [`UnknownStartMethod`](ErrorKind::UnknownStartMethod), [`UnsupportedStartMethod`](ErrorKind::UnsupportedStartMethod): what
    ///   `OFFSPRING_START_METHOD` asks for, if nothing else was chosen.
    /// - [`Preload`](ErrorKind::Preload): this is a `#[preload]` function of a forkserver, which has no children of its own.
    /// - [`LimitReached`](ErrorKind::LimitReached): no more processes, descriptors or memory at the moment. [`Os`](ErrorKind::Os): anything
    ///   else that the system refuses.
    ///
    /// Under `spawn` and `forkserver`, which start this program anew: [`MissingGuard`](ErrorKind::MissingGuard), [`NoExecutable`](ErrorKind::NoExecutable),
    /// [`PrivilegedBinary`](ErrorKind::PrivilegedBinary). Under `forkserver` also [`Preload`](ErrorKind::Preload), if the server's preloads
    /// fail, and [`ForkServer`](ErrorKind::ForkServer), if it cannot be kept alive. Under `fork`: [`MultiThreadedFork`](ErrorKind::MultiThreadedFork).
    ///
    /// What only the child can find out (a limit that may not be raised, say) is told by the join, as
    /// [`NotStarted`](crate::JoinErrorKind::NotStarted).
    ///
    /// Source: posix_spawn(3), fork(2), clone(2) `CLONE_PARENT`.
    pub fn start(self) -> Result<Process<T>, Error> {
        self.start_by(None)
    }

    /// Starts the child by a launcher other than that of the start method, if one is given.
    pub(crate) fn start_by(self, launcher: Option<&dyn Launcher>) -> Result<Process<T>, Error> {
        let Self { call, method, options } = self;
        let method = method?;
        let launcher = launcher.unwrap_or_else(|| start::launcher(method));
        let arguments = call.check()?;
        let decode = call.decode;
        options
            .start(call.entry.name, call.entry.mark(), arguments, method, |request| launcher.launch(request))
            .map(|child| Process::new(child, decode))
    }
}

/// Forks a child that runs a closure.
pub(crate) fn start_closure<T: Serialize + DeserializeOwned>(
    task: &str,
    work: impl FnOnce() -> T,
) -> Result<Process<T>, Error> {
    // It may use every end of a channel that it finds.
    let begin = |_: &FreshCopy| move || Ok(Output(Payload::encode(&work())));
    let child = Options::default().start(task, Mark::default(), &Payload::EMPTY, StartMethod::Fork, |request| {
        start::fork_child(request, begin)
    })?;
    Ok(Process::new(child, decode_output::<T>))
}

impl Options {
    fn start(
        self,
        task: &str,
        mark: Mark,
        arguments: &Payload,
        method: StartMethod,
        launch: impl FnOnce(Request<'_>) -> Result<Launched, Error>,
    ) -> Result<std::sync::Arc<children::Child>, Error> {
        child::refuse_in_server(task)?;
        children::sweep();
        socket::keep_reserve();
        let Self { name, environment, directory, streams, mut settings, daemon, kill_on_drop, timeout, threads } = self;
        settings.environment = edited(environment)?;
        check(&settings)?;
        let failed = |error| Error::os(format!("cannot start `{task}`"), error);
        let mut fds = ChildFds::default();
        if let Some(directory) = directory {
            let opened = attributes::open_directory(&directory);
            fds.directory = Some(opened.map_err(|error| {
                Error::with_source(
                    ErrorKind::Setting,
                    format!("cannot start `{task}` in the directory {directory:?}"),
                    error,
                )
            })?);
        }
        let mut ours = [const { None }; 3];
        for (stream, stdio) in Stream::ALL.into_iter().zip(streams) {
            let index = stream as usize;
            (settings.streams[index], fds.streams[index], ours[index]) = stdio::plan(stream, stdio).map_err(failed)?;
        }
        let title = name.clone().unwrap_or_else(|| task.rsplit("::").next().unwrap_or(task).to_owned());
        let ancestry = Ancestry::of_next_child(name, method, daemon);
        let name = ancestry.name.clone();
        let spec = ChildSpec { task: task.to_owned(), mark, ancestry, title, settings, timeout, privileges: None };
        let overdue_from = timeout.and_then(poll::deadline_in);
        let launched = launch(Request { spec, arguments, fds, streams: ours, threads })?;
        // From here on, as the child's own timer: what came before (a forkserver's start and preloads, say) is not its time.
        let deadline = timeout.and_then(poll::deadline_in);
        let about = Description { name, task: task.to_owned(), method, daemon, kill_on_drop, deadline, overdue_from };
        Ok(children::register(launched, about))
    }
}

/// The environment at this moment with the changes; `None` if there are none.
fn edited(edits: Vec<EnvironmentEdit>) -> Result<Option<Environment>, Error> {
    if edits.is_empty() {
        return Ok(None);
    }
    let mut environment = Environment::present();
    for edit in edits {
        match edit {
            EnvironmentEdit::Set(name, value) => {
                let (bytes, has_nul) = (name.as_bytes(), |text: &OsString| text.as_bytes().contains(&0));
                if bytes.is_empty() || bytes.contains(&b'=') || has_nul(&name) || has_nul(&value) {
                    let text = format!(
                        "an environment cannot hold {name:?} with the value {value:?}: a name is not empty and has no `=`, and neither has a NUL byte"
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

/// What can be told to be wrong before there is a child.
fn check(settings: &Settings) -> Result<(), Error> {
    let wrong = |text: String| Err(Error::new(ErrorKind::Setting, text));
    match settings {
        Settings { affinity: Some(processors), .. } if processors.is_empty() => {
            wrong("a child must be allowed at least one processor".to_owned())
        }
        Settings { nice: Some(nice), .. } if !(-20..=19).contains(nice) => {
            wrong(format!("a nice value is from -20 to 19, not {nice}"))
        }
        Settings { umask: Some(mask), .. } if *mask > 0o777 => {
            wrong(format!("a umask has the bits of 0o777, not {mask:#o}"))
        }
        Settings { process_group: Some(group), .. } if *group < 0 => {
            wrong(format!("a process group has a number from 0 on, not {group}"))
        }
        _ => Ok(()),
    }
}
