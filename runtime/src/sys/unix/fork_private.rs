//! Descriptors that a copy of this process must not keep.
//!
//! A forked child finds the owners of its parent's descriptors in memory that the child cannot drop: the owners are on
//! stacks to which the child never returns. The child must not write to the owners either, because the kernel copies
//! each page that a child writes to. So the numbers are noted in a registry, one bit for each number, and a fresh copy
//! closes the noted numbers without a look at their owners. An *epoch* begins each time. An owner remembers the epoch
//! of its descriptor, and knows from the registry whether a later epoch has closed the descriptor.
//!
//! | a descriptor's | original | fresh copy | copy by foreign code |
//! | --- | --- | --- | --- |
//! | number | noted until the close | taken out and closed | noted, as the copy has the descriptor |
//! | owner | owns the descriptor | of a closed epoch: does nothing | owns the copy's descriptor |
//!
//! - A number that is not noted is never closed. The number belongs to another owner, or to none.
//! - A number is struck out before its descriptor is closed. After the close, another thread may get the number.
//! - A copy of a copy counts on from the epoch of the copy, so no owner of an ancestor is ever of a later epoch.
//!
//! POSIX.1-2024 has a flag for the first class, `FD_CLOFORK`. Linux does not have the flag.

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use super::fd_bit_set::FdBitSet;
use super::fork::FreshCopy;

/// What a fresh copy of the process does with a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnFork {
    /// Closes the descriptor. So do pidfds and links of children, lifelines, and the link of a child to its parent.
    Close,
    /// Closes the descriptor unless the copy is given the descriptor. So do the ends of channels: an end that stays
    /// open in a child keeps its channel open.
    CloseUnlessGiven,
}

/// The owner of a descriptor that a copy of this process must not keep.
#[derive(Debug)]
pub(crate) struct ForkPrivateFd {
    raw: RawFd,
    on_fork: OnFork,
    /// The epoch in which the number was noted.
    epoch: u32,
}

static REGISTRY: Registry = Registry::new();

impl ForkPrivateFd {
    /// Takes over a descriptor that every fresh copy closes.
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self::note(fd, OnFork::Close)
    }

    /// Takes over a descriptor that a fresh copy closes unless the copy is given the descriptor.
    pub(crate) fn new_end(fd: OwnedFd) -> Self {
        Self::note(fd, OnFork::CloseUnlessGiven)
    }

    fn note(fd: OwnedFd, on_fork: OnFork) -> Self {
        let raw = fd.into_raw_fd();
        Self { raw, on_fork, epoch: REGISTRY.note(raw, on_fork) }
    }

    /// Borrows the descriptor. Returns `None` in a copy of the process that has closed the descriptor.
    pub(crate) fn get(&self) -> Option<BorrowedFd<'_>> {
        // SAFETY: the descriptor is open until `release` or until a fresh copy closes the noted numbers. The first
        // needs the last borrow gone. The second comes right after the fork, when no borrow is in use: no borrow leaves
        // this crate.
        self.is_open().then(|| unsafe { BorrowedFd::borrow_raw(self.raw) })
    }

    /// Borrows the descriptor.
    ///
    /// # Errors
    /// `NotConnected` in a copy of the process that has closed the descriptor.
    pub(crate) fn fd(&self) -> io::Result<BorrowedFd<'_>> {
        self.get().ok_or_else(|| {
            let text = "it belongs to the process that this one is a copy of, and was not passed to this one";
            io::Error::new(io::ErrorKind::NotConnected, text)
        })
    }

    /// Returns the descriptor, which later copies of the process keep. Returns `None` as [`get`](Self::get) does.
    pub(crate) fn into_owned(self) -> Option<OwnedFd> {
        let owned = self.release();
        std::mem::forget(self);
        owned
    }

    fn is_open(&self) -> bool {
        REGISTRY.is_open(self.on_fork, self.epoch)
    }

    /// The caller must not call this twice.
    fn release(&self) -> Option<OwnedFd> {
        if !self.is_open() {
            return None;
        }
        REGISTRY.strike_out(self.raw, self.on_fork);
        // SAFETY: this owner has had the descriptor, and is gone after this.
        Some(unsafe { OwnedFd::from_raw_fd(self.raw) })
    }
}

