//! The attributes of the `offspring` crate.
//!
//! Use the attributes through `offspring`, which re-exports each attribute. Generated code calls the runtime in
//! `offspring`.
//!
//! An attribute goes through four steps:
//!
//! 1. `args` reads the arguments of the attribute.
//! 2. `model` reads the function below the attribute.
//! 3. `check` finds every mistake.
//! 4. `expand` generates code.
//!
//! A reader starts with `expand`, which has the whole pipeline in the first lines.

mod args;
mod check;
mod errors;
mod expand;
mod model;
mod signature;
#[cfg(test)]
mod tests;

use proc_macro::TokenStream;

/// Makes a function a task, which a child process can run.
///
/// The function stays as written. The attribute adds a struct with the same name and visibility, in the namespace of
/// types, with two functions:
///
/// - `call` encodes the arguments and returns a `Call`, which runs nothing yet.
/// - `start` makes a call and starts a child for the call.
///
/// `use crate::tasks::count_primes;` imports the function and the struct. A local variable may have the same name. The
/// task is registered when the program is linked. A child finds the task by name, never by address.
///
/// # Examples
/// ```
/// use offspring::{Context, child_task};
///
/// /// Counts the primes below `n`.
/// #[child_task]
/// fn count_primes(n: u64) -> u64 {
///     (2..n).filter(|k| (2..*k).all(|d| k % d != 0)).count() as u64
/// }
///
/// #[offspring::process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let here = count_primes(100); // the function is still a function
///     let child = count_primes::start(100)?; // runs the function in a child
///     assert_eq!(child.join()?, here);
///
///     let call = count_primes::call(100); // a value of type `Call<u64>`, which runs nothing yet
///     let child = Context::default().process(call).name("primes").start()?;
///     assert_eq!(child.join()?, here);
///     Ok(())
/// }
/// ```
///
/// # Requirements
///
/// Arguments and results are sent to another process, so their types own their data and implement serde's `Serialize`
/// and `Deserialize`. References (use `String` for `&str`, and `Vec<T>` for `&[T]`), generic parameters and
/// `impl Trait` are errors. A task is a safe function outside of any `impl` block, and is not async. A task that needs
/// an async runtime starts the runtime:
///
/// ```
/// # use std::io;
/// # mod tokio {
/// #     pub mod runtime {
/// #         pub struct Runtime;
/// #         impl Runtime {
/// #             pub fn new() -> std::io::Result<Self> {
/// #                 Ok(Self)
/// #             }
/// #             pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
/// #                 let mut context = std::task::Context::from_waker(std::task::Waker::noop());
/// #                 match std::pin::pin!(future).poll(&mut context) {
/// #                     std::task::Poll::Ready(value) => value,
/// #                     std::task::Poll::Pending => unreachable!("a ready future"),
/// #                 }
/// #             }
/// #         }
/// #     }
/// # }
/// # async fn download(url: String) -> io::Result<String> {
/// #     Ok(url)
/// # }
/// use offspring::child_task;
///
/// #[child_task(report)]
/// fn fetch(url: String) -> io::Result<String> {
///     tokio::runtime::Runtime::new()?.block_on(async { download(url).await })
/// }
/// # #[offspring::process_main]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// #     assert_eq!(fetch::start("url".to_owned())?.join()??, "url");
/// #     Ok(())
/// # }
/// ```
///
/// # Arguments
///
/// | argument | meaning |
/// | --- | --- |
/// | `name = "…"` | The name of the task in the registry. Default: the path of the function. |
/// | `handle = Ident` | The name of the struct with `call` and `start`. Default: the name of the function. |
/// | `report` | Sends the error of a `Result` as a `Report`. See below. |
/// | `idempotent` | A second run does no harm. A pool with `retries` runs the task again when a worker has died. |
/// | `start_method = "…"` | The start method of `start`: `"spawn"`, `"fork"`, `"forkserver"`. Default: the program's. |
/// | `timeout = "…"` | The time limit, such as `"2.5s"`. Units: `ns`, `us`, `ms`, `s`, `m`, `h`. Default: none. |
/// | `crate = path` | The path of the `offspring` crate, for a crate that re-exports `offspring`. |
///
/// `name` is needed for two functions with the same path in one crate, such as functions in the bodies of two functions
/// of one module.
///
/// ```
/// use offspring::{JoinErrorKind, Task, child_task};
///
/// #[child_task(name = "sleep", handle = Sleep, idempotent, start_method = "spawn", timeout = "50ms")]
/// fn sleep(seconds: u64) {
///     std::thread::sleep(std::time::Duration::from_secs(seconds));
/// }
///
/// #[offspring::process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     assert_eq!(Sleep::NAME, "sleep");
///     let error = Sleep::start(60)?.join().unwrap_err();
///     assert!(matches!(error.kind(), JoinErrorKind::TimedOut));
///     Ok(())
/// }
/// ```
///
/// # Errors that serde cannot carry
///
/// A `Result<T, E>` is sent whole if `E` implements serde's traits. For every other error type, add `report`. The
/// function keeps the return type, and the caller gets a `Result<T, Report>`.
///
/// ```
/// use std::io;
/// use std::path::PathBuf;
///
/// use offspring::child_task;
///
/// /// Also possible: `anyhow::Result`, `Result<_, Box<dyn Error>>`, `Result<_, String>`.
/// #[child_task(report)]
/// fn read(path: PathBuf) -> io::Result<String> {
///     std::fs::read_to_string(path)
/// }
///
/// #[offspring::process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let text = read::start("/proc/version".into())?.join()??; // the second `?` is for the report, an ordinary error
///     assert!(text.starts_with("Linux"));
///
///     let report = read::start("/no/such/file".into())?.join()?.unwrap_err();
///     assert!(report.to_string().contains("No such file"));
///     Ok(())
/// }
/// ```
///
/// # A taken name
///
/// The struct may clash with a module, a type or a crate of the same name.
///
/// ```compile_fail,E0428
/// mod resize {} // error[E0428]: the name `resize` is defined multiple times
///
/// #[offspring::child_task]
/// fn resize(width: u32) -> u32 {
///     width / 2
/// }
/// ```
///
/// For `mod resize; use resize::resize;` the compiler says
///
/// ```text
/// error[E0255]: the name `resize` is defined multiple times
/// help: you can use `as` to change the binding name of the import
/// ```
///
/// `as` would rename the function as well. `handle` renames only the struct:
///
/// ```
/// mod resize {}
///
/// #[offspring::child_task(handle = ResizeTask)]
/// fn resize(width: u32) -> u32 {
///     width / 2
/// }
///
/// #[offspring::process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     assert_eq!(ResizeTask::start(128)?.join()?, 64);
///     Ok(())
/// }
/// ```
///
/// # In an `impl` block
///
/// A task cannot be an associated function, since an `impl` block has no place for the struct. For a function without
/// `self`, the compiler says
///
/// ```text
/// error: struct is not supported in `trait`s or `impl`s
/// help: consider moving the struct out to a nearby module scope
/// ```
///
/// Move the function out of the block, or call the function from a task outside of the block:
///
/// ```
/// # use offspring::child_task;
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// struct Image {
///     width: u32,
/// }
///
/// impl Image {
///     fn resize(self, width: u32) -> Self {
///         Self { width, ..self }
///     }
/// }
///
/// #[child_task]
/// fn resize(image: Image, width: u32) -> Image {
///     image.resize(width)
/// }
/// # #[offspring::process_main]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # assert_eq!(resize::start(Image { width: 128 }, 64)?.join()?.width, 64);
/// # Ok(())
/// # }
/// ```
///
/// # Types that processes cannot share
///
/// A `Mutex`, `RwLock`, `Cell` or atomic of std would arrive as a copy. The compiler refuses these types and names the
/// replacement that processes share. The same holds for files, channels and other types of std that belong to one
/// process. The check looks into tuples, arrays and containers of std, and not into structs.
///
/// ```compile_fail
/// #[offspring::child_task]
/// fn count(counter: std::sync::Arc<std::sync::Mutex<u64>>) {} // use `offspring::sync::Mutex`
/// ```
#[proc_macro_attribute]
pub fn child_task(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::child_task(args.into(), item.into()).into()
}

