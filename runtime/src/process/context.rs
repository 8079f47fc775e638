//! Which start method is used: the program's global choice, and contexts, which have their own.

use std::sync::{Arc, Mutex, MutexGuard};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::builder::{ProcessBuilder, start_closure};
use super::handle::Process;
use crate::error::{Error, ErrorKind};
use crate::platform::{Platform, StartMethod};
use crate::start;
use crate::sys;
use crate::task::Call;
use crate::this_process::ancestry;

/// The variable that sets the default start method from outside.
const VARIABLE: &str = "OFFSPRING_START_METHOD";

/// A start method to make children with. Cheap to clone.
///
/// [`get_context`] makes one that leaves the program's global choice alone; `Context::default()` is that choice, and
/// fixes it. A library should take a context from its caller rather than choose.
///
/// `anyhow` has a trait of the same name: `use anyhow::Context as _;` goes beside this one.
#[derive(Clone, Debug)]
pub struct Context {
    choice: Choice,
}

/// A start method, or why there is none: a default that cannot be used is reported when it is used.
#[derive(Clone, Debug)]
enum Choice {
    Method(StartMethod),
    /// What the environment asks for, and is not to be had.
    Unusable(ErrorKind, Arc<str>),
}

impl Choice {
    fn method(&self) -> Result<StartMethod, Error> {
        match self {
            Self::Method(method) => Ok(*method),
            Self::Unusable(kind, text) => Err(Error::new(*kind, &**text)),
        }
    }
}

impl Default for Context {
    fn default() -> Self {
        Self { choice: Global::lock().fix() }
    }
}

impl Context {
    /// Its start method. If `OFFSPRING_START_METHOD` asks for one that cannot be had, this is the platform's default, and starts fail.
    pub fn start_method(&self) -> StartMethod {
        self.choice.method().unwrap_or_else(|_| Platform::current().default_start_method())
    }

    /// Starts a child that runs the call.
    ///
    /// # Errors
    /// As [`ProcessBuilder::start`].
    pub fn start<T>(&self, call: Call<T>) -> Result<Process<T>, Error> {
        self.process(call).start()
    }

    /// A builder for a child with options.
    pub fn process<T>(&self, call: Call<T>) -> ProcessBuilder<T> {
        ProcessBuilder::new(call, self.choice.method())
    }
}

impl<T> Call<T> {
    /// Starts a child that runs the call, by the task's own start method (`#[child_task(start_method = "…")]`) or the
    /// program's.
    ///
    /// # Errors
    /// As [`ProcessBuilder::start`].
    pub fn start(self) -> Result<Process<T>, Error> {
        let context = match self.entry.start_method {
            Some(method) => get_context(method)?,
            None => Context::default(),
        };
        context.start(self)
    }
}

/// Forks a child that runs a closure, under the start method `fork` whatever else is chosen.
///
/// The closure may borrow: the child has its own copy of everything, and what it changes there stays there. Nothing but
/// the result is encoded.
///
/// # Errors
/// [`MultiThreadedFork`](ErrorKind::MultiThreadedFork) unless this process has one thread; [`LimitReached`](ErrorKind::LimitReached);
/// [`Preload`](ErrorKind::Preload) in a `#[preload]` function; [`Os`](ErrorKind::Os).
///
/// Source: fork(2).
#[track_caller]
pub fn fork<T: Serialize + DeserializeOwned, F: FnOnce() -> T>(f: F) -> Result<Process<T>, Error> {
    check_supported(StartMethod::Fork)?;
    start_closure(&format!("closure at {}", std::panic::Location::caller()), f)
}

/// The start methods that this platform has, its default first.
pub fn get_all_start_methods() -> &'static [StartMethod] {
    Platform::current().start_methods()
}

/// The program's start method. Fixes the default if none was set.
///
/// The default is, in this order: in a child, the method by which it was started; `OFFSPRING_START_METHOD`;
/// `#[process_main(start_method = "…")]`; the platform's.
pub fn get_start_method() -> StartMethod {
    Context::default().start_method()
}

