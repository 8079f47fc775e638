//! The choice of a start method: one global choice per program, and contexts with a choice of their own.

use std::sync::Mutex;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::builder::{ProcessBuilder, start_closure};
use super::choice::{self, Choice};
use super::handle::Process;
use crate::error::{Error, ErrorKind};
use crate::platform::{Platform, StartMethod};
use crate::start;
use crate::sys;
use crate::task::Call;
use crate::this_process::ancestry;
use crate::this_process::per_process::{OnCopy, PerProcess};

/// The environment variable of the default start method.
const VARIABLE: &str = "OFFSPRING_START_METHOD";

/// A start method, as the starting point of children and pools. A clone is cheap.
///
/// [`get_context`] makes a context with a start method of its own, and leaves the program's global choice alone.
/// `Context::default()` has the global choice, and fixes the global choice. A library takes a context from the caller.
///
/// `anyhow` has a trait of the same name. Import both with `use anyhow::Context as _;`.
///
/// # Examples
/// ```
/// use offspring::{Context, StartMethod, child_task, get_context};
///
/// #[child_task]
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// fn sum_of_squares(context: &Context) -> Result<u64, Box<dyn std::error::Error>> {
///     let children = [context.start(square::call(3))?, context.start(square::call(4))?];
///     Ok(children.into_iter().map(|child| child.join()).sum::<Result<u64, _>>()?)
/// }
///
/// # #[offspring::process_main]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// assert_eq!(sum_of_squares(&Context::default())?, 25);
/// assert_eq!(sum_of_squares(&get_context(StartMethod::Spawn)?)?, 25);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Context {
    choice: Choice,
}

impl Default for Context {
    fn default() -> Self {
        Self { choice: GLOBAL.lock().get_or_insert_with(default).clone() }
    }
}

impl Context {
    /// Returns the start method.
    ///
    /// If `OFFSPRING_START_METHOD` names a start method that is unknown or unsupported, returns the default.
    /// All starts then fail with [`UnknownStartMethod`](ErrorKind::UnknownStartMethod) or
    /// [`UnsupportedStartMethod`](ErrorKind::UnsupportedStartMethod).
    ///
    /// # Examples
    /// ```
    /// use offspring::{StartMethod, get_context};
    ///
    /// assert_eq!(get_context(StartMethod::Fork)?.start_method(), StartMethod::Fork);
    /// # Ok::<(), offspring::Error>(())
    /// ```
    pub fn start_method(&self) -> StartMethod {
        self.choice.method().unwrap_or_else(|_| get_all_start_methods()[0])
    }

    /// Starts a child that runs the call, without options.
    ///
    /// # Errors
    /// The errors of [`ProcessBuilder::start`].
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, child_task};
    ///
    /// #[child_task]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let child = Context::default().start(square::call(12))?;
    /// assert_eq!(child.join()?, 144);
    /// # Ok(())
    /// # }
    /// ```
    pub fn start<T>(&self, call: Call<T>) -> Result<Process<T>, Error> {
        self.process(call).start()
    }

    /// Returns a builder for a child with options.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, child_task};
    ///
    /// #[child_task]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let child = Context::default().process(square::call(12)).name("square").nice(10).start()?;
    /// assert_eq!(child.join()?, 144);
    /// # Ok(())
    /// # }
    /// ```
    pub fn process<T>(&self, call: Call<T>) -> ProcessBuilder<T> {
        ProcessBuilder::new(call, self.choice.clone())
    }
}

impl<T> Call<T> {
    /// Starts a child that runs the call, without options.
    ///
    /// The start method is the `start_method` of `#[child_task]`. Default: the start method of the program.
    ///
    /// # Errors
    /// The errors of [`ProcessBuilder::start`].
    ///
    /// # Examples
    /// ```
    /// use offspring::child_task;
    ///
    /// #[child_task]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let call = square::call(12);
    /// let (first, second) = (call.clone().start()?, call.start()?);
    /// assert_eq!(first.join()? + second.join()?, 288);
    /// # Ok(())
    /// # }
    /// ```
    pub fn start(self) -> Result<Process<T>, Error> {
        let context = match self.entry.start_method {
            Some(method) => get_context(method)?,
            None => Context::default(),
        };
        context.start(self)
    }
}

