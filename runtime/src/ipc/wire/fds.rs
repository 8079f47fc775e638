//! Descriptors inside of values: serde sees a number, the kernel passes an open file.
//!
//! serde carries bytes alone. So descriptors travel in a list beside the bytes (`SCM_RIGHTS`), and the bytes hold
//! positions in the list:
//!
//! 1. [`encoding`] opens a *window* on this thread. [`attach`] puts a descriptor into the window's list, and writes the
//!    position.
//! 2. The frame carries bytes and list.
//! 3. [`decoding`] opens a window with the received list. [`share`] and [`own`] read a position, and take the
//!    descriptor.
//! 4. A descriptor that no value takes is closed with the list.
//!
//! Without an open window, serialising a descriptor is an error of the serializer.

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
use crate::sys::handed_out;
use crate::sys::socket::MAX_DESCRIPTORS;

/// Descriptors that a frame may carry beside those in values: a lifeline, a directory, three streams, two memory files.
const RESERVED: usize = 7;

/// The largest number of descriptors in one value.
pub(crate) const MAX: usize = MAX_DESCRIPTORS - RESERVED;

thread_local! {
    static WINDOW: Window = const { Window::closed() };
}

/// The descriptor list of the value in work on this thread. Empty between two values.
///
/// Without a destructor, so usable until the end of the thread: destructors of other thread-locals send values too.
struct Window {
    mode: Cell<WindowMode>,
    /// Descriptors of the value in encoding.
    collected: RefCell<ManuallyDrop<Vec<ValueFd>>>,
    /// Descriptors received with the value in decoding.
    incoming: RefCell<ManuallyDrop<ReceivedFds>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WindowMode {
    Closed,
    Encoding,
    Decoding,
}

impl Window {
    const fn closed() -> Self {
        Self {
            mode: Cell::new(WindowMode::Closed),
            collected: RefCell::new(ManuallyDrop::new(Vec::new())),
            incoming: RefCell::new(ManuallyDrop::new(ReceivedFds { slots: Vec::new(), is_consumed: false })),
        }
    }

    fn open(&self, mode: WindowMode) -> WindowGuard<'_> {
        let before = self.mode.replace(mode);
        // A `Serialize` or `Deserialize` may encode or decode another value in its midst.
        let outer = (before != WindowMode::Closed).then(|| Box::new(self.take()));
        WindowGuard { window: self, before, outer }
    }

    fn take(&self) -> (Vec<ValueFd>, ReceivedFds) {
        (std::mem::take(&mut **self.collected.borrow_mut()), std::mem::take(&mut **self.incoming.borrow_mut()))
    }
}

/// Restores the outer window when dropped, also by a panic.
struct WindowGuard<'a> {
    window: &'a Window,
    before: WindowMode,
    outer: Option<Box<(Vec<ValueFd>, ReceivedFds)>>,
}

