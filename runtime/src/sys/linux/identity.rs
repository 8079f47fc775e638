//! The identity of a process to the kernel: the privileges that a child must not exceed, and the facts that make a
//! forkserver stale when they change.
//!
//! Sources: credentials(7), capabilities(7), namespaces(7), proc_pid_status(5).

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use serde::{Deserialize, Serialize};

use super::procfs::{self, ProcStatus};
use super::sched::{self, Scheduling};
use super::{check, cwd};

/// The ids and capabilities of the calling thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Privileges {
    /// Real, effective and saved user id.
    pub(crate) users: [u32; 3],
    pub(crate) groups: [u32; 3],
    pub(crate) capabilities: Capabilities,
}

/// Bit sets by capability number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Capabilities {
    pub(crate) effective: u64,
    permitted: u64,
    inheritable: u64,
}

impl Privileges {
    pub(crate) fn current() -> io::Result<Self> {
        let (mut users, mut groups) = ([0; 3], [0; 3]);
        let [real, effective, saved] = &mut users;
        // SAFETY: three pointers to numbers.
        check(unsafe { libc::getresuid(real, effective, saved) }.into())?;
        let [real, effective, saved] = &mut groups;
        // SAFETY: as above.
        check(unsafe { libc::getresgid(real, effective, saved) }.into())?;
        Ok(Self { users, groups, capabilities: Capabilities::current()? })
    }

    /// Gives up for good the capabilities of this process that `self` lacks.
    ///
    /// An exec gives a process of user 0 every capability again, also one that had dropped them. So a child drops the
    /// excess before any code of the user runs.
    ///
    /// # Errors
    /// `PermissionDenied` if this process has other ids than `self`. There is no way to mend that.
    pub(crate) fn restrict_to(&self) -> io::Result<()> {
        let current = Self::current()?;
        let may_become = |ids: &[u32; 3], id: &u32| ids.contains(id);
        let known_ids = current.users.iter().all(|id| may_become(&self.users, id))
            && current.groups.iter().all(|id| may_become(&self.groups, id));
        if !known_ids {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "this process has user or group ids that its parent has not",
            ));
        }
        current.capabilities.intersection(self.capabilities).set_unless(current.capabilities)
    }
}

#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: libc::c_int,
}

/// `_LINUX_CAPABILITY_VERSION_3`: two words for each set.
const VERSION: u32 = 0x2008_0522;

impl Capabilities {
    /// Reads the capabilities (capget(2)).
    fn current() -> io::Result<Self> {
        let mut header = CapabilityHeader { version: VERSION, pid: 0 };
        let mut words = [[0_u32; 3]; 2];
        // SAFETY: version 3 reads one header and writes two triples of words.
        check(unsafe { libc::syscall(libc::SYS_capget, &mut header, &mut words) })?;
        let set = |index: usize| u64::from(words[0][index]) | u64::from(words[1][index]) << 32;
        Ok(Self { effective: set(0), permitted: set(1), inheritable: set(2) })
    }

    fn intersection(self, other: Self) -> Self {
        Self {
            effective: self.effective & other.effective,
            permitted: self.permitted & other.permitted,
            inheritable: self.inheritable & (other.inheritable | other.permitted),
        }
    }

    /// Sets the capabilities (capset(2)). Makes no call if nothing changes.
    fn set_unless(self, current: Self) -> io::Result<()> {
        if self == current {
            return Ok(());
        }
        let mut header = CapabilityHeader { version: VERSION, pid: 0 };
        let word = |set: u64, high: bool| if high { (set >> 32) as u32 } else { set as u32 };
        let words =
            [false, true].map(|high| [self.effective, self.permitted, self.inheritable].map(|set| word(set, high)));
        // SAFETY: version 3 reads one header and two triples of words.
        check(unsafe { libc::syscall(libc::SYS_capset, &mut header, &words) })?;
        Ok(())
    }
}

/// The facts about a process that a child of a forkserver cannot take over. If one differs, the server is stale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) privileges: Privileges,
    pub(crate) session: i32,
    /// A policy may forbid its own inheritance. Only the kernel knows.
    pub(crate) scheduling: Scheduling,
    /// Supplementary groups, capability sets, no_new_privs and seccomp of this thread, from `/proc`.
    pub(crate) status: Vec<String>,
    /// The cgroup of every hierarchy.
    pub(crate) cgroup: String,
    /// As `net:[4026531840]`.
    pub(crate) namespaces: Vec<OsString>,
    /// Device and inode of the root directory. A server from before a chroot would make children outside the new root.
    pub(crate) root: (u64, u64),
}

