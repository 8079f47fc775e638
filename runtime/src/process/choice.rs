//! A choice of a start method, and its method at a start.

use std::sync::Arc;

use crate::error::{Error, ErrorKind};
use crate::platform::{Platform, StartMethod};
use crate::start;
use crate::start::availability;

/// Returns the start methods of this program, the default first.
pub(super) fn available_methods() -> &'static [StartMethod] {
    if availability::is_available() { Platform::current().start_methods() } else { &[StartMethod::Spawn] }
}

/// A start method, or the reason for a missing start method. The first start reports the reason.
#[derive(Clone, Debug)]
pub(super) enum Choice {
    Method(StartMethod),
    /// No method was chosen, so each start takes the best that this program can have.
    Default,
    /// The environment names a start method that is unknown or unsupported.
    Unusable(ErrorKind, Arc<str>),
}

impl Choice {
    /// Returns the method, as far as known. For a start, [`resolve`](Self::resolve) knows more.
    pub(super) fn method(&self) -> Result<StartMethod, Error> {
        match self {
            Self::Method(method) => Ok(*method),
            Self::Default => Ok(available_methods()[0]),
            Self::Unusable(kind, text) => Err(Error::new(*kind, &**text)),
        }
    }

    /// Returns the method of a start. A default learns first whether this program can have a forkserver.
    pub(super) fn resolve(&self) -> Result<StartMethod, Error> {
        if matches!(self, Self::Default) && self.method()? == StartMethod::ForkServer {
            start::forkserver::ensure_known()?;
        }
        self.method()
    }
}
