//! The C library's robust mutex, in memory that processes share.
//!
//! The kernel knows the list of robust mutexes that a thread holds. When the thread ends, in any way, the kernel marks
//! each mutex and wakes one waiter. So the next holder gets the lock and the news.
//!
//! All mutexes here are *error-checking*: a second lock by the same thread is an error, and so is an unlock by any
//! thread but the holder. That makes a copy of the process (fork) harmless, whose guards are copies too.
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
use super::futex::{self, WordWatch};
use super::poll::Deadline;
use super::robust_list;

/// The time to wait for a lock.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LockTimeout {
    Never,
    Until(Instant),
    Forever,
}

impl LockTimeout {
    /// Returns a timeout of `limit`. A limit beyond the range of the clock is for ever.
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

/// The reason why a lock was not obtained.
#[derive(Debug)]
pub(crate) enum LockFailure {
    /// Another thread has held the lock until the timeout.
    Busy,
    /// The calling thread holds the lock.
    Deadlock,
    /// The memory does not hold a valid mutex.
    Os(io::Error),
}

/// A lock in shared memory. A lock always lies in a [`Region`](super::mmap::Region).
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Lock(UnsafeCell<libc::pthread_mutex_t>);

// SAFETY: it is made to be used by all threads of all processes that share the memory.
unsafe impl Send for Lock {}
// SAFETY: as above.
unsafe impl Sync for Lock {}

/// `PTHREAD_MUTEX_ROBUST` of glibc and musl.
const ROBUST: libc::c_int = 1;

/// The index of the kernel's word in the C library's mutex. The index is part of the ABI, as programs hold initialised
/// mutexes.
const WORD: usize = if cfg!(target_env = "musl") { 1 } else { 0 };

/// The longest sleep in the C library before another call.
///
/// An unlock wakes one sleeper. The sleeper may be killed before it has the lock, or the unlocker before the wake. Then
/// the kernel wakes the next sleeper, because the lock is among the dead thread's *pending* operations. So says glibc.
/// musl sets nothing pending while it waits, and clears the pending operation before the wake, so all would sleep on
/// though the lock is free.
const NAP: Option<Duration> = if cfg!(target_env = "musl") { Some(Duration::from_millis(100)) } else { None };

impl Lock {
    /// Initialises the lock.
    ///
    /// # Safety
    /// No other thread or process uses the memory yet.
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
        // Neither library allocates anything for attributes.
    }

    /// Locks the mutex.
    #[inline]
    pub(crate) fn acquire(&self, timeout: LockTimeout) -> Result<RobustGuard<'_>, LockFailure> {
        let result = match timeout {
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

    /// Sorts out a lock that was not just free.
    #[cold]
    fn not_simply(&self, result: libc::c_int) -> Result<RobustGuard<'_>, LockFailure> {
        match result {
            libc::EOWNERDEAD => self.recover(),
            libc::EBUSY | libc::ETIMEDOUT => Err(LockFailure::Busy),
            libc::EDEADLK => Err(LockFailure::Deadlock),
            other => Err(LockFailure::Os(io::Error::from_raw_os_error(other))),
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
            // The call was a nap, or the wall clock has been set forward.
            if result != libc::ETIMEDOUT || left.is_zero() {
                return result;
            }
        }
    }

