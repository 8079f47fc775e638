//! The options of one child, and the start. All options hold for every start method.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::choice::Choice;
use super::handle::Process;
use super::options::{Directory, EnvironmentEdit, Options};
use super::rlimit::Resource;
use super::stdio::Stdio;
use crate::child;
use crate::error::{Error, ErrorKind};
use crate::ipc::wire::payload::Payload;
use crate::platform::StartMethod;
use crate::start::{self, Launcher, Request};
use crate::sys::fd::Stream;
use crate::sys::fork::{FreshCopy, SingleThreaded};
use crate::task::{Call, EncodedOutput, TaskId, decode_output};

/// Options of a child, and the start. Made by [`Context::process`](crate::Context::process).
///
/// The child takes over every property without an option from this process, as the property is at the moment of the
/// [`start`](Self::start), under every start method. The one exception is standard input. Default: `/dev/null`.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// use offspring::{Context, Resource, child_task};
///
/// #[child_task]
/// fn greeting() -> String {
///     format!("Hello, {}!", std::env::var("NAME").unwrap_or_default())
/// }
///
/// # #[offspring::process_main]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let child = Context::default()
///     .process(greeting::call())
///     .name("greeter")
///     .env("NAME", "world")
///     .current_dir("/")
///     .limit(Resource::OpenFiles, 64)
///     .timeout(Duration::from_secs(10))
///     .kill_on_drop(true)
///     .start()?;
/// assert_eq!(child.join()?, "Hello, world!");
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until `start`"]
#[derive(Debug)]
pub struct ProcessBuilder<T> {
    call: Call<T>,
    choice: Choice,
    options: Options,
    /// The user's promise that other threads do no harm to a fork.
    threads: Option<SingleThreaded>,
}

impl<T> ProcessBuilder<T> {
    pub(super) fn new(call: Call<T>, choice: Choice) -> Self {
        let options = Options { timeout: call.limit, deadline: call.deadline, ..Options::default() };
        Self { call, choice, options, threads: None }
    }

    /// Returns a builder that only collects options. A start fails with `text`.
    pub(crate) fn of_options(call: Call<T>, text: &str) -> Self {
        Self::new(call, Choice::Unusable(ErrorKind::Setting, text.into()))
    }

    /// Replaces all options.
    pub(crate) fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Returns the options of a builder that starts no process itself.
    pub(crate) fn into_options(self) -> (Options, Option<SingleThreaded>) {
        (self.options, self.threads)
    }

