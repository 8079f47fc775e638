//! The names of the program's processes: of this one, of its parent, and of its children.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};

use crate::platform::StartMethod;
use crate::sys;
use crate::this_process::{children, reaper};

/// A process of this program: the current one, or a child of the current one.
///
/// # Examples
/// ```
/// use offspring::current_process;
///
/// let main = current_process();
/// assert_eq!((main.name(), main.pid()), ("MainProcess", std::process::id()));
/// assert!(main.start_method().is_none() && !main.is_daemon());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessInfo {
    name: String,
    pid: u32,
    start_method: Option<StartMethod>,
    daemon: bool,
}

impl ProcessInfo {
    /// Returns the name: `MainProcess`, the name given to the builder, or for instance `SpawnProcess-1`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns the start method of the process. Returns `None` for the program's own process.
    pub fn start_method(&self) -> Option<StartMethod> {
        self.start_method
    }

    /// Returns whether the process is terminated, rather than joined, when its parent ends.
    pub fn is_daemon(&self) -> bool {
        self.daemon
    }
}

/// The process that started the current one.
///
/// # Examples
/// ```
/// use offspring::{child_task, parent_process, process_main};
///
/// #[child_task]
/// fn name_of_parent() -> Option<String> {
///     let parent = parent_process()?;
///     parent.is_alive().then(|| parent.name().to_owned())
/// }
///
/// #[process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     assert_eq!(name_of_parent::start()?.join()?.as_deref(), Some("MainProcess"));
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParentProcess {
    name: String,
    pid: u32,
}

impl ParentProcess {
    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns whether the parent still runs. A child that has not been detached ends with its parent, so the child
    /// sees `true`.
    pub fn is_alive(&self) -> bool {
        sys::parent_pid() == self.pid
    }
}

/// The name and the place of a child, as its parent tells them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ancestry {
    pub(crate) name: String,
    /// The child's ordinal in its parent, behind the ordinals of its ancestors.
    path: Vec<u32>,
    pub(crate) method: StartMethod,
    pub(crate) daemon: bool,
    parent: ParentProcess,
}

/// `None` in the program's own process.
static OWN: Mutex<Option<Ancestry>> = Mutex::new(None);
static CHILDREN_SO_FAR: AtomicU32 = AtomicU32::new(0);

fn own() -> Option<Ancestry> {
    sys::lock(&OWN).clone()
}

impl Ancestry {
    /// Names the next child of this process.
    pub(crate) fn of_next_child(name: Option<String>, method: StartMethod, daemon: bool) -> Self {
        let own = own();
        let mut path = own.as_ref().map_or_else(Vec::new, |own| own.path.clone());
        path.push(CHILDREN_SO_FAR.fetch_add(1, Ordering::Relaxed) + 1);
        let parent = ParentProcess { name: own.map_or_else(main_name, |own| own.name), pid: sys::pid() };
        Self { name: name.unwrap_or_else(|| default_name(method, &path)), path, method, daemon, parent }
    }

    /// Makes this the ancestry of the current process.
    pub(crate) fn assume(self) {
        CHILDREN_SO_FAR.store(0, Ordering::Relaxed);
        *sys::lock(&OWN) = Some(self);
    }
}

/// Returns for instance `SpawnProcess-1`, and `ForkServerProcess-1:2` for the second child of the first child.
fn default_name(method: StartMethod, path: &[u32]) -> String {
    let ordinals: Vec<String> = path.iter().map(u32::to_string).collect();
    format!("{}-{}", method.default_name(), ordinals.join(":"))
}

fn main_name() -> String {
    "MainProcess".to_owned()
}

/// Returns the current process.
///
/// # Examples
/// ```
/// use offspring::{child_task, current_process, process_main};
///
/// #[child_task]
/// fn name() -> String {
///     current_process().name().to_owned()
/// }
///
/// #[process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     assert_eq!(current_process().name(), "MainProcess");
///     assert_eq!(name::start()?.join()?, "ForkServerProcess-1");
///     Ok(())
/// }
/// ```
pub fn current_process() -> ProcessInfo {
    match own() {
        Some(own) => {
            ProcessInfo { name: own.name, pid: sys::pid(), start_method: Some(own.method), daemon: own.daemon }
        }
        None => ProcessInfo { name: main_name(), pid: sys::pid(), start_method: None, daemon: false },
    }
}

/// Returns the process that started the current one. Returns `None` in the program's own process.
///
/// # Examples
/// ```
/// use offspring::{child_task, parent_process, process_main};
///
/// #[child_task]
/// fn parent() -> Option<u32> {
///     parent_process().map(|parent| parent.pid())
/// }
///
/// #[process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     assert!(parent_process().is_none());
///     assert_eq!(parent::start()?.join()?, Some(std::process::id()));
///     Ok(())
/// }
/// ```
pub fn parent_process() -> Option<ParentProcess> {
    own().map(|own| own.parent)
}

/// Returns the running children of the current process. Reaps ended ones.
///
/// Returns no children in a copy of the process that started them.
///
/// # Examples
/// ```
/// use offspring::{active_children, child_task, process_main};
///
/// #[child_task]
/// fn park() {
///     loop {
///         std::thread::park();
///     }
/// }
///
/// #[process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let mut child = park::start()?;
///     assert_eq!(active_children()[0].pid(), child.pid());
///     child.kill()?;
///     assert!(child.wait().is_err());
///     assert!(active_children().is_empty());
///     Ok(())
/// }
/// ```
pub fn active_children() -> Vec<ProcessInfo> {
    let info = |child: &std::sync::Arc<children::Child>| {
        let about = &child.about;
        ProcessInfo { name: about.name.clone(), pid: child.pid, start_method: Some(about.method), daemon: about.daemon }
    };
    reaper::active().iter().map(info).collect()
}

/// Returns the start method of this process. Returns `None` if no process of this program started it.
pub(crate) fn own_method() -> Option<StartMethod> {
    own().map(|own| own.method)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_method_and_place() {
        assert_eq!(default_name(StartMethod::Spawn, &[1]), "SpawnProcess-1");
        assert_eq!(default_name(StartMethod::ForkServer, &[1, 2]), "ForkServerProcess-1:2");
    }
}
