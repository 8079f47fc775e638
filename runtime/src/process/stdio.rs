//! What the standard streams of a child are.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use crate::child::StreamSetting;
use crate::sys::fd::{self, Stream};

/// What a standard stream of a child is.
#[derive(Debug)]
pub struct Stdio(StdioKind);

#[derive(Debug)]
enum StdioKind {
    Inherit,
    Null,
    Piped,
    Given(OwnedFd),
}

impl Stdio {
    /// That of this process, as it is at the start.
    pub fn inherit() -> Self {
        Self(StdioKind::Inherit)
    }

    /// `/dev/null`.
    pub fn null() -> Self {
        Self(StdioKind::Null)
    }

    /// A pipe, whose other end the handle has ([`take_stdout`](crate::Process::take_stdout) and its like).
    pub fn piped() -> Self {
        Self(StdioKind::Piped)
    }
}

impl From<OwnedFd> for Stdio {
    fn from(fd: OwnedFd) -> Self {
        Self(StdioKind::Given(fd))
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

/// What a stream becomes in the child, the child's end, and ours.
pub(super) fn plan(
    stream: Stream,
    stdio: Option<Stdio>,
) -> io::Result<(StreamSetting, Option<OwnedFd>, Option<OwnedFd>)> {
    match stdio.map(|stdio| stdio.0) {
        None if stream == Stream::In => Ok((StreamSetting::Null, None, None)),
        Some(StdioKind::Null) => Ok((StreamSetting::Null, None, None)),
        None | Some(StdioKind::Inherit) => Ok((StreamSetting::Keep, None, None)),
        // Not a standard stream's own number, or the child would close what it has just redirected.
        Some(StdioKind::Given(fd)) => Ok((StreamSetting::Given, Some(fd::above_stdio(fd)?), None)),
        Some(StdioKind::Piped) => {
            let (reader, writer) = io::pipe()?;
            let (reader, writer) = (fd::above_stdio(reader.into())?, fd::above_stdio(writer.into())?);
            let (theirs, ours) = if stream == Stream::In { (reader, writer) } else { (writer, reader) };
            Ok((StreamSetting::Given, Some(theirs), Some(ours)))
        }
    }
}
