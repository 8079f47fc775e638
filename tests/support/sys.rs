//! System calls that no safe library offers to the tests.
#![allow(
    unsafe_code,
    reason = "tests of processes change their own: dispositions, capabilities, forks behind the library's back"
)]

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// An unnamed file.
pub fn temporary_file() -> File {
    // SAFETY: the name is a terminated string.
    let raw = unsafe { libc::memfd_create(c"output".as_ptr(), libc::MFD_CLOEXEC) };
    assert!(raw >= 0, "memfd_create: {}", std::io::Error::last_os_error());
    // SAFETY: a new descriptor without another owner.
    unsafe { File::from_raw_fd(raw) }
}

/// Returns a descriptor of any process, child or not.
///
/// # Errors
/// If there is no such process.
pub fn open_pid(pid: u32) -> std::io::Result<OwnedFd> {
    // SAFETY: two numbers.
    let raw = unsafe { libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0) };
    if raw < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: a new descriptor without another owner.
    Ok(unsafe { OwnedFd::from_raw_fd(raw as RawFd) })
}

/// Sends a signal. A missing process is no error. A negative pid stands for a group.
pub fn kill(pid: i32, signal: i32) {
    // SAFETY: two numbers.
    unsafe { libc::kill(pid, signal) };
}

/// A process's reaction to a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// The kernel's default.
    Default,
    /// No reaction.
    Ignore,
    /// A function that does nothing, and does not restart interrupted system calls.
    Nothing,
}

extern "C" fn nothing(_: libc::c_int) {}

/// Sets this process's reaction to a signal.
pub fn on_signal(signal: i32, disposition: Disposition) {
    // SAFETY: all zeroes is a valid sigaction: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = match disposition {
        Disposition::Default => libc::SIG_DFL,
        Disposition::Ignore => libc::SIG_IGN,
        Disposition::Nothing => nothing as extern "C" fn(libc::c_int) as libc::sighandler_t,
    };
    // SAFETY: the handler makes no calls.
    let result = unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) };
    assert_eq!(result, 0);
}

/// Calls a function after some time, in a signal handler. The function must end this process.
pub fn on_expiry(limit: Duration, last: extern "C" fn(libc::c_int)) {
    // SAFETY: all zeroes is a valid sigaction.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = last as libc::sighandler_t;
    // SAFETY: the caller's handler ends the process.
    let result = unsafe { libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut()) };
    assert_eq!(result, 0);
    // SAFETY: a number.
    unsafe { libc::alarm(limit.as_secs() as u32) };
}

/// Cancels the alarm of [`on_expiry`].
pub fn cancel_expiry() {
    // SAFETY: a number.
    unsafe { libc::alarm(0) };
}

/// Prints the states of this process and its descendants by this binary, then ends. Callable in a signal handler.
pub fn print_states_and_end(path: &std::ffi::CStr, own_pid: &std::ffi::CStr) -> ! {
    let arguments = [path.as_ptr(), c"--states".as_ptr(), own_pid.as_ptr(), std::ptr::null()];
    // SAFETY: the copy does nothing but execute another program.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: terminated strings in a terminated array.
        unsafe { libc::execv(path.as_ptr(), arguments.as_ptr()) };
    }
    // SAFETY: a null pointer is no status.
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
    // SAFETY: no preconditions.
    unsafe { libc::_exit(124) }
}

/// Forks without the library. The copy does `work` and ends at once.
pub fn foreign_fork(work: impl FnOnce()) -> u32 {
    // SAFETY: the callers have one thread.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        work();
        // SAFETY: no preconditions.
        unsafe { libc::_exit(0) };
    }
    assert!(pid > 0);
    pid as u32
}

/// Forks without the library, and returns in both processes: the copy's pid in the original, `None` in the copy.
pub fn fork_and_return() -> Option<u32> {
    // SAFETY: the callers have one thread, or do in the copy what is sound beside threads.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    (pid > 0).then_some(pid as u32)
}

