//! The error that `#[child_task(report)]` sends in place of an error without serde's traits.

use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

/// An error of any type as texts: the text of the error and the texts of all sources.
///
/// A task marked `#[child_task(report)]` keeps the own error type (`io::Error`, `anyhow::Error`, `String`, …). The
/// caller gets a `Report`, which implements `Error`: `?` turns a report into `anyhow::Error`, `Box<dyn Error>` or
/// [`JoinError`](crate::JoinError). A report keeps at most 128 errors of a chain.
///
/// # Examples
/// ```
/// use offspring::{Report, child_task};
///
/// #[child_task(report)]
/// fn parse(text: String) -> Result<u32, std::num::ParseIntError> {
///     text.parse()
/// }
///
/// # #[offspring::process_main]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// assert_eq!(parse::start("12".to_owned())?.join()??, 12);
///
/// let report: Report = parse::start("twelve".to_owned())?.join()?.unwrap_err();
/// assert_eq!(report.to_string(), "invalid digit found in string");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<String>", from = "Vec<String>")]
pub struct Report {
    message: String,
    source: Option<Box<Report>>,
}

/// The maximum length of a chain. A longer chain from another process could overflow the stack of this process.
const CHAIN_MAX: usize = 128;

impl Report {
    /// Makes a report of an error and all sources.
    ///
    /// # Examples
    /// ```
    /// use offspring::Report;
    ///
    /// let error = "twelve".parse::<u32>().unwrap_err();
    /// assert_eq!(Report::new(&error).to_string(), "invalid digit found in string");
    /// ```
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

    /// Makes a report of one text.
    ///
    /// # Examples
    /// ```
    /// use offspring::Report;
    ///
    /// let report = Report::msg(format!("{} files are missing", 3));
    /// assert_eq!(report.to_string(), "3 files are missing");
    /// ```
    pub fn msg(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), source: None }
    }

    /// Returns the error, the source of the error, and all further sources.
    ///
    /// # Examples
    /// ```
    /// use offspring::Report;
    ///
    /// let report = Report::from(vec!["cannot read the number".to_owned(), "invalid digit".to_owned()]);
    /// let texts: Vec<String> = report.chain().map(ToString::to_string).collect();
    /// assert_eq!(texts, ["cannot read the number", "invalid digit"]);
    /// ```
    pub fn chain(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |report| report.source.as_deref())
    }
}

/// Makes a report of the texts of a chain, the text of the error first.
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

/// Prints the text of the error, without the sources.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Prints the text and, line by line, the sources, because a `main` that returns the error shows the `Debug` text.
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

/// The return type of a task with `report`: a `Result`, also behind an alias such as `io::Result<T>`.
#[diagnostic::on_unimplemented(
    message = "`report` is for tasks that return a `Result`, and `{Self}` is none",
    label = "not a `Result`",
    note = "return a `Result<T, E>`, or take `report` out of `#[child_task(report)]`"
)]
pub trait Fallible {
    /// The value of the `Result`.
    type Value;
    /// The error of the `Result`.
    type Error;
    /// The result for the caller, with a [`Report`] as error.
    type Reported;
    /// Returns the value as a `Result`.
    ///
    /// # Errors
    /// The error of the task.
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

/// An error before the conversion into a [`Report`].
///
/// The generated `(&mut &mut Reporting(Some(error))).report()` finds [`ReportSend`] before [`ReportAny`] before
/// [`ReportNone`], by the number of dereferences that each trait needs.
#[derive(Debug)]
pub struct Reporting<E>(pub Option<E>);

/// Reports errors that convert into a `Box<dyn Error + Send + Sync>`.
pub trait ReportSend {
    /// Makes a report of the error.
    fn report(self) -> Report;
}

impl<E: Into<Box<dyn Error + Send + Sync>>> ReportSend for &mut &mut Reporting<E> {
    fn report(self) -> Report {
        self.0.take().map_or_else(nothing, |error| Report::new(&*error.into()))
    }
}

/// Reports errors that convert into a `Box<dyn Error>` only.
pub trait ReportAny {
    /// Makes a report of the error.
    fn report(self) -> Report;
}

impl<E: Into<Box<dyn Error>>> ReportAny for &mut Reporting<E> {
    fn report(self) -> Report {
        self.0.take().map_or_else(nothing, |error| Report::new(&*error.into()))
    }
}

/// The report of a missing error. Never needed: generated code reports each error once.
fn nothing() -> Report {
    Report::msg("an error that has been reported before")
}

/// Found for every other type. The bound holds for no type, so the compiler shows the text of [`Reportable`].
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

/// Implemented by no type.
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