/// The keys of [`Identity::status`].
pub(crate) const STATUS_KEYS: [&str; 6] = ["Groups", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters"];
const USER_NAMESPACE: &str = "user";
const OTHER_NAMESPACES: [&str; 7] = ["cgroup", "ipc", "mnt", "net", "pid_for_children", "time_for_children", "uts"];

impl Identity {
    /// Reads the identity of the calling thread.
    pub(crate) fn read(status: &ProcStatus) -> io::Result<Self> {
        let field = |key| status.field(key).unwrap_or_default().to_owned();
        let root = fs::metadata("/")?;
        let privileges = Privileges::current()?;
        Ok(Self {
            namespaces: namespaces(&privileges),
            privileges,
            // SAFETY: getsid of oneself cannot fail.
            session: unsafe { libc::getsid(0) },
            scheduling: sched::scheduling()?,
            status: STATUS_KEYS.map(field).into(),
            cgroup: procfs::read_small("/proc/self/cgroup").unwrap_or_default(),
            root: (root.dev(), root.ino()),
        })
    }
}

/// Reads the namespaces that this thread can have changed. Without `CAP_SYS_ADMIN`, that is the user namespace only.
///
/// A read of a link costs half as much as a stat of its target, and less from an open directory.
fn namespaces(privileges: &Privileges) -> Vec<OsString> {
    const CAP_SYS_ADMIN: u64 = 1 << 21;
    let all = privileges.capabilities.permitted & CAP_SYS_ADMIN != 0;
    let others = if all { &OTHER_NAMESPACES[..] } else { &[] };
    let Ok(directory) = cwd::open_directory("/proc/thread-self/ns".as_ref()) else {
        return Vec::new();
    };
    let read = |name: &&str| nix::fcntl::readlinkat(&directory, *name).unwrap_or_default();
    std::iter::once(&USER_NAMESPACE).chain(others).map(read).collect()
}

/// Returns whether the children of this thread are in another pid namespace than the thread, since unshare(2) or
/// setns(2).
///
/// A namespace that has had no process yet has no name.
pub(crate) fn has_children_elsewhere() -> bool {
    let read = |name: &str| fs::read_link(format!("/proc/thread-self/ns/{name}"));
    match (read("pid"), read("pid_for_children")) {
        (Ok(own), Ok(childrens)) => own != childrens,
        (Ok(_), Err(error)) => error.kind() == io::ErrorKind::NotFound,
        // A kernel without such namespaces.
        (Err(_), _) => false,
    }
}

/// Returns whether this process still has the ids with which it was executed (getauxval(3), `AT_UID` …).
pub(crate) fn has_ids_of_its_execution() -> bool {
    // SAFETY: getauxval has no preconditions.
    let at_start =
        [libc::AT_UID, libc::AT_EUID, libc::AT_GID, libc::AT_EGID].map(|key| unsafe { libc::getauxval(key) } as u32);
    use nix::unistd::{getegid, geteuid, getgid, getuid};
    let now = [getuid().as_raw(), geteuid().as_raw(), getgid().as_raw(), getegid().as_raw()];
    at_start == now
}

/// Returns the real user and group of this process.
pub(crate) fn own_ids() -> (u32, u32) {
    (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw())
}

/// Returns whether the kernel takes any program that this process executes for a privileged one (`AT_SECURE`). That is
/// so while the effective ids are not the real ones.
pub(crate) fn executes_with_privilege() -> bool {
    use nix::unistd::{getegid, geteuid, getgid, getuid};
    getuid() != geteuid() || getgid() != getegid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_equal_to_itself_and_restricting_to_it_changes_nothing() {
        let identity = || Identity::read(&ProcStatus::read().unwrap()).unwrap();
        let before = identity();
        before.privileges.restrict_to().unwrap();
        assert_eq!(identity(), before);
    }

    #[test]
    fn children_are_usually_where_their_parent_is() {
        assert!(!has_children_elsewhere());
    }

    #[test]
    fn other_ids_cannot_be_mended() {
        let mut other = Privileges::current().unwrap();
        other.users = other.users.map(|id| id + 1);
        assert_eq!(other.restrict_to().unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn capabilities_only_shrink() {
        let all = Capabilities { effective: 7, permitted: 7, inheritable: 0 };
        let some = Capabilities { effective: 1, permitted: 3, inheritable: 1 };
        assert_eq!(all.intersection(some), Capabilities { effective: 1, permitted: 3, inheritable: 0 });
    }
}
