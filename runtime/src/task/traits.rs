//! The traits by which generated code reaches the registry, the arguments and the calls.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::arguments::{ArgumentDecoder, ArgumentEncoder, EncodedOutput, UndecodableArguments, decode_output};
use super::call::Call;
use super::crossing::{Accepted, Refused, Undecided};
use super::registry::TaskEntry;
use crate::ipc::codec;
use crate::ipc::wire::payload::Payload;

/// A function marked `#[child_task]`, as a type.
///
/// The attribute declares a struct with the name of the function, and implements this trait for the struct. No other
/// code can implement the trait.
///
/// # Examples
/// ```
/// use offspring::{Task, child_task};
///
/// mod images {
///     #[offspring::child_task]
///     pub fn resize(width: u32) -> u32 {
///         width / 2
///     }
/// }
///
/// #[child_task(name = "crop")]
/// fn crop(width: u32) -> u32 {
///     width - 1
/// }
///
/// assert!(images::resize::NAME.ends_with("::images::resize"));
/// assert_eq!(crop::NAME, "crop");
/// ```
pub trait Task: Sealed + 'static {
    /// The name by which a child finds the function.
    ///
    /// The path of the function (`my_crate::module::function`), or the `name = "…"` of the attribute. A name is unique
    /// among the tasks of one crate. Another crate, another version of the crate, or another target of the package may
    /// have a task of the same name.
    const NAME: &'static str;
}

/// Keeps [`Task`] to generated code.
pub trait Sealed {}

/// The private type by which generated code reaches its registry entry.
pub trait Registered {
    /// The entry.
    const ENTRY: TaskEntry;
}

/// A type that a task can take. The parameter is the verdict of [`crossing`](super::crossing) about the parts of the
/// type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a child task",
    label = "serde cannot carry this to another process",
    note = "derive `serde::Serialize` and `serde::Deserialize` for it, or pass what it is made from"
)]
pub trait TaskArg<Verdict = Accepted>: Sized {
    /// Encodes the argument. The start reports a failure.
    fn put(&self, encoder: &mut ArgumentEncoder, name: &'static str, verdict: Verdict);
    /// Decodes the argument.
    ///
    /// # Errors
    /// [`UndecodableArguments`] with the name of the argument.
    fn take(
        arguments: &mut ArgumentDecoder<'_>,
        name: &'static str,
        verdict: Verdict,
    ) -> Result<Self, UndecodableArguments>;
}

impl<T: Serialize + DeserializeOwned> TaskArg for T {
    fn put(&self, encoder: &mut ArgumentEncoder, name: &'static str, _: Accepted) {
        encoder.push(self, name);
    }

    fn take(
        arguments: &mut ArgumentDecoder<'_>,
        name: &'static str,
        _: Accepted,
    ) -> Result<Self, UndecodableArguments> {
        arguments.pull_named(name)
    }
}

/// A type that a task can return. The parameter is the verdict of [`crossing`](super::crossing) about the parts of the
/// type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of a child task",
    label = "serde cannot carry this to another process",
    note = "derive `serde::Serialize` and `serde::Deserialize` for it; for a `Result` with another error type, add \
        `report`: `#[child_task(report)]`"
)]
pub trait TaskOutput<Verdict = Accepted>: Sized {
    /// Encodes the result.
    fn output(self, verdict: Verdict) -> EncodedOutput;
    /// Makes a call of a task with this return type, from encoded arguments.
    fn call(entry: &'static TaskEntry, arguments: ArgumentEncoder, verdict: Verdict) -> Call<Self>;
}

impl<T: Serialize + DeserializeOwned> TaskOutput for T {
    fn output(self, _: Accepted) -> EncodedOutput {
        EncodedOutput(Payload::encode(&self))
    }

    fn call(entry: &'static TaskEntry, arguments: ArgumentEncoder, _: Accepted) -> Call<Self> {
        Call::new(entry, arguments.finish(), decode_output::<T>)
    }
}

/// Implements both traits for a verdict with which no program compiles, so that the compiler has one error to show and
/// not two. These functions never run.
macro_rules! refused {
    ($($verdict:ty),+) => {$(
        impl<T> TaskArg<$verdict> for T {
            fn put(&self, _: &mut ArgumentEncoder, _: &'static str, _: $verdict) {}

            fn take(
                _: &mut ArgumentDecoder<'_>,
                name: &'static str,
                _: $verdict,
            ) -> Result<Self, UndecodableArguments> {
                Err(UndecodableArguments(format!("argument `{name}`: its type is refused")))
            }
        }

        impl<T> TaskOutput<$verdict> for T {
            fn output(self, _: $verdict) -> EncodedOutput {
                EncodedOutput(Err(refusal()))
            }

            fn call(entry: &'static TaskEntry, _: ArgumentEncoder, _: $verdict) -> Call<Self> {
                Call::new(entry, Err(refusal()), |_| Err(refusal().to_string()))
            }
        }
    )+};
}

refused!(Refused, Undecided);

fn refusal() -> codec::Error {
    codec::Error::new("the type of the result is refused")
}
