//! The C library's robust mutex, in memory that processes share.
//!
//! The kernel knows the list of robust mutexes that a thread holds; when the thread ends, however it ends, it marks
//! each and wakes one who waits. So the next one gets the lock and the news.
//!
//! All of them are *error-checking*: a thread that locks twice is told so, and an unlock by anybody but the thread that
//! holds it is refused. That makes a copy of the process (fork) harmless, whose guards are copies too.
//!
//! Sources: pthread_mutexattr_setrobust(3), pthread_mutex_lock(3p), the kernel's
//! Documentation/locking/robust-futex-ABI.rst.

use std::cell::UnsafeCell;
use std::io;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use super::fork_generation::ForkGeneration;
use super::futex::{self, Watch};
use super::poll::Deadline;
use super::robust_list;

/// How long to wait for a lock.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LockTimeout {
    Never,
    Until(Instant),
    Forever,
}

impl LockTimeout {
    /// A limit beyond what the clock can count is for ever.
    pub(crate) fn within(limit: Duration) -> Self {
        super::poll::deadline_in(limit).map_or(Self::Forever, Self::Until)
    }

    pub(crate) fn is_over(self) -> bool {
        match self {
            Self::Never => true,
            Self::Until(deadline) => Instant::now() >= deadline,
            Self::Forever => false,
        }
    }

    pub(crate) fn deadline(self) -> Deadline {
        match self {
            Self::Never => Some(Instant::now()),
            Self::Until(deadline) => Some(deadline),
            Self::Forever => None,
        }
    }
}

/// Why a lock was not obtained.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Somebody holds it, for longer than one was willing to wait.
    Busy,
    /// This very thread holds it.
    Deadlock,
    /// The memory is not what it was made to be.
    Os(io::Error),
}

/// A lock in shared memory, which lives in no other place than a [`Region`](super::mmap::Region).
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Lock(UnsafeCell<libc::pthread_mutex_t>);

// SAFETY: it is made to be used by all threads of all processes that share the memory.
unsafe impl Send for Lock {}
// SAFETY: as above.
unsafe impl Sync for Lock {}

/// `PTHREAD_MUTEX_ROBUST` of glibc and musl.
const ROBUST: libc::c_int = 1;

/// Where the kernel's word lies in the C library's mutex; part of the ABI, as programs hold initialised ones.
const WORD: usize = if cfg!(target_env = "musl") { 1 } else { 0 };

/// The longest sleep in the C library before it is asked again.
///
/// An unlock wakes one who sleeps. Should that one be killed before it has the lock, or the unlocker before it wakes
/// anybody, the kernel wakes the next one, as it finds the lock among what the dead one had *pending*. Of glibc that
/// holds; musl sets nothing pending while it waits, and takes it back before it wakes. There nobody would be woken,
/// though the lock is free.
const NAP: Option<Duration> = if cfg!(target_env = "musl") { Some(Duration::from_millis(100)) } else { None };

impl Lock {
    /// Makes it.
    ///
    /// # Safety
    /// Nobody else uses the memory yet.
    pub(super) unsafe fn init(&self) -> io::Result<()> {
        robust_list::renew_in_copies();
        let mut attributes = MaybeUninit::uninit();
        let attributes: *mut libc::pthread_mutexattr_t = attributes.as_mut_ptr();
        // SAFETY: initialises the attributes.
        succeed(unsafe { libc::pthread_mutexattr_init(attributes) })?;
        // SAFETY: initialised above.
        succeed(unsafe { libc::pthread_mutexattr_settype(attributes, libc::PTHREAD_MUTEX_ERRORCHECK) })?;
        // SAFETY: as above.
        succeed(unsafe { libc::pthread_mutexattr_setpshared(attributes, libc::PTHREAD_PROCESS_SHARED) })?;
        // SAFETY: as above.
        succeed(unsafe { libc::pthread_mutexattr_setrobust(attributes, ROBUST) })?;
        // SAFETY: the caller has the memory alone.
        succeed(unsafe { libc::pthread_mutex_init(self.0.get(), attributes) })
        // Neither library keeps anything behind attributes that would have to be destroyed.
    }

