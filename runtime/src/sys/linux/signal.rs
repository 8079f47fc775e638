//! Signal masks, dispositions, and the timers that end an overdue task.
//!
//! Sources: sigprocmask(2), sigaction(2), timer_create(2), signal(7).

use std::io;
use std::time::Duration;

use super::check;

/// A set of signals, as the kernel keeps it: bit `n - 1` is signal `n`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct SignalSet(pub(crate) u64);

impl SignalSet {
    pub(crate) const fn contains(self, signal: i32) -> bool {
        self.0 & 1 << (signal - 1) != 0
    }

    pub(crate) const fn without(self, signal: i32) -> Self {
        Self(self.0 & !(1 << (signal - 1)))
    }

    /// Returns the set without the two signals that the C library reserves (nptl(7)) and does not let a program set.
    pub(crate) fn settable(self) -> Self {
        self.without(32).without(33)
    }
}

/// Calls rt_sigprocmask(2) with the kernel's own set of one word. The C library's set has 1,024 bits.
fn change_mask(how: libc::c_int, set: SignalSet) -> SignalSet {
    let (set, mut old) = (set.settable(), SignalSet::default());
    // SAFETY: two pointers to words of the size given; the call fails for a wrong `how` only. The C library's own
    // signals are never blocked.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, how, &raw const set.0, &raw mut old.0, size_of::<u64>()) };
    old.settable()
}

/// Returns the signals that the calling thread blocks.
pub(crate) fn mask() -> SignalSet {
    change_mask(libc::SIG_BLOCK, SignalSet::default())
}

/// Makes the calling thread block exactly the signals of a set.
pub(crate) fn set_mask(mask: SignalSet) {
    change_mask(libc::SIG_SETMASK, mask);
}

/// Blocks every signal for the calling thread until a drop. Around a fork, no handler of the parent runs in the copy.
pub(crate) struct Blocked(SignalSet);

impl Blocked {
    pub(crate) fn all() -> Self {
        Self(change_mask(libc::SIG_SETMASK, SignalSet(u64::MAX)))
    }

    /// Returns the signals that were blocked before.
    pub(crate) fn before(&self) -> SignalSet {
        self.0
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        change_mask(libc::SIG_SETMASK, self.0);
    }
}

/// Returns the signals that this process ignores.
pub(crate) fn ignored() -> SignalSet {
    let is_ignored = |signal: &i32| action(*signal).is_ok_and(|action| action.sa_sigaction == libc::SIG_IGN);
    SignalSet((1..=64).filter(is_ignored).fold(0, |bits, signal| bits | 1 << (signal - 1)))
}

/// Returns whether this process ignores `SIGPIPE`. Rust's runtime makes every program do so before its `main`.
pub(crate) fn ignores_broken_pipes() -> bool {
    action(libc::SIGPIPE).is_ok_and(|action| action.sa_sigaction == libc::SIG_IGN)
}

/// Makes this process ignore exactly the signals of a set. Other ignored signals get their default action. Handlers
/// stay.
pub(crate) fn set_ignored(wanted: SignalSet) {
    let present = ignored();
    for signal in 1..=64 {
        match (present.contains(signal), wanted.contains(signal)) {
            (false, true) => set_disposition(signal, libc::SIG_IGN),
            (true, false) => set_disposition(signal, libc::SIG_DFL),
            _ => {}
        }
    }
}

/// Lets this process survive some signals, unless the process ignores a signal already.
///
/// By a handler, since a program that this process executes gets the default action in place of a handler, but goes on
/// ignoring what this process ignores (execve(2)). `signal(3)` restarts the system calls that the handler interrupts.
pub(crate) fn survive(signals: &[i32]) {
    extern "C" fn nothing(_signal: i32) {}
    let ignored = ignored();
    for signal in signals.iter().filter(|signal| !ignored.contains(**signal)) {
        set_disposition(*signal, nothing as extern "C" fn(i32) as libc::sighandler_t);
    }
}

/// Blocks the signals that a terminal sends to every process of its group. A copy undoes a block at no cost.
pub(crate) fn block_terminal() {
    let sent = [libc::SIGINT, libc::SIGQUIT, libc::SIGHUP, libc::SIGTSTP];
    let blocked = sent.into_iter().fold(mask().0, |bits, signal| bits | 1 << (signal - 1));
    set_mask(SignalSet(blocked));
}

/// Returns whether the kernel reaps this process's children itself, as soon as they end (sigaction(2), `SA_NOCLDWAIT`).
pub(crate) fn ended_children_vanish() -> bool {
    action(libc::SIGCHLD)
        .is_ok_and(|action| action.sa_sigaction == libc::SIG_IGN || action.sa_flags & libc::SA_NOCLDWAIT != 0)
}