/// Emits the item, followed by the items in the attribute's parentheses.
#[doc(hidden)]
#[proc_macro_attribute]
pub fn __beside(items: TokenStream, item: TokenStream) -> TokenStream {
    [item, items].into_iter().collect()
}

/// Guards `main`: a child is the same program again, and runs a task in place of `main`.
///
/// In the program itself, `main` runs, the result of `main` is reported, and then the children that still run are
/// joined. In a child, the task runs. Without the guard, `spawn` and `forkserver` fail at the first start with
/// `ErrorKind::MissingGuard`, which names this attribute.
///
/// `main` may have any return type of a `main`, and takes no arguments.
///
/// # Examples
/// ```
/// use offspring::{child_task, process_main};
///
/// #[child_task]
/// fn count_primes(n: u64) -> usize {
///     (2..n).filter(|k| (2..*k).all(|d| k % d != 0)).count()
/// }
///
/// #[process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let child = count_primes::start(100)?;
///     assert_eq!(child.join()?, 25);
///     Ok(())
/// }
/// ```
///
/// With a default start method:
///
/// ```
/// use offspring::{StartMethod, get_start_method};
///
/// #[offspring::process_main(start_method = "spawn")]
/// fn main() {
/// #     if std::env::var_os("OFFSPRING_START_METHOD").is_some() {
/// #         return;
/// #     }
///     assert_eq!(get_start_method(), StartMethod::Spawn);
/// }
/// ```
///
/// # Async
///
/// `main` may be async if another attribute makes `main` a plain function, such as `#[tokio::main]`. The order of the
/// two attributes does not matter.
///
/// ```text
/// #[process_main]
/// #[tokio::main]
/// async fn main() -> anyhow::Result<()> {
///     let sum = add::start(1, 2)?.await?;
///     Ok(())
/// }
/// ```
///
/// # Tests
///
/// A binary that is built as a test gets a hidden test, `__offspring_child`, which is the entry of the children of the
/// tests.
///
/// # Arguments
///
/// | argument | meaning |
/// | --- | --- |
/// | `start_method = "…"` | The program's default: `"spawn"`, `"fork"`, `"forkserver"`. Default: the platform's. |
/// | `crate = path` | The path of the `offspring` crate, for a crate that re-exports `offspring`. |
#[proc_macro_attribute]
pub fn process_main(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::process_main(args.into(), item.into()).into()
}

