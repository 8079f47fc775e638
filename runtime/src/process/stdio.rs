//! The standard streams of a child.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use crate::child::StreamSetting;
use crate::sys::fd::{self, Stream};
use crate::sys::handed_out;

/// The target of a standard stream of a child: an inherited stream, `/dev/null`, a pipe or an open file.
///
/// A `File`, an `OwnedFd`, a `PipeReader` or a `PipeWriter` converts into a `Stdio`.
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
///     eprintln!("never shown");
/// }
///
/// # #[offspring::process_main]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (mut output, input) = std::io::pipe()?;
/// let child = Context::default().process(greet::call()).stdout(input).stderr(Stdio::null()).start()?;
/// child.join()?;
/// assert_eq!(read_to_string(&mut output)?, "Hello!\n");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Stdio(pub(super) Target);

/// The target as an option that many starts may share.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Inherit,
    Null,
    Piped,
    Given(Arc<OwnedFd>),
}

impl Stdio {
    /// Uses the stream of this process, as the stream is at the start. Default of standard output and standard error.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, Stdio, child_task};
    ///
    /// #[child_task]
    /// fn greet() {
    ///     println!("Hello!");
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// Context::default().process(greet::call()).stdout(Stdio::inherit()).start()?.join()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn inherit() -> Self {
        Self(Target::Inherit)
    }

    /// Uses `/dev/null`. Default of standard input.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, Stdio, child_task};
    ///
    /// #[child_task]
    /// fn greet() {
    ///     println!("never shown");
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// Context::default().process(greet::call()).stdout(Stdio::null()).start()?.join()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn null() -> Self {
        Self(Target::Null)
    }

    /// Makes a pipe between the child and the handle. [`Process::take_stdin`](crate::Process::take_stdin),
    /// [`take_stdout`](crate::Process::take_stdout) and [`take_stderr`](crate::Process::take_stderr) return the other
    /// end.
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
    /// let output = child.take_stdout().expect("standard output is piped");
    /// assert_eq!(read_to_string(output)?, "Hello!\n");
    /// child.join()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Source: [pipe(2)](https://man7.org/linux/man-pages/man2/pipe.2.html).
    pub fn piped() -> Self {
        Self(Target::Piped)
    }
}

impl From<OwnedFd> for Stdio {
    fn from(fd: OwnedFd) -> Self {
        handed_out::take_back(fd.as_fd());
        Self(Target::Given(Arc::new(fd)))
    }
}

impl From<File> for Stdio {
    fn from(file: File) -> Self {
        OwnedFd::from(file).into()
    }
}

impl From<io::PipeReader> for Stdio {
    fn from(pipe: io::PipeReader) -> Self {
        OwnedFd::from(pipe).into()
    }
}

impl From<io::PipeWriter> for Stdio {
    fn from(pipe: io::PipeWriter) -> Self {
        OwnedFd::from(pipe).into()
    }
}

/// Returns the descriptor itself to its only owner, and a duplicate to one of several.
pub(super) fn owned(fd: Arc<OwnedFd>) -> io::Result<OwnedFd> {
    Arc::try_unwrap(fd).or_else(|shared| shared.try_clone())
}

/// Returns the setting of a stream, the child's descriptor, and the parent's end of a pipe.
pub(super) fn resolve(
    stream: Stream,
    target: Option<Target>,
) -> io::Result<(StreamSetting, Option<OwnedFd>, Option<OwnedFd>)> {
    match target {
        None if stream == Stream::In => Ok((StreamSetting::Null, None, None)),
        Some(Target::Null) => Ok((StreamSetting::Null, None, None)),
        None | Some(Target::Inherit) => Ok((StreamSetting::Keep, None, None)),
        // A number above 2, or a later redirection in the child would close this descriptor.
        Some(Target::Given(fd)) => Ok((StreamSetting::Given, Some(fd::above_stdio(owned(fd)?)?), None)),
        Some(Target::Piped) => {
            let (reader, writer) = io::pipe()?;
            let (reader, writer) = (fd::above_stdio(reader.into())?, fd::above_stdio(writer.into())?);
            let (child_end, parent_end) = if stream == Stream::In { (reader, writer) } else { (writer, reader) };
            Ok((StreamSetting::Given, Some(child_end), Some(parent_end)))
        }
    }
}