    /// Sets the name of the child. Default: the start method and a number, such as `SpawnProcess-1`.
    ///
    /// [`current_process`](crate::current_process), [`active_children`](crate::active_children) and
    /// [`Process::name`](crate::Process::name) return the name. `ps` shows the first 15 bytes.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, child_task, current_process};
    ///
    /// #[child_task]
    /// fn own_name() -> String {
    ///     current_process().name().to_owned()
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let child = Context::default().process(own_name::call()).name("resizer").start()?;
    /// assert_eq!(child.name(), "resizer");
    /// assert_eq!(child.join()?, "resizer");
    /// # Ok(())
    /// # }
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.options.name = Some(name.into());
        self
    }

    /// Sets one variable of the child's environment.
    ///
    /// [`start`](Self::start) fails with [`ErrorKind::Setting`](crate::ErrorKind::Setting) if the name is empty or has
    /// a `=`, or if the name or the value has a NUL byte.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, child_task};
    ///
    /// #[child_task]
    /// fn variable(name: String) -> Option<String> {
    ///     std::env::var(name).ok()
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let child = Context::default().process(variable::call("LANG".to_owned())).env("LANG", "C").start()?;
    /// assert_eq!(child.join()?.as_deref(), Some("C"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.options.environment.push(EnvironmentEdit::Set(name.into(), value.into()));
        self
    }

    /// Sets several variables of the child's environment. See [`env`](Self::env).
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, child_task};
    ///
    /// #[child_task]
    /// fn variable(name: String) -> Option<String> {
    ///     std::env::var(name).ok()
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let child = Context::default()
    ///     .process(variable::call("TZ".to_owned()))
    ///     .envs([("LANG", "C"), ("TZ", "UTC")])
    ///     .start()?;
    /// assert_eq!(child.join()?.as_deref(), Some("UTC"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn envs<N: Into<OsString>, V: Into<OsString>>(self, variables: impl IntoIterator<Item = (N, V)>) -> Self {
        variables.into_iter().fold(self, |builder, (name, value)| builder.env(name, value))
    }

    /// Removes one variable from the child's environment.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, child_task};
    ///
    /// #[child_task]
    /// fn variable(name: String) -> Option<String> {
    ///     std::env::var(name).ok()
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let child = Context::default().process(variable::call("PATH".to_owned())).env_remove("PATH").start()?;
    /// assert_eq!(child.join()?, None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn env_remove(mut self, name: impl Into<OsString>) -> Self {
        self.options.environment.push(EnvironmentEdit::Remove(name.into()));
        self
    }

    /// Removes all variables from the child's environment. Variables that are set after this call remain.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, child_task};
    ///
    /// #[child_task]
    /// fn variables() -> Vec<String> {
    ///     std::env::vars().map(|(name, _)| name).collect()
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let child = Context::default().process(variables::call()).env_clear().env("LANG", "C").start()?;
    /// assert_eq!(child.join()?, ["LANG"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn env_clear(mut self) -> Self {
        self.options.environment.push(EnvironmentEdit::Clear);
        self
    }

    /// Sets the child's working directory. Default: the working directory of this process.
    ///
    /// [`start`](Self::start) fails with [`ErrorKind::Setting`](crate::ErrorKind::Setting) if the directory cannot be
    /// opened.
    ///
    /// # Examples
    /// ```
    /// use std::path::PathBuf;
    ///
    /// use offspring::{Context, child_task};
    ///
    /// #[child_task]
    /// fn directory() -> PathBuf {
    ///     std::env::current_dir().unwrap_or_default()
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let child = Context::default().process(directory::call()).current_dir("/usr").start()?;
    /// assert_eq!(child.join()?, PathBuf::from("/usr"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Source: [chdir(2)](https://man7.org/linux/man-pages/man2/chdir.2.html).
    pub fn current_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.options.directory = Some(Directory::Path(directory.into()));
        self
    }

    /// Sets the child's standard input. Default: `/dev/null`.
    ///
    /// # Examples
    /// ```
    /// use std::io::{Write, read_to_string, stdin};
    ///
    /// use offspring::{Context, Stdio, child_task};
    ///
    /// #[child_task(report)]
    /// fn count_words() -> std::io::Result<usize> {
    ///     Ok(read_to_string(stdin())?.split_whitespace().count())
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut child = Context::default().process(count_words::call()).stdin(Stdio::piped()).start()?;
    /// child.take_stdin().expect("standard input is piped").write_all(b"to be or not to be")?;
    /// assert_eq!(child.join()??, 6);
    /// # Ok(())
    /// # }
    /// ```
    pub fn stdin(self, stdin: impl Into<Stdio>) -> Self {
        self.stream(Stream::In, stdin.into())
    }

    /// Sets the child's standard output. Default: the standard output of this process.
    ///
    /// # Examples
    /// ```
    /// use std::io::read_to_string;
    ///
    /// use offspring::{Context, Stdio, child_task};
    ///
    /// #[child_task]
    /// fn greet() {
    ///     println!("Hello!");
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut child = Context::default().process(greet::call()).stdout(Stdio::piped()).start()?;
    /// let text = read_to_string(child.take_stdout().expect("standard output is piped"))?;
    /// assert_eq!(text, "Hello!\n");
    /// child.join()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn stdout(self, stdout: impl Into<Stdio>) -> Self {
        self.stream(Stream::Out, stdout.into())
    }

    /// Sets the child's standard error. Default: the standard error of this process.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, Stdio, child_task};
    ///
    /// #[child_task]
    /// fn complain() {
    ///     eprintln!("never shown");
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// Context::default().process(complain::call()).stderr(Stdio::null()).start()?.join()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn stderr(self, stderr: impl Into<Stdio>) -> Self {
        self.stream(Stream::Err, stderr.into())
    }

    fn stream(mut self, stream: Stream, stdio: Stdio) -> Self {
        self.options.streams[stream as usize] = Some(stdio.0);
        self
    }

    /// Sets the child's umask: the permission bits that new files of the child do not get, such as `0o022`. Default:
    /// the umask of this process.
    ///
    /// [`start`](Self::start) fails with [`ErrorKind::Setting`](crate::ErrorKind::Setting) if `mask` has bits outside
    /// of `0o777`.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, child_task};
    ///
    /// #[child_task(report)]
    /// fn status() -> std::io::Result<String> {
    ///     std::fs::read_to_string("/proc/self/status")
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let child = Context::default().process(status::call()).umask(0o077).start()?;
    /// assert!(child.join()??.contains("Umask:\t0077"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Source: [umask(2)](https://man7.org/linux/man-pages/man2/umask.2.html).
    pub fn umask(mut self, mask: u32) -> Self {
        self.options.settings.umask = Some(mask);
        self
    }

    /// Sets the child's nice value, from -20 (highest priority) to 19 (lowest priority). Default: the nice value of
    /// this process.
    ///
    /// A value below the nice value of this process needs privilege: without the privilege, the join fails with
    /// [`NotStarted`](crate::JoinErrorKind::NotStarted). [`start`](Self::start) fails with
    /// [`ErrorKind::Setting`](crate::ErrorKind::Setting) if the value is out of the range.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, child_task};
    ///
    /// /// Returns a number of `/proc/self/stat`, counted from the state of the process.
    /// #[child_task]
    /// fn stat(field: usize) -> Option<i32> {
    ///     let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    ///     text.rsplit(')').next()?.split_whitespace().nth(field)?.parse().ok()
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let child = Context::default().process(stat::call(16)).nice(19).start()?;
    /// assert_eq!(child.join()?, Some(19));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Source: [setpriority(2)](https://man7.org/linux/man-pages/man2/setpriority.2.html).
    pub fn nice(mut self, nice: i32) -> Self {
        self.options.settings.nice = Some(nice);
        self
    }

    /// Limits a resource of the child, in the unit of the [`Resource`]. Sets the soft limit and the hard limit.
    /// Default: the limits of this process.
    ///
    /// A limit above the hard limit of this process needs privilege: without the privilege, the join fails with
    /// [`NotStarted`](crate::JoinErrorKind::NotStarted). Under `fork`, [`Resource::AddressSpace`] includes the copied
    /// memory of this process.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, JoinErrorKind, Resource, child_task};
    ///
    /// #[child_task]
    /// fn sum_for_ever() {
    ///     let mut sum = 0_u64;
    ///     loop {
    ///         sum = std::hint::black_box(sum.wrapping_add(1));
    ///     }
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let child = Context::default().process(sum_for_ever::call()).limit(Resource::CpuSeconds, 1).start()?;
    /// assert!(matches!(child.join().unwrap_err().kind(), JoinErrorKind::Signaled(24))); // SIGXCPU
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Source: [setrlimit(2)](https://man7.org/linux/man-pages/man2/setrlimit.2.html).
    pub fn limit(mut self, resource: Resource, value: u64) -> Self {
        self.options.settings.limits.push((resource.number(), resource.limit(value)));
        self
    }

    /// Sets the processors that may run the child, by number. Default: the processors that may run this process.
    ///
    /// [`start`](Self::start) fails with [`ErrorKind::Setting`](crate::ErrorKind::Setting) if the list is empty. The
    /// join fails with [`NotStarted`](crate::JoinErrorKind::NotStarted) if this process may use none of the processors.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, child_task};
    ///
    /// #[child_task]
    /// fn processors() -> usize {
    ///     std::thread::available_parallelism().map_or(0, |count| count.get())
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let child = Context::default().process(processors::call()).cpu_affinity([0]).start()?;
    /// assert_eq!(child.join()?, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Source: [sched_setaffinity(2)](https://man7.org/linux/man-pages/man2/sched_setaffinity.2.html).
    pub fn cpu_affinity(mut self, processors: impl IntoIterator<Item = usize>) -> Self {
        self.options.settings.affinity = Some(processors.into_iter().collect());
        self
    }

    /// Sets the child's process group. 0 makes the child the leader of a new group. Default: the process group of this
    /// process.
    ///
    /// A child in a new group does not get the signals of the terminal, such as `SIGINT` of Ctrl-C.
    /// [`start`](Self::start) fails with [`ErrorKind::Setting`](crate::ErrorKind::Setting) if the number is negative.
    /// The join fails with [`NotStarted`](crate::JoinErrorKind::NotStarted) if this session has no such group.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, child_task};
    ///
    /// /// Returns a number of `/proc/self/stat`, counted from the state of the process.
    /// #[child_task]
    /// fn stat(field: usize) -> Option<i32> {
    ///     let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    ///     text.rsplit(')').next()?.split_whitespace().nth(field)?.parse().ok()
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let child = Context::default().process(stat::call(2)).process_group(0).start()?;
    /// let pid = i32::try_from(child.pid())?;
    /// assert_eq!(child.join()?, Some(pid));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Source: [setpgid(2)](https://man7.org/linux/man-pages/man2/setpgid.2.html).
    pub fn process_group(mut self, group: i32) -> Self {
        self.options.settings.process_group = Some(group);
        self
    }

    /// Sets whether the end of `main` terminates the child (`true`) or waits for the child (`false`). Default: `false`.
    ///
    /// The end of a `main` with `#[process_main]` sends `SIGTERM` to daemons, waits for up to 2 seconds, and then sends
    /// `SIGKILL`.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, child_task, current_process};
    ///
    /// #[child_task]
    /// fn serve() {
    ///     assert!(current_process().is_daemon());
    ///     loop {
    ///         std::thread::park();
    ///     }
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = Context::default().process(serve::call()).daemon(true).start()?;
    /// assert!(server.is_alive()); // until the end of `main`
    /// # Ok(())
    /// # }
    /// ```
    pub fn daemon(mut self, daemon: bool) -> Self {
        self.options.daemon = daemon;
        self
    }

    /// Sets the time limit of the child. Default: the [`timeout`](Call::timeout) of the call, else none. A
    /// [`deadline`](Call::deadline) of the call holds too.
    ///
    /// When the time is over, the child is killed, and the join is [`TimedOut`](crate::JoinErrorKind::TimedOut). The
    /// kernel measures the time with a timer of the child, so the limit holds without a join. A task that blocks or
    /// handles `SIGALRM` is killed 1 second later. The join of such a task is `Signaled(9)` if no thread waited for the
    /// child during the second.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// use offspring::{Context, JoinErrorKind, child_task};
    ///
    /// #[child_task]
    /// fn wait_for_ever() {
    ///     loop {
    ///         std::thread::park();
    ///     }
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let child = Context::default().process(wait_for_ever::call()).timeout(Duration::from_millis(50)).start()?;
    /// assert!(matches!(child.join().unwrap_err().kind(), JoinErrorKind::TimedOut));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Source: [timer_create(2)](https://man7.org/linux/man-pages/man2/timer_create.2.html).
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.options.timeout = Some(limit);
        self
    }

    /// Sets whether a drop of the handle kills the child. Default: `false`.
    ///
    /// The drop waits for the end of the child for up to 100 ms, so that no zombie remains.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, active_children, child_task};
    ///
    /// #[child_task]
    /// fn wait_for_ever() {
    ///     loop {
    ///         std::thread::park();
    ///     }
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let child = Context::default().process(wait_for_ever::call()).kill_on_drop(true).start()?;
    /// drop(child);
    /// assert!(active_children().is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn kill_on_drop(mut self, kill: bool) -> Self {
        self.options.kill_on_drop = kill;
        self
    }

    /// Lets the start method `fork` copy this process with several threads. Default: a fork of a process with several
    /// threads fails with [`ErrorKind::MultiThreadedFork`](crate::ErrorKind::MultiThreadedFork).
    ///
    /// # Safety
    /// At the moment of the start, no other thread may hold a lock that the child takes. These locks count:
    ///
    /// - the locks of the allocator and of the standard streams,
    /// - the locks of every library that the task uses,
    /// - the locks of this crate: no other thread may start, await or join a child, or make or drop the end of a
    ///   channel.
    ///
    /// # Examples
    /// ```
    /// use std::sync::{Arc, Barrier};
    /// use std::thread;
    ///
    /// use offspring::{StartMethod, child_task, get_context};
    ///
    /// #[child_task]
    /// fn answer() -> u8 {
    ///     42
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let parked = Arc::new(Barrier::new(2));
    /// let helper = thread::spawn({
    ///     let parked = Arc::clone(&parked);
    ///     move || {
    ///         parked.wait();
    ///         thread::park();
    ///     }
    /// });
    /// parked.wait();
    ///
    /// let builder = get_context(StartMethod::Fork)?.process(answer::call());
    /// // SAFETY: the other thread is parked and holds no lock.
    /// let child = unsafe { builder.fork_despite_threads() }.start()?;
    /// assert_eq!(child.join()?, 42);
    /// # helper.thread().unpark();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Source: [fork(2)](https://man7.org/linux/man-pages/man2/fork.2.html).
    #[expect(
        unsafe_code,
        reason = "the caller vouches for what the crate otherwise checks; the promise is kept in sys"
    )]
    pub unsafe fn fork_despite_threads(mut self) -> Self {
        // SAFETY: the caller's promise.
        self.threads = Some(unsafe { SingleThreaded::assume() });
        self
    }

    /// Starts the child.
    ///
    /// # Errors
    /// Under every start method:
    ///
    /// - [`Encode`](crate::ErrorKind::Encode): an argument refuses to be encoded, or descriptors in an argument cannot
    ///   be duplicated.
    /// - [`DuplicateTask`](crate::ErrorKind::DuplicateTask): another function of the same crate is registered under the
    ///   name of the task.
    /// - [`UnknownTask`](crate::ErrorKind::UnknownTask): the task is not in the registry of this program.
    /// - [`Setting`](crate::ErrorKind::Setting): an option is out of the range, or the working directory cannot be
    ///   opened.
    /// - [`UnknownStartMethod`](crate::ErrorKind::UnknownStartMethod): `OFFSPRING_START_METHOD` names no start method,
    ///   and the program has chosen no other.
    /// - [`UnsupportedStartMethod`](crate::ErrorKind::UnsupportedStartMethod): `OFFSPRING_START_METHOD` or
    ///   `#[child_task]` names a start method that this platform lacks.
    /// - [`Preload`](crate::ErrorKind::Preload): the caller is a `#[preload]` function of a forkserver, which has no
    ///   children.
    /// - [`LimitReached`](crate::ErrorKind::LimitReached): a limit on processes, descriptors or memory is reached.
    /// - [`Os`](crate::ErrorKind::Os): the system refuses for another reason.
    ///
    /// Under `spawn` and `forkserver`, which start this program anew:
    ///
    /// - [`MissingGuard`](crate::ErrorKind::MissingGuard): `main` has no `#[process_main]`.
    /// - [`NoExecutable`](crate::ErrorKind::NoExecutable): `/proc` is missing, or a loader or an emulator runs this
    ///   program.
    /// - [`PrivilegedBinary`](crate::ErrorKind::PrivilegedBinary): this program has more privilege than the caller.
    ///
    /// Under `forkserver`:
    ///
    /// - [`Preload`](crate::ErrorKind::Preload): a `#[preload]` function fails.
    /// - [`MultiThreadedFork`](crate::ErrorKind::MultiThreadedFork): this program has other threads when it reaches its
    ///   guard, and `forkserver` was chosen. A start by the default takes `spawn` instead.
    /// - [`ForkServer`](crate::ErrorKind::ForkServer): the forkserver cannot be kept alive.
    ///
    /// Under `fork`:
    ///
    /// - [`MultiThreadedFork`](crate::ErrorKind::MultiThreadedFork): this process has several threads.
    ///
    /// Errors that only the child can find, such as a limit above the hard limit, are errors of the join, as
    /// [`NotStarted`](crate::JoinErrorKind::NotStarted).
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, ErrorKind, child_task};
    ///
    /// #[child_task]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let child = Context::default().process(square::call(12)).start()?;
    /// assert_eq!(child.join()?, 144);
    ///
    /// let error = Context::default().process(square::call(12)).nice(100).start().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Setting);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Source:
    /// [posix_spawn(3)](https://man7.org/linux/man-pages/man3/posix_spawn.3.html),
    /// [fork(2)](https://man7.org/linux/man-pages/man2/fork.2.html),
    /// [clone(2)](https://man7.org/linux/man-pages/man2/clone.2.html) with `CLONE_PARENT`.
    pub fn start(self) -> Result<Process<T>, Error> {
        self.start_by(None)
    }

    /// Notes that the child survives `SIGTERM`. At the end of the program a daemon of the kind is killed at once.
    pub(crate) fn graceful(mut self, graceful: bool) -> Self {
        self.options.is_graceful = graceful;
        self
    }

    /// Starts the child by `launcher`. Default: the launcher of the start method.
    pub(crate) fn start_by(self, launcher: Option<&dyn Launcher>) -> Result<Process<T>, Error> {
        let Self { call, choice, options, threads } = self;
        child::refuse_in_server(call.entry.name)?;
        let method = choice.resolve()?;
        let launcher = launcher.unwrap_or_else(|| start::launcher(method));
        let arguments = call.check()?;
        let decode = call.decode;
        options
            .start(call.entry.name, call.entry.id(), arguments, method, threads, |request| launcher.launch(request))
            .map(|child| Process::new(child, decode))
    }
}

/// Forks a child that runs a closure. `task` is the name of the closure in messages.
pub(crate) fn start_closure<T: Serialize + DeserializeOwned>(
    task: &str,
    work: impl FnOnce() -> T,
) -> Result<Process<T>, Error> {
    child::refuse_in_server(task)?;
    // The closure may use every inherited end of a channel, so the child closes none.
    let begin = |_: &FreshCopy| move || Ok(EncodedOutput(Payload::encode(&work())));
    let launch = |request: Request<'_>| start::fork_child(request, begin);
    let child = Options::default().start(task, TaskId::default(), &Payload::EMPTY, StartMethod::Fork, None, launch)?;
    Ok(Process::new(child, decode_output::<T>))
}
