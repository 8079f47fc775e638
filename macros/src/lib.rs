//! The attributes of the `offspring` crate.
//!
//! Use them from there: `offspring` re-exports each, and what they generate calls it.
//!
//! An attribute goes through four files: `args` reads what is in its parentheses, `model` reads the function below it,
//! `check` finds every mistake, and `expand` generates code. A reader starts with `expand`, which has the whole pipeline
//! on its first screen.

mod args;
mod check;
mod errors;
mod expand;
mod model;
mod signature;
#[cfg(test)]
mod tests;

use proc_macro::TokenStream;

/// Makes a function a task: something that a child process can be asked to run.
///
/// ```ignore
/// use offspring::child_task;
///
/// /// Counts the primes below `n`.
/// #[child_task]
/// fn count_primes(n: u64) -> u64 {
///     (2..n).filter(|k| (2..*k).all(|d| k % d != 0)).count() as u64
/// }
///
/// let here = count_primes(100);                    // the function is still a function
/// let child = count_primes::start(100)?;           // runs it in a child, under the default context
/// assert_eq!(child.join()?, here);
///
/// let call = count_primes::call(100);              // a value that runs nothing yet: a `Call<u64>`
/// let child = context.process(call).name("primes").start()?;
/// for primes in pool.map((0..100).map(count_primes::call)) { /* … */ }
/// ```
///
/// The function stays as it is. Beside it, in the namespace of types, there is a struct of the same name and visibility
/// with two functions: `call` encodes the arguments and returns a `Call`, `start` also starts it. So
/// `use crate::tasks::count_primes;` imports both, and a local variable may have the name too. The task is registered when
/// the program is linked, and a child finds it there by its name, never by an address.
///
/// # What a task may look like
///
/// Arguments and results are sent to another process: they are owned, and implement serde's `Serialize` and `Deserialize`.
/// So there are no references (`String` for `&str`, `Vec<T>` for `&[T]`), no generic parameters and no `impl Trait`. A task
/// is a plain, safe function outside of any `impl` block. If it needs an async runtime, it starts one inside:
///
/// ```ignore
/// #[child_task(report)]
/// fn fetch(url: String) -> io::Result<String> {
///     tokio::runtime::Runtime::new()?.block_on(async { /* … */ })
/// }
/// ```
///
/// # Arguments
///
/// | argument | meaning |
/// | --- | --- |
/// | `name = "…"` | the name that children find the task by, in place of the function's path; needed where two functions of one crate have one path, as in the bodies of two functions of one module |
/// | `handle = Ident` | the name of the struct with `call` and `start`, in place of the function's |
/// | `report` | sends the error of a `Result` as a `Report`, see below |
/// | `idempotent` | running it twice does no harm, so that a pool may try it again when its worker has died |
/// | `start_method = "…"` | the start method of `start`: `"spawn"`, `"fork"` or `"forkserver"` |
/// | `timeout = "…"` | how long the task may take: a number and `ns`, `us`, `ms`, `s`, `m` or `h`, such as `"2.5s"` |
/// | `crate = path` | where the `offspring` crate is, for a crate that re-exports it |
///
/// # Errors that serde cannot carry
///
/// A `Result<T, E>` is sent whole if `E` implements serde's traits. For every other error there is `report`: the function
/// keeps its type, and what the caller gets is a `Result<T, Report>`.
///
/// ```ignore
/// #[child_task(report)]
/// fn read(path: PathBuf) -> io::Result<String> {   // or anyhow::Result, Result<_, Box<dyn Error>>, Result<_, String>
///     std::fs::read_to_string(path)
/// }
///
/// let text = read::start("notes.txt".into())?.join()??; // the second `?` is the report, an ordinary error
/// ```
///
/// # When the name is taken
///
/// The struct may clash with something else of that name in the namespace of types: a module, a type, a crate. For
/// `mod resize;` beside a task `resize` the compiler says
///
/// ```text
/// error[E0428]: the name `resize` is defined multiple times
/// ```
///
/// and for `mod resize; use resize::resize;` it says
///
/// ```text
/// error[E0255]: the name `resize` is defined multiple times
/// help: you can use `as` to change the binding name of the import
/// ```
///
/// which would rename the function as well. `handle` gives the struct a name of its own:
///
/// ```ignore
/// #[child_task(handle = ResizeTask)]
/// fn resize(image: PathBuf, width: u32) { /* … */ }
///
/// ResizeTask::start("a.png".into(), 128)?;
/// ```
///
/// # In an `impl` block
///
/// A task cannot be an associated function, since there is no place for its struct. For one without `self` the compiler says
///
/// ```text
/// error: struct is not supported in `trait`s or `impl`s
/// help: consider moving the struct out to a nearby module scope
/// ```
///
/// Move the function out of the block, or let a task outside call it:
///
/// ```ignore
/// #[child_task]
/// fn resize(image: Image, width: u32) -> Image {
///     Image::resize(image, width)
/// }
/// ```
///
/// # What is not shared
///
/// A `Mutex`, `RwLock`, `Cell` or atomic of std would be copied with its value, hence the compiler refuses it and names what
/// processes share. So it does for files, channels and other things of std that belong to one process. It looks into tuples, arrays and
/// containers of std, not into structs.
#[proc_macro_attribute]
pub fn child_task(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::child_task(args.into(), item.into()).into()
}