/// Runs a function once in the forkserver, before the first child, so that all children of the forkserver inherit the
/// loaded data.
///
/// The function takes no arguments, and returns nothing or a `Result<(), E>`. The function starts no children and
/// leaves no thread behind: the forkserver has one thread. If the function fails or panics, the start that needed the
/// forkserver fails with `ErrorKind::Preload`, and the next start tries again.
///
/// The function runs with the arguments and the environment of the program. Only the forkserver runs the function. A
/// spawned child starts without the data, and a child by `fork` inherits the memory of the parent.
///
/// All children share the seeds that the function draws: a `HashMap` or a random generator made here is the same in
/// every child. [`macro@after_fork`] is the place for new seeds.
///
/// # Examples
/// ```
/// use std::sync::OnceLock;
///
/// use offspring::{child_task, preload};
///
/// static WORDS: OnceLock<Vec<&'static str>> = OnceLock::new();
///
/// #[preload]
/// fn load_words() -> std::io::Result<()> {
///     WORDS.get_or_init(|| "offspring fork spawn".split_whitespace().collect());
///     Ok(())
/// }
///
/// #[child_task(start_method = "forkserver")]
/// fn is_word(text: String) -> bool {
///     WORDS.get().is_some_and(|words| words.contains(&&*text))
/// }
///
/// #[offspring::process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
/// #   if !offspring::Platform::current().supports(offspring::StartMethod::ForkServer) {
/// #       return Ok(());
/// #   }
///     assert!(is_word::start("spawn".to_owned())?.join()?);
///     assert!(WORDS.get().is_none()); // loaded in the forkserver, not here
///     Ok(())
/// }
/// ```
///
/// # Arguments
///
/// | argument | meaning |
/// | --- | --- |
/// | `name = "…"` | The name of the function in messages. Default: the path of the function. |
/// | `crate = path` | The path of the `offspring` crate, for a crate that re-exports `offspring`. |
#[proc_macro_attribute]
pub fn preload(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::preload(args.into(), item.into()).into()
}

/// Runs a function in every child that is a copy of another process (`fork`, `forkserver`), before the task of the
/// child.
///
/// The function drops or renews state that the child must not share with the copied process, such as random seeds and
/// connections. The function takes no arguments and returns nothing. `pthread_atfork` is no replacement: the handlers
/// do not run in the children of a forkserver.
///
/// # Examples
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// use offspring::{after_fork, child_task};
///
/// static SEED: AtomicU32 = AtomicU32::new(0);
///
/// #[after_fork]
/// fn reseed() {
///     SEED.store(std::process::id(), Ordering::Relaxed);
/// }
///
/// #[child_task(start_method = "fork")]
/// fn seed() -> u32 {
///     SEED.load(Ordering::Relaxed)
/// }
///
/// #[offspring::process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let child = seed::start()?;
///     let pid = child.pid();
///     assert_eq!(child.join()?, pid);
///     Ok(())
/// }
/// ```
///
/// # Arguments
///
/// | argument | meaning |
/// | --- | --- |
/// | `crate = path` | The path of the `offspring` crate, for a crate that re-exports `offspring`. |
#[proc_macro_attribute]
pub fn after_fork(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::after_fork(args.into(), item.into()).into()
}
