//! Counts of system calls, by process and call.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::names;

/// The part of a process in an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Parent,
    Server,
    Child,
}

impl Role {
    pub(crate) const ALL: [Self; 3] = [Self::Parent, Self::Server, Self::Child];
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Parent => "parent",
            Self::Server => "server",
            Self::Child => "child",
        })
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|role| role.to_string() == text).ok_or_else(|| format!("no process is `{text}`"))
    }
}

/// The calls of one operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts(BTreeMap<Role, Calls>);

/// The number of calls, by name.
type Calls = BTreeMap<String, u32>;

impl Counts {
    pub(crate) fn add(&mut self, role: Role, call: libc::c_long) {
        *self.0.entry(role).or_default().entry(names::name(call)).or_default() += 1;
    }

    pub(crate) fn total(&self) -> u32 {
        self.0.values().flat_map(Calls::values).sum()
    }

    /// Describes the differences to `other`, one line for each process.
    pub(crate) fn difference(&self, other: &Self) -> String {
        let mut text = String::new();
        for role in Role::ALL {
            let (ours, theirs) = (self.of(role), other.of(role));
            let names: std::collections::BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
            let count = |calls: &Calls, name: &String| calls.get(name).copied().unwrap_or_default();
            let changes: Vec<String> = names
                .into_iter()
                .map(|name| (name, count(&ours, name), count(&theirs, name)))
                .filter(|(_, before, now)| before != now)
                .map(|(name, before, now)| format!("{name} {before} → {now}"))
                .collect();
            if !changes.is_empty() {
                text += &format!("\n  {role:6}  {}", changes.join(", "));
            }
        }
        text
    }

    fn of(&self, role: Role) -> Calls {
        self.0.get(&role).cloned().unwrap_or_default()
    }

    /// Formats the lines of a recording: process, sum, calls.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |(role, calls): (&Role, &Calls)| {
            let list: Vec<String> = calls.iter().map(|(name, count)| format!("{name} {count}")).collect();
            format!("{role:6} {:3}  {}", calls.values().sum::<u32>(), list.join(", "))
        };
        self.0.iter().map(line).collect()
    }

    /// Adds a line of [`lines`](Self::lines).
    pub(crate) fn read_line(&mut self, line: &str) -> Result<(), String> {
        let (role, rest) = line.split_once(' ').ok_or("no process")?;
        let (_sum, calls) = rest.trim_start().split_once(' ').ok_or("no sum")?;
        let mut read = Calls::new();
        for call in calls.trim_start().split(", ") {
            let (name, count) = call.split_once(' ').ok_or("no count")?;
            read.insert(name.to_owned(), count.parse().map_err(|error| format!("{call}: {error}"))?);
        }
        self.0.insert(role.parse()?, read);
        Ok(())
    }
}