/// Forks a child that runs a closure. Uses the start method `fork`, with no regard to the program's start method.
///
/// The closure may borrow. The child has a copy of all memory, so changes by the closure stay in the child. Only the
/// result is encoded.
///
/// # Errors
/// - [`MultiThreadedFork`](ErrorKind::MultiThreadedFork): this process has several threads.
/// - [`UnsupportedStartMethod`](ErrorKind::UnsupportedStartMethod): this platform has no fork.
/// - [`LimitReached`](ErrorKind::LimitReached): a limit on processes, descriptors or memory is reached.
/// - [`Preload`](ErrorKind::Preload): the caller is a `#[preload]` function of a forkserver.
/// - [`Os`](ErrorKind::Os): the system refuses for another reason.
///
/// # Examples
/// ```
/// let mut numbers = vec![1, 2, 3];
/// let child = offspring::fork(|| {
///     numbers.push(4); // in the child's copy
///     numbers.iter().sum::<i32>()
/// })?;
/// assert_eq!(child.join()?, 10);
/// assert_eq!(numbers, [1, 2, 3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: [fork(2)](https://man7.org/linux/man-pages/man2/fork.2.html).
#[track_caller]
pub fn fork<T: Serialize + DeserializeOwned, F: FnOnce() -> T>(f: F) -> Result<Process<T>, Error> {
    check_supported(StartMethod::Fork)?;
    start_closure(&format!("closure at {}", std::panic::Location::caller()), f)
}

/// Returns the start methods of this program, the default first.
///
/// These are the start methods of the [platform](Platform::start_methods). But a program that has other threads when it
/// reaches its guard has `spawn` alone. Such threads are older than `main`: an allocator (jemalloc's background
/// threads), a library (OpenBLAS) or a function of `.init_array` starts them when the program is loaded. A forkserver
/// of the program would have the same threads, and a copy of a process with several threads would find their locks
/// held for ever.
///
/// A test binary has no guard of its own, and knows after the first start by the default.
///
/// # Examples
/// ```
/// use offspring::{Platform, StartMethod, get_all_start_methods, get_start_method};
///
/// assert!(get_all_start_methods().contains(&StartMethod::Spawn));
/// assert_eq!(get_all_start_methods()[0], get_start_method());
/// assert!(get_all_start_methods().iter().all(|method| Platform::current().supports(*method)));
/// ```
pub fn get_all_start_methods() -> &'static [StartMethod] {
    choice::available_methods()
}

/// Returns the start method of the program. Fixes the default if no start method was set.
///
/// The default is the first of these that exists:
///
/// 1. in a child, the start method of the child,
/// 2. `OFFSPRING_START_METHOD` in the environment,
/// 3. `#[process_main(start_method = "…")]`,
/// 4. the first of [`get_all_start_methods`]: the default of the platform, or `spawn` in a program with threads that
///    are older than `main`.
///
/// # Examples
/// ```
/// use offspring::{ErrorKind, StartMethod, get_start_method, set_start_method};
///
/// let method = get_start_method();
/// println!("children start by {method}");
///
/// // The first use has fixed the start method.
/// let error = set_start_method(StartMethod::Spawn).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::ContextAlreadySet);
/// ```
pub fn get_start_method() -> StartMethod {
    Context::default().start_method()
}

/// Sets the start method of the program, once, before the first use.
///
/// # Errors
/// - [`ContextAlreadySet`](ErrorKind::ContextAlreadySet): the start method was set or used before.
/// - [`UnsupportedStartMethod`](ErrorKind::UnsupportedStartMethod): this platform lacks the start method.
///
/// # Examples
/// ```
/// use offspring::{ErrorKind, StartMethod, get_start_method, set_start_method};
///
/// set_start_method(StartMethod::Spawn)?;
/// assert_eq!(get_start_method(), StartMethod::Spawn);
///
/// let error = set_start_method(StartMethod::Fork).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::ContextAlreadySet);
/// # Ok::<(), offspring::Error>(())
/// ```
pub fn set_start_method(method: StartMethod) -> Result<(), Error> {
    check_supported(method)?;
    let mut global = GLOBAL.lock();
    if let Some(choice) = &*global {
        let present = choice.method().map_or_else(|_| format!("by {VARIABLE}"), |method| format!("to `{method}`"));
        let text = format!(
            "the start method has been set already, {present}; `get_context` gives a context with another, and \
             `force_start_method` always sets it"
        );
        return Err(Error::new(ErrorKind::ContextAlreadySet, text));
    }
    *global = Some(Choice::Method(method));
    Ok(())
}

