//! Descriptors inside of values: where serde sees a number, the kernel passes an open file.
//!
//! serde carries bytes alone. While a value is encoded for another process, a *window* is open on this thread, in which
//! the descriptors that the value holds are collected; the bytes have their places in that list. The list travels beside
//! the bytes (`SCM_RIGHTS`), and while the value is decoded a window holds what came. Outside of a window there is
//! no list, so that serialising a descriptor is an error there.

use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::sys::fd::{self, Descriptor, Ends};
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
    collected: RefCell<ManuallyDrop<Vec<Arc<Descriptor>>>>,
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

    fn take(&self) -> (Vec<Arc<Descriptor>>, ReceivedFds) {
        (std::mem::take(&mut **self.collected.borrow_mut()), std::mem::take(&mut **self.incoming.borrow_mut()))
    }
}

/// Puts the window that was open before back, also when the work panics.
struct Reopen<'a> {
    window: &'a Window,
    before: Open,
    outer: Option<Box<(Vec<Arc<Descriptor>>, ReceivedFds)>>,
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
    slots: Vec<Option<Arc<Descriptor>>>,
    /// Whether a value has become the owner of one.
    is_one_taken: bool,
}

impl ReceivedFds {
    pub(crate) fn new(descriptors: Vec<Arc<Descriptor>>) -> Self {
        Self { slots: descriptors.into_iter().map(Some).collect(), is_one_taken: false }
    }

    /// Those of a value that a fresh copy of the process has in its memory.
    pub(crate) fn inherited(descriptors: &[Arc<Descriptor>], ends: &Ends) -> Self {
        let slots = descriptors.iter().map(|descriptor| ends.inherit(descriptor)).collect();
        Self { slots, is_one_taken: false }
    }
}

/// Encodes with `encode`; the descriptors that its values hold are added to `descriptors`.
#[inline]
pub(crate) fn encoding<T>(descriptors: &mut Vec<Arc<Descriptor>>, encode: impl FnOnce() -> T) -> T {
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
pub(crate) fn attach<S: Serializer>(descriptor: &Arc<Descriptor>, serializer: S) -> Result<S::Ok, S::Error> {
    FdSlot::Descriptor(place(descriptor).map_err(S::Error::custom)?).serialize(serializer)
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

fn place(descriptor: &Arc<Descriptor>) -> Result<u32, String> {
    if !is_open(Open::Encoding) {
        return Err(NO_WINDOW.to_owned());
    }
    WINDOW.with(|window| {
        let mut collected = window.collected.borrow_mut();
        let known = collected.iter().position(|known| Arc::ptr_eq(known, descriptor));
        let place = known.map_or_else(|| collect(&mut collected, descriptor), Ok)?;
        Ok(place as u32)
    })
}

fn collect(collected: &mut Vec<Arc<Descriptor>>, descriptor: &Arc<Descriptor>) -> Result<usize, String> {
    descriptor.fd().map_err(|error| format!("a descriptor cannot be sent: {error}"))?;
    if collected.len() >= MAX {
        return Err(format!("more than {MAX} descriptors in one value, which is all that the kernel carries"));
    }
    collected.push(Arc::clone(descriptor));
    Ok(collected.len() - 1)
}

/// Deserialises a descriptor that other parts of the value may refer to as well.
pub(crate) fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Descriptor>, D::Error> {
    check_decoding()?;
    let FdSlot::Descriptor(place) = FdSlot::deserialize(deserializer)?;
    with_slot(place, |slot| slot.clone()).map_err(D::Error::custom)
}

/// Deserialises a descriptor that is this part of the value's alone.
pub(crate) fn own<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OwnedFd, D::Error> {
    check_decoding()?;
    let FdSlot::Descriptor(place) = FdSlot::deserialize(deserializer)?;
    let shared = with_slot(place, Option::take).map_err(D::Error::custom)?;
    note_taken();
    let owned = match Arc::try_unwrap(shared) {
        Ok(last) => last.into_owned().ok_or_else(|| std::io::ErrorKind::NotConnected.into()),
        // The value is decoded where it was encoded, and may be decoded again.
        Err(shared) => shared.fd().and_then(fd::duplicate),
    };
    owned.map_err(|error| D::Error::custom(format_args!("a descriptor cannot be taken over: {error}")))
}

/// Whether the value that is being decoded can be decoded from its beginning once more.
pub(crate) fn are_all_there() -> bool {
    WINDOW.with(|window| !window.incoming.borrow().is_one_taken)
}

fn note_taken() {
    WINDOW.with(|window| window.incoming.borrow_mut().is_one_taken = true);
}

fn with_slot(
    place: u32,
    take: impl FnOnce(&mut Option<Arc<Descriptor>>) -> Option<Arc<Descriptor>>,
) -> Result<Arc<Descriptor>, String> {
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

    struct SentFd(Arc<Descriptor>);

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
        SentFd(Arc::new(Descriptor::new(fd::null().unwrap())))
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
