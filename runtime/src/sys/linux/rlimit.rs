//! Resource limits of this process.
//!
//! Source: getrlimit(2).

use std::io;

use serde::{Deserialize, Serialize};

use super::check;

/// The soft and the hard limit of one resource. `RLIM_INFINITY` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limit {
    pub(crate) soft: u64,
    pub(crate) hard: u64,
}

/// The kernel's numbers of the resources that it limits.
pub(crate) mod resource {
    pub(crate) const CPU: u32 = libc::RLIMIT_CPU as _;
    pub(crate) const FILE_SIZE: u32 = libc::RLIMIT_FSIZE as _;
    pub(crate) const DATA: u32 = libc::RLIMIT_DATA as _;
    pub(crate) const STACK: u32 = libc::RLIMIT_STACK as _;
    pub(crate) const CORE: u32 = libc::RLIMIT_CORE as _;
    pub(crate) const PROCESSES: u32 = libc::RLIMIT_NPROC as _;
    pub(crate) const FILES: u32 = libc::RLIMIT_NOFILE as _;
    pub(crate) const LOCKED_MEMORY: u32 = libc::RLIMIT_MEMLOCK as _;
    pub(crate) const ADDRESS_SPACE: u32 = libc::RLIMIT_AS as _;
    const NAMES: [(u32, &str); 9] = [
        (CPU, "RLIMIT_CPU"),
        (FILE_SIZE, "RLIMIT_FSIZE"),
        (DATA, "RLIMIT_DATA"),
        (STACK, "RLIMIT_STACK"),
        (CORE, "RLIMIT_CORE"),
        (PROCESSES, "RLIMIT_NPROC"),
        (FILES, "RLIMIT_NOFILE"),
        (LOCKED_MEMORY, "RLIMIT_MEMLOCK"),
        (ADDRESS_SPACE, "RLIMIT_AS"),
    ];

    /// Returns the name of a resource in getrlimit(2).
    pub(crate) fn name(number: u32) -> String {
        let known = NAMES.iter().find(|(known, _)| *known == number);
        known.map_or_else(|| format!("resource {number}"), |(_, name)| (*name).to_owned())
    }

    /// The number of resources (`RLIM_NLIMITS`).
    pub(super) const COUNT: u32 = 16;
}

/// Returns the limit of this process on one resource.
pub(crate) fn get(resource: u32) -> io::Result<Limit> {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one rlimit to the pointer.
    check(unsafe { libc::getrlimit64(resource as _, &mut limit) }.into())?;
    Ok(Limit { soft: limit.rlim_cur, hard: limit.rlim_max })
}

/// Sets the limit of this process on one resource.
pub(crate) fn set(resource: u32, limit: Limit) -> io::Result<()> {
    let limit = libc::rlimit64 { rlim_cur: limit.soft, rlim_max: limit.hard };
    // SAFETY: the kernel reads one rlimit from the pointer.
    check(unsafe { libc::setrlimit64(resource as _, &limit) }.into())?;
    Ok(())
}

/// Allows as many open files as the hard limit does, until a drop.
#[derive(Debug)]
pub(crate) struct ManyFiles(Option<Limit>);

impl ManyFiles {
    pub(crate) fn allow() -> Self {
        let own = get(resource::FILES).ok().filter(|limit| limit.soft < limit.hard);
        Self(own.filter(|limit| set(resource::FILES, Limit { soft: limit.hard, ..*limit }).is_ok()))
    }
}

impl Drop for ManyFiles {
    fn drop(&mut self) {
        if let Some(own) = self.0 {
            // Cannot fail: the limit was the same before.
            let _ = set(resource::FILES, own);
        }
    }
}

/// Returns every limit of this process, by number.
pub(crate) fn all() -> io::Result<Vec<(u32, Limit)>> {
    (0..resource::COUNT).map(|resource| Ok((resource, get(resource)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_are_read_can_be_set_again() {
        for (resource, limit) in all().unwrap() {
            set(resource, limit).unwrap();
        }
    }
}