/// Copies this process by a bare system call, which runs no `pthread_atfork` handler of the C library.
pub fn foreign_clone(work: impl FnOnce()) -> u32 {
    let flags = [libc::c_long::from(libc::SIGCHLD), 0];
    let [first, second] = if cfg!(target_arch = "s390x") { [flags[1], flags[0]] } else { flags };
    // SAFETY: the callers have one thread, and the copy without a stack of its own has a copy of the original's stack.
    let pid = unsafe { libc::syscall(libc::SYS_clone, first, second, 0, 0, 0) };
    if pid == 0 {
        work();
        // SAFETY: no preconditions.
        unsafe { libc::_exit(0) };
    }
    assert!(pid > 0);
    pid as u32
}

/// A copy of this process that repeats one action until dropped.
#[derive(Debug)]
pub struct Assistant(u32);

impl Assistant {
    /// Starts the copy, which ends with this process.
    pub fn new(mut act: impl FnMut()) -> Self {
        Self(foreign_fork(|| {
            // SAFETY: numbers.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            loop {
                act();
            }
        }))
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.0
    }
}

impl Drop for Assistant {
    fn drop(&mut self) {
        kill(self.0 as i32, libc::SIGKILL);
        reap(self.0);
    }
}

/// Waits for any child, as careless programs do. `None` if no child has ended.
pub fn steal_a_status() -> Option<u32> {
    // SAFETY: a null pointer is no status.
    let pid = unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) };
    u32::try_from(pid).ok().filter(|pid| *pid > 0)
}

/// Waits for a child that the library does not know, and returns the status of waitpid(2).
pub fn reap(pid: u32) -> i32 {
    let mut status = 0;
    // SAFETY: the kernel writes one number.
    unsafe { libc::waitpid(pid as i32, &mut status, 0) };
    status
}

/// Drops every capability. The user stays.
pub fn drop_capabilities() {
    const VERSION: u32 = 0x2008_0522;
    let (header, nothing) = ([VERSION, 0], [[0_u32; 3]; 2]);
    // SAFETY: version 3 reads one header and two triples of words.
    let result = unsafe { libc::syscall(libc::SYS_capset, &header, &nothing) };
    assert_eq!(result, 0, "capset: {}", std::io::Error::last_os_error());
}

/// Drops user, group and supplementary groups for good.
pub fn become_user(id: u32) {
    // SAFETY: no groups.
    assert_eq!(unsafe { libc::setgroups(0, std::ptr::null()) }, 0);
    // SAFETY: numbers.
    assert_eq!(unsafe { libc::setresgid(id, id, id) }, 0);
    // SAFETY: numbers.
    assert_eq!(unsafe { libc::setresuid(id, id, id) }, 0);
}

/// Tells whether this process runs as root.
pub fn is_root() -> bool {
    // SAFETY: no preconditions.
    unsafe { libc::geteuid() == 0 }
}

/// Forbids any gain of privileges by exec, in this process and its children.
pub fn set_no_new_privileges() {
    // SAFETY: numbers.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
}

/// A resource's number, in the C library's own type.
#[cfg(target_env = "gnu")]
pub type Resource = libc::__rlimit_resource_t;
/// A resource's number, in the C library's own type.
#[cfg(not(target_env = "gnu"))]
pub type Resource = libc::c_int;

/// The signal that ends a program at the end of the main thread's stack. Only with glibc does std know the end of the
/// main thread's stack, and then aborts.
pub const STACK_OVERFLOW: i32 = if cfg!(target_env = "gnu") { libc::SIGABRT } else { libc::SIGSEGV };

