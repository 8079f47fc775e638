//! Why a start by forkserver reads `/proc`: this process may have changed since the server was started.
//!
//! A child by forkserver is a copy of the server, and must be like this process at the moment of the start. So each
//! start reads the state of this process anew. The state has two parts:
//!
//! | part | read from | after a change |
//! | --- | --- | --- |
//! | [`Identity`] | `status`, `cgroup` and `ns/` in `/proc`, and system calls | the server is replaced |
//! | [`InheritedState`] | `status`, `oom_score_adj` in `/proc`, and system calls | the child changes itself |
//!
//! The changes that a child makes in itself are found in `settings_diff.rs`.
//!
//! Some changes of the second part go one way only: an unprivileged child cannot lower its nice value again. After such
//! a change the server is replaced too. A [`Drift`] names the first difference found.
//!
//! Sources: proc_pid_status(5), credentials(7), capabilities(7), cgroups(7), namespaces(7).

use std::ffi::OsString;
use std::fmt;
use std::io;

use crate::sys::identity::{Identity, STATUS_KEYS};
use crate::sys::inherited::InheritedState;
use crate::sys::procfs::ProcStatus;
use crate::sys::rlimit::resource;

/// Why a server cannot make children for this process any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Drift {
    UserIds,
    GroupIds,
    Capabilities,
    Session,
    Scheduling,
    /// A line of `/proc/thread-self/status`, by its key.
    Status(&'static str),
    Cgroup,
    /// The namespace's kind, as `net`.
    Namespace(String),
    Root,
    /// A lower nice value: the child's priority would have to rise.
    Nice,
    /// A lower out-of-memory score.
    OomScore,
    /// A higher hard limit, by the resource's number.
    HardLimit(u32),
    /// The server has ended.
    ServerGone,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UserIds => f.write_str("the user ids of this process have changed"),
            Self::GroupIds => f.write_str("the group ids of this process have changed"),
            Self::Capabilities => f.write_str("the capabilities of this process have changed"),
            Self::Session => f.write_str("this process has changed its session"),
            Self::Scheduling => f.write_str("this process has changed its scheduling policy"),
            Self::Status(key) => write!(f, "the line {key} of /proc/thread-self/status has changed"),
            Self::Cgroup => f.write_str("this process has moved to another cgroup"),
            Self::Namespace(kind) => write!(f, "this process has moved to another {kind} namespace"),
            Self::Root => f.write_str("this process has changed its root directory"),
            Self::Nice => f.write_str("this process has lowered its nice value"),
            Self::OomScore => f.write_str("this process has lowered its out-of-memory score"),
            Self::HardLimit(number) => write!(f, "this process has raised its hard limit {}", resource::name(*number)),
            Self::ServerGone => f.write_str("the forkserver has died"),
        }
    }
}

/// The state of a process that a start compares.
#[derive(Clone, Debug)]
pub(super) struct ProcessState {
    /// Never passed on to a child.
    pub(super) identity: Identity,
    /// Passed on to a child where the server differs.
    pub(super) inherited: InheritedState,
}

impl ProcessState {
    /// Reads the state of the calling thread.
    ///
    /// # Errors
    /// `/proc` is not mounted, or no descriptor is free.
    pub(super) fn current() -> io::Result<Self> {
        let status = ProcStatus::read()?;
        Ok(Self { identity: Identity::read(&status)?, inherited: InheritedState::read(&status)? })
    }

    /// Returns the first difference that a child of a server cannot make up for. `self` is the state of this process
    /// now; `served` holds the identity of this process when the server was started, and the inherited state of the
    /// server.
    pub(super) fn drift_from(&self, served: &Self) -> Option<Drift> {
        identity_drift(&self.identity, &served.identity).or_else(|| one_way_drift(&self.inherited, &served.inherited))
    }
}

fn identity_drift(now: &Identity, then: &Identity) -> Option<Drift> {
    let (may, might) = (&now.privileges, &then.privileges);
    // First the privileges: the list of namespaces depends on the capabilities.
    let fields = [
        (may.users != might.users, Drift::UserIds),
        (may.groups != might.groups, Drift::GroupIds),
        (may.capabilities != might.capabilities, Drift::Capabilities),
        (now.session != then.session, Drift::Session),
        (now.scheduling != then.scheduling, Drift::Scheduling),
        (now.cgroup != then.cgroup, Drift::Cgroup),
        (now.root != then.root, Drift::Root),
    ];
    let field = fields.into_iter().find_map(|(differs, drift)| differs.then_some(drift));
    field.or_else(|| status_drift(now, then)).or_else(|| namespace_drift(&now.namespaces, &then.namespaces))
}

fn status_drift(now: &Identity, then: &Identity) -> Option<Drift> {
    let mut lines = STATUS_KEYS.into_iter().zip(now.status.iter().zip(&then.status));
    lines.find_map(|(key, (now, then))| (now != then).then_some(Drift::Status(key)))
}

