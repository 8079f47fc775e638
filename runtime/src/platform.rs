//! Start methods, and which platform has which: data that can be read, and tested, on any of them.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};
use crate::sys;

/// How a child process comes into being.
///
/// | method | what the child is | cost | inherits |
/// | --- | --- | --- | --- |
/// | `Spawn` | this program, started anew | a program start | only what it is given |
/// | `Fork` | a copy of this process | grows with this process's memory | everything, as it is now |
/// | `ForkServer` | a copy of a small, clean process kept for that | a small fork | what `#[preload]` loaded there |
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StartMethod {
    /// A fresh start of this program (posix_spawn(3)).
    Spawn,
    /// A copy of this process (fork(2)); refused unless the process has one thread.
    Fork,
    /// A copy of a small server process, started at first need (clone(2)).
    ForkServer,
}

impl StartMethod {
    /// The method's name: `spawn`, `fork` or `forkserver`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spawn => "spawn",
            Self::Fork => "fork",
            Self::ForkServer => "forkserver",
        }
    }

    /// What a process that was started so is called unless it is given a name.
    pub(crate) const fn default_name(self) -> &'static str {
        match self {
            Self::Spawn => "SpawnProcess",
            Self::Fork => "ForkProcess",
            Self::ForkServer => "ForkServerProcess",
        }
    }
}

impl fmt::Display for StartMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for StartMethod {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let known = [Self::Spawn, Self::Fork, Self::ForkServer];
        known.into_iter().find(|method| method.as_str() == text).ok_or_else(|| {
            let text = format!("there is no start method {text:?}; there are `spawn`, `fork` and `forkserver`");
            Error::new(ErrorKind::UnknownStartMethod, text)
        })
    }
}

/// Which start methods a platform has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Platform {
    name: &'static str,
    start_methods: &'static [StartMethod],
}

use StartMethod::{Fork, ForkServer, Spawn};

impl Platform {
    /// Linux.
    pub const LINUX: Self = Self { name: "linux", start_methods: &[ForkServer, Fork, Spawn] };
    /// Linux where a process cannot be cloned for its parent: musl before 1.2.5, another C library than that and glibc, or, with
    /// glibc, a kernel without checkpoint support.
    pub const LINUX_WITHOUT_FORKSERVER: Self = Self { name: "linux", start_methods: &[Spawn, Fork] };
    /// macOS, whose system libraries do not survive a fork well.
    pub const MACOS: Self = Self { name: "macos", start_methods: &[Spawn, Fork, ForkServer] };
    /// Other systems of the Unix family.
    pub const UNIX: Self = Self { name: "unix", start_methods: &[ForkServer, Fork, Spawn] };
    /// Windows, which has no fork.
    pub const WINDOWS: Self = Self { name: "windows", start_methods: &[Spawn] };

    /// The platform that this program runs on.
    pub fn current() -> Self {
        static CURRENT: OnceLock<Platform> = OnceLock::new();
        *CURRENT.get_or_init(
            || {
                if sys::fork::can_clone_sibling() { Self::LINUX } else { Self::LINUX_WITHOUT_FORKSERVER }
            },
        )
    }

    /// The platform's name, as in [`std::env::consts::OS`] (`unix` for the family).
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// The start methods that it has, its default first.
    pub const fn start_methods(self) -> &'static [StartMethod] {
        self.start_methods
    }

    /// The start method that is used unless another is chosen.
    pub const fn default_start_method(self) -> StartMethod {
        self.start_methods[0]
    }

    /// Whether it has this start method.
    pub fn supports(self, method: StartMethod) -> bool {
        self.start_methods.contains(&method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_methods_are_each_others() {
        for method in [Spawn, Fork, ForkServer] {
            assert_eq!(method.to_string().parse::<StartMethod>().unwrap(), method);
        }
        let error = "Fork".parse::<StartMethod>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownStartMethod);
        assert!(error.to_string().contains("`forkserver`"));
    }

    #[test]
    fn every_platform_can_spawn_and_has_its_default_first() {
        for platform in
            [Platform::LINUX, Platform::LINUX_WITHOUT_FORKSERVER, Platform::MACOS, Platform::UNIX, Platform::WINDOWS]
        {
            assert!(platform.supports(Spawn), "{}", platform.name());
            assert_eq!(platform.start_methods()[0], platform.default_start_method());
        }
        assert_eq!(Platform::LINUX.default_start_method(), ForkServer);
        assert_eq!(Platform::MACOS.default_start_method(), Spawn);
        assert_eq!(Platform::WINDOWS.start_methods(), [Spawn]);
    }
}
