//! Descriptors inside of values: where serde sees a number, the kernel passes an open file.
//!
//! serde carries bytes alone. While a value is encoded for another process, a *window* is open on this thread, in which
//! the descriptors that the value holds are collected; the bytes have their places in that list. The list travels beside
//! the bytes (`SCM_RIGHTS`), and while the value is decoded a window holds what came. Outside of a window there is
//! no list, so that serialising a descriptor is an error there.

use std::cell::{Cell, RefCell};
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::sys::fd;
use crate::sys::fork_private::{ForkPrivateFd, InheritedEnds};
use crate::sys::socket::MAX_DESCRIPTORS;

/// What a frame may carry beside those of its value: a lifeline, a directory, three streams, two memory files.
const OTHERS: usize = 7;

/// Most descriptors in one value.
pub(crate) const MAX: usize = MAX_DESCRIPTORS - OTHERS;

thread_local! {
    static WINDOW: Window = const { Window::closed() };
}

/// It has no destructor, and so is there until the thread is gone: values are sent by destructors of other thread-locals too.
/// Between two values it is empty.
struct Window {
    open: Cell<Open>,
    /// What the value that is being encoded holds.
    collected: RefCell<ManuallyDrop<Vec<ValueFd>>>,
    /// What has come with the value that is being decoded.
    incoming: RefCell<ManuallyDrop<ReceivedFds>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Closed,
    Encoding,
    Decoding,
}

impl Window {
    const fn closed() -> Self {
        Self {
            open: Cell::new(Open::Closed),
            collected: RefCell::new(ManuallyDrop::new(Vec::new())),
            incoming: RefCell::new(ManuallyDrop::new(ReceivedFds { slots: Vec::new(), is_one_taken: false })),
        }
    }

    fn open(&self, open: Open) -> Reopen<'_> {
        let before = self.open.replace(open);
        // A value whose serde code encodes or decodes another one.
        let outer = (before != Open::Closed).then(|| Box::new(self.take()));
        Reopen { window: self, before, outer }
    }

    fn take(&self) -> (Vec<ValueFd>, ReceivedFds) {
        (std::mem::take(&mut **self.collected.borrow_mut()), std::mem::take(&mut **self.incoming.borrow_mut()))
    }
}

/// Puts the window that was open before back, also when the work panics.
struct Reopen<'a> {
    window: &'a Window,
    before: Open,
    outer: Option<Box<(Vec<ValueFd>, ReceivedFds)>>,
}

impl Drop for Reopen<'_> {
    fn drop(&mut self) {
        self.window.open.set(self.before);
        let is_empty = self.window.collected.borrow().is_empty() && self.window.incoming.borrow().slots.is_empty();
        if !is_empty {
            drop(self.window.take());
        }
        if let Some(outer) = self.outer.take() {
            **self.window.collected.borrow_mut() = outer.0;
            **self.window.incoming.borrow_mut() = outer.1;
        }
    }
}

/// A descriptor that a value holds; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) enum ValueFd {
    /// Copies of the process keep it: shared memory, and whatever has just been received.
    Plain(Arc<OwnedFd>),
    /// Copies of the process close it, unless they are given it: the end of a channel, and a duplicate made to be sent.
    Private(Arc<ForkPrivateFd>),
}