/// Tells whether the C library and the kernel agree on the id of this thread: by the owner of an error-checking mutex.
pub fn is_known_as_itself() -> bool {
    // A mutex begins with lock, count and owner in glibc, with type and owner in musl.
    const OWNER: usize = if cfg!(target_env = "gnu") { 2 } else { 1 };
    let mut attributes = std::mem::MaybeUninit::uninit();
    let attributes: *mut libc::pthread_mutexattr_t = attributes.as_mut_ptr();
    let mut mutex = libc::PTHREAD_MUTEX_INITIALIZER;
    // SAFETY: initialises the attributes.
    assert_eq!(unsafe { libc::pthread_mutexattr_init(attributes) }, 0);
    // SAFETY: the attributes are initialised.
    assert_eq!(unsafe { libc::pthread_mutexattr_settype(attributes, libc::PTHREAD_MUTEX_ERRORCHECK) }, 0);
    // SAFETY: no other thread has the mutex.
    assert_eq!(unsafe { libc::pthread_mutex_init(&mut mutex, attributes) }, 0);
    // SAFETY: the mutex is initialised.
    assert_eq!(unsafe { libc::pthread_mutex_lock(&mut mutex) }, 0);
    let owner = (&raw const mutex).cast::<i32>().wrapping_add(OWNER);
    // SAFETY: a mutex is larger than three words, and begins at a word.
    let owner = unsafe { owner.read_volatile() };
    // SAFETY: the mutex is locked.
    assert_eq!(unsafe { libc::pthread_mutex_unlock(&mut mutex) }, 0);
    // Asks the kernel, since musl's function returns a cached id.
    // SAFETY: gettid has no preconditions.
    libc::c_long::from(owner) == unsafe { libc::syscall(libc::SYS_gettid) }
}

/// Makes the kernel answer a system call of this process and its children with an error from now on, as an older kernel
/// or the profile of a container does (seccomp(2)).
pub fn refuse_call(call: libc::c_long, error: i32) {
    set_no_new_privileges();
    let step =
        |code: u32, if_not: u8, operand: u32| libc::sock_filter { code: code as u16, jt: 0, jf: if_not, k: operand };
    // The first word of a filter's input is the call's number.
    let mut steps = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, call as u32),
        step(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ERRNO | error as u32),
        step(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: the kernel reads as many steps as the length says.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) };
    assert_eq!(result, 0, "a filter: {}", std::io::Error::last_os_error());
}

/// Sets soft and hard limit of a resource.
pub fn set_limit(resource: Resource, soft: u64, hard: u64) -> bool {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the kernel reads one limit.
    unsafe { libc::setrlimit(resource, &limit) == 0 }
}

/// Returns soft and hard limit of a resource.
pub fn limit(resource: Resource) -> (u64, u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one limit.
    assert_eq!(unsafe { libc::getrlimit(resource, &mut limit) }, 0);
    (limit.rlim_cur, limit.rlim_max)
}

/// Returns the nice value of this process.
pub fn nice() -> i32 {
    // SAFETY: numbers.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
}

/// Sets the nice value of this process.
pub fn set_nice(nice: i32) {
    // SAFETY: numbers.
    assert_eq!(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) }, 0);
}

/// Sets the umask, and returns the umask before.
pub fn umask(mask: u32) -> u32 {
    // SAFETY: cannot fail.
    unsafe { libc::umask(mask) }
}

/// Registers an exit handler.
pub fn at_exit(handler: extern "C" fn()) {
    // SAFETY: the handler is a function of this program.
    assert_eq!(unsafe { libc::atexit(handler) }, 0);
}

/// Writes through C's buffered streams, without a flush.
pub fn print_c(text: &std::ffi::CStr) {
    // SAFETY: a format without a conversion.
    unsafe { libc::printf(text.as_ptr()) };
}