impl Drop for ForkPrivateFd {
    fn drop(&mut self) {
        drop(self.release());
    }
}

/// Closes, in a fresh copy of the process, every descriptor of [`OnFork::Close`].
pub(crate) fn close_private(copy: &FreshCopy) {
    // SAFETY: `take` has begun a new epoch, so no owner uses or closes the numbers any more.
    unsafe { REGISTRY.take(OnFork::Close, copy).close() };
}

/// The channel ends that a fresh copy of the process has inherited, until the copy has been given its own.
#[derive(Debug)]
#[must_use]
pub(crate) struct InheritedEnds(Taken);

impl InheritedEnds {
    /// Takes all ends away from their owners.
    pub(crate) fn take(copy: &FreshCopy) -> Self {
        Self(REGISTRY.take(OnFork::CloseUnlessGiven, copy))
    }

    /// Gives the copy an end of its original, with a new owner. Returns `None` for an end that the original had closed
    /// or that has been given already.
    pub(crate) fn give(&mut self, end: &ForkPrivateFd) -> Option<ForkPrivateFd> {
        let is_given = end.on_fork == OnFork::CloseUnlessGiven && self.0.remove(end.raw, end.epoch);
        // SAFETY: the number was taken away from its owner, and is not closed with the rest any more.
        is_given.then(|| ForkPrivateFd::new_end(unsafe { OwnedFd::from_raw_fd(end.raw) }))
    }

    /// Closes the ends that the copy was not given.
    pub(crate) fn close_rest(self) {
        // SAFETY: as in `close_private`; the given ones have been removed.
        unsafe { self.0.close() };
    }
}

/// The noted numbers of each class, and how often a class was taken out.
#[derive(Debug)]
struct Registry {
    /// How many times this process, and its ancestors before it was copied from them, have taken out a class.
    epoch: AtomicU32,
    classes: [Class; 2],
}

#[derive(Debug)]
struct Class {
    open: Mutex<FdBitSet>,
    /// Descriptors of earlier epochs are closed.
    oldest_open: AtomicU32,
}

impl Registry {
    const fn new() -> Self {
        let classes = [const { Class { open: Mutex::new(FdBitSet::EMPTY), oldest_open: AtomicU32::new(0) } }; 2];
        Self { epoch: AtomicU32::new(0), classes }
    }

    fn class(&self, on_fork: OnFork) -> &Class {
        &self.classes[on_fork as usize]
    }

    /// Notes an open descriptor. Returns the epoch, for the owner to remember.
    fn note(&self, raw: RawFd, on_fork: OnFork) -> u32 {
        super::lock(&self.class(on_fork).open).insert(raw);
        self.epoch.load(Ordering::Relaxed)
    }

    /// Removes a descriptor that is open, before the descriptor is closed or given away.
    fn strike_out(&self, raw: RawFd, on_fork: OnFork) {
        super::lock(&self.class(on_fork).open).remove(raw);
    }

    fn is_open(&self, on_fork: OnFork, epoch: u32) -> bool {
        epoch >= self.class(on_fork).oldest_open.load(Ordering::Relaxed)
    }

    /// Takes out all numbers of a class in a fresh copy. Their owners own none of them from here on.
    fn take(&self, on_fork: OnFork, _copy: &FreshCopy) -> Taken {
        let class = self.class(on_fork);
        let next = self.epoch.fetch_add(1, Ordering::Relaxed) + 1;
        let oldest_open = class.oldest_open.swap(next, Ordering::Relaxed);
        Taken { numbers: std::mem::take(&mut *super::lock(&class.open)), oldest_open }
    }
}

/// The numbers of a class that a fresh copy has taken out, and has yet to close.
#[derive(Debug)]
struct Taken {
    numbers: FdBitSet,
    /// Descriptors of earlier epochs were closed in the original already: their numbers may be another owner's.
    oldest_open: u32,
}

