//! What a process carries beside its memory and descriptors, and a child takes over: directory, umask, limits, priority.
//!
//! Sources: getrlimit(2), setpriority(2), sched_setscheduler(2), sched_setaffinity(2), umask(2), setpgid(2), proc_pid_oom_score_adj(5).

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use super::check;

/// The soft and the hard limit of one resource; [`Limit::UNLIMITED`] is none.
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

    /// What getrlimit(2) calls a resource.
    pub(crate) fn name(number: u32) -> String {
        let known = NAMES.iter().find(|(known, _)| *known == number);
        known.map_or_else(|| format!("resource {number}"), |(_, name)| (*name).to_owned())
    }

    /// How many there are (`RLIM_NLIMITS`).
    pub(super) const COUNT: u32 = 16;
}

/// The limit of this process on one resource.
pub(crate) fn limit(resource: u32) -> io::Result<Limit> {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one rlimit to the pointer.
    check(unsafe { libc::getrlimit64(resource as _, &mut limit) }.into())?;
    Ok(Limit { soft: limit.rlim_cur, hard: limit.rlim_max })
}

/// Sets the limit of this process on one resource.
pub(crate) fn set_limit(resource: u32, limit: Limit) -> io::Result<()> {
    let limit = libc::rlimit64 { rlim_cur: limit.soft, rlim_max: limit.hard };
    // SAFETY: the kernel reads one rlimit from the pointer.
    check(unsafe { libc::setrlimit64(resource as _, &limit) }.into())?;
    Ok(())
}

/// As many open files as the hard limit allows, until this is dropped.
#[derive(Debug)]
pub(crate) struct ManyFiles(Option<Limit>);

impl ManyFiles {
    pub(crate) fn allow() -> Self {
        let own = limit(resource::FILES).ok().filter(|limit| limit.soft < limit.hard);
        Self(own.filter(|limit| set_limit(resource::FILES, Limit { soft: limit.hard, ..*limit }).is_ok()))
    }
}

impl Drop for ManyFiles {
    fn drop(&mut self) {
        if let Some(own) = self.0 {
            // It was this before.
            let _ = set_limit(resource::FILES, own);
        }
    }
}

/// Every limit of this process, by number.
pub(crate) fn limits() -> io::Result<Vec<(u32, Limit)>> {
    (0..resource::COUNT).map(|resource| Ok((resource, limit(resource)?))).collect()
}

/// The nice value of this process, -20 to 19.
pub(crate) fn nice() -> io::Result<i32> {
    // -1 is a nice value too: only errno tells an error.
    Errno::clear();
    // SAFETY: getpriority takes numbers.
    match unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) } {
        -1 if Errno::last_raw() != 0 => Err(io::Error::last_os_error()),
        nice => Ok(nice),
    }
}

/// Sets the nice value of this process; lowering it needs privilege.
pub(crate) fn set_nice(nice: i32) -> io::Result<()> {
    // SAFETY: setpriority takes numbers.
    check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) }.into())?;
    Ok(())
}

/// A scheduling policy (`SCHED_…`) with its static priority, which is 0 for all but the real-time ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scheduling {
    pub(crate) policy: i32,
    priority: i32,
}

/// That of this thread.
pub(crate) fn scheduling() -> io::Result<Scheduling> {
    // SAFETY: 0 is the calling thread.
    let policy = check(unsafe { libc::syscall(libc::SYS_sched_getscheduler, 0) })? as i32;
    let mut priority = 0;
    // SAFETY: the kernel writes its sched_param, which is one number, to the pointer.
    check(unsafe { libc::syscall(libc::SYS_sched_getparam, 0, &mut priority) })?;
    Ok(Scheduling { policy, priority })
}

/// How many processors an affinity mask can name here.
const PROCESSORS: usize = 8 * size_of::<libc::cpu_set_t>();