fn action(signal: i32) -> io::Result<libc::sigaction> {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: a null new action only reads; the kernel fills the old one.
    check(unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) }.into())?;
    // SAFETY: the call succeeded.
    Ok(unsafe { action.assume_init() })
}

fn set_disposition(signal: i32, disposition: libc::sighandler_t) {
    // SAFETY: SIG_IGN and SIG_DFL run no code, and the one handler of this crate is empty; for a signal that cannot be
    // changed the call fails, which is right.
    unsafe { libc::signal(signal, disposition) };
}

/// The time after `SIGALRM` after which a task that blocks or handles it is killed.
const GRACE: Duration = Duration::from_secs(1);

/// Lets the kernel end this process when `limit` has passed: first `SIGALRM`, which tells the parent why, then
/// `SIGKILL`.
///
/// The kernel watches the timers of the process itself: no thread does here, nor a join in the parent.
///
/// The first is the interval timer, which the process keeps when the task executes another program. Timers of
/// timer_create(2) are deleted then. Sources: setitimer(2), execve(2).
pub(crate) fn end_after(limit: Duration) -> io::Result<()> {
    set_disposition(libc::SIGALRM, libc::SIG_DFL);
    set_mask(mask().without(libc::SIGALRM));
    start_interval_timer(limit)?;
    start_timer(libc::SIGKILL, limit.saturating_add(GRACE))
}

/// Starts the timer that sends `SIGALRM` once.
fn start_interval_timer(limit: Duration) -> io::Result<()> {
    let limit = timespec(limit.max(Duration::from_micros(1)));
    let value = libc::timeval { tv_sec: limit.tv_sec, tv_usec: (limit.tv_nsec / 1000) as _ };
    let once = libc::itimerval { it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 }, it_value: value };
    // SAFETY: the timer's value outlives the call, and the old value is not asked for.
    check(unsafe { libc::setitimer(libc::ITIMER_REAL, &once, std::ptr::null_mut()) }.into())?;
    Ok(())
}

pub(crate) const KILL: i32 = libc::SIGKILL;
pub(crate) const TERMINATE: i32 = libc::SIGTERM;
/// The signal that a terminal sends for Ctrl-C.
pub(crate) const INTERRUPT: i32 = libc::SIGINT;
/// The signal of a terminal that is closed. Supervisors send it too.
pub(crate) const HANG_UP: i32 = libc::SIGHUP;

/// The signal by which [`end_after`] ends a process.
pub(crate) const OVERDUE: i32 = libc::SIGALRM;

fn start_timer(signal: i32, limit: Duration) -> io::Result<()> {
    // SAFETY: all zeroes is a valid sigevent.
    let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
    event.sigev_notify = libc::SIGEV_SIGNAL;
    event.sigev_signo = signal;
    let mut timer: libc::timer_t = std::ptr::null_mut();
    // SAFETY: both pointers are to objects that outlive the call.
    check(unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, &mut timer) }.into())?;
    let once = libc::itimerspec { it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 }, it_value: timespec(limit) };
    // SAFETY: the timer was just made; the old value is not asked for.
    check(unsafe { libc::timer_settime(timer, 0, &once, std::ptr::null_mut()) }.into())?;
    Ok(())
}

/// Returns a time that is never zero, which would stop the timer, and 68 years at most, which fits every C library's
/// type.
fn timespec(limit: Duration) -> libc::timespec {
    let limit = limit.max(Duration::from_nanos(1));
    libc::timespec { tv_sec: limit.as_secs().min(i32::MAX as u64) as _, tv_nsec: limit.subsec_nanos().into() }
}

/// Returns the usual name of a signal, as `SIGKILL`. Real-time signals have none.
pub(crate) fn name(signal: i32) -> Option<&'static str> {
    nix::sys::signal::Signal::try_from(signal).ok().map(nix::sys::signal::Signal::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_read_as_it_was_set() {
        let before = mask();
        let wanted = SignalSet(1 << (libc::SIGUSR1 - 1) | 1 << (libc::SIGTERM - 1));
        set_mask(wanted);
        assert_eq!(mask(), wanted);
        set_mask(before);
        assert_eq!(mask(), before);
    }

    #[test]
    fn blocking_all_ends_with_its_guard() {
        let before = mask();
        let blocked = Blocked::all();
        assert!(mask().contains(libc::SIGUSR2));
        drop(blocked);
        assert_eq!(mask(), before);
    }

    #[test]
    fn signals_have_names() {
        assert_eq!(name(libc::SIGKILL), Some("SIGKILL"));
        assert_eq!(name(60), None);
    }
}