/// Each namespace is a text such as `net:[4026531840]`.
fn namespace_drift(now: &[OsString], then: &[OsString]) -> Option<Drift> {
    let index = (0..now.len().max(then.len())).find(|index| now.get(*index) != then.get(*index))?;
    let text = now.get(index).or(then.get(index))?.to_string_lossy().into_owned();
    let kind = text.split_once(':').map_or(text.as_str(), |(kind, _)| kind);
    Some(Drift::Namespace(kind.to_owned()))
}

/// An unprivileged child may raise a nice value and an out-of-memory score, and lower a hard limit. The opposite change
/// needs privilege.
fn one_way_drift(now: &InheritedState, served: &InheritedState) -> Option<Drift> {
    let oom_score = |state: &InheritedState| state.oom_score.trim().parse::<i32>().unwrap_or_default();
    if now.nice < served.nice {
        return Some(Drift::Nice);
    }
    if oom_score(now) < oom_score(served) {
        return Some(Drift::OomScore);
    }
    let mut limits = now.limits.iter().zip(&served.limits);
    limits.find_map(|((number, now), (_, served))| (now.hard > served.hard).then_some(Drift::HardLimit(*number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The drift after one change of the state.
    fn after(change: impl FnOnce(&mut ProcessState)) -> Option<Drift> {
        let served = ProcessState::current().unwrap();
        let mut now = served.clone();
        change(&mut now);
        now.drift_from(&served)
    }

    #[test]
    fn an_unchanged_process_has_not_drifted() {
        assert_eq!(after(|_| {}), None);
        assert_eq!(ProcessState::current().unwrap().drift_from(&ProcessState::current().unwrap()), None);
    }

    #[test]
    fn each_field_of_the_identity_gives_its_reason() {
        assert_eq!(after(|now| now.identity.privileges.users[1] += 1), Some(Drift::UserIds));
        assert_eq!(after(|now| now.identity.privileges.groups[2] += 1), Some(Drift::GroupIds));
        assert_eq!(after(|now| now.identity.privileges.capabilities.effective ^= 1), Some(Drift::Capabilities));
        assert_eq!(after(|now| now.identity.session += 1), Some(Drift::Session));
        assert_eq!(after(|now| now.identity.scheduling.policy += 1), Some(Drift::Scheduling));
        assert_eq!(after(|now| now.identity.cgroup.push_str("/other")), Some(Drift::Cgroup));
        assert_eq!(after(|now| now.identity.root.1 += 1), Some(Drift::Root));
    }

    #[test]
    fn each_line_of_the_status_gives_its_key() {
        for (index, key) in STATUS_KEYS.into_iter().enumerate() {
            assert_eq!(after(|now| now.identity.status[index].push('1')), Some(Drift::Status(key)));
        }
    }

    #[test]
    fn each_namespace_gives_its_kind() {
        let then = ["user:[1]", "net:[2]"].map(OsString::from);
        let kind = |now: &[&str]| {
            let now: Vec<OsString> = now.iter().map(OsString::from).collect();
            namespace_drift(&now, &then)
        };
        assert_eq!(kind(&["user:[1]", "net:[2]"]), None);
        assert_eq!(kind(&["user:[3]", "net:[2]"]), Some(Drift::Namespace("user".into())));
        assert_eq!(kind(&["user:[1]", "net:[3]"]), Some(Drift::Namespace("net".into())));
        assert_eq!(kind(&["user:[1]"]), Some(Drift::Namespace("net".into())), "a namespace that cannot be read");
        let changed = after(|now| now.identity.namespaces[0] = "user:[1]".into());
        assert_eq!(changed, Some(Drift::Namespace("user".into())));
    }

    #[test]
    fn changes_that_a_child_could_not_undo_give_their_reason() {
        assert_eq!(after(|now| now.inherited.nice -= 1), Some(Drift::Nice));
        assert_eq!(after(|now| now.inherited.oom_score = "-1000".into()), Some(Drift::OomScore));
        let served = ProcessState::current().unwrap();
        for index in 0..served.inherited.limits.len() {
            let (mut lower, mut higher) = (served.clone(), served.clone());
            lower.inherited.limits[index].1.hard = 1;
            higher.inherited.limits[index].1.hard = 2;
            let number = served.inherited.limits[index].0;
            assert_eq!(higher.drift_from(&lower), Some(Drift::HardLimit(number)));
            assert_eq!(lower.drift_from(&higher), None);
        }
    }

    #[test]
    fn changes_that_a_child_takes_over_are_no_drift() {
        assert_eq!(after(|now| now.inherited.nice += 1), None);
        assert_eq!(after(|now| now.inherited.oom_score = "1000".into()), None);
        assert_eq!(after(|now| now.inherited.umask ^= 0o7), None);
        assert_eq!(after(|now| now.inherited.directory = None), None);
    }

    #[test]
    fn a_reason_names_the_field() {
        let texts = [
            (Drift::Status("Groups"), "the line Groups of /proc/thread-self/status has changed"),
            (Drift::Namespace("net".into()), "this process has moved to another net namespace"),
            (Drift::HardLimit(resource::FILES), "this process has raised its hard limit RLIMIT_NOFILE"),
            (Drift::ServerGone, "the forkserver has died"),
        ];
        for (drift, text) in texts {
            assert_eq!(drift.to_string(), text);
        }
    }
}