/// Duplicates an open descriptor to a number, inheritable by any program.
pub fn duplicate_inheritable(fd: &impl AsRawFd, number: RawFd) -> OwnedFd {
    // SAFETY: the number is unused.
    assert_eq!(unsafe { libc::dup2(fd.as_raw_fd(), number) }, number);
    // SAFETY: a new descriptor without another owner.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// Tells whether a number is an open descriptor.
pub fn is_open(number: RawFd) -> bool {
    // SAFETY: harmless on any number.
    unsafe { libc::fcntl(number, libc::F_GETFD) != -1 }
}

/// Closes a standard stream.
pub fn close_stream(number: RawFd) {
    // SAFETY: std does not mind a closed standard stream.
    unsafe { libc::close(number) };
}

/// Makes a standard stream refer to the target of `fd`.
pub fn redirect(fd: &impl AsRawFd, number: RawFd) {
    // SAFETY: a standard stream has no owner.
    assert_eq!(unsafe { libc::dup2(fd.as_raw_fd(), number) }, number);
}

/// Ends this process by a signal, after a reset of the disposition.
pub fn die_by(signal: i32) {
    on_signal_by_default(signal);
    // SAFETY: the default action is to die.
    unsafe { libc::raise(signal) };
}

/// As [`on_signal`], also for signals with a fixed action.
fn on_signal_by_default(signal: i32) {
    // SAFETY: no handler.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// Returns a pair of connected sockets of a type, both close-on-exec.
pub fn socket_pair(kind: i32) -> (OwnedFd, OwnedFd) {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors.
    let result = unsafe { libc::socketpair(libc::AF_UNIX, kind | libc::SOCK_CLOEXEC, 0, ends.as_mut_ptr()) };
    assert_eq!(result, 0);
    // SAFETY: two new descriptors without another owner.
    ends.map(|raw| unsafe { OwnedFd::from_raw_fd(raw) }).into()
}

/// Asks the kernel for a descriptor of each message's sender, if the kernel can (Linux 6.5).
pub fn pass_pidfds(socket: &impl AsRawFd) {
    const SO_PASSPIDFD: i32 = 76;
    let yes = 1_i32;
    // SAFETY: the kernel reads one number.
    unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, SO_PASSPIDFD, (&raw const yes).cast(), 4) };
}

/// Sends bytes on a socket.
pub fn send(socket: &OwnedFd, bytes: &[u8]) {
    // SAFETY: the buffer has that length.
    let sent = unsafe { libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL) };
    assert_eq!(sent, bytes.len() as isize);
}

/// Lets a command start with the given descriptor as number 3, or with number 3 closed.
pub fn at_descriptor_3(command: &mut std::process::Command, fd: Option<OwnedFd>) {
    use std::os::unix::process::CommandExt;
    let act = move || {
        match &fd {
            // SAFETY: a number.
            Some(fd) if fd.as_raw_fd() == 3 => unsafe { libc::fcntl(3, libc::F_SETFD, 0) },
            // SAFETY: two numbers.
            Some(fd) => unsafe { libc::dup2(fd.as_raw_fd(), 3) },
            // SAFETY: a number.
            None => unsafe { libc::close(3) },
        };
        Ok(())
    };
    // SAFETY: the closure makes async-signal-safe calls only.
    unsafe { command.pre_exec(act) };
}

/// Writes to address zero.
pub fn segfault() {
    // SAFETY: none; that is the point.
    unsafe { std::ptr::null_mut::<u8>().write_volatile(1) };
}

/// Sets a variable. No other thread may read the environment meanwhile.
pub fn set_variable(name: &str, value: &str) {
    // SAFETY: the callers have one thread, or a second one of libtest, which waits for the only test of its binary.
    unsafe { std::env::set_var(name, value) };
}

/// Plain old data with an unusually large alignment.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(256))]
pub struct Wide(pub [u64; 32]);

// SAFETY: zeroes are numbers.
unsafe impl bytemuck::Zeroable for Wide {}
// SAFETY: numbers without padding: 256 bytes, as the alignment asks for.
unsafe impl bytemuck::Pod for Wide {}

/// Writes a byte in spite of its protection.
pub fn overwrite(byte: &u8) {
    // SAFETY: none; that is the point.
    unsafe { std::ptr::from_ref(byte).cast_mut().write_volatile(1) };
}