/// Sets the program's start method, once, before it is used.
///
/// # Errors
/// [`ContextAlreadySet`](ErrorKind::ContextAlreadySet) if it was set, or its default used, before;
/// [`UnsupportedStartMethod`](ErrorKind::UnsupportedStartMethod) if this platform has no such method.
pub fn set_start_method(method: StartMethod) -> Result<(), Error> {
    check_supported(method)?;
    let mut global = Global::lock();
    if let Some(choice) = &global.fixed {
        let present = choice.method().map_or_else(|_| format!("by {VARIABLE}"), |method| format!("to `{method}`"));
        let text = format!(
            "the start method has been set already, {present}; `get_context` gives a context with another, and `force_start_method` always sets it"
        );
        return Err(Error::new(ErrorKind::ContextAlreadySet, text));
    }
    global.fixed = Some(Choice::Method(method));
    Ok(())
}

/// Sets the program's start method, also if it was set before. Contexts that exist keep theirs.
///
/// # Errors
/// [`UnsupportedStartMethod`](ErrorKind::UnsupportedStartMethod).
pub fn force_start_method(method: StartMethod) -> Result<(), Error> {
    check_supported(method)?;
    Global::lock().fixed = Some(Choice::Method(method));
    Ok(())
}

/// Sets the number of *spares*: children made ahead, so that a start by `forkserver` takes one message and no fork.
///
/// The number belongs to this process, as its forkserver does, and counts for every [`Context`]. The default is 0. The
/// spares are made from the next start by `forkserver` on, or at once if the forkserver runs. A smaller number ends the
/// surplus spares at once. The other start methods have no spares.
///
/// A start takes the oldest spare and requests the next one, without waiting for it. A start that finds no spare has the
/// child forked as usual. A spare takes over the settings of this process at the moment of the start, like any child.
///
/// A waiting spare is one process (`offspring-spare` in `ps`, counted by `RLIMIT_NPROC`) with some 40 KiB of memory of its
/// own, and three descriptors in this process. A spare that ends while it waits sends `SIGCHLD`, and stays a zombie until
/// the next start, [`active_children`](crate::active_children) or the end of the program.
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

/// A context with a start method of its own; the program's global choice is neither used nor fixed.
///
/// # Errors
/// [`UnsupportedStartMethod`](ErrorKind::UnsupportedStartMethod).
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

/// The program's choice, which a forked copy of a process makes anew.
#[derive(Debug)]
struct Global {
    process: u32,
    /// What `#[process_main(start_method = "…")]` says.
    program: Option<StartMethod>,
    fixed: Option<Choice>,
}

static GLOBAL: Mutex<Global> = Mutex::new(Global { process: 0, program: None, fixed: None });

impl Global {
    fn lock() -> MutexGuard<'static, Self> {
        let mut global = sys::lock(&GLOBAL);
        if global.process != sys::pid() {
            global.process = sys::pid();
            global.fixed = None;
        }
        global
    }

    fn fix(&mut self) -> Choice {
        let program = self.program;
        self.fixed.get_or_insert_with(|| default(program)).clone()
    }
}

fn default(program: Option<StartMethod>) -> Choice {
    if let Some(method) = ancestry::own_method() {
        return Choice::Method(method);
    }
    let from_outside = std::env::var_os(VARIABLE).map(|value| value.to_string_lossy().into_owned());
    let chosen = match from_outside.as_deref().filter(|value| !value.is_empty()) {
        Some(value) => value.parse().and_then(|method| check_supported(method).map(|()| method)),
        None => Ok(program.unwrap_or_else(|| Platform::current().default_start_method())),
    };
    match chosen {
        Ok(method) => Choice::Method(method),
        Err(error) => Choice::Unusable(error.kind(), format!("{VARIABLE} cannot be followed: {error}").into()),
    }
}

/// Notes what `#[process_main(start_method = "…")]` says, which fixes nothing.
pub(crate) fn set_program_default(method: Option<StartMethod>) {
    Global::lock().program = method;
}