impl Taken {
    /// Keeps a number from being closed. Returns whether the number, of an owner of this epoch, was to be closed.
    fn remove(&mut self, raw: RawFd, epoch: u32) -> bool {
        epoch >= self.oldest_open && self.numbers.remove(raw)
    }

    /// Closes all numbers, with one system call for each run without a gap.
    ///
    /// # Safety
    /// No owner uses or closes the numbers any more.
    unsafe fn close(self) {
        for run in self.numbers.runs() {
            // SAFETY: the caller's promise; this process has one thread, being a fresh copy.
            unsafe { super::close_range::close_run(run) };
        }
        // Freeing would write to memory that the copy shares with the original.
        std::mem::forget(self.numbers);
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    const CLASSES: [OnFork; 2] = [OnFork::Close, OnFork::CloseUnlessGiven];

    /// Takes a class out as a fresh copy would; nothing is closed.
    fn take(registry: &Registry, on_fork: OnFork) -> Vec<RawFd> {
        numbers(&registry.take(on_fork, &FreshCopy::pretended()))
    }

    fn numbers(taken: &Taken) -> Vec<RawFd> {
        taken.numbers.runs().flatten().collect()
    }

    #[test]
    fn a_copy_closes_the_noted_numbers_of_one_class_and_no_others() {
        for (on_fork, other) in [(CLASSES[0], CLASSES[1]), (CLASSES[1], CLASSES[0])] {
            let registry = Registry::new();
            let epochs = [5, 6, 7, 9].map(|raw| registry.note(raw, on_fork));
            let kept = registry.note(8, other);
            registry.strike_out(6, on_fork);
            assert_eq!(take(&registry, on_fork), [5, 7, 9]);
            assert!(epochs.into_iter().all(|epoch| !registry.is_open(on_fork, epoch)));
            assert!(registry.is_open(other, kept));
            assert!(take(&registry, on_fork).is_empty());
        }
    }

    #[test]
    fn a_copy_notes_anew_and_a_copy_of_the_copy_closes_that_alone() {
        let registry = Registry::new();
        let of_original = registry.note(5, OnFork::Close);
        let _ = take(&registry, OnFork::Close);
        // The number is free in the copy, and is given again.
        let of_copy = registry.note(5, OnFork::Close);
        assert!(!registry.is_open(OnFork::Close, of_original) && registry.is_open(OnFork::Close, of_copy));
        assert_eq!(take(&registry, OnFork::Close), [5]);
        assert!(!registry.is_open(OnFork::Close, of_copy));
    }

    #[test]
    fn an_end_is_given_once_and_only_by_the_owner_that_had_it() {
        let registry = Registry::new();
        let stale = registry.note(5, OnFork::CloseUnlessGiven);
        let _ = take(&registry, OnFork::CloseUnlessGiven);
        let owned = registry.note(5, OnFork::CloseUnlessGiven);
        registry.note(6, OnFork::CloseUnlessGiven);
        let mut taken = registry.take(OnFork::CloseUnlessGiven, &FreshCopy::pretended());
        assert!(!taken.remove(5, stale) && !taken.remove(4, owned));
        assert!(taken.remove(5, owned) && !taken.remove(5, owned));
        assert_eq!(numbers(&taken), [6]);
    }

    #[test]
    fn an_owner_gives_its_descriptor_away_or_closes_it() {
        let (reader, writer) = io::pipe().unwrap();
        let raw = writer.as_raw_fd();
        let writer = ForkPrivateFd::new(writer.into());
        assert_eq!(writer.fd().unwrap().as_raw_fd(), raw);
        let writer = ForkPrivateFd::new_end(writer.into_owned().unwrap());
        assert_eq!(writer.get().unwrap().as_raw_fd(), raw);
        drop(writer);
        assert_eq!(io::Read::read(&mut &reader, &mut [0]).unwrap(), 0);
    }
}
