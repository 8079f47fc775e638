//! Processes as `/proc` shows them, and open descriptors by kind.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

/// The fields of `/proc/PID/stat` that the tests use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The process's id.
    pub pid: u32,
    /// The name.
    pub comm: String,
    /// The state: `R`, `S`, `D`, `T`, `Z`, ….
    pub state: char,
    /// The parent.
    pub parent: u32,
    /// The process group.
    pub group: i32,
    /// The session.
    pub session: i32,
}

/// Reads the fields. `None` if there is no such process.
pub fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, tail) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = tail.split(' ').collect();
    Some(Stat {
        pid,
        comm: head.split_once('(')?.1.to_owned(),
        state: fields[0].chars().next()?,
        parent: fields[1].parse().ok()?,
        group: fields[2].parse().ok()?,
        session: fields[3].parse().ok()?,
    })
}

/// Returns every process.
pub fn all() -> Vec<Stat> {
    let entries = fs::read_dir("/proc").expect("/proc");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(stat).collect()
}

/// Returns the children of a process, dead or alive.
pub fn children_of(parent: u32) -> Vec<Stat> {
    all().into_iter().filter(|process| process.parent == parent).collect()
}

/// Returns the running forkservers of a process.
pub fn servers_of(parent: u32) -> Vec<u32> {
    let mut servers = living(parent, "forkserver");
    // A new child has its server's name for a moment.
    for _ in 0..50 {
        if servers.len() <= 1 {
            break;
        }
        crate::wait::a_moment();
        servers = living(parent, "forkserver");
    }
    servers
}

/// Returns the waiting spares of a process.
pub fn spares_of(parent: u32) -> Vec<u32> {
    living(parent, "offspring-spare")
}

fn living(parent: u32, name: &str) -> Vec<u32> {
    let children = children_of(parent).into_iter();
    children.filter(|child| child.comm == name && child.state != 'Z').map(|child| child.pid).collect()
}

/// Returns the living processes of a process group.
pub fn group(group: i32) -> Vec<Stat> {
    let members = all().into_iter();
    members.filter(|process| process.group == group && process.state != 'Z').collect()
}

/// Tells whether a process exists and is more than a zombie.
pub fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|process| process.state != 'Z' && process.state != 'X')
}

/// Describes a process and its descendants, one line each, with the current state.
pub fn tree(root: u32) -> String {
    let everyone = all();
    let mut text = String::new();
    let mut open = vec![(root, 0)];
    while let Some((pid, depth)) = open.pop() {
        if let Some(process) = everyone.iter().find(|process| process.pid == pid) {
            let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
            let (at, call) = (read("wchan"), read("syscall"));
            let _ = writeln!(
                text,
                "{:indent$}{pid} {} {} wchan={at} syscall={}",
                "",
                process.comm,
                process.state,
                call.trim_end(),
                indent = 2 * depth
            );
        }
        open.extend(everyone.iter().filter(|process| process.parent == pid).map(|process| (process.pid, depth + 1)));
    }
    text
}

/// Returns a line of `/proc/PID/status`, by its key.
pub fn status(pid: &str, key: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("a status");
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {key} in the status of {pid}")).trim().to_owned()
}

/// Returns the open descriptors of this process by number, with their targets.
pub fn descriptors() -> BTreeMap<i32, String> {
    let entries = fs::read_dir("/proc/self/fd").expect("/proc/self/fd");
    let mut found: BTreeMap<i32, String> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let number = entry.file_name().to_str()?.parse().ok()?;
            let target = fs::read_link(entry.path()).ok()?;
            Some((number, target.to_string_lossy().into_owned()))
        })
        .collect();
    // Leaves out the descriptor that read the directory.
    found.retain(|_, target| !(target.starts_with("/proc/") && target.ends_with("/fd")));
    found
}

/// Counts descriptors by kind: `pipe`, `socket`, `anon_inode:[pidfd]`, or the path of a file.
pub fn kinds(descriptors: &BTreeMap<i32, String>) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for target in descriptors.values() {
        let kind = match target.split_once(":[") {
            Some((kind @ ("pipe" | "socket"), _)) => kind,
            _ => target,
        };
        *kinds.entry(kind.to_owned()).or_default() += 1;
    }
    kinds
}

/// Counts the descriptors of this process by kind, without the kinds that spares have too. The number of spares changes
/// at any time, and the end of each case checks their descriptors.
pub fn lasting_kinds() -> BTreeMap<String, usize> {
    let mut kinds = kinds(&descriptors());
    kinds.retain(|kind, _| !matches!(&**kind, "socket" | "pipe" | "anon_inode:[pidfd]"));
    kinds
}

/// Returns the names in `/dev/shm`, the place of named shared memory.
pub fn shared_memory() -> Vec<String> {
    let Ok(entries) = fs::read_dir("/dev/shm") else {
        return Vec::new();
    };
    let mut names: Vec<String> =
        entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned())).collect();
    names.sort();
    names
}

/// Returns the inodes of the memory files that a process has mapped, one for each mapping.
pub fn mapped_memory(pid: &str) -> Vec<u64> {
    let Ok(text) = fs::read_to_string(format!("/proc/{pid}/maps")) else {
        return Vec::new();
    };
    let lines = text.lines().filter(|line| line.contains("/memfd:offspring"));
    lines.map(|line| line.split_whitespace().nth(4).and_then(|inode| inode.parse().ok()).expect("an inode")).collect()
}

/// Tells whether a process waits in a system call. If the kernel hides the call, tells whether the process waits at
/// all.
pub fn is_waiting_in(pid: u32, call: libc::c_long) -> bool {
    let waits = stat(pid).is_some_and(|process| process.state == 'S');
    let told = fs::read_to_string(format!("/proc/{pid}/syscall"));
    waits && told.map_or(true, |text| text.split(' ').next() == Some(&*call.to_string()))
}
