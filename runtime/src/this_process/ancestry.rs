//! The names of the program's processes: of this one, of its parent, and of its children.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};

use crate::platform::StartMethod;
use crate::sys;
use crate::this_process::{children, reaper};

/// The name, the process id and the start method of this process or of a child.
///
/// Made by [`current_process`](crate::current_process) and [`active_children`](crate::active_children).
///
/// # Examples
/// ```
/// use offspring::{Context, child_task, current_process};
///
/// #[child_task]
/// fn own_name() -> String {
///     current_process().name().to_owned()
/// }
///
/// # #[offspring::process_main]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// assert_eq!(current_process().name(), "MainProcess");
/// let child = Context::default().process(own_name::call()).name("resizer").start()?;
/// assert_eq!(child.join()?, "resizer");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessInfo {
    name: String,
    pid: u32,
    start_method: Option<StartMethod>,
    daemon: bool,
}

impl ProcessInfo {
    /// Returns the name of the process. Default: `MainProcess` for the program's own process, and the start method and
    /// a number for a child, such as `SpawnProcess-1`.
    ///
    /// # Examples
    /// ```
    /// use offspring::current_process;
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// assert_eq!(current_process().name(), "MainProcess");
    /// # Ok(())
    /// # }
    /// ```
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the process id.
    ///
    /// # Examples
    /// ```
    /// use offspring::current_process;
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// assert_eq!(current_process().pid(), std::process::id());
    /// # Ok(())
    /// # }
    /// ```
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns the start method of the process, or `None` for the program's own process.
    ///
    /// # Examples
    /// ```
    /// use offspring::{StartMethod, child_task, current_process, get_context};
    ///
    /// #[child_task]
    /// fn own_method() -> Option<StartMethod> {
    ///     current_process().start_method()
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// assert_eq!(current_process().start_method(), None);
    /// let child = get_context(StartMethod::Spawn)?.start(own_method::call())?;
    /// assert_eq!(child.join()?, Some(StartMethod::Spawn));
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_method(&self) -> Option<StartMethod> {
        self.start_method
    }

    /// Returns whether the end of the parent terminates the process (`true`) or waits for the process (`false`). Set by
    /// [`ProcessBuilder::daemon`](crate::ProcessBuilder::daemon).
    ///
    /// # Examples
    /// ```
    /// use offspring::{Context, child_task, current_process};
    ///
    /// #[child_task]
    /// fn is_daemon() -> bool {
    ///     current_process().is_daemon()
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let child = Context::default().process(is_daemon::call()).daemon(true).start()?;
    /// assert!(child.join()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_daemon(&self) -> bool {
        self.daemon
    }
}

/// The process that started this child. Made by [`parent_process`](crate::parent_process).
///
/// # Examples
/// ```
/// use offspring::{child_task, parent_process};
///
/// #[child_task]
/// fn parent_pid() -> Option<u32> {
///     parent_process().map(|parent| parent.pid())
/// }
///
/// # #[offspring::process_main]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// assert_eq!(parent_pid::start()?.join()?, Some(std::process::id()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParentProcess {
    name: String,
    pid: u32,
}

impl ParentProcess {
    /// Returns the name of the process.
    ///
    /// # Examples
    /// ```
    /// use offspring::{child_task, parent_process};
    ///
    /// #[child_task]
    /// fn parent_name() -> Option<String> {
    ///     parent_process().map(|parent| parent.name().to_owned())
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// assert_eq!(parent_name::start()?.join()?.as_deref(), Some("MainProcess"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the process id.
    ///
    /// # Examples
    /// ```
    /// use offspring::{child_task, parent_process};
    ///
    /// #[child_task]
    /// fn parent_pid() -> Option<u32> {
    ///     parent_process().map(|parent| parent.pid())
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// assert_eq!(parent_pid::start()?.join()?, Some(std::process::id()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns whether the parent still runs. A child ends with the parent unless the child is
    /// [detached](crate::Process::detach), so other children always get `true`.
    ///
    /// # Examples
    /// ```
    /// use offspring::{child_task, parent_process};
    ///
    /// #[child_task]
    /// fn has_parent() -> bool {
    ///     parent_process().is_some_and(|parent| parent.is_alive())
    /// }
    ///
    /// # #[offspring::process_main]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// assert!(has_parent::start()?.join()?);
    /// # Ok(())
    /// # }
    /// ```
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

/// Returns the name, the process id and the start method of this process.
///
/// # Examples
/// ```
/// use offspring::{child_task, current_process};
///
/// #[child_task]
/// fn own_pid() -> u32 {
///     current_process().pid()
/// }
///
/// # #[offspring::process_main]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// assert_eq!(current_process().name(), "MainProcess");
/// let child = own_pid::start()?;
/// let pid = child.pid();
/// assert_eq!(child.join()?, pid);
/// # Ok(())
/// # }
/// ```
pub fn current_process() -> ProcessInfo {
    match own() {
        Some(own) => {
            ProcessInfo { name: own.name, pid: sys::pid(), start_method: Some(own.method), daemon: own.daemon }
        }
        None => ProcessInfo { name: main_name(), pid: sys::pid(), start_method: None, daemon: false },
    }
}

/// Returns the process that started this child, or `None` in the program's own process.
///
/// # Examples
/// ```
/// use offspring::{child_task, parent_process};
///
/// #[child_task]
/// fn is_child() -> bool {
///     parent_process().is_some()
/// }
///
/// # #[offspring::process_main]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// assert!(parent_process().is_none());
/// assert!(is_child::start()?.join()?);
/// # Ok(())
/// # }
/// ```
pub fn parent_process() -> Option<ParentProcess> {
    own().map(|own| own.parent)
}

/// Returns the running children of this process. Reaps the children that have ended.
///
/// # Examples
/// ```
/// use offspring::{Context, active_children, child_task};
///
/// #[child_task]
/// fn wait_for_ever() {
///     loop {
///         std::thread::park();
///     }
/// }
///
/// # #[offspring::process_main]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let child = Context::default().process(wait_for_ever::call()).name("sleeper").start()?;
/// let names: Vec<String> = active_children().iter().map(|child| child.name().to_owned()).collect();
/// assert_eq!(names, ["sleeper"]);
/// child.kill()?;
/// # Ok(())
/// # }
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