    /// Locks it.
    #[inline]
    pub(crate) fn acquire(&self, patience: LockTimeout) -> Result<RobustGuard<'_>, Failure> {
        let result = match patience {
            // SAFETY: the mutex is initialised and stays where it is, as it lies in a region that is borrowed.
            LockTimeout::Never => unsafe { libc::pthread_mutex_trylock(self.0.get()) },
            // SAFETY: as above.
            LockTimeout::Forever if NAP.is_none() => unsafe { libc::pthread_mutex_lock(self.0.get()) },
            // SAFETY: as above.
            LockTimeout::Forever => match unsafe { libc::pthread_mutex_trylock(self.0.get()) } {
                libc::EBUSY => self.timed_lock(None),
                result => result,
            },
            LockTimeout::Until(deadline) => self.timed_lock(Some(deadline)),
        };
        if result == 0 { Ok(self.held(false)) } else { self.not_simply(result) }
    }

    /// What a lock comes to that was not just free.
    #[cold]
    fn not_simply(&self, result: libc::c_int) -> Result<RobustGuard<'_>, Failure> {
        match result {
            libc::EOWNERDEAD => self.recover(),
            libc::EBUSY | libc::ETIMEDOUT => Err(Failure::Busy),
            libc::EDEADLK => Err(Failure::Deadlock),
            other => Err(Failure::Os(io::Error::from_raw_os_error(other))),
        }
    }

    #[inline(never)]
    fn timed_lock(&self, deadline: Deadline) -> libc::c_int {
        loop {
            let left = deadline.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
            let sleep = NAP.unwrap_or(left).min(left);
            let result = match clocklock() {
                Some(lock) => {
                    let until = futex::on_clock(libc::CLOCK_MONOTONIC, sleep);
                    // SAFETY: an initialised mutex, a clock that the function knows, a time that outlives the call.
                    unsafe { lock(self.0.get(), libc::CLOCK_MONOTONIC, &until) }
                }
                None => {
                    let until = futex::on_clock(libc::CLOCK_REALTIME, sleep);
                    // SAFETY: as above.
                    unsafe { libc::pthread_mutex_timedlock(self.0.get(), &until) }
                }
            };
            // It was a nap, or the clock of the day has been set forward meanwhile.
            if result != libc::ETIMEDOUT || left.is_zero() {
                return result;
            }
        }
    }

    /// The last holder is dead. Should this one die before the lock is declared sound again, the next one gets here.
    fn recover(&self) -> Result<RobustGuard<'_>, Failure> {
        // SAFETY: this thread holds the mutex.
        succeed(unsafe { libc::pthread_mutex_consistent(self.0.get()) }).map_err(Failure::Os)?;
        Ok(self.held(true))
    }

    #[inline]
    fn held(&self, after_death: bool) -> RobustGuard<'_> {
        RobustGuard { lock: self, after_death, made: ForkGeneration::current(), of_thread: PhantomData }
    }

    /// What the kernel reads and writes when the holder ends.
    #[inline]
    fn word(&self) -> &AtomicU32 {
        let words = self.0.get().cast::<AtomicU32>();
        // SAFETY: the mutex is larger than that.
        let word = unsafe { words.add(WORD) };
        // SAFETY: it is aligned, as it lies at the beginning of a mutex, and everyone who uses it does so atomically.
        unsafe { &*word }
    }

    /// The thread that holds it, if one does that lives.
    #[inline]
    pub(super) fn holder(&self) -> Option<u32> {
        let tid = self.word().load(Ordering::Acquire) & libc::FUTEX_TID_MASK;
        (tid != 0).then_some(tid)
    }

    /// Whether nobody that lives holds it.
    #[inline]
    pub(crate) fn is_free(&self) -> bool {
        self.holder().is_none()
    }

    /// Whether its holder has died, and nobody has locked it since.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.word().load(Ordering::Acquire) & libc::FUTEX_OWNER_DIED != 0
    }

    /// Asks whoever holds it, or the kernel at the holder's death, to wake one who sleeps on what is returned; `None`
    /// if nobody holds it.
    pub(crate) fn watch(&self) -> Option<Watch<'_>> {
        let word = self.word();
        let mut seen = word.load(Ordering::Acquire);
        loop {
            if seen & libc::FUTEX_TID_MASK == 0 {
                return None;
            }
            let expected = seen | libc::FUTEX_WAITERS;
            if seen == expected {
                return Some(Watch { word, expected });
            }
            match word.compare_exchange_weak(seen, expected, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(Watch { word, expected }),
                Err(now) => seen = now,
            }
        }
    }
}