    /// Takes over from a dead holder. If this thread dies before the lock is declared sound, the next one gets here.
    fn recover(&self) -> Result<RobustGuard<'_>, LockFailure> {
        // SAFETY: this thread holds the mutex.
        succeed(unsafe { libc::pthread_mutex_consistent(self.0.get()) }).map_err(LockFailure::Os)?;
        Ok(self.held(true))
    }

    #[inline]
    fn held(&self, after_death: bool) -> RobustGuard<'_> {
        RobustGuard { lock: self, after_death, made: ForkGeneration::current(), of_thread: PhantomData }
    }

    /// The word that the kernel reads and writes when the holder ends.
    #[inline]
    fn word(&self) -> &AtomicU32 {
        let words = self.0.get().cast::<AtomicU32>();
        // SAFETY: the mutex is larger than that.
        let word = unsafe { words.add(WORD) };
        // SAFETY: it is aligned, as it lies at the beginning of a mutex, and everyone who uses it does so atomically.
        unsafe { &*word }
    }

    /// Returns the id of the live thread that holds the lock.
    #[inline]
    pub(super) fn holder(&self) -> Option<u32> {
        let tid = self.word().load(Ordering::Acquire) & libc::FUTEX_TID_MASK;
        (tid != 0).then_some(tid)
    }

    /// Returns whether no live thread holds the lock.
    #[inline]
    pub(crate) fn is_free(&self) -> bool {
        self.holder().is_none()
    }

    /// Returns whether the holder has died and no thread has locked the mutex since.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.word().load(Ordering::Acquire) & libc::FUTEX_OWNER_DIED != 0
    }

    /// Asks the holder, or the kernel at the holder's death, to wake a sleeper. Returns the word to sleep on, or `None`
    /// if no thread holds the lock.
    pub(crate) fn watch(&self) -> Option<WordWatch<'_>> {
        let word = self.word();
        let mut seen = word.load(Ordering::Acquire);
        loop {
            if seen & libc::FUTEX_TID_MASK == 0 {
                return None;
            }
            let expected = seen | libc::FUTEX_WAITERS;
            if seen == expected {
                return Some(WordWatch { word, expected });
            }
            match word.compare_exchange_weak(seen, expected, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(WordWatch { word, expected }),
                Err(now) => seen = now,
            }
        }
    }
}

/// Takes a lock of its own and releases the lock. From then on the C library has a robust list for this thread.
///
/// Returns the id under which the C library knows this thread.
pub(super) fn lock_once() -> Option<u32> {
    let lock = Lock(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER));
    // SAFETY: nobody else has it.
    unsafe { lock.init() }.ok()?;
    let _held = lock.acquire(LockTimeout::Never).ok()?;
    lock.holder()
}

/// Locks one of several, the first that is free, and returns its index.
///
/// An unlock wakes one sleeper alone. So callers who need one particular lock must not sleep here at once: they hold a
/// gate.
pub(crate) fn acquire_any(locks: &[Lock], timeout: LockTimeout) -> Result<(usize, RobustGuard<'_>), LockFailure> {
    loop {
        for (index, lock) in locks.iter().enumerate().filter(|(_, lock)| lock.is_free()) {
            match lock.acquire(LockTimeout::Never) {
                Ok(held) => return Ok((index, held)),
                Err(LockFailure::Os(error)) => return Err(LockFailure::Os(error)),
                Err(LockFailure::Busy | LockFailure::Deadlock) => {}
            }
        }
        if timeout.is_over() {
            return Err(LockFailure::Busy);
        }
        if let Some(watched) = locks.iter().map(Lock::watch).collect::<Option<Vec<_>>>() {
            futex::wait_any(&watched, timeout.deadline());
        }
    }
}

/// A lock that this thread holds. A drop in a copy of the process leaves the lock as it is.
#[derive(Debug)]
pub(crate) struct RobustGuard<'a> {
    lock: &'a Lock,
    after_death: bool,
    /// The process that has locked the mutex.
    made: ForkGeneration,
    /// Not `Send`: the kernel knows the holder by its thread.
    of_thread: PhantomData<MutexGuard<'static, ()>>,
}

impl RobustGuard<'_> {
    /// Returns whether the last holder has died with the lock held.
    #[inline]
    pub(crate) fn after_death(&self) -> bool {
        self.after_death
    }

    /// Returns whether this process has locked the mutex, and is no copy of the process that has.
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

/// Finds the function that waits by the monotonic clock (glibc 2.30).
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
