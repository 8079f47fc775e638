//! An error that can travel: what `#[child_task(report)]` makes of errors that serde cannot carry.

use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

/// An error of any type, as texts: its own and those of its sources.
///
/// A task that is marked `#[child_task(report)]` keeps its own error type (`io::Error`, `anyhow::Error`, `String`, …); its
/// caller gets a `Report`, which is an ordinary error: `?` turns it into `anyhow::Error`, `Box<dyn Error>` or
/// [`JoinError`](crate::JoinError).
///
/// At most 128 errors of a chain are kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<String>", from = "Vec<String>")]
pub struct Report {
    message: String,
    source: Option<Box<Report>>,
}

/// A chain that another process sends could otherwise be as deep as this one's stack.
const CHAIN_MAX: usize = 128;

impl Report {
    /// Writes down an error and its sources.
    pub fn new(error: &(dyn Error + 'static)) -> Self {
        if let Some(report) = error.downcast_ref::<Self>() {
            return report.clone();
        }
        let (mut texts, mut next) = (Vec::new(), Some(error as &dyn Error));
        while let Some(error) = next.filter(|_| texts.len() < CHAIN_MAX) {
            texts.push(error.to_string());
            next = error.source();
        }
        texts.into()
    }

    /// A report that is just a text.
    pub fn msg(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), source: None }
    }

    /// The error itself, then its source, and so on.
    pub fn chain(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |report| report.source.as_deref())
    }
}

/// The texts of a chain, the error's own first.
impl From<Vec<String>> for Report {
    fn from(mut texts: Vec<String>) -> Self {
        texts.truncate(CHAIN_MAX);
        let chain = texts.into_iter().rev();
        let report = chain.fold(None, |source, message| Some(Self { message, source: source.map(Box::new) }));
        report.unwrap_or_else(|| Self::msg("an error without a text"))
    }
}

impl From<Report> for Vec<String> {
    fn from(report: Report) -> Self {
        report.chain().map(|report| report.message.clone()).collect()
    }
}

/// The error's own text; the sources have theirs.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The text and, line by line, what caused it: what a `main` that returns the error shows.
impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.chain().skip(1).try_for_each(|cause| write!(f, "\ncaused by: {cause}"))
    }
}

impl Error for Report {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// What `#[child_task(report)]` needs to know about the return type; seen through any alias (`io::Result<T>`).
#[diagnostic::on_unimplemented(
    message = "`report` is for tasks that return a `Result`, and `{Self}` is none",
    label = "not a `Result`",
    note = "return a `Result<T, E>`, or take `report` out of `#[child_task(report)]`"
)]
pub trait Fallible {
    /// What the task returns when all goes well.
    type Value;
    /// The task's own error.
    type Error;
    /// What the caller gets: the error is a [`Report`] by then.
    type Reported;
    /// The value as the `Result` that it is.
    ///
    /// # Errors
    /// The task's own.
    fn into_result(self) -> Result<Self::Value, Self::Error>;
}

impl<T, E> Fallible for Result<T, E> {
    type Value = T;
    type Error = E;
    type Reported = Result<T, Report>;
    fn into_result(self) -> Self {
        self
    }
}

/// An error on its way to becoming a [`Report`].
///
/// The generated `(&mut &mut Reporting(Some(error))).report()` finds, by the number of dereferences that each needs,
/// [`ReportSend`] before [`ReportAny`] before [`ReportNone`].
#[derive(Debug)]
pub struct Reporting<E>(pub Option<E>);

/// For errors that become a `Box<dyn Error + Send + Sync>`.
pub trait ReportSend {
    /// Writes the error down.
    fn report(self) -> Report;
}

impl<E: Into<Box<dyn Error + Send + Sync>>> ReportSend for &mut &mut Reporting<E> {
    fn report(self) -> Report {
        self.0.take().map_or_else(nothing, |error| Report::new(&*error.into()))
    }
}

/// For errors that become a `Box<dyn Error>` only.
pub trait ReportAny {
    /// Writes the error down.
    fn report(self) -> Report;
}

impl<E: Into<Box<dyn Error>>> ReportAny for &mut Reporting<E> {
    fn report(self) -> Report {
        self.0.take().map_or_else(nothing, |error| Report::new(&*error.into()))
    }
}

/// Generated code reports each error once, so that there always is one.
fn nothing() -> Report {
    Report::msg("an error that has been reported before")
}

/// The last resort: it is found for every type and its bound holds for none, which is where the compiler shows our text.
pub trait ReportNone<E> {
    /// Never called.
    fn report(&self) -> Report
    where
        E: Reportable;
}

impl<E> ReportNone<E> for Reporting<E> {
    fn report(&self) -> Report
    where
        E: Reportable,
    {
        nothing()
    }
}

/// What no type is.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be reported to the caller of a child task",
    label = "neither `Box<dyn Error + Send + Sync>` nor `Box<dyn Error>` can be made from it",
    note = "implement `std::error::Error` for `{Self}`, or leave `report` out and derive serde's traits for it"
)]
pub trait Reportable {}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("cannot read the number")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn the_chain_of_sources_is_kept() {
        let report = Report::new(&Outer("x".parse::<u8>().unwrap_err()));
        let texts: Vec<String> = report.chain().map(ToString::to_string).collect();
        assert_eq!(texts, ["cannot read the number", "invalid digit found in string"]);
        assert_eq!(report.source().unwrap().to_string(), texts[1]);
        assert_eq!(format!("{report:?}"), "cannot read the number\ncaused by: invalid digit found in string");
    }

    #[test]
    fn a_chain_from_another_process_is_bounded() {
        let texts: Vec<String> = (0..100_000).map(|depth| depth.to_string()).collect();
        let report = Report::from(texts);
        assert_eq!(report.chain().count(), CHAIN_MAX);
        assert_eq!(Report::from(Vec::from(report.clone())), report);
        assert_eq!(Report::from(Vec::new()).chain().count(), 1);
    }

    #[test]
    fn a_report_of_a_report_is_itself() {
        let report = Report::new(&Outer("x".parse::<u8>().unwrap_err()));
        assert_eq!(Report::new(&report), report);
    }
}