/// Takes a lock that nobody shares, and lets go of it: thereafter the C library has a robust list for this thread.
///
/// Tells whom the C library takes this thread for.
pub(super) fn lock_once() -> Option<u32> {
    let lock = Lock(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER));
    // SAFETY: nobody else has it.
    unsafe { lock.init() }.ok()?;
    let _held = lock.acquire(LockTimeout::Never).ok()?;
    lock.holder()
}

/// Locks one of several, whichever is free first, and says which.
///
/// An unlock wakes one alone who sleeps, so that callers who need one lock must not sleep here at once: they hold a
/// gate.
pub(crate) fn acquire_any(locks: &[Lock], patience: LockTimeout) -> Result<(usize, RobustGuard<'_>), Failure> {
    loop {
        for (index, lock) in locks.iter().enumerate().filter(|(_, lock)| lock.is_free()) {
            match lock.acquire(LockTimeout::Never) {
                Ok(held) => return Ok((index, held)),
                Err(Failure::Os(error)) => return Err(Failure::Os(error)),
                Err(Failure::Busy | Failure::Deadlock) => {}
            }
        }
        if patience.is_over() {
            return Err(Failure::Busy);
        }
        if let Some(watched) = locks.iter().map(Lock::watch).collect::<Option<Vec<_>>>() {
            futex::wait_any(&watched, patience.deadline());
        }
    }
}

/// A lock that this thread holds. Dropped in a copy of the process, it is left as it is.
#[derive(Debug)]
pub(crate) struct RobustGuard<'a> {
    lock: &'a Lock,
    after_death: bool,
    /// The process that locked it.
    made: ForkGeneration,
    /// The kernel knows the holder by its thread.
    of_thread: PhantomData<MutexGuard<'static, ()>>,
}

impl RobustGuard<'_> {
    /// Whether the one who held it before has died.
    #[inline]
    pub(crate) fn after_death(&self) -> bool {
        self.after_death
    }

    /// Whether this process is the one that has locked it, and no copy of that one.
    #[inline]
    pub(crate) fn is_original(&self) -> bool {
        self.made.is_current()
    }
}

impl Drop for RobustGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the mutex is initialised; for a thread that does not hold it, as in a copy, this is an error and no
        // more.
        unsafe { libc::pthread_mutex_unlock(self.lock.0.get()) };
    }
}

type ClockLock =
    unsafe extern "C" fn(*mut libc::pthread_mutex_t, libc::clockid_t, *const libc::timespec) -> libc::c_int;

/// Waits by the monotonic clock (glibc 2.30).
fn clocklock() -> Option<ClockLock> {
    static FOUND: OnceLock<Option<ClockLock>> = OnceLock::new();
    *FOUND.get_or_init(|| {
        // SAFETY: a lookup by name; the name is terminated.
        let symbol = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"pthread_mutex_clocklock".as_ptr()) };
        // SAFETY: the symbol is either absent or the function of that name, whose type this is.
        (!symbol.is_null()).then(|| unsafe { std::mem::transmute::<*mut libc::c_void, ClockLock>(symbol) })
    })
}

fn succeed(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(result)) }
}