/// Puts its argument, items that belong to the item below it, beside that.
#[doc(hidden)]
#[proc_macro_attribute]
pub fn __beside(items: TokenStream, item: TokenStream) -> TokenStream {
    [item, items].into_iter().collect()
}

/// Guards `main`, so that a child which is this very program never enters it.
///
/// ```ignore
/// use offspring::process_main;
///
/// #[process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let child = count_primes::start(10_000)?;
///     println!("{}", child.join()?);
///     Ok(())
/// }
/// ```
///
/// In the program itself `main` runs, its result is reported, and then the children that still run are joined. In a child
/// the task runs in its place. Without the guard, starting a child by executing the program again fails at once, with an
/// error that names this attribute.
///
/// `main` returns whatever a `main` may return. It may be async, if there is the attribute of a runtime on it too, above
/// or below:
///
/// ```ignore
/// #[process_main]
/// #[tokio::main]
/// async fn main() -> anyhow::Result<()> { /* … */ }
/// ```
///
/// A program that is built as a test gets a hidden test, `__offspring_child`, through which the children of its tests
/// enter.
///
/// # Arguments
///
/// | argument | meaning |
/// | --- | --- |
/// | `start_method = "…"` | the program's default start method: `"spawn"`, `"fork"` or `"forkserver"` |
/// | `crate = path` | where the `offspring` crate is, for a crate that re-exports it |
#[proc_macro_attribute]
pub fn process_main(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::process_main(args.into(), item.into()).into()
}

/// Makes a function run once in the forkserver, before it serves, so that its children inherit what was loaded.
///
/// ```ignore
/// use std::io;
/// use std::sync::OnceLock;
/// use offspring::{child_task, preload};
///
/// static WORDS: OnceLock<Vec<String>> = OnceLock::new();
///
/// #[preload]
/// fn load_words() -> io::Result<()> {
///     let text = std::fs::read_to_string("/usr/share/dict/words")?;
///     WORDS.get_or_init(|| text.lines().map(str::to_owned).collect());
///     Ok(())
/// }
///
/// #[child_task]
/// fn is_word(text: String) -> bool {
///     WORDS.get().is_some_and(|words| words.contains(&text))
/// }
/// ```
///
/// The function takes nothing, and returns nothing or a `Result<(), E>`. It starts no children, and leaves no thread behind:
/// the forkserver has one. If it fails or panics, the start that needed the server fails with `ErrorKind::Preload`, and the
/// next start tries again.
///
/// It runs with the program's own arguments and environment, in the forkserver alone: a spawned child starts afresh, and a
/// forked one has what its parent has. What it seeds, its children share: a `HashMap` or a random generator that is made here
/// is the same in all of them (see [`macro@after_fork`]).
///
/// # Arguments
///
/// | argument | meaning |
/// | --- | --- |
/// | `name = "…"` | what messages call it, in place of the function's path |
/// | `crate = path` | where the `offspring` crate is, for a crate that re-exports it |
#[proc_macro_attribute]
pub fn preload(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::preload(args.into(), item.into()).into()
}

/// Makes a function run in every forked child, before its task: the place to forget what must not be shared with the parent.
///
/// ```ignore
/// use offspring::after_fork;
///
/// #[after_fork]
/// fn reseed() {
///     GENERATOR.with_borrow_mut(|generator| *generator = Generator::from_entropy());
/// }
/// ```
///
/// The function takes nothing and returns nothing. It stands for `pthread_atfork`, whose handlers do not run in the
/// children of a forkserver.
///
/// # Arguments
///
/// | argument | meaning |
/// | --- | --- |
/// | `crate = path` | where the `offspring` crate is, for a crate that re-exports it |
#[proc_macro_attribute]
pub fn after_fork(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::after_fork(args.into(), item.into()).into()
}
