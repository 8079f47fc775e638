//! An object that processes share: a value, the locks that guard it, and words to sleep on, in one region.
//!
//! References to the value rest on two kinds of access:
//!
//! - A [`Member`] reads. A member passes the *gate* (a lock) and, while it holds the gate, takes one of the *slots*
//!   (locks).
//! - A [`Sole`] reads and writes. A sole accessor holds the gate, so that no member comes in, and has seen every slot
//!   free since.
//!
//! Each lock is robust: a process that is killed gives its locks back. A word, the phase, tells whether the process was
//! writing. Then the value is *poisoned*.
//!
//! Every process that has the memory can write to the memory. Processes that share an object trust each other so far.
//! See the documentation of `sync`.

use std::cell::UnsafeCell;
use std::io;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering, compiler_fence};

use bytemuck::Pod;

use super::mmap::Region;
use super::robust::{Lock, LockFailure, LockTimeout, RobustGuard, acquire_any};
use super::robust_list;

/// The layout of the memory.
#[repr(C)]
struct ObjectLayout<T, const SLOTS: usize, const WORDS: usize> {
    /// The kind of the object; set last.
    kind: AtomicU32,
    poisoned: AtomicU32,
    /// The activity of the holder of the gate.
    phase: AtomicU32,
    words: [AtomicU32; WORDS],
    gate: Lock,
    slots: [Lock; SLOTS],
    value: UnsafeCell<T>,
}

/// The gate is free, or held for a moment only.
const PASSING: u32 = 0;
/// The holder of the gate waits for slots.
const WAITING: u32 = 1;
/// The holder of the gate has the value.
const WRITING: u32 = 2;

/// The object, as one process has mapped it.
pub(crate) struct SharedObject<T, const SLOTS: usize, const WORDS: usize> {
    region: ManuallyDrop<Region>,
    value: PhantomData<T>,
}

impl<T: Pod, const SLOTS: usize, const WORDS: usize> SharedObject<T, SLOTS, WORDS> {
    const LENGTH: usize = {
        assert!(align_of::<T>() <= 4096, "the value would have to be aligned to more than a page");
        size_of::<ObjectLayout<T, SLOTS, WORDS>>()
    };

    /// Makes an object whose words are zero.
    ///
    /// # Errors
    /// Limits on descriptors, memory and file sizes.
    pub(crate) fn create(kind: u32, value: T) -> io::Result<Self> {
        let shared = Self { region: ManuallyDrop::new(Region::create(Self::LENGTH)?), value: PhantomData };
        let layout = shared.layout();
        for lock in std::iter::once(&layout.gate).chain(&layout.slots) {
            // SAFETY: nobody else has the region yet.
            unsafe { lock.init() }?;
        }
        // SAFETY: as above, and `T` has no destructor (Pod is Copy).
        unsafe { layout.value.get().write(value) };
        layout.kind.store(kind, Ordering::Release);
        Ok(shared)
    }

    /// Maps an object that another process, or this one, has made.
    ///
    /// # Errors
    /// `InvalidData` if the memory holds another kind of object.
    pub(crate) fn accept(kind: u32, descriptor: Arc<OwnedFd>) -> io::Result<Self> {
        robust_list::renew_in_copies();
        let region = Region::accept(descriptor)?;
        if region.len() != Self::LENGTH {
            let text = format!("shared memory of {} bytes where {} were expected", region.len(), Self::LENGTH);
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let shared = Self { region: ManuallyDrop::new(region), value: PhantomData };
        if shared.layout().kind.load(Ordering::Acquire) != kind {
            let text = "shared memory that holds something else than was expected";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(shared)
    }
}

impl<T, const SLOTS: usize, const WORDS: usize> SharedObject<T, SLOTS, WORDS> {
    fn layout(&self) -> &ObjectLayout<T, SLOTS, WORDS> {
        // SAFETY: the region has the layout's length and alignment (`create`, `accept`) and keeps it (its seals); every
        // field may change under a shared reference, being atomic, a lock, or a cell; any bytes are valid for each.
        unsafe { self.region.start().cast().as_ref() }
    }

    pub(crate) fn descriptor(&self) -> &Arc<OwnedFd> {
        self.region.descriptor()
    }

    pub(crate) fn words(&self) -> &[AtomicU32; WORDS] {
        &self.layout().words
    }

    pub(crate) fn slots(&self) -> &[Lock; SLOTS] {
        &self.layout().slots
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        self.layout().poisoned.load(Ordering::Acquire) != 0
    }

    pub(crate) fn clear_poison(&self) {
        self.layout().poisoned.store(0, Ordering::Release);
    }

    /// Returns whether a holder of the gate has died and no thread has passed the gate since.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.layout().gate.is_abandoned()
    }

    /// Passes the gate. Poisons the value if the last holder died in a write.
    pub(crate) fn enter(&self, timeout: LockTimeout) -> Result<RobustGuard<'_>, LockFailure> {
        let layout = self.layout();
        let gate = if let LockTimeout::Never = timeout { self.try_gate()? } else { layout.gate.acquire(timeout)? };
        if gate.after_death() && layout.phase.load(Ordering::Relaxed) == WRITING {
            layout.poisoned.store(1, Ordering::Release);
        }
        layout.phase.store(PASSING, Ordering::Relaxed);
        Ok(gate)
    }

