//! System calls by their names.

/// Returns the name of a call, or the number of an unexpected call.
pub(crate) fn name(call: libc::c_long) -> String {
    let known = [COMMON, OLD].concat().into_iter().find(|(number, _)| *number == call);
    known.map_or_else(|| format!("call_{call}"), |(_, name)| name.to_owned())
}

macro_rules! names {
    ($($constant:ident)*) => { &[$((libc::$constant, without_prefix(stringify!($constant)))),*] };
}

const fn without_prefix(constant: &str) -> &str {
    constant.split_at("SYS_".len()).1
}

type Names = &'static [(libc::c_long, &'static str)];

/// Calls of every architecture.
#[rustfmt::skip]
const COMMON: Names = names![
    SYS_brk SYS_capget SYS_capset SYS_chdir SYS_clock_gettime SYS_clock_nanosleep SYS_clone SYS_clone3 SYS_close
    SYS_close_range SYS_copy_file_range SYS_dup SYS_dup3 SYS_epoll_create1 SYS_epoll_ctl SYS_epoll_pwait SYS_eventfd2
    SYS_execve SYS_execveat SYS_exit SYS_exit_group SYS_faccessat SYS_faccessat2 SYS_fallocate SYS_fchdir SYS_fcntl
    SYS_fdatasync SYS_flock SYS_fstat SYS_fstatfs SYS_fsync SYS_ftruncate SYS_futex SYS_futex_waitv SYS_get_robust_list
    SYS_getcwd SYS_getdents64 SYS_getegid SYS_geteuid SYS_getgid SYS_getgroups SYS_getitimer SYS_getpeername SYS_getpgid
    SYS_getpid SYS_getppid SYS_getpriority SYS_getrandom SYS_getresgid SYS_getresuid SYS_getrlimit SYS_getrusage
    SYS_getsid SYS_getsockname SYS_getsockopt SYS_gettid SYS_gettimeofday SYS_getuid SYS_getxattr SYS_ioctl SYS_kcmp
    SYS_kill SYS_lseek SYS_madvise SYS_membarrier SYS_memfd_create SYS_mmap SYS_mprotect SYS_mremap SYS_munmap
    SYS_nanosleep SYS_newfstatat SYS_openat SYS_openat2 SYS_pidfd_getfd SYS_pidfd_open SYS_pidfd_send_signal SYS_pipe2
    SYS_ppoll SYS_prctl SYS_pread64 SYS_preadv SYS_prlimit64 SYS_pselect6 SYS_pwrite64 SYS_read SYS_readlinkat SYS_readv
    SYS_recvfrom SYS_recvmmsg SYS_recvmsg SYS_restart_syscall SYS_rseq SYS_rt_sigaction SYS_rt_sigpending
    SYS_rt_sigprocmask SYS_rt_sigqueueinfo SYS_rt_sigreturn SYS_rt_sigsuspend SYS_rt_sigtimedwait
    SYS_sched_get_priority_max SYS_sched_getaffinity SYS_sched_getattr SYS_sched_getparam SYS_sched_getscheduler
    SYS_sched_setaffinity SYS_sched_setattr SYS_sched_setscheduler SYS_sched_yield SYS_sendmmsg SYS_sendmsg SYS_sendto
    SYS_set_robust_list SYS_set_tid_address SYS_setgroups SYS_setitimer SYS_setns SYS_setpgid SYS_setpriority
    SYS_setresgid SYS_setresuid SYS_setrlimit SYS_setsid SYS_setsockopt SYS_shutdown SYS_sigaltstack SYS_signalfd4
    SYS_socket SYS_socketpair SYS_statfs SYS_statx SYS_sysinfo SYS_tgkill SYS_timer_create SYS_timer_delete
    SYS_timer_settime SYS_timerfd_create SYS_timerfd_settime SYS_tkill SYS_umask SYS_uname SYS_unshare SYS_wait4
    SYS_waitid SYS_write SYS_writev
];

/// Calls that later architectures lack.
#[cfg(target_arch = "x86_64")]
const OLD: Names = names![
    SYS_access SYS_alarm SYS_arch_prctl SYS_chmod SYS_dup2 SYS_epoll_create SYS_epoll_wait SYS_eventfd SYS_fork
    SYS_getdents SYS_getpgrp SYS_lstat SYS_open SYS_pause SYS_pipe SYS_poll SYS_readlink SYS_select SYS_signalfd
    SYS_stat SYS_time SYS_unlink SYS_vfork
];

#[cfg(not(target_arch = "x86_64"))]
const OLD: Names = &[];