impl ValueFd {
    /// Takes over a descriptor that copies of the process keep.
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self::Plain(Arc::new(fd))
    }

    /// Takes over a descriptor that copies of the process close, unless they are given it.
    pub(crate) fn private(fd: OwnedFd) -> Self {
        Self::Private(Arc::new(ForkPrivateFd::new_end(fd)))
    }

    /// Borrows the descriptor.
    ///
    /// # Errors
    /// `NotConnected` in a copy of the process that has closed it.
    pub(crate) fn fd(&self) -> io::Result<BorrowedFd<'_>> {
        match self {
            Self::Plain(fd) => Ok(fd.as_fd()),
            Self::Private(fd) => fd.fd(),
        }
    }

    /// Takes the descriptor from its last holder, or else duplicates it.
    fn into_owned(self) -> io::Result<OwnedFd> {
        match self {
            Self::Plain(fd) => Arc::try_unwrap(fd).or_else(|shared| fd::duplicate(shared.as_fd())),
            Self::Private(fd) => match Arc::try_unwrap(fd) {
                Ok(last) => last.into_owned().ok_or_else(|| io::ErrorKind::NotConnected.into()),
                Err(shared) => fd::duplicate(shared.fd()?),
            },
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Plain(one), Self::Plain(other)) => Arc::ptr_eq(one, other),
            (Self::Private(one), Self::Private(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl From<&Arc<OwnedFd>> for ValueFd {
    fn from(fd: &Arc<OwnedFd>) -> Self {
        Self::Plain(Arc::clone(fd))
    }
}

impl From<&Arc<ForkPrivateFd>> for ValueFd {
    fn from(fd: &Arc<ForkPrivateFd>) -> Self {
        Self::Private(Arc::clone(fd))
    }
}

impl From<&Self> for ValueFd {
    fn from(fd: &Self) -> Self {
        fd.clone()
    }
}

/// A descriptor in a value: its place in the list. No other value looks like it, so that a type which takes one of several kinds of
/// values (serde's `untagged`) does not mistake it for a number.
#[derive(Serialize, Deserialize)]
enum FdSlot {
    #[serde(rename = "$descriptor")]
    Descriptor(u32),
}

/// The descriptors that came with a value. What the value does not take is closed.
#[derive(Debug, Default)]
pub(crate) struct ReceivedFds {
    slots: Vec<Option<ValueFd>>,
    /// Whether a value has become the owner of one.
    is_one_taken: bool,
}

impl ReceivedFds {
    pub(crate) fn new(descriptors: Vec<ValueFd>) -> Self {
        Self { slots: descriptors.into_iter().map(Some).collect(), is_one_taken: false }
    }

    /// Those of a value that a fresh copy of the process has in its memory.
    pub(crate) fn inherited(descriptors: &[ValueFd], ends: &mut InheritedEnds) -> Self {
        let mut inherit = |fd: &ValueFd| match fd {
            ValueFd::Plain(_) => Some(fd.clone()),
            ValueFd::Private(end) => ends.give(end).map(|own| ValueFd::Private(Arc::new(own))),
        };
        Self { slots: descriptors.iter().map(&mut inherit).collect(), is_one_taken: false }
    }
}

/// Encodes with `encode`; the descriptors that its values hold are added to `descriptors`.
#[inline]
pub(crate) fn encoding<T>(descriptors: &mut Vec<ValueFd>, encode: impl FnOnce() -> T) -> T {
    WINDOW.with(|window| {
        let _reopen = window.open(Open::Encoding);
        if !descriptors.is_empty() {
            **window.collected.borrow_mut() = std::mem::take(descriptors);
        }
        let encoded = encode();
        let mut collected = window.collected.borrow_mut();
        if !collected.is_empty() {
            *descriptors = std::mem::take(&mut **collected);
        }
        encoded
    })
}

/// Decodes with `decode`, whose values take their descriptors from `incoming`.
#[inline]
pub(crate) fn decoding<T>(incoming: &mut ReceivedFds, decode: impl FnOnce() -> T) -> T {
    WINDOW.with(|window| {
        let _reopen = window.open(Open::Decoding);
        if !incoming.slots.is_empty() {
            // What earlier values have taken, this one does not refer to.
            incoming.is_one_taken = false;
            **window.incoming.borrow_mut() = std::mem::take(incoming);
        }
        let decoded = decode();
        let mut left = window.incoming.borrow_mut();
        if !left.slots.is_empty() {
            *incoming = std::mem::take(&mut **left);
        }
        decoded
    })
}

fn is_open(open: Open) -> bool {
    WINDOW.with(|window| window.open.get() == open)
}

/// Serialises a descriptor: as its place in the list of the value that is being encoded.
pub(crate) fn attach<S: Serializer>(descriptor: impl Into<ValueFd>, serializer: S) -> Result<S::Ok, S::Error> {
    FdSlot::Descriptor(place(descriptor.into()).map_err(S::Error::custom)?).serialize(serializer)
}

const NO_WINDOW: &str = "a descriptor (a channel's end, shared memory, an open file) can be serialised only in the \
                         arguments or the result of a task, or in a message to another process";

const NOTHING_SENT: &str = "a descriptor can be deserialised only from what another process has sent";

/// Whether a value is being encoded for another process: what sometimes holds a descriptor is serialised only then, always.
pub(crate) fn check_encoding<E: serde::ser::Error>() -> Result<(), E> {
    if is_open(Open::Encoding) { Ok(()) } else { Err(E::custom(NO_WINDOW)) }
}

/// The same for decoding.
pub(crate) fn check_decoding<E: serde::de::Error>() -> Result<(), E> {
    if is_open(Open::Decoding) { Ok(()) } else { Err(E::custom(NOTHING_SENT)) }
}

fn place(descriptor: ValueFd) -> Result<u32, String> {
    if !is_open(Open::Encoding) {
        return Err(NO_WINDOW.to_owned());
    }
    WINDOW.with(|window| {
        let mut collected = window.collected.borrow_mut();
        let known = collected.iter().position(|known| known.is_same(&descriptor));
        let place = known.map_or_else(|| collect(&mut collected, descriptor), Ok)?;
        Ok(place as u32)
    })
}

fn collect(collected: &mut Vec<ValueFd>, descriptor: ValueFd) -> Result<usize, String> {
    descriptor.fd().map_err(|error| format!("a descriptor cannot be sent: {error}"))?;
    if collected.len() >= MAX {
        return Err(format!("more than {MAX} descriptors in one value, which is all that the kernel carries"));
    }
    collected.push(descriptor);
    Ok(collected.len() - 1)
}

/// Deserialises a descriptor that other parts of the value may refer to as well.
pub(crate) fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ValueFd, D::Error> {
    check_decoding()?;
    let FdSlot::Descriptor(place) = FdSlot::deserialize(deserializer)?;
    with_slot(place, |slot| slot.clone()).map_err(D::Error::custom)
}

/// The same for a descriptor that copies of the process keep.
pub(crate) fn share_plain<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<OwnedFd>, D::Error> {
    share_as(deserializer, ValueFd::new, |fd| if let ValueFd::Plain(fd) = fd { Some(Arc::clone(fd)) } else { None })
}

/// The same for a descriptor that copies of the process close, unless they are given it.
pub(crate) fn share_private<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<ForkPrivateFd>, D::Error> {
    share_as(
        deserializer,
        ValueFd::private,
        |fd| if let ValueFd::Private(fd) = fd { Some(Arc::clone(fd)) } else { None },
    )
}

/// Shares a descriptor that has one kind of owner, or gets such an owner here: what is received knows not yet which it needs.
fn share_as<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    owner: fn(OwnedFd) -> ValueFd,
    shared: fn(&ValueFd) -> Option<T>,
) -> Result<T, D::Error> {
    check_decoding()?;
    let FdSlot::Descriptor(place) = FdSlot::deserialize(deserializer)?;
    let mut failed = None;
    let found = with_slot(place, |slot| {
        let fd = slot.as_ref()?;
        if let found @ Some(_) = shared(fd) {
            return found;
        }
        match slot.take()?.into_owned() {
            Ok(fd) => shared(slot.insert(owner(fd))),
            Err(error) => {
                failed = Some(error);
                None
            }
        }
    });
    match failed {
        Some(error) => Err(not_taken_over(&error)),
        None => found.map_err(D::Error::custom),
    }
}

fn not_taken_over<E: serde::de::Error>(error: &io::Error) -> E {
    E::custom(format_args!("a descriptor cannot be taken over: {error}"))
}

/// Deserialises a descriptor that is this part of the value's alone.
pub(crate) fn own<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OwnedFd, D::Error> {
    check_decoding()?;
    let FdSlot::Descriptor(place) = FdSlot::deserialize(deserializer)?;
    let shared = with_slot(place, Option::take).map_err(D::Error::custom)?;
    note_taken();
    // It is shared where the value is decoded in the process that encoded it, and may be decoded again.
    shared.into_owned().map_err(|error| not_taken_over(&error))
}

/// Whether the value that is being decoded can be decoded from its beginning once more.
pub(crate) fn are_all_there() -> bool {
    WINDOW.with(|window| !window.incoming.borrow().is_one_taken)
}

fn note_taken() {
    WINDOW.with(|window| window.incoming.borrow_mut().is_one_taken = true);
}

fn with_slot<T>(place: u32, take: impl FnOnce(&mut Option<ValueFd>) -> Option<T>) -> Result<T, String> {
    if !is_open(Open::Decoding) {
        return Err(NOTHING_SENT.to_owned());
    }
    let found = WINDOW.with(|window| window.incoming.borrow_mut().slots.get_mut(place as usize).and_then(take));
    found.ok_or_else(|| format!("a value refers to descriptor {place}, which did not come with it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::wire::payload::{Payload, decode};

    struct SentFd(ValueFd);

    impl Serialize for SentFd {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            attach(&self.0, serializer)
        }
    }

    #[derive(Debug)]
    struct Owned(#[expect(dead_code, reason = "it is there to be owned")] OwnedFd);

    impl<'de> Deserialize<'de> for Owned {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            own(deserializer).map(Self)
        }
    }

    fn held() -> SentFd {
        SentFd(ValueFd::new(fd::null().unwrap()))
    }

    #[test]
    fn descriptors_are_collected_once_each_and_found_again() {
        let (one, other) = (held(), held());
        let payload = Payload::encode(&(&one, "between", &other)).unwrap();
        assert_eq!(payload.descriptors.len(), 2);
        assert_eq!(Payload::encode(&(&one, &one)).unwrap().descriptors.len(), 1);
        let (_, text, _) = decode::<(Owned, String, Owned)>(payload).unwrap();
        assert_eq!(text, "between");
    }

    #[test]
    fn outside_of_a_window_there_is_an_error_and_no_panic() {
        let encoded = crate::ipc::codec::to_vec(&held());
        assert!(encoded.is_err());
        assert!(crate::ipc::codec::from_slice::<Owned>(&[1, 0x60, 0]).is_err());
    }

    #[test]
    fn a_place_that_did_not_come_or_was_taken_is_an_error_that_says_so() {
        let forged = Payload::encode(&FdSlot::Descriptor(3)).unwrap();
        let error = decode::<Owned>(forged).unwrap_err();
        assert!(error.text().contains("descriptor 3"), "{error}");
        let one = held();
        let payload = Payload::encode(&(&one, &one)).unwrap();
        assert!(decode::<(Owned, Owned)>(payload).unwrap_err().text().contains("did not come"));
    }

    #[test]
    fn more_than_the_kernel_carries_is_an_error_that_says_so() {
        let many: Vec<SentFd> = (0..=MAX).map(|_| held()).collect();
        assert!(Payload::encode(&many).unwrap_err().text().contains("descriptors in one value"));
        assert!(Payload::encode(&many[..MAX]).is_ok());
    }

    #[test]
    fn a_failure_closes_the_window_and_an_inner_value_has_its_own() {
        struct Inner;
        impl Serialize for Inner {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let inner = Payload::encode(&held()).map_err(S::Error::custom)?;
                inner.descriptors.len().serialize(serializer)
            }
        }
        let payload = Payload::encode(&(Inner, held())).unwrap();
        assert_eq!(payload.descriptors.len(), 1);
        assert!(is_open(Open::Closed));
    }
}