    /// A pass of another thread takes some hundred nanoseconds, which must not make an attempt fail.
    fn try_gate(&self) -> Result<RobustGuard<'_>, LockFailure> {
        const ATTEMPTS: usize = 100;
        let layout = self.layout();
        for _ in 0..ATTEMPTS {
            match layout.gate.acquire(LockTimeout::Never) {
                Err(LockFailure::Busy) if layout.phase.load(Ordering::Relaxed) == PASSING => std::thread::yield_now(),
                other => return other,
            }
        }
        Err(LockFailure::Busy)
    }

    /// Takes one of the first `count` slots. Waits for the gate, and for a slot if all are taken.
    pub(crate) fn join(&self, count: usize, timeout: LockTimeout) -> Result<Member<'_, T, SLOTS, WORDS>, LockFailure> {
        let gate = self.enter(timeout)?;
        let slots = &self.slots()[..count.min(SLOTS)];
        let slot = match acquire_any(slots, LockTimeout::Never) {
            Err(LockFailure::Busy) => {
                self.layout().phase.store(WAITING, Ordering::Relaxed);
                let slot = acquire_any(slots, timeout);
                self.layout().phase.store(PASSING, Ordering::Relaxed);
                slot?.1
            }
            other => other?.1,
        };
        drop(gate);
        Ok(Member { shared: self, slot })
    }

    /// Keeps the gate and waits until all slots are free.
    pub(crate) fn seize(&self, timeout: LockTimeout) -> Result<Sole<'_, T, SLOTS, WORDS>, LockFailure> {
        let gate = self.enter(timeout)?;
        self.wait_for_members(timeout)?;
        self.layout().phase.store(WRITING, Ordering::Relaxed);
        // Before any write to the value: a kill comes between two instructions, in program order.
        compiler_fence(Ordering::SeqCst);
        Ok(Sole { shared: self, gate, was_panicking: std::thread::panicking() })
    }

    /// The caller holds the gate.
    fn wait_for_members(&self, timeout: LockTimeout) -> Result<(), LockFailure> {
        for slot in self.slots().iter().filter(|slot| !slot.is_free()) {
            self.layout().phase.store(WAITING, Ordering::Relaxed);
            drop(slot.acquire(timeout).inspect_err(|_| self.layout().phase.store(PASSING, Ordering::Relaxed))?);
        }
        Ok(())
    }
}

impl<T, const SLOTS: usize, const WORDS: usize> Drop for SharedObject<T, SLOTS, WORDS> {
    /// A leaked guard is still on the list of its thread, which leads into this memory. Then the memory stays mapped.
    fn drop(&mut self) {
        let layout = self.layout();
        let mut locks = std::iter::once(&layout.gate).chain(&layout.slots);
        if !locks.any(|lock| lock.holder().is_some_and(super::is_own_thread)) {
            // SAFETY: nothing uses it after this drop.
            unsafe { ManuallyDrop::drop(&mut self.region) };
        }
    }
}

/// One of several accessors that read the value at the same time.
pub(crate) struct Member<'a, T, const SLOTS: usize, const WORDS: usize> {
    shared: &'a SharedObject<T, SLOTS, WORDS>,
    slot: RobustGuard<'a>,
}

impl<T, const SLOTS: usize, const WORDS: usize> Deref for Member<'_, T, SLOTS, WORDS> {
    type Target = T;

    fn deref(&self) -> &T {
        assert_original(&self.slot);
        // SAFETY: whoever writes has seen this slot free with the gate closed, and it has been taken inside of the
        // gate.
        unsafe { &*self.shared.layout().value.get() }
    }
}

/// The only accessor of the value.
pub(crate) struct Sole<'a, T, const SLOTS: usize, const WORDS: usize> {
    shared: &'a SharedObject<T, SLOTS, WORDS>,
    gate: RobustGuard<'a>,
    was_panicking: bool,
}

impl<T, const SLOTS: usize, const WORDS: usize> Deref for Sole<'_, T, SLOTS, WORDS> {
    type Target = T;

    fn deref(&self) -> &T {
        assert_original(&self.gate);
        // SAFETY: the gate is held and all slots were free since, so that nobody else has the value.
        unsafe { &*self.shared.layout().value.get() }
    }
}

impl<T, const SLOTS: usize, const WORDS: usize> DerefMut for Sole<'_, T, SLOTS, WORDS> {
    fn deref_mut(&mut self) -> &mut T {
        assert_original(&self.gate);
        // SAFETY: as above.
        unsafe { &mut *self.shared.layout().value.get() }
    }
}

impl<T, const SLOTS: usize, const WORDS: usize> Drop for Sole<'_, T, SLOTS, WORDS> {
    /// The gate opens after this.
    fn drop(&mut self) {
        if !self.gate.is_original() {
            return;
        }
        let layout = self.shared.layout();
        if !self.was_panicking && std::thread::panicking() {
            layout.poisoned.store(1, Ordering::Release);
        }
        // After every write to the value.
        layout.phase.store(PASSING, Ordering::Release);
    }
}

#[track_caller]
fn assert_original(held: &RobustGuard<'_>) {
    let text = "this guard is a copy that a fork has made: the lock is the original process's. Lock it here";
    assert!(held.is_original(), "{text}");
}