impl Drop for WindowGuard<'_> {
    fn drop(&mut self) {
        self.window.mode.set(self.before);
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

/// A descriptor that a value holds. A clone costs a reference count.
#[derive(Clone, Debug)]
pub(crate) enum ValueFd {
    /// Copies of the process keep the descriptor: shared memory, and a descriptor just received.
    Plain(Arc<OwnedFd>),
    /// Copies of the process close the descriptor, unless it is among their arguments: the end of a channel, and a
    /// duplicate made to be sent.
    Private(Arc<ForkPrivateFd>),
}

impl ValueFd {
    /// Takes over a descriptor that copies of the process keep.
    pub(crate) fn new(fd: OwnedFd) -> Self {
        handed_out::take_back(fd.as_fd());
        Self::Plain(Arc::new(fd))
    }

    /// Takes over a descriptor that copies of the process close, unless it is among their arguments.
    pub(crate) fn private(fd: OwnedFd) -> Self {
        Self::Private(Arc::new(ForkPrivateFd::new_end(fd)))
    }

    /// Borrows the descriptor.
    ///
    /// # Errors
    /// `NotConnected`: this process is a copy that has closed the descriptor.
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

/// A descriptor as serde sees it: a position in the descriptor list.
///
/// An enum, so that a type with several forms (serde's `untagged`) never takes a position for a plain number.
#[derive(Serialize, Deserialize)]
enum FdSlot {
    #[serde(rename = "$descriptor")]
    Descriptor(u32),
}

/// The descriptors received with a value. Dropping closes the descriptors that no value has taken.
#[derive(Debug, Default)]
pub(crate) struct ReceivedFds {
    slots: Vec<Option<ValueFd>>,
    /// Whether a value has taken ownership of a descriptor, so that a second decoding would miss the descriptor.
    is_consumed: bool,
}

impl ReceivedFds {
    pub(crate) fn new(descriptors: Vec<ValueFd>) -> Self {
        Self { slots: descriptors.into_iter().map(Some).collect(), is_consumed: false }
    }

    /// The descriptors of a value that a fresh copy of the process has in memory.
    pub(crate) fn inherited(descriptors: &[ValueFd], ends: &mut InheritedEnds) -> Self {
        let mut inherit = |fd: &ValueFd| match fd {
            ValueFd::Plain(_) => Some(fd.clone()),
            ValueFd::Private(end) => ends.give(end).map(|own| ValueFd::Private(Arc::new(own))),
        };
        Self { slots: descriptors.iter().map(&mut inherit).collect(), is_consumed: false }
    }
}

/// Runs `encode` in a window. Appends the descriptors of the encoded values to `descriptors`.
#[inline]
pub(crate) fn encoding<T>(descriptors: &mut Vec<ValueFd>, encode: impl FnOnce() -> T) -> T {
    WINDOW.with(|window| {
        let _guard = window.open(WindowMode::Encoding);
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

/// Runs `decode` in a window with the descriptors of `incoming`.
#[inline]
pub(crate) fn decoding<T>(incoming: &mut ReceivedFds, decode: impl FnOnce() -> T) -> T {
    WINDOW.with(|window| {
        let _guard = window.open(WindowMode::Decoding);
        if !incoming.slots.is_empty() {
            // Descriptors taken by earlier values mean nothing to the value that comes now.
            incoming.is_consumed = false;
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

fn is_open(mode: WindowMode) -> bool {
    WINDOW.with(|window| window.mode.get() == mode)
}

/// Serialises a descriptor as a position in the list of the value in encoding.
pub(crate) fn attach<S: Serializer>(descriptor: impl Into<ValueFd>, serializer: S) -> Result<S::Ok, S::Error> {
    FdSlot::Descriptor(position(descriptor.into()).map_err(S::Error::custom)?).serialize(serializer)
}

const NO_WINDOW: &str = "a descriptor (a channel's end, shared memory, an open file) can be serialised only in the \
                         arguments or the result of a task, or in a message to another process";

const NOTHING_SENT: &str = "a descriptor can be deserialised only from what another process has sent";

/// Checks that a value is in encoding for another process.
///
/// Types that hold a descriptor only sometimes call this function always, so that the rule does not depend on the
/// value.
pub(crate) fn check_encoding<E: serde::ser::Error>() -> Result<(), E> {
    if is_open(WindowMode::Encoding) { Ok(()) } else { Err(E::custom(NO_WINDOW)) }
}

/// Checks that a value from another process is in decoding. See [`check_encoding`].
pub(crate) fn check_decoding<E: serde::de::Error>() -> Result<(), E> {
    if is_open(WindowMode::Decoding) { Ok(()) } else { Err(E::custom(NOTHING_SENT)) }
}

fn position(descriptor: ValueFd) -> Result<u32, String> {
    if !is_open(WindowMode::Encoding) {
        return Err(NO_WINDOW.to_owned());
    }
    WINDOW.with(|window| {
        let mut collected = window.collected.borrow_mut();
        let known = collected.iter().position(|known| known.is_same(&descriptor));
        let position = known.map_or_else(|| collect(&mut collected, descriptor), Ok)?;
        Ok(position as u32)
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

/// Deserialises a descriptor that several parts of the value may share.
pub(crate) fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ValueFd, D::Error> {
    check_decoding()?;
    let FdSlot::Descriptor(position) = FdSlot::deserialize(deserializer)?;
    with_slot(position, |slot| slot.clone()).map_err(D::Error::custom)
}

/// Deserialises a shared descriptor that copies of the process keep.
pub(crate) fn share_plain<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<OwnedFd>, D::Error> {
    share_as(deserializer, ValueFd::new, |fd| if let ValueFd::Plain(fd) = fd { Some(Arc::clone(fd)) } else { None })
}

/// Deserialises a shared descriptor that copies of the process close, unless it is among their arguments.
pub(crate) fn share_private<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<ForkPrivateFd>, D::Error> {
    share_as(
        deserializer,
        ValueFd::private,
        |fd| if let ValueFd::Private(fd) = fd { Some(Arc::clone(fd)) } else { None },
    )
}

/// Shares a descriptor with an owner of the wanted kind. A received descriptor has a plain owner, until its reader is
/// known.
fn share_as<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    owner: fn(OwnedFd) -> ValueFd,
    shared: fn(&ValueFd) -> Option<T>,
) -> Result<T, D::Error> {
    check_decoding()?;
    let FdSlot::Descriptor(position) = FdSlot::deserialize(deserializer)?;
    let mut failed = None;
    let found = with_slot(position, |slot| {
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

/// Deserialises a descriptor and takes ownership. No other part of the value may name the same position.
pub(crate) fn own<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OwnedFd, D::Error> {
    check_decoding()?;
    let FdSlot::Descriptor(position) = FdSlot::deserialize(deserializer)?;
    let shared = with_slot(position, Option::take).map_err(D::Error::custom)?;
    mark_consumed();
    // The owner is shared if the value is decoded in the process that encoded it, where it may be decoded again.
    shared.into_owned().map_err(|error| not_taken_over(&error))
}

/// Whether the value in decoding can be decoded from the beginning again, since no descriptor has been taken.
pub(crate) fn can_decode_again() -> bool {
    WINDOW.with(|window| !window.incoming.borrow().is_consumed)
}

fn mark_consumed() {
    WINDOW.with(|window| window.incoming.borrow_mut().is_consumed = true);
}

fn with_slot<T>(position: u32, take: impl FnOnce(&mut Option<ValueFd>) -> Option<T>) -> Result<T, String> {
    if !is_open(WindowMode::Decoding) {
        return Err(NOTHING_SENT.to_owned());
    }
    let found = WINDOW.with(|window| window.incoming.borrow_mut().slots.get_mut(position as usize).and_then(take));
    found.ok_or_else(|| format!("a value refers to descriptor {position}, which did not come with it"))
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;

    use super::*;
    use crate::ipc::codec::{self, Error};

    /// An encoded value and the descriptors of the value.
    type Encoded = (Vec<u8>, Vec<ValueFd>);

    fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Encoded, Error> {
        let mut descriptors = Vec::new();
        let bytes = encoding(&mut descriptors, || codec::to_vec(value))?;
        Ok((bytes, descriptors))
    }

    fn decode<T: DeserializeOwned>((bytes, descriptors): Encoded) -> Result<T, Error> {
        decoding(&mut ReceivedFds::new(descriptors), || codec::from_slice(&bytes))
    }

    struct SentFd(ValueFd);

    impl Serialize for SentFd {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            attach(&self.0, serializer)
        }
    }

    #[derive(Debug)]
    struct Owned(#[expect(dead_code, reason = "held so that decoding takes ownership")] OwnedFd);

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
        let encoded = encode(&(&one, "between", &other)).unwrap();
        assert_eq!(encoded.1.len(), 2);
        assert_eq!(encode(&(&one, &one)).unwrap().1.len(), 1);
        let (_, text, _) = decode::<(Owned, String, Owned)>(encoded).unwrap();
        assert_eq!(text, "between");
    }

    #[test]
    fn outside_of_a_window_there_is_an_error_and_no_panic() {
        let encoded = codec::to_vec(&held());
        assert!(encoded.is_err());
        assert!(codec::from_slice::<Owned>(&[1, 0x60, 0]).is_err());
    }

    #[test]
    fn a_place_that_did_not_come_or_was_taken_is_an_error_that_says_so() {
        let forged = encode(&FdSlot::Descriptor(3)).unwrap();
        let error = decode::<Owned>(forged).unwrap_err();
        assert!(error.text().contains("descriptor 3"), "{error}");
        let one = held();
        let encoded = encode(&(&one, &one)).unwrap();
        assert!(decode::<(Owned, Owned)>(encoded).unwrap_err().text().contains("did not come"));
    }

    #[test]
    fn more_than_the_kernel_carries_is_an_error_that_says_so() {
        let many: Vec<SentFd> = (0..=MAX).map(|_| held()).collect();
        assert!(encode(&many).unwrap_err().text().contains("descriptors in one value"));
        assert!(encode(&many[..MAX]).is_ok());
    }

    #[test]
    fn a_failure_closes_the_window_and_an_inner_value_has_its_own() {
        struct Inner;
        impl Serialize for Inner {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let (_, descriptors) = encode(&held()).map_err(S::Error::custom)?;
                descriptors.len().serialize(serializer)
            }
        }
        let (_, descriptors) = encode(&(Inner, held())).unwrap();
        assert_eq!(descriptors.len(), 1);
        assert!(is_open(WindowMode::Closed));
    }
}