/// Sets the start method of the program, even if the start method was set before. Existing contexts keep their start
/// method.
///
/// # Errors
/// - [`UnsupportedStartMethod`](ErrorKind::UnsupportedStartMethod): this platform lacks the start method.
///
/// # Examples
/// ```
/// use offspring::{StartMethod, force_start_method, get_start_method};
///
/// force_start_method(StartMethod::Spawn)?;
/// force_start_method(StartMethod::Fork)?;
/// assert_eq!(get_start_method(), StartMethod::Fork);
/// # Ok::<(), offspring::Error>(())
/// ```
pub fn force_start_method(method: StartMethod) -> Result<(), Error> {
    check_supported(method)?;
    *GLOBAL.lock() = Some(Choice::Method(method));
    Ok(())
}

/// Sets the number of *spares*: children made ahead, so that a start by `forkserver` takes one message and no fork.
///
/// The number belongs to this process, as its forkserver does, and counts for every [`Context`]. The default is 0. The
/// spares are made from the next start by `forkserver` on, or at once if the forkserver runs. A smaller number ends the
/// surplus spares at once. The other start methods have no spares.
///
/// A start takes the oldest spare and requests the next one, without waiting for it. A start that finds no spare has
/// the child forked as usual. A spare takes over the settings of this process at the moment of the start, like any
/// child.
///
/// A waiting spare is one process (`offspring-spare` in `ps`, counted by `RLIMIT_NPROC`) with some 40 KiB of memory of
/// its own, and three descriptors in this process. Surplus spares are gone when this function returns. A spare that is
/// killed while it waits sends `SIGCHLD`, and stays a zombie until the next start, join or
/// [`active_children`](crate::active_children).
///
/// # Examples
/// ```
/// use offspring::{child_task, process_main, set_spares};
///
/// #[child_task]
/// fn double(n: u64) -> u64 {
///     2 * n
/// }
///
/// #[process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     set_spares(2);
///     for n in 0..10 {
///         assert_eq!(double::start(n)?.join()?, 2 * n);
///     }
///     Ok(())
/// }
/// ```
pub fn set_spares(count: usize) {
    start::forkserver::set_spares(count);
}

/// Returns a context with a start method of its own. Neither uses nor fixes the start method of the program.
///
/// # Errors
/// - [`UnsupportedStartMethod`](ErrorKind::UnsupportedStartMethod): this platform lacks the start method.
///
/// # Examples
/// ```
/// use offspring::{StartMethod, child_task, get_context};
///
/// #[child_task]
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// # #[offspring::process_main]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let spawn = get_context(StartMethod::Spawn)?;
/// assert_eq!(spawn.start(square::call(12))?.join()?, 144);
/// # Ok(())
/// # }
/// ```
pub fn get_context(method: StartMethod) -> Result<Context, Error> {
    check_supported(method)?;
    Ok(Context { choice: Choice::Method(method) })
}

fn check_supported(method: StartMethod) -> Result<(), Error> {
    let platform = Platform::current();
    if platform.supports(method) {
        return Ok(());
    }
    let supported: Vec<String> = platform.start_methods().iter().map(|method| format!("`{method}`")).collect();
    let text =
        format!("the start method `{method}` is not to be had on this platform; there are {}", supported.join(", "));
    Err(Error::new(ErrorKind::UnsupportedStartMethod, text))
}

/// The start method of `#[process_main(start_method = "…")]`, which copies of the process have too.
static PROGRAM_DEFAULT: Mutex<Option<StartMethod>> = Mutex::new(None);

/// The global choice of the program, once made. A copy of the process makes the choice anew.
static GLOBAL: PerProcess<Option<Choice>> = PerProcess::new(OnCopy::Drop);

fn default() -> Choice {
    if let Some(method) = ancestry::own_method() {
        return Choice::Method(method);
    }
    let from_outside = std::env::var_os(VARIABLE).map(|value| value.to_string_lossy().into_owned());
    let chosen = match from_outside.as_deref().filter(|value| !value.is_empty()) {
        Some(value) => value.parse().and_then(|method| check_supported(method).map(|()| Some(method))),
        None => Ok(*sys::lock(&PROGRAM_DEFAULT)),
    };
    match chosen {
        Ok(method) => method.map_or(Choice::Default, Choice::Method),
        Err(error) => Choice::Unusable(error.kind(), format!("{VARIABLE} cannot be followed: {error}").into()),
    }
}

/// Stores the start method of `#[process_main(start_method = "…")]`. Fixes nothing.
pub(crate) fn set_program_default(method: Option<StartMethod>) {
    *sys::lock(&PROGRAM_DEFAULT) = method;
}
