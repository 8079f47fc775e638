//! Start methods, and the start methods of each platform. The data of all platforms can be read and tested on each
//! platform.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};
use crate::sys;

/// The way in which a child process comes into being.
///
/// | method | the child is | cost of a start | the child inherits |
/// | --- | --- | --- | --- |
/// | `Spawn` | this program, started anew | a program start | the descriptors and values of the call |
/// | `Fork` | a copy of this process | grows with the memory of this process | all memory and descriptors |
/// | `ForkServer` | a copy of a small, clean server process | a small fork | the data of `#[preload]` functions |
///
/// `Display` and `FromStr` use the names `spawn`, `fork` and `forkserver`.
///
/// # Examples
/// ```
/// use offspring::{StartMethod, child_task, get_context};
///
/// #[child_task]
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// # #[offspring::process_main]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let method: StartMethod = "spawn".parse()?;
/// let child = get_context(method)?.start(square::call(12))?;
/// assert_eq!(child.join()?, 144);
/// # Ok(())
/// # }
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StartMethod {
    /// A new start of this program. Source: [posix_spawn(3)](https://man7.org/linux/man-pages/man3/posix_spawn.3.html).
    Spawn,
    /// A copy of this process. Refused in a process with several threads. Source:
    /// [fork(2)](https://man7.org/linux/man-pages/man2/fork.2.html).
    Fork,
    /// A copy of a small server process, which starts at the first need. Source:
    /// [clone(2)](https://man7.org/linux/man-pages/man2/clone.2.html).
    ForkServer,
}

impl StartMethod {
    /// Returns the name of the start method: `spawn`, `fork` or `forkserver`.
    ///
    /// # Examples
    /// ```
    /// use offspring::StartMethod;
    ///
    /// assert_eq!(StartMethod::ForkServer.as_str(), "forkserver");
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spawn => "spawn",
            Self::Fork => "fork",
            Self::ForkServer => "forkserver",
        }
    }

    /// Returns the default name of a child, without the number.
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

/// A platform and its start methods, as data.
///
/// # Examples
/// ```
/// use offspring::{Platform, StartMethod};
///
/// let platform = Platform::current();
/// println!("{} starts children by {}", platform.name(), platform.default_start_method());
/// assert!(platform.supports(StartMethod::Spawn));
/// assert!(!Platform::WINDOWS.supports(StartMethod::Fork));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Platform {
    name: &'static str,
    start_methods: &'static [StartMethod],
}

use StartMethod::{Fork, ForkServer, Spawn};

impl Platform {
    /// Linux.
    pub const LINUX: Self = Self { name: "linux", start_methods: &[ForkServer, Fork, Spawn] };
    /// Linux without sibling clones: musl before 1.2.5, a C library other than musl and glibc, or glibc on a kernel
    /// without checkpoint support.
    pub const LINUX_WITHOUT_FORKSERVER: Self = Self { name: "linux", start_methods: &[Spawn, Fork] };
    /// macOS. The system libraries are unreliable after a fork, so the default is `Spawn`.
    pub const MACOS: Self = Self { name: "macos", start_methods: &[Spawn, Fork, ForkServer] };
    /// Further systems of the Unix family.
    pub const UNIX: Self = Self { name: "unix", start_methods: &[ForkServer, Fork, Spawn] };
    /// Windows. The system has no fork.
    pub const WINDOWS: Self = Self { name: "windows", start_methods: &[Spawn] };

    /// Returns the platform of this program.
    ///
    /// # Examples
    /// ```
    /// use offspring::Platform;
    ///
    /// assert_eq!(Platform::current().name(), std::env::consts::OS);
    /// ```
    pub fn current() -> Self {
        static CURRENT: OnceLock<Platform> = OnceLock::new();
        *CURRENT.get_or_init(
            || {
                if sys::fork::can_clone_sibling() { Self::LINUX } else { Self::LINUX_WITHOUT_FORKSERVER }
            },
        )
    }

    /// Returns the name of the platform, as in [`std::env::consts::OS`]. `unix` for [`Platform::UNIX`].
    ///
    /// # Examples
    /// ```
    /// use offspring::Platform;
    ///
    /// assert_eq!(Platform::MACOS.name(), "macos");
    /// ```
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// Returns the start methods of the platform, the default first.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Platform, StartMethod};
    ///
    /// assert_eq!(Platform::WINDOWS.start_methods(), [StartMethod::Spawn]);
    /// ```
    pub const fn start_methods(self) -> &'static [StartMethod] {
        self.start_methods
    }

    /// Returns the default start method of the platform.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Platform, StartMethod};
    ///
    /// assert_eq!(Platform::LINUX.default_start_method(), StartMethod::ForkServer);
    /// ```
    pub const fn default_start_method(self) -> StartMethod {
        self.start_methods[0]
    }

    /// Returns whether the platform has the start method.
    ///
    /// # Examples
    /// ```
    /// use offspring::{Platform, StartMethod};
    ///
    /// assert!(!Platform::WINDOWS.supports(StartMethod::Fork));
    /// ```
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