/// The processors that this thread may run on, by number.
pub(crate) fn affinity() -> io::Result<Vec<usize>> {
    // SAFETY: all zeroes is an empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes at most the size given.
    check(unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) }.into())?;
    // SAFETY: every number is below the size of the set.
    Ok((0..PROCESSORS).filter(|processor| unsafe { libc::CPU_ISSET(*processor, &set) }).collect())
}

/// Lets this thread, and those that it starts, run on these processors only.
///
/// # Errors
/// `EINVAL` if none of them exists or is allowed.
pub(crate) fn set_affinity(processors: &[usize]) -> io::Result<()> {
    // SAFETY: all zeroes is an empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for processor in processors.iter().filter(|processor| **processor < PROCESSORS) {
        // SAFETY: the number is below the size of the set.
        unsafe { libc::CPU_SET(*processor, &mut set) };
    }
    // SAFETY: the kernel reads the size given.
    check(unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) }.into())?;
    Ok(())
}

/// Sets the umask of this process; it is read from `/proc` (umask(2) can only swap it, in the sight of other threads).
pub(crate) fn set_umask(mask: u32) {
    // SAFETY: umask cannot fail.
    unsafe { libc::umask(mask as libc::mode_t) };
}

/// Sets the adjustment that the kernel's out-of-memory killer makes for this process.
pub(crate) fn set_oom_score(score: &str) -> io::Result<()> {
    std::fs::write("/proc/self/oom_score_adj", score)
}

/// The process group of this process.
pub(crate) fn process_group() -> i32 {
    // SAFETY: getpgrp cannot fail.
    unsafe { libc::getpgrp() }
}

/// Puts this process into a process group; 0 makes it the leader of a new one.
pub(crate) fn set_process_group(group: i32) -> io::Result<()> {
    // SAFETY: setpgid takes numbers.
    check(unsafe { libc::setpgid(0, group) }.into())?;
    Ok(())
}

/// Opens a directory to be handed to a child as its working directory, whatever becomes of its name.
pub(crate) fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let file = File::options().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(path)?;
    super::fd::above_stdio(file.into())
}

/// Device and inode of the working directory, also where it may not be searched: an empty path is the directory itself (stat(2)).
pub(crate) fn directory() -> Option<(u64, u64)> {
    // SAFETY: all zeroes is a valid stat.
    let mut stat: libc::stat64 = unsafe { std::mem::zeroed() };
    // SAFETY: a terminated string, and the kernel writes one stat to the pointer.
    let result = unsafe { libc::fstatat64(libc::AT_FDCWD, c"".as_ptr(), &mut stat, libc::AT_EMPTY_PATH) };
    check(result.into()).ok().map(|_| (stat.st_dev, stat.st_ino))
}

/// Makes an open directory the working directory.
pub(crate) fn enter_directory(directory: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the descriptor is open.
    check(unsafe { libc::fchdir(directory.as_raw_fd()) }.into())?;
    Ok(())
}

/// How many processors this process may use: its affinity, and the quota of its cgroup.
pub(crate) fn usable_processors() -> usize {
    // std knows both (sched_getaffinity(2), cpu.max of cgroup v2, cpu.cfs_quota_us of v1).
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_can_be_set_again() {
        set_nice(nice().unwrap()).unwrap();
        set_affinity(&affinity().unwrap()).unwrap();
        for (resource, limit) in limits().unwrap() {
            set_limit(resource, limit).unwrap();
        }
    }

    #[test]
    fn the_working_directory_is_found_without_its_name() {
        use std::os::unix::fs::MetadataExt;
        let by_name = std::fs::metadata("/proc/self/cwd").unwrap();
        assert_eq!(directory(), Some((by_name.dev(), by_name.ino())));
    }

    #[test]
    fn a_file_is_no_directory() {
        assert!(open_directory(Path::new("/dev/null")).is_err());
        assert!(open_directory(Path::new("/")).is_ok());
    }
}