/// Returns the results of attempts to write the page at an address, to map its file for writing, and to change its
/// length.
pub fn attempts_to_change(page: *const u8, file: &impl AsRawFd) -> [std::io::Result<()>; 4] {
    let (page, length, fd) = (page.cast_mut().cast::<libc::c_void>(), 4096, file.as_raw_fd());
    let writable = libc::PROT_READ | libc::PROT_WRITE;
    let done = |ok: bool| if ok { Ok(()) } else { Err(std::io::Error::last_os_error()) };
    // SAFETY: the attempt is expected to fail. A success fails the test.
    let protected = done(unsafe { libc::mprotect(page, length, writable) } == 0);
    // SAFETY: as above.
    let mapped = unsafe { libc::mmap(std::ptr::null_mut(), length, writable, libc::MAP_SHARED, fd, 0) };
    let mapped = done(mapped != libc::MAP_FAILED);
    // SAFETY: as above.
    let shrunk = done(unsafe { libc::ftruncate(fd, 0) } == 0);
    // SAFETY: as above.
    let written = done(unsafe { libc::pwrite(fd, [1_u8].as_ptr().cast(), 1, 0) } == 1);
    [protected, mapped, shrunk, written]
}

/// Returns the shared memory of a worker's rings, as far as this process has mapped the rings.
pub fn rings() -> Vec<&'static [std::sync::atomic::AtomicU64]> {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("the maps of this process");
    let found = maps.lines().filter(|line| line.contains("memfd:offspring") && line.contains(" rw-s "));
    let regions = found.filter_map(|line| {
        let (start, end) = line.split_once(' ')?.0.split_once('-')?;
        let [start, end] = [start, end].map(|text| usize::from_str_radix(text, 16));
        Some((start.ok()?, end.ok()?))
    });
    // Locks and the like have a page or two.
    let rings = regions.filter(|(start, end)| end - start > 1 << 16);
    // SAFETY: mapped for reading and writing as long as the process is a worker; all access is atomic.
    rings.map(|(start, end)| unsafe { std::slice::from_raw_parts(start as *const _, (end - start) / 8) }).collect()
}

/// A system call that no kernel knows, visible to a tracer of this process.
pub const MARK: libc::c_long = 4085;

/// Makes the call [`MARK`].
pub fn mark() {
    // SAFETY: the call fails, and does nothing else.
    unsafe { libc::syscall(MARK) };
}

/// Returns the system call that a traced thread is about to enter. `None` at the return of a call.
///
/// Source: ptrace(2), `PTRACE_GET_SYSCALL_INFO`.
///
/// # Errors
/// If the thread is not stopped, or is gone.
pub fn entered_call(thread: i32) -> std::io::Result<Option<libc::c_long>> {
    const GET_SYSCALL_INFO: u32 = 0x420e;
    const ENTRY: u8 = 1;
    // The kind is the first byte of the record, and the number of the call begins at the 24th.
    let mut info = [0_u8; 88];
    // SAFETY: the kernel writes no more than the given length.
    let length = unsafe { libc::ptrace(GET_SYSCALL_INFO as _, thread, info.len(), info.as_mut_ptr()) };
    if length < 0 {
        return Err(std::io::Error::last_os_error());
    }
    let number = i64::from_ne_bytes(info[24..32].try_into().expect("eight bytes"));
    Ok((info[0] == ENTRY).then_some(number as libc::c_long))
}

/// Returns the name and version of this program's C library.
pub fn libc_version() -> String {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: no preconditions.
        let version = unsafe { libc::gnu_get_libc_version() };
        // SAFETY: a terminated string that stays.
        format!("glibc {}", unsafe { std::ffi::CStr::from_ptr(version) }.to_string_lossy())
    }
    #[cfg(not(target_env = "gnu"))]
    "another libc".to_owned()
}
