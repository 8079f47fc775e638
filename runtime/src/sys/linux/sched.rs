//! How the kernel treats this process beside others: nice value, scheduling policy, processors, score for the
//! out-of-memory killer.
//!
//! Sources: setpriority(2), sched_setscheduler(2), sched_setaffinity(2), proc_pid_oom_score_adj(5).

use std::io;

use nix::errno::Errno;

use super::check;

/// Returns the nice value of this process, -20 to 19.
pub(crate) fn nice() -> io::Result<i32> {
    // -1 is a nice value too. Only errno tells an error.
    Errno::clear();
    // SAFETY: getpriority takes numbers.
    match unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) } {
        -1 if Errno::last_raw() != 0 => Err(io::Error::last_os_error()),
        nice => Ok(nice),
    }
}

/// Sets the nice value of this process. A lower value needs privilege.
pub(crate) fn set_nice(nice: i32) -> io::Result<()> {
    // SAFETY: setpriority takes numbers.
    check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) }.into())?;
    Ok(())
}

/// A scheduling policy (`SCHED_…`) with its static priority, which is 0 for all but the real-time policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scheduling {
    pub(crate) policy: i32,
    priority: i32,
}

/// Returns the scheduling of this thread.
pub(crate) fn scheduling() -> io::Result<Scheduling> {
    // SAFETY: 0 is the calling thread.
    let policy = check(unsafe { libc::syscall(libc::SYS_sched_getscheduler, 0) })? as i32;
    let mut priority = 0;
    // SAFETY: the kernel writes its sched_param, which is one number, to the pointer.
    check(unsafe { libc::syscall(libc::SYS_sched_getparam, 0, &mut priority) })?;
    Ok(Scheduling { policy, priority })
}

/// The number of processors in an affinity mask.
const PROCESSORS: usize = 8 * size_of::<libc::cpu_set_t>();

/// Returns the processors that this thread may run on, by number.
pub(crate) fn affinity() -> io::Result<Vec<usize>> {
    // SAFETY: all zeroes is an empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes at most the size given.
    check(unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) }.into())?;
    // SAFETY: every number is below the size of the set.
    Ok((0..PROCESSORS).filter(|processor| unsafe { libc::CPU_ISSET(*processor, &set) }).collect())
}

/// Lets this thread, and the threads that it starts, run on these processors only.
///
/// # Errors
/// `EINVAL` if none of the processors exists or is allowed.
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

/// Returns how many processors this process may use, by its affinity and by the quota of its cgroup.
pub(crate) fn usable_processors() -> usize {
    // std reads sched_getaffinity(2), and `cpu.max` (cgroup v2) or `cpu.cfs_quota_us` (v1).
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Sets the adjustment of this process's score for the kernel's out-of-memory killer.
pub(crate) fn set_oom_score(score: &str) -> io::Result<()> {
    std::fs::write("/proc/self/oom_score_adj", score)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nice_value_and_affinity_that_are_read_can_be_set_again() {
        set_nice(nice().unwrap()).unwrap();
        set_affinity(&affinity().unwrap()).unwrap();
    }
}
